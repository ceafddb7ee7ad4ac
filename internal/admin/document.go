package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// Document is the API's OpenAPI 3.1 document.
func Document() ([]byte, error) {
	var a API
	text, err := json.MarshalIndent(a.register(http.NewServeMux()).OpenAPI(), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	return append(text, '\n'), nil
}

// signature is the name of the security scheme.
const signature = "signature"

// described is what the document says of the API as a whole.
func described() huma.Config {
	c := huma.DefaultConfig("auditrelay management API", "1")
	c.Info.Description = "Workspaces, destinations, their connections, what waits for them, and what was given up after seven days. " +
		"Requests are signed by AWS Signature Version 4 (service execute-api); auditrelay local takes them unsigned."
	c.Info.Contact = &huma.Contact{Name: "auditrelay", URL: "https://github.com/auditrelay/auditrelay"}
	c.Info.License = &huma.License{Name: "Apache 2.0", Identifier: "Apache-2.0"}
	c.Servers = []*huma.Server{
		{
			URL: "https://{id}.execute-api.{region}.amazonaws.com/api", Description: "A deployment: the output ApiUrl of its stack",
			Variables: map[string]*huma.ServerVariable{
				"id":     {Default: "abc123", Description: "The id of the REST API"},
				"region": {Default: "eu-central-1", Description: "The AWS region of the stack"},
			},
		},
		{URL: "http://127.0.0.1:8686", Description: "auditrelay local"},
	}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{signature: {
		Type: "apiKey", In: "header", Name: "Authorization",
		Description: "AWS Signature Version 4 for the service execute-api, by credentials that have execute-api:Invoke on the " +
			"REST API. The stack's policy OperatorPolicyArn has it.",
		Extensions: map[string]any{"x-amazon-apigateway-authtype": "awsSigv4"},
	}}
	c.Security = []map[string][]string{{signature: {}}, {}} // none: auditrelay local
	c.Tags = []*huma.Tag{
		{Name: "workspaces", Description: "Customer accounts: whose logs they are, and who is told when a destination fails."},
		{Name: "destinations", Description: "Where logs go: a streaming connection's settings and credentials."},
		{Name: "connections", Description: "Whether logs are delivered to a destination, and a test of it."},
		{Name: "deliveries", Description: "What waits, what was tried, and what was given up."},
	}
	return c
}

// complete puts into the document what the framework leaves out: the second success of a put, the refusals
// that every request can have, and Problems where the framework has its own errors.
func complete(document *huma.OpenAPI) {
	schemas := document.Components.Schemas
	refused := map[string]*huma.MediaType{"application/problem+json": {Schema: schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")}}
	for _, item := range document.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Patch, item.Post, item.Delete} {
			if op == nil {
				continue
			}
			declare := func(status int) {
				op.Responses[strconv.Itoa(status)] = &huma.Response{Description: http.StatusText(status), Content: refused}
			}
			for _, p := range op.Parameters {
				standard(p.Schema)
			}
			declare(http.StatusRequestURITooLong)
			if op.RequestBody != nil {
				declare(http.StatusUnsupportedMediaType)
			}
			if op.Method == http.MethodPut {
				created := *op.Responses[strconv.Itoa(http.StatusOK)]
				created.Description = http.StatusText(http.StatusCreated)
				op.Responses[strconv.Itoa(http.StatusCreated)] = &created
			}
			for _, response := range op.Responses {
				if response.Content["application/problem+json"] != nil {
					response.Content = refused
				}
			}
		}
	}
	for _, s := range schemas.Map() {
		standard(s)
	}
	delete(schemas.Map(), "ErrorModel")
	delete(schemas.Map(), "ErrorDetail")
}

// standard takes the framework's own word out of a schema: what a pattern means, for messages, which are made
// by now. A reader of the document finds it as the description.
func standard(s *huma.Schema) {
	if s == nil {
		return
	}
	if s.Description == "" {
		s.Description = s.PatternDescription
	}
	s.PatternDescription = ""
	standard(s.Items)
	for _, property := range s.Properties {
		standard(property)
	}
}
