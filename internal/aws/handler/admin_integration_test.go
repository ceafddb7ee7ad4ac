//go:build integration

package handler_test

import (
	"bytes"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	awsscheduler "github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/auditrelay/auditrelay/internal/aws/emulator"
	"github.com/auditrelay/auditrelay/internal/aws/handler"
	"github.com/auditrelay/auditrelay/internal/aws/restapi"
	"github.com/auditrelay/auditrelay/internal/config"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

// TestAdminOnRealServices takes the requests of a REST API through every adapter that the management API uses.
func TestAdminOnRealServices(t *testing.T) {
	account := emulator.Start(t, emulator.Moto)
	var lines bytes.Buffer
	api, err := handler.Admin(adminResources(t, account), account, delivery.NewLines(&lines, "test"))
	if err != nil {
		t.Fatal(err)
	}
	answer := restapi.Handler(api)
	const destination = `{"name":"SIEM","workspace_id":"acme","kind":"http","settings":{"url":"https://siem.example/logs"},"credentials":{"bearer":"s3cr3t"}}`
	for _, c := range []struct {
		method, path, query, body string
		status                    int
		says                      string
	}{
		{"PUT", "/v1/workspaces/acme", "", `{"kind":"standalone","admins":["ada@acme.example"]}`, 201, `"id":"acme"`},
		{"PUT", "/v1/destinations/siem", "verify=false", destination, 201, `"state":"connected"`},
		{"PUT", "/v1/destinations/siem", "verify=false", strings.Replace(destination, "s3cr3t", "another", 1), 200, `"version":2`},
		{"GET", "/v1/destinations/siem", "", "", 200, `"version":2`},
		{"GET", "/v1/destinations", "workspace_id=acme", "", 200, `"next":null`},
		{"POST", "/v1/destinations/siem/disconnect", "", "", 200, `"state":"disconnected"`},
		{"POST", "/v1/destinations/siem/disconnect", "", "", 409, "it is disconnected since"},
		{"POST", "/v1/redrive", "", `{"destination_id":"siem"}`, 409, "reconnect it"},
		{"POST", "/v1/destinations/siem/reconnect", "verify=false", "", 200, `"state":"connected"`},
		{"POST", "/v1/redrive", "", `{"destination_id":"siem"}`, 200, `"queued":0`},
		{"GET", "/v1/deliveries", "destination_id=siem", "", 200, `"items":[]`},
		{"GET", "/v1/destinations/siem/backlog", "", "", 200, `"count":0`},
		{"GET", "/v1/failed", "", "", 200, `"items":[]`},
		{"GET", "/v1/attempts", "log_id=log-1", "", 200, `"items":[]`},
		{"DELETE", "/v1/workspaces/acme", "", "", 409, "owns 1 destinations"},
		{"DELETE", "/v1/destinations/siem", "", "", 204, ""},
		{"PUT", "/v1/destinations/siem", "verify=false", destination, 201, `"version":1`}, // with nothing of the one before
		{"DELETE", "/v1/destinations/siem", "", "", 204, ""},
		{"GET", "/v1/destinations/siem", "", "", 200, `"state":"deleted"`},
		{"POST", "/v1/destinations/siem/restore", "verify=false", "", 200, `"state":"connected"`},
		{"DELETE", "/v1/destinations/siem", "", "", 204, ""},
		{"DELETE", "/v1/workspaces/acme", "", "", 409, "can still be restored"},
		{"DELETE", "/v1/destinations/siem", "purge=true", "", 204, ""},
		{"DELETE", "/v1/workspaces/acme", "", "", 204, ""},
		{"GET", "/v1/workspaces/acme", "", "", 404, "no workspace"},
	} {
		query, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		e := events.APIGatewayProxyRequest{HTTPMethod: c.method, Path: c.path, MultiValueQueryStringParameters: query, Body: c.body}
		e.RequestContext.Identity.UserArn = "arn:aws:iam::123456789012:user/ada"
		got, err := answer(t.Context(), e)
		if err != nil || got.StatusCode != c.status || !strings.Contains(got.Body, c.says) {
			t.Fatalf("%s %s: %d %s (%v), want %d and %q; the log says %s", c.method, c.path, got.StatusCode, got.Body, err, c.status, c.says, &lines)
		}
		if strings.Contains(got.Body, "s3cr3t") || strings.Contains(lines.String(), "s3cr3t") {
			t.Fatalf("%s %s tells a credential", c.method, c.path)
		}
	}
	if lines.Len() > 0 {
		t.Errorf("faults: %s", &lines)
	}
}

// adminResources makes what the stack makes for the function.
func adminResources(t *testing.T, account aws.Config) config.Admin {
	t.Helper()
	database, queues := dynamodb.NewFromConfig(account), sqs.NewFromConfig(account)
	text := func(names ...string) (attributes []types.AttributeDefinition) {
		for _, name := range names {
			kind := types.ScalarAttributeTypeS
			if len(name) == 2 && name[0] == 'd' {
				kind = types.ScalarAttributeTypeN
			}
			attributes = append(attributes, types.AttributeDefinition{AttributeName: &name, AttributeType: kind})
		}
		return attributes
	}
	keys := func(hash string, sort ...string) []types.KeySchemaElement {
		schema := []types.KeySchemaElement{{AttributeName: &hash, KeyType: types.KeyTypeHash}}
		for _, name := range sort {
			schema = append(schema, types.KeySchemaElement{AttributeName: &name, KeyType: types.KeyTypeRange})
		}
		return schema
	}
	index := func(name string, schema []types.KeySchemaElement) types.GlobalSecondaryIndex {
		return types.GlobalSecondaryIndex{IndexName: &name, KeySchema: schema, Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll}}
	}
	for _, in := range []*dynamodb.CreateTableInput{
		{TableName: aws.String("deliveries"), KeySchema: keys("pk", "sk"), AttributeDefinitions: text("pk", "sk", "ds", "du"),
			GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{index("due", keys("ds", "du"))}},
		{TableName: aws.String("directory"), KeySchema: keys("pk"), AttributeDefinitions: text("pk", "workspace_id", "listed"),
			GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{index("owner", keys("workspace_id", "pk")), index("listed", keys("listed", "pk"))}},
	} {
		in.BillingMode = types.BillingModePayPerRequest
		if _, err := database.CreateTable(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	queue := func(name string) string {
		out, err := queues.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name})
		if err != nil {
			t.Fatal(err)
		}
		return *out.QueueUrl
	}
	if _, err := awsscheduler.NewFromConfig(account).CreateScheduleGroup(t.Context(), &awsscheduler.CreateScheduleGroupInput{Name: aws.String("auditrelay")}); err != nil {
		t.Fatal(err)
	}
	if _, err := eventbridge.NewFromConfig(account).CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String("auditrelay")}); err != nil {
		t.Fatal(err)
	}
	key, err := kms.NewFromConfig(account).CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	group := aws.String("/auditrelay/test/deliver")
	if _, err := cloudwatchlogs.NewFromConfig(account).CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: group}); err != nil {
		t.Fatal(err)
	}
	c := config.Admin{DeliveriesTable: "deliveries", RetryQueueURL: queue("retry"), KeyARN: *key.KeyMetadata.Arn, AttemptsLogGroup: *group, SearchLimit: time.Minute}
	c.DirectoryTable, c.NoticesQueueURL, c.IngestQueueURL, c.EventBus = "directory", queue("notices"), queue("ingest"), "auditrelay"
	c.Timers = config.Timers{
		ScheduleGroup: "auditrelay", ScheduleRoleARN: "arn:aws:iam::123456789012:role/scheduler",
		ScheduleDeadLettersARN: "arn:aws:sqs:eu-central-1:123456789012:dead", DisconnectFunctionARN: "arn:aws:lambda:eu-central-1:123456789012:function:disconnect",
	}
	return c
}
