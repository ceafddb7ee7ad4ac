package infra

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testAlarms holds that each alarm reaches the topic, and that the runbook has exactly the sections that alarms point to.
func testAlarms(t *testing.T, tmpl template) {
	topic := []string{tmpl.id(t, "AWS::SNS::Topic", "Alarms")}
	pointed := make(map[string]bool)
	for _, id := range tmpl.ids("AWS::CloudWatch::Alarm") {
		a := tmpl.Resources[id]
		means, section, ok := strings.Cut(a.at("AlarmDescription").(string), " What to do: "+runbook+"#")
		if !ok || means == "" || section == "" {
			t.Errorf("%s does not say what it means and what to do: %v", id, a.at("AlarmDescription"))
		}
		pointed[section] = true
		if !slices.Equal(refs(a.at("AlarmActions")), topic) || !slices.Equal(refs(a.at("OKActions")), topic) {
			t.Errorf("%s reaches %v, and %v when all is well again", id, a.at("AlarmActions"), a.at("OKActions"))
		}
	}
	want := sections(t)
	if diff := cmp.Diff(want, sorted(pointed)); diff != "" {
		t.Errorf("sections of docs/runbook.md, and where alarms point (-sections +alarms):\n%s", diff)
	}
}

// sections are the second-level headings of the runbook, as links name them, each of which must say the three things a person needs.
func sections(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile("../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i, part := range strings.Split(string(page), "\n## ") {
		if i == 0 {
			continue
		}
		title, body, _ := strings.Cut(part, "\n")
		names = append(names, strings.ReplaceAll(strings.ToLower(title), " ", "-"))
		for _, mark := range []string{"**It means:**", "**Look at:**", "**Do:**"} {
			if !strings.Contains(body, mark) {
				t.Errorf("the runbook's section %q has no %s", title, mark)
			}
		}
	}
	slices.Sort(names)
	return names
}

func sorted(set map[string]bool) []string {
	var list []string
	for v := range set {
		list = append(list, v)
	}
	slices.Sort(list)
	return list
}

// testWatched holds that nothing that can go wrong is without an alarm: every queue that ends a way, every function, every table.
func testWatched(t *testing.T, tmpl template) {
	watched := make(map[string]bool)
	for _, id := range tmpl.ids("AWS::CloudWatch::Alarm") {
		a := tmpl.Resources[id]
		for _, m := range append(list(a.at("Metrics")), map[string]any{"MetricStat": map[string]any{"Metric": a.Properties}}) {
			metric := resource{Properties: m.(map[string]any)}
			name, _ := metric.at("MetricStat", "Metric", "MetricName").(string)
			for _, d := range list(metric.at("MetricStat", "Metric", "Dimensions")) {
				watched[name+" "+compact(d.(map[string]any)["Value"])] = true
			}
			if list(metric.at("MetricStat", "Metric", "Dimensions")) == nil && name != "" {
				watched[name] = true
			}
		}
	}
	want := []string{
		"ApproximateAgeOfOldestMessage {Ingest.QueueName}", "ApproximateAgeOfOldestMessage {Retry.QueueName}",
		"ApproximateNumberOfMessagesVisible {Rejected.QueueName}",
		"Invocations {Requeue}", "IteratorAge {Expire}",
		"Failed", "Faults", "Stuck", "Accepted", "Delivered", "AttemptsFailed", "Held", "OldestAge",
		"MailsRefused", "MailsUncertain", "MailsWithoutRecipient", "Reputation.BounceRate {Mails}",
		"ReadThrottleEvents {Directory}", "WriteThrottleEvents {Directory}", "ReadThrottleEvents {Deliveries}", "WriteThrottleEvents {Deliveries}",
	}
	for _, id := range tmpl.ids("AWS::DynamoDB::Table") {
		for _, index := range list(tmpl.Resources[id].at("GlobalSecondaryIndexes")) {
			name := index.(map[string]any)["IndexName"].(string)
			want = append(want, "ReadThrottleEvents "+name, "WriteThrottleEvents "+name)
		}
	}
	for _, id := range tmpl.ids("AWS::SQS::Queue") {
		if tmpl.Resources[id].at("RedrivePolicy") == nil {
			want = append(want, "ApproximateNumberOfMessagesVisible {"+plain(id)+".QueueName}")
		}
	}
	for _, id := range tmpl.ids("AWS::Lambda::Function") {
		want = append(want, "Errors {"+plain(id)+"}", "Throttles {"+plain(id)+"}")
	}
	for _, w := range want {
		if !watched[w] {
			t.Errorf("no alarm watches %s", w)
		}
	}
}

// testDashboard holds that the dashboard shows every alarm, every metric of the functions' own, every queue, function and table.
func testDashboard(t *testing.T, tmpl template) {
	ids := tmpl.ids("AWS::CloudWatch::Dashboard")
	if len(ids) != 1 {
		t.Fatalf("dashboards: %v", ids)
	}
	body := compact(tmpl.Resources[ids[0]].at("DashboardBody"))
	want := []string{
		`"Accepted"`, `"Delivered"`, `"Failed"`, `"Unrouted"`, `"Rejected"`, `"Repeated"`, `"Attempts"`, `"AttemptsFailed"`, `"Held"`, `"Faults"`, `"Stuck"`, `"OldestAge"`,
		`"MailsSent"`, `"MailsRefused"`, `"MailsUncertain"`, `"MailAddressesRefused"`, `"MailsWithoutRecipient"`, `"Reputation.BounceRate"`,
		"604800 - oldest", runbook,
	}
	for _, kind := range []string{"AWS::SQS::Queue", "AWS::Lambda::Function", "AWS::DynamoDB::Table"} {
		for _, id := range tmpl.ids(kind) {
			want = append(want, "{"+plain(id))
		}
	}
	for _, id := range tmpl.ids("AWS::CloudWatch::Alarm") {
		want = append(want, ":alarm:"+tmpl.Resources[id].at("AlarmName").(string)+`"`)
	}
	for _, w := range want {
		if !strings.Contains(body, w) {
			t.Errorf("the dashboard does not show %s", w)
		}
	}
}

func testQueries(t *testing.T, tmpl template) {
	var names []string
	for _, id := range tmpl.ids("AWS::Logs::QueryDefinition") {
		q := tmpl.Resources[id]
		names = append(names, q.at("Name").(string))
		if diff := cmp.Diff(tmpl.ids("AWS::Logs::LogGroup"), refs(q.at("LogGroupNames"))); diff != "" {
			t.Errorf("%s asks (-all +its log groups):\n%s", q.at("Name"), diff)
		}
	}
	slices.Sort(names)
	want := []string{
		"auditrelay-dev/failed events", "auditrelay-dev/faults", "auditrelay-dev/logs that went twice", "auditrelay-dev/mails",
		"auditrelay-dev/one log's life", "auditrelay-dev/rejected and unrouted",
		"auditrelay-dev/retries of a destination", "auditrelay-dev/top failure codes",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("saved queries (-want +got):\n%s", diff)
	}
}

func testOutputs(t *testing.T, tmpl template) {
	got := make(map[string]string)
	for name, o := range tmpl.Outputs {
		got[name] = compact(o["Value"])
	}
	want := map[string]string{
		"IngestQueueUrl":    "{Ingest}",
		"PayloadBucketName": "{Payloads}",
		"ProducerPolicyArn": "{Producer}",
		"AlarmTopicArn":     "{Alarms}",
		"DeadLogsMapping":   "{DeliverDeadLogs}",
		"ApiUrl":            "https://{Api}.execute-api.{AWS::Region}.{AWS::URLSuffix}/{ApiStage}/",
		"OperatorPolicyArn": "{Operator}",
		"EventBusName":      "{Bus}",
		"DestinationTrustPolicy": `{"Statement":[{"Action":"sts:AssumeRole","Condition":{"ArnLike":{"aws:PrincipalArn":` +
			`"arn:{AWS::Partition}:iam::{AWS::AccountId}:role/auditrelay/dev/*"},"StringEquals":{"sts:ExternalId":"EXTERNAL-ID"}},"Effect":"Allow",` +
			`"Principal":{"AWS":"arn:{AWS::Partition}:iam::{AWS::AccountId}:root"}}],"Version":"2012-10-17"}`,
		"DashboardUrl": "https://{AWS::Region}.console.{console}/cloudwatch/home?region={AWS::Region}#dashboards/dashboard/{Dashboard}",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
}
