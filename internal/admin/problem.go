package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/legible"
	"github.com/auditrelay/auditrelay/internal/sink"
)

// Problem is every error's answer, as RFC 9457 has it. It quotes no value of the request, since that may be a credential.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail" doc:"A sentence that says what is wrong and what to do."`
	// Errors name the fields that are wrong.
	Errors []FieldProblem `json:"errors,omitempty"`
	// Code and Guidance are the catalogue's, when a destination could not be verified.
	Code     failure.Code `json:"code,omitempty" doc:"Why a destination could not be verified, see docs/errors.md."`
	Guidance string       `json:"guidance,omitempty"`
}

// FieldProblem names a field and the rule that it breaks.
type FieldProblem struct {
	Field string `json:"field" doc:"Where it stands, such as body.settings.url or query.limit."`
	Rule  string `json:"rule"`
}

// Error gives the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

func (p *Problem) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(legible.JSONWriter{To: w}).Encode(p)
}

func problem(status int, detail string, args ...any) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(detail, args...)}
}

// invalidField is the answer for a field that breaks a rule which the document's schema cannot say.
func invalidField(field, rule string, args ...any) *Problem {
	rule = fmt.Sprintf(rule, args...)
	p := problem(http.StatusUnprocessableEntity, "%s %s", field, rule)
	p.Errors = []FieldProblem{{Field: field, Rule: rule}}
	return p
}

func changedMeanwhile() *Problem {
	return problem(http.StatusPreconditionFailed, "the record was changed meanwhile; read it again and repeat the change on what it says now")
}

// unsettledFor is how long a client is asked to wait for a deletion that is under way, in seconds.
const unsettledFor = "10"

// unsettled is the answer where something must first be deleted, or made, in the background.
func unsettled() error {
	return huma.ErrorWithHeaders(problem(http.StatusServiceUnavailable,
		"something that this needs is being made or deleted at the moment; nothing was changed. Try again in %s seconds", unsettledFor),
		http.Header{"Retry-After": {unsettledFor}})
}

func noDestination(id string) *Problem {
	return problem(http.StatusNotFound, "there is no destination %q; GET /v1/destinations lists those that are", id)
}

func noWorkspace(id string) *Problem {
	return problem(http.StatusNotFound, "there is no workspace %q; GET /v1/workspaces lists those that are", id)
}

// destinationError turns a store's error about a destination into an answer.
func (a *API) destinationError(ctx context.Context, id string, err error) error {
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return noDestination(id)
	case errors.Is(err, directory.ErrChanged):
		return changedMeanwhile()
	}
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	return a.internal(ctx, failure.About(failure.Concern{DestinationID: id}, err))
}

// settingsError turns a refusal of package sink into an answer that names the field.
func settingsError(err error) *Problem {
	if field, ok := errors.AsType[*sink.FieldError](err); ok {
		return invalidField("body."+field.Field, "%s", field.Rule)
	}
	return problem(http.StatusUnprocessableEntity, "the settings cannot work; GET /v1/openapi.json describes them")
}

// problems makes the framework's errors Problems: without the values it quotes, and with a sentence for a detail.
func problems(_ huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := problem(m.Status, "%s", strings.Replace(m.Detail, "request body is required", "a JSON body is required, see GET /v1/openapi.json", 1))
	if m.Status == http.StatusRequestEntityTooLarge {
		p.Detail = fmt.Sprintf("the body is too large; it may have %d bytes", maxBody)
	}
	for _, e := range m.Errors {
		p.Errors = append(p.Errors, fieldProblem(e))
	}
	if len(p.Errors) > 0 {
		var rules []string
		for _, e := range p.Errors[:min(3, len(p.Errors))] {
			rules = append(rules, strings.TrimSpace(e.Field+" "+e.Rule))
		}
		p.Detail = strings.Join(rules, "; ")
	}
	return p, nil
}

// fieldProblem puts the framework's errors into the words of this API's.
func fieldProblem(e *huma.ErrorDetail) FieldProblem {
	if name, ok := strings.CutPrefix(e.Message, "expected required property "); ok {
		name = strings.TrimSuffix(name, " to be present")
		return FieldProblem{Field: e.Location + "." + name, Rule: "is missing"}
	}
	return FieldProblem{Field: e.Location, Rule: rule(e.Message)}
}

func rule(message string) string {
	for begin, words := range map[string]string{
		"unexpected property":         "is not known here",
		"unknown query parameter":     "is not known for this path",
		"invalid date/time":           "must be an RFC 3339 time such as 2026-11-02T09:30:00Z",
		"invalid integer":             "must be a whole number",
		"invalid boolean":             "must be true or false",
		"required query parameter":    "is missing",
		"expected boolean":            "must be true or false",
		"expected object":             "must be a JSON object",
		"expected array":              "must be a list",
		"expected string to be RFC 3": "must be an RFC 3339 time such as 2026-11-02T09:30:00Z",
		"unknown content type":        "must be sent as application/json",
	} {
		if strings.HasPrefix(message, begin) {
			return words
		}
	}
	if expected, ok := strings.CutPrefix(message, "expected "); ok {
		expected = strings.TrimPrefix(strings.TrimPrefix(expected, "string to be "), "value to be ")
		return "must be " + expected
	}
	for _, begin := range []string{"invalid character", "unexpected end of JSON", "exceeded max depth", "json:"} {
		if strings.HasPrefix(message, begin) {
			return "is not valid JSON: " + message
		}
	}
	return message
}
