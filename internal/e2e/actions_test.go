//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/mail"
	"net/url"
	"slices"
	"strings"
)

// call is a request to AWS, as far as IAM looks at it.
type call struct {
	service string // of the signature's scope
	method  string
	path    string
	query   url.Values
	target  string // the operation's name, of services that have it in X-Amz-Target
	body    []byte // nil for S3, whose bodies are not looked at
}

// needsOf says what a call must be allowed, by the Service Authorization Reference. A call that it does not know is an error: whoever adds one to a
// function adds it here.
func (v *values) needsOf(c call) ([]need, error) {
	var needs []need
	var err error
	switch c.service {
	case "sqs":
		needs, err = queueNeeds(c)
	case "dynamodb":
		needs, err = tableNeeds(c)
	case "s3":
		needs = objectNeeds(c)
	case "kms":
		needs, err = directKeyNeeds(c)
	case "sts":
		needs = roleNeeds(c)
	case "ses":
		needs, err = mailNeeds(c)
	case "scheduler":
		needs, err = scheduleNeeds(c)
	case "events":
		needs, err = busNeeds(c)
	case "logs":
		needs, err = logNeeds(c)
	}
	if err != nil {
		return nil, fmt.Errorf("read a call of %s %s: %w", c.service, c.target, err)
	}
	if len(needs) == 0 {
		return nil, fmt.Errorf("the check of grants does not know the call %s %s%s %s", c.service, c.target, c.method, c.path)
	}
	return slices.Concat(needs, v.keyNeeds(needs)), nil
}

func arn(service, resource string) string {
	return "arn:aws:" + service + ":" + region + ":" + account + ":" + resource
}

func queueNeeds(c call) ([]need, error) {
	var in struct{ QueueUrl, QueueName string }
	if err := json.Unmarshal(c.body, &in); err != nil {
		return nil, err
	}
	name := in.QueueUrl[strings.LastIndexByte(in.QueueUrl, '/')+1:] + in.QueueName
	action := strings.TrimSuffix(c.target, "Batch")
	switch action {
	case "SendMessage", "DeleteMessage", "ReceiveMessage", "ChangeMessageVisibility", "GetQueueAttributes", "GetQueueUrl",
		"StartMessageMoveTask", "ListMessageMoveTasks", "CancelMessageMoveTask":
		return []need{{action: "sqs:" + action, resource: arn("sqs", name)}}, nil
	}
	return nil, nil
}

// tableCall are the parts of DynamoDB's requests that name tables, indexes and items.
type tableCall struct {
	itemCall
	IndexName     string
	RequestItems  map[string]json.RawMessage
	TransactItems []map[string]itemCall
}

// itemCall names an item by its key, or has it whole.
type itemCall struct {
	TableName string
	Key, Item map[string]any
}

// leading is the partition key of the item, which IAM has as a condition key.
func (c itemCall) leading() map[string][]string {
	for _, item := range []map[string]any{c.Key, c.Item} {
		if pk, ok := item["pk"].(map[string]any); ok {
			return map[string][]string{"dynamodb:LeadingKeys": {fmt.Sprint(pk["S"])}}
		}
	}
	return nil
}

func tableNeeds(c call) ([]need, error) {
	var in tableCall
	if err := json.Unmarshal(c.body, &in); err != nil {
		return nil, err
	}
	table := func(action, name string) need {
		return need{action: "dynamodb:" + action, resource: arn("dynamodb", "table/"+name)}
	}
	var needs []need
	switch c.target {
	case "GetItem", "PutItem", "UpdateItem", "DeleteItem", "DescribeTable":
		n := table(c.target, in.TableName)
		n.context = in.leading()
		needs = append(needs, n)
	case "Query", "Scan":
		n := table(c.target, in.TableName)
		if in.IndexName != "" {
			n.resource += "/index/" + in.IndexName
		}
		needs = append(needs, n)
	case "BatchGetItem", "BatchWriteItem":
		for name := range in.RequestItems {
			needs = append(needs, table(c.target, name))
		}
	case "TransactWriteItems", "TransactGetItems":
		for _, item := range in.TransactItems {
			for operation, of := range item {
				action := operation + "Item"
				if operation == "ConditionCheck" {
					action = "ConditionCheckItem"
				}
				n := table(action, of.TableName)
				n.context = of.leading()
				needs = append(needs, n)
			}
		}
	}
	return needs, nil
}

// objectNeeds takes requests with the bucket in the path.
func objectNeeds(c call) []need {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(c.path, "/"), "/")
	resource := "arn:aws:s3:::" + bucket
	if key == "" {
		if c.method == http.MethodGet && (c.query.Has("list-type") || c.query.Has("prefix")) {
			return []need{{action: "s3:ListBucket", resource: resource, context: map[string][]string{"s3:prefix": c.query["prefix"]}}}
		}
		return nil
	}
	resource += "/" + key
	switch {
	case c.method == http.MethodGet, c.method == http.MethodHead:
		return []need{{action: "s3:GetObject", resource: resource}}
	case c.method == http.MethodPut, c.method == http.MethodPost && (c.query.Has("uploads") || c.query.Has("uploadId")):
		return []need{{action: "s3:PutObject", resource: resource}}
	case c.method == http.MethodDelete && c.query.Has("uploadId"):
		return []need{{action: "s3:AbortMultipartUpload", resource: resource}}
	case c.method == http.MethodDelete:
		return []need{{action: "s3:DeleteObject", resource: resource}}
	}
	return nil
}

// directKeyNeeds are those of a function that calls KMS itself, not by way of a service.
func directKeyNeeds(c call) ([]need, error) {
	var in struct {
		KeyId             string
		EncryptionContext map[string]string
	}
	if err := json.Unmarshal(c.body, &in); err != nil {
		return nil, err
	}
	switch c.target {
	case "GenerateDataKey", "Decrypt":
		context := make(map[string][]string)
		for name, value := range in.EncryptionContext {
			context["kms:EncryptionContext:"+name] = []string{value}
		}
		return []need{{action: "kms:" + c.target, resource: in.KeyId, context: context}}, nil
	}
	return nil, nil
}

func roleNeeds(c call) []need {
	form, err := url.ParseQuery(string(c.body))
	if err != nil || form.Get("Action") != "AssumeRole" {
		return nil
	}
	return []need{{action: "sts:AssumeRole", resource: form.Get("RoleArn"), context: map[string][]string{"sts:ExternalId": form["ExternalId"]}}}
}

// mailNeeds: sending needs the sender's identity, its domain's here, and the configuration set.
func mailNeeds(c call) ([]need, error) {
	if c.method != http.MethodPost || c.path != "/v2/email/outbound-emails" {
		return nil, nil
	}
	var in struct{ FromEmailAddress, ConfigurationSetName string }
	if err := json.Unmarshal(c.body, &in); err != nil {
		return nil, err
	}
	from, err := mail.ParseAddress(in.FromEmailAddress)
	if err != nil {
		return nil, err
	}
	context := map[string][]string{"ses:FromAddress": {from.Address}, "ses:FromDisplayName": {from.Name}}
	domain := from.Address[strings.LastIndexByte(from.Address, '@')+1:]
	needs := []need{{action: "ses:SendEmail", resource: arn("ses", "identity/"+domain), context: context}}
	if in.ConfigurationSetName != "" {
		needs = append(needs, need{action: "ses:SendEmail", resource: arn("ses", "configuration-set/"+in.ConfigurationSetName), context: context})
	}
	return needs, nil
}

// scheduleNeeds: who makes a schedule also passes a role to the service.
func scheduleNeeds(c call) ([]need, error) {
	name, ok := strings.CutPrefix(c.path, "/schedules/")
	if !ok {
		return nil, nil
	}
	var in struct {
		GroupName string
		Target    struct{ RoleArn string }
	}
	if len(c.body) > 0 {
		if err := json.Unmarshal(c.body, &in); err != nil {
			return nil, err
		}
	}
	schedule := arn("scheduler", "schedule/"+in.GroupName+c.query.Get("groupName")+"/"+name)
	pass := need{action: "iam:PassRole", resource: in.Target.RoleArn, context: map[string][]string{"iam:PassedToService": {"scheduler.amazonaws.com"}}}
	switch c.method {
	case http.MethodPost:
		return []need{{action: "scheduler:CreateSchedule", resource: schedule}, pass}, nil
	case http.MethodPut:
		return []need{{action: "scheduler:UpdateSchedule", resource: schedule}, pass}, nil
	case http.MethodGet:
		return []need{{action: "scheduler:GetSchedule", resource: schedule}}, nil
	case http.MethodDelete:
		return []need{{action: "scheduler:DeleteSchedule", resource: schedule}}, nil
	}
	return nil, nil
}

func busNeeds(c call) ([]need, error) {
	var in struct {
		Entries []struct{ EventBusName, Source, DetailType string }
	}
	if c.target != "PutEvents" {
		return nil, nil
	}
	if err := json.Unmarshal(c.body, &in); err != nil {
		return nil, err
	}
	var needs []need
	for _, e := range in.Entries {
		bus := e.EventBusName
		if !strings.HasPrefix(bus, "arn:") {
			bus = arn("events", "event-bus/"+bus)
		}
		needs = append(needs, need{action: "events:PutEvents", resource: bus, context: map[string][]string{"events:source": {e.Source}, "events:detail-type": {e.DetailType}}})
	}
	return needs, nil
}

func logNeeds(c call) ([]need, error) {
	var in struct{ LogGroupName string }
	if err := json.Unmarshal(c.body, &in); err != nil {
		return nil, err
	}
	if c.target != "FilterLogEvents" {
		return nil, nil
	}
	return []need{{action: "logs:FilterLogEvents", resource: arn("logs", "log-group:"+in.LogGroupName+":*")}}, nil
}
