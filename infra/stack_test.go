package infra

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/config"
)

func TestStack(t *testing.T) {
	tmpl := synthesize(t, defaults(t))
	t.Run("data keeps its place", func(t *testing.T) { testRetained(t, tmpl) })
	t.Run("what outlives it", func(t *testing.T) { testOutlives(t, tmpl) })
	t.Run("queues", func(t *testing.T) { testQueues(t, tmpl) })
	t.Run("waits", func(t *testing.T) { testWaits(t, tmpl) })
	t.Run("tables", func(t *testing.T) { testTables(t, tmpl) })
	t.Run("payloads", func(t *testing.T) { testPayloads(t, tmpl) })
	t.Run("lifecycle", func(t *testing.T) { testLifecycle(t, tmpl) })
	t.Run("functions", func(t *testing.T) { testFunctions(t, tmpl) })
	t.Run("environment", func(t *testing.T) { testEnvironment(t, tmpl) })
	t.Run("event sources", func(t *testing.T) { testEventSources(t, tmpl) })
	t.Run("grants", func(t *testing.T) { testGrants(t, tmpl) })
	t.Run("needs", func(t *testing.T) { testNeeds(t, tmpl) })
	t.Run("producers", func(t *testing.T) { testProducers(t, tmpl) })
	t.Run("operators", func(t *testing.T) { testOperators(t, tmpl) })
	t.Run("no other account", func(t *testing.T) { testOtherAccounts(t, tmpl, map[string]string{}) })
	t.Run("alarms", func(t *testing.T) { testAlarms(t, tmpl) })
	t.Run("all is watched", func(t *testing.T) { testWatched(t, tmpl) })
	t.Run("dashboard", func(t *testing.T) { testDashboard(t, tmpl) })
	t.Run("queries", func(t *testing.T) { testQueries(t, tmpl) })
	t.Run("outputs", func(t *testing.T) { testOutputs(t, tmpl) })
	t.Run("trust", func(t *testing.T) { testTrust(t, tmpl, "dev") })
	t.Run("partition", func(t *testing.T) { testPartition(t, tmpl) })
	t.Run("picture", func(t *testing.T) { testPicture(t, tmpl) })
}

func TestStackOfOtherSettings(t *testing.T) {
	s := defaults(t)
	s.Stage = "prod"
	s.ReservedConcurrency = 40
	s.AllowHTTP = true
	s.KeepRejectedBodies = true
	s.Dedupe = true
	s.ProtectTables = true
	s.AllowPrivateCIDRs = []string{"10.1.0.0/16", "10.2.0.0/16"}
	s.DestinationRoles = "acme-audit-*"
	s.AlarmMail = "oncall@example.com"
	s.ProducerAccounts = []string{"111122223333", "444455556666"}
	s.MailFrom, s.MailIdentity, s.MailReplyTo, s.MailProduct, s.MailOff = "Acme <notices@acme.example>", identityExisting, "help@acme.example", "Acme Audit", []string{"recovered"}
	tmpl := synthesize(t, s)

	t.Run("a stage shares no name with another", func(t *testing.T) {
		text, err := json.Marshal(tmpl)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "auditrelay-dev") || strings.Contains(string(text), "auditrelay/dev") {
			t.Error("the template of the stage prod names the stage dev")
		}
	})
	t.Run("concurrency", func(t *testing.T) {
		deliver := tmpl.one(t, "AWS::Lambda::Function", "Deliver")
		got := []any{
			deliver.at("ReservedConcurrentExecutions"),
			tmpl.one(t, "AWS::Lambda::EventSourceMapping", "DeliverIngest").at("ScalingConfig", "MaximumConcurrency"),
			tmpl.one(t, "AWS::Lambda::EventSourceMapping", "DeliverRetry").at("ScalingConfig", "MaximumConcurrency"),
		}
		if diff := cmp.Diff([]any{40.0, 30.0, 10.0}, got); diff != "" {
			t.Errorf("reserved, for ingest, for retry (-want +got):\n%s", diff)
		}
	})
	t.Run("network", func(t *testing.T) {
		for _, name := range []string{"Deliver", "Admin"} {
			f := tmpl.one(t, "AWS::Lambda::Function", name)
			got := []any{f.at("Environment", "Variables", "ALLOW_HTTP"), f.at("Environment", "Variables", "ALLOW_PRIVATE_CIDRS")}
			if diff := cmp.Diff([]any{"true", "10.1.0.0/16,10.2.0.0/16"}, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	})
	t.Run("tables", func(t *testing.T) {
		for _, id := range tmpl.ids("AWS::DynamoDB::Table") {
			if tmpl.Resources[id].at("DeletionProtectionEnabled") != true {
				t.Errorf("%s can be deleted", id)
			}
		}
	})
	t.Run("rejected bodies", func(t *testing.T) {
		if got := tmpl.one(t, "AWS::Lambda::Function", "Deliver").at("Environment", "Variables", "KEEP_REJECTED_BODIES"); got != "true" {
			t.Errorf("deliver has KEEP_REJECTED_BODIES=%v", got)
		}
	})
	t.Run("dedupe", func(t *testing.T) {
		if got := tmpl.one(t, "AWS::Lambda::Function", "Deliver").at("Environment", "Variables", "DEDUPE"); got != "true" {
			t.Errorf("deliver has DEDUPE=%v", got)
		}
	})
	t.Run("mails", func(t *testing.T) {
		vars := resource{Properties: tmpl.one(t, "AWS::Lambda::Function", "Notify").at("Environment", "Variables").(map[string]any)}
		got := []any{vars.at("MAIL_FROM"), vars.at("MAIL_REPLY_TO"), vars.at("MAIL_PRODUCT"), vars.at("MAIL_OFF"), len(tmpl.ids("AWS::SES::EmailIdentity")), tmpl.Outputs["MailDnsRecords"]}
		want := []any{"Acme <notices@acme.example>", "help@acme.example", "Acme Audit", "recovered", 0, map[string]any(nil)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		const ses = "arn:{AWS::Partition}:ses:{AWS::Region}:{AWS::AccountId}:"
		sender := []string{ses + "configuration-set/{Mails}", ses + "identity/acme.example", ses + "identity/notices@acme.example"}
		if diff := cmp.Diff(sender, grantsOf(t, tmpl, "Notify")["ses:SendEmail"]); diff != "" {
			t.Errorf("notify may send by (-want +got):\n%s", diff)
		}
	})
	t.Run("roles", func(t *testing.T) {
		for _, function := range []string{"Deliver", "Admin"} {
			if got := grantsOf(t, tmpl, function)["sts:AssumeRole"]; !slices.Equal(got, []string{"arn:{AWS::Partition}:iam::*:role/acme-audit-*"}) {
				t.Errorf("%s may assume %v", function, got)
			}
		}
	})
	t.Run("trust", func(t *testing.T) { testTrust(t, tmpl, "prod") })
	t.Run("alarms by mail", func(t *testing.T) {
		ids := tmpl.ids("AWS::SNS::Subscription")
		if len(ids) != 1 || tmpl.Resources[ids[0]].at("Endpoint") != "oncall@example.com" || tmpl.Resources[ids[0]].at("Protocol") != "email" {
			t.Errorf("subscriptions: %v", ids)
		}
	})
	t.Run("other accounts", func(t *testing.T) {
		const who = `["arn:{AWS::Partition}:iam::111122223333:root","arn:{AWS::Partition}:iam::444455556666:root"]`
		testOtherAccounts(t, tmpl, map[string]string{
			"IngestPolicy":   who + ` ["sqs:GetQueueUrl","sqs:SendMessage"] on {Ingest.Arn}`,
			"PayloadsPolicy": who + ` s3:PutObject on {Payloads.Arn}/payloads/*`,
			"Key":            who + ` ["kms:Decrypt","kms:GenerateDataKey"] on *`,
		})
	})
	t.Run("data keeps its place", func(t *testing.T) { testRetained(t, tmpl) })
}

// TestStackOfMails holds what a stack has in SES, which is the account's: nothing that another stage may have made,
// nothing that another stage needs when this one is gone, and nothing in another region.
func TestStackOfMails(t *testing.T) {
	const ses = "arn:{AWS::Partition}:ses:{AWS::Region}:{AWS::AccountId}:"
	for name, test := range map[string]struct {
		settings func(*Props)
		made     []string // identities, with what becomes of them
		by       []string // what notify may send by
		alarms   int      // of bounces
		records  bool
	}{
		"by default": {
			settings: func(s *Props) { s.MailFrom = "Notices@Mail.Acme.example" },
			by: []string{ses + "configuration-set/{Mails}", ses + "identity/Mail.Acme.example", ses + "identity/Notices@Mail.Acme.example",
				ses + "identity/acme.example", ses + "identity/mail.acme.example"},
			alarms: 1,
		},
		"a domain, on request": {
			settings: func(s *Props) { s.MailFrom, s.MailIdentity = "notices@Acme.example", identityDomain },
			made:     []string{"acme.example RetainExceptOnCreate"},
			by:       []string{ses + "configuration-set/{Mails}", ses + "identity/Acme.example", ses + "identity/acme.example", ses + "identity/notices@Acme.example"},
			alarms:   1, records: true,
		},
		"an address, on request": {
			settings: func(s *Props) { s.MailFrom, s.MailIdentity = "Acme <Notices@acme.example>", identityAddress },
			made:     []string{"Notices@acme.example RetainExceptOnCreate"},
			by:       []string{ses + "configuration-set/{Mails}", ses + "identity/Notices@acme.example", ses + "identity/acme.example"},
			alarms:   1,
		},
		"from another region": {
			settings: func(s *Props) { s.MailFrom, s.MailRegion = "notices@acme.example", "ap-southeast-1" },
			by: []string{"arn:{AWS::Partition}:ses:ap-southeast-1:{AWS::AccountId}:identity/acme.example",
				"arn:{AWS::Partition}:ses:ap-southeast-1:{AWS::AccountId}:identity/notices@acme.example"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := defaults(t)
			test.settings(&s)
			tmpl := synthesize(t, s)
			var made []string
			for _, id := range tmpl.ids("AWS::SES::EmailIdentity") {
				r := tmpl.Resources[id]
				made = append(made, fmt.Sprint(r.at("EmailIdentity"), " ", r.DeletionPolicy))
			}
			if diff := cmp.Diff(test.made, made); diff != "" {
				t.Errorf("identities (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.by, grantsOf(t, tmpl, "Notify")["ses:SendEmail"]); diff != "" {
				t.Errorf("notify may send by (-want +got):\n%s", diff)
			}
			bounces := 0
			for _, id := range tmpl.ids("AWS::CloudWatch::Alarm") {
				if strings.Contains(compact(tmpl.Resources[id].at("Metrics")), "Reputation.BounceRate") {
					bounces++
				}
			}
			if _, records := tmpl.Outputs["MailDnsRecords"]; bounces != test.alarms || records != test.records {
				t.Errorf("%d alarms of bounces, DNS records %v", bounces, records)
			}
			vars := resource{Properties: tmpl.one(t, "AWS::Lambda::Function", "Notify").at("Environment", "Variables").(map[string]any)}
			if region, _ := vars.at("MAIL_REGION").(string); region != s.MailRegion || (vars.at("MAIL_CONFIGURATION_SET") != nil) != (len(tmpl.ids("AWS::SES::ConfigurationSet")) == 1) {
				t.Errorf("notify has MAIL_REGION=%q and MAIL_CONFIGURATION_SET=%v", region, vars.at("MAIL_CONFIGURATION_SET"))
			}
			if !strings.Contains(fmt.Sprint(tmpl.one(t, "AWS::IAM::Role", "NotifyRole").at("Policies")), "StringEqualsIgnoreCase:map[ses:FromAddress:"+s.mailAddress()+"]") {
				t.Error("notify may send from other addresses too")
			}
		})
	}
}

// testRetained holds the logical ids of what holds data or has an address that producers know. A changed id replaces the resource: the table or
// bucket begins empty, and messages under way are lost. Never change this list to make the test pass.
func testRetained(t *testing.T, tmpl template) {
	want := map[string]string{
		"DeliveriesBF2F7293": "RetainExceptOnCreate",
		"Directory98167B95":  "RetainExceptOnCreate",
		"Key961B73FD":        "RetainExceptOnCreate",
		"PayloadsCDFAA0A2":   "RetainExceptOnCreate",
	}
	got := make(map[string]string)
	for _, kind := range []string{"AWS::KMS::Key", "AWS::DynamoDB::Table", "AWS::S3::Bucket"} {
		for _, id := range tmpl.ids(kind) {
			got[id] = tmpl.Resources[id].DeletionPolicy
			if r := tmpl.Resources[id]; r.UpdateReplacePolicy != "Retain" {
				t.Errorf("what %s is replaced by leaves it %s", id, r.UpdateReplacePolicy)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is retained (-want +got):\n%s", diff)
	}
	queues := []string{
		"BusDeadLettersFB26BCF9", "DrainB7582D65", "DrainDeadLetters7A3FC517", "Ingest4069586C", "IngestDeadLetters30EF41F6", "NoticesCD1BD20F", "NoticesDeadLetters3B651FE7",
		"RejectedDeadLettersC0F6A4CD", "RejectedFE7646AC", "Retry5F1AFE10", "RetryDeadLettersF5314E22",
		"ScheduleDeadLetters0406ECBC", "Unannounced2AF94E71",
	}
	if diff := cmp.Diff(queues, tmpl.ids("AWS::SQS::Queue")); diff != "" {
		t.Errorf("queues (-want +got):\n%s", diff)
	}
}

func testQueues(t *testing.T, tmpl template) {
	timeouts, windows := make(map[string]float64), make(map[string]float64)
	for _, id := range tmpl.ids("AWS::Lambda::EventSourceMapping") {
		m := tmpl.Resources[id]
		for _, source := range refs(m.at("EventSourceArn")) {
			windows[source], _ = m.at("MaximumBatchingWindowInSeconds").(float64)
			for _, f := range refs(m.at("FunctionName")) {
				timeouts[source] = max(timeouts[source], tmpl.Resources[f].at("Timeout").(float64))
			}
		}
	}
	key := tmpl.id(t, "AWS::KMS::Key", "Key")
	for _, id := range tmpl.ids("AWS::SQS::Queue") {
		q := tmpl.Resources[id]
		switch got := refs(q.at("KmsMasterKeyId")); {
		case plain(id) == "BusDeadLetters": // it takes what the bus cannot encrypt when the key is disabled
			if got != nil || q.at("SqsManagedSseEnabled") != true {
				t.Errorf("%s needs a key of SQS's, and has %v", id, q.Properties)
			}
		case !slices.Equal(got, []string{key}):
			t.Errorf("%s is encrypted with %v", id, got)
		}
		if timeout, ok := timeouts[id]; ok && q.at("VisibilityTimeout").(float64) < 6*timeout+windows[id] {
			t.Errorf("%s hides messages for %v s, less than six times its function's %v s and the window", id, q.at("VisibilityTimeout"), timeout)
		}
		dead := refs(q.at("RedrivePolicy", "deadLetterTargetArn"))
		if strings.HasSuffix(plain(id), "DeadLetters") || plain(id) == "Unannounced" {
			kept := 14 * day
			if plain(id) == "RetryDeadLetters" { // nobody need do anything about dead hints, so their alarm ends by itself
				kept = day
			}
			if dead != nil || q.at("MessageRetentionPeriod") != kept.Seconds() {
				t.Errorf("%s must be an end, and keep its messages %v: %v", id, kept, q.Properties)
			}
			continue
		}
		if len(dead) != 1 || plain(dead[0]) != plain(id)+"DeadLetters" {
			t.Errorf("%s has the dead-letter queue %v", id, dead)
		}
	}
	if got := len(timeouts); got != 6 {
		t.Errorf("%d event sources were looked at, want the queues ingest, its dead letters, retry, drain and notices, and the stream", got)
	}
	for _, id := range tmpl.ids("AWS::SQS::QueuePolicy") {
		if !deniesPlainText(tmpl.Resources[id]) {
			t.Errorf("%s lets requests without TLS through", id)
		}
	}
	testBus(t, tmpl)
	if q, p := len(tmpl.ids("AWS::SQS::Queue")), len(tmpl.ids("AWS::SQS::QueuePolicy")); q != p {
		t.Errorf("%d queues, but %d queue policies", q, p)
	}
}

// testBus holds that the bus has a dead-letter queue and may send to it. CDK does not see to the second.
func testBus(t *testing.T, tmpl template) {
	if got := compact(tmpl.one(t, "AWS::Events::EventBus", "Bus").at("DeadLetterConfig", "Arn")); got != "{BusDeadLetters.Arn}" {
		t.Errorf("the bus has the dead-letter queue %s", got)
	}
	key := []string{tmpl.id(t, "AWS::KMS::Key", "Key")}
	for what, got := range map[string]any{
		"bus":   tmpl.one(t, "AWS::Events::EventBus", "Bus").at("KmsKeyIdentifier"),
		"topic": tmpl.one(t, "AWS::SNS::Topic", "Alarms").at("KmsMasterKeyId"),
	} {
		if !slices.Equal(refs(got), key) {
			t.Errorf("the %s is encrypted with %v", what, refs(got))
		}
	}
	want := jsonOf(t, `{"Sid":"Bus","Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sqs:SendMessage",
		"Resource":"{BusDeadLetters.Arn}","Condition":"arn:{AWS::Partition}:events:{AWS::Region}:{AWS::AccountId}:*"}`)
	for _, v := range list(tmpl.one(t, "AWS::SQS::QueuePolicy", "BusDeadLettersPolicy").at("PolicyDocument", "Statement")) {
		s := resource{Properties: maps.Clone(v.(map[string]any))}
		if s.at("Effect") != "Allow" {
			continue
		}
		s.Properties["Resource"] = compact(s.at("Resource"))
		s.Properties["Condition"] = compact(s.at("Condition", "ArnLike", "aws:SourceArn"))
		if diff := cmp.Diff(want, any(s.Properties)); diff != "" {
			t.Errorf("who may send to it (-want +got):\n%s", diff)
		}
		return
	}
	t.Error("nobody may send to the dead-letter queue of the bus")
}

func deniesPlainText(policy resource) bool {
	return slices.ContainsFunc(list(policy.at("PolicyDocument", "Statement")), func(v any) bool {
		s := resource{Properties: v.(map[string]any)}
		return s.at("Effect") == "Deny" && s.at("Condition", "Bool", "aws:SecureTransport") == "false"
	})
}

func testTables(t *testing.T, tmpl template) {
	directory := tmpl.one(t, "AWS::DynamoDB::Table", "Directory")
	deliveries := tmpl.one(t, "AWS::DynamoDB::Table", "Deliveries")
	want := []any{
		jsonOf(t, `[{"AttributeName":"pk","KeyType":"HASH"}]`),
		jsonOf(t, `[{"IndexName":"owner","KeySchema":[{"AttributeName":"workspace_id","KeyType":"HASH"},{"AttributeName":"pk","KeyType":"RANGE"}],
			"Projection":{"ProjectionType":"ALL"}},
			{"IndexName":"attention","KeySchema":[{"AttributeName":"attention","KeyType":"HASH"},{"AttributeName":"pk","KeyType":"RANGE"}],
			"Projection":{"ProjectionType":"ALL"}},
			{"IndexName":"listed","KeySchema":[{"AttributeName":"listed","KeyType":"HASH"},{"AttributeName":"pk","KeyType":"RANGE"}],
			"Projection":{"ProjectionType":"INCLUDE","NonKeyAttributes":["parent_id"]}}]`),
		jsonOf(t, `{"AttributeName":"ttl","Enabled":true}`),
		nil,
		jsonOf(t, `[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk","KeyType":"RANGE"}]`),
		jsonOf(t, `[{"IndexName":"due","KeySchema":[{"AttributeName":"ds","KeyType":"HASH"},{"AttributeName":"du","KeyType":"RANGE"}],
			"Projection":{"ProjectionType":"INCLUDE","NonKeyAttributes":["rd"]}}]`),
		jsonOf(t, `[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"sk","AttributeType":"S"},
			{"AttributeName":"ds","AttributeType":"N"},{"AttributeName":"du","AttributeType":"N"}]`),
		jsonOf(t, `{"AttributeName":"ttl","Enabled":true}`),
		jsonOf(t, `{"StreamViewType":"NEW_AND_OLD_IMAGES"}`),
	}
	got := []any{
		directory.at("KeySchema"), directory.at("GlobalSecondaryIndexes"), directory.at("TimeToLiveSpecification"), directory.at("StreamSpecification"),
		deliveries.at("KeySchema"), deliveries.at("GlobalSecondaryIndexes"), deliveries.at("AttributeDefinitions"),
		deliveries.at("TimeToLiveSpecification"), deliveries.at("StreamSpecification"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys and indexes (-want +got):\n%s", diff)
	}
	for _, id := range tmpl.ids("AWS::DynamoDB::Table") {
		r := tmpl.Resources[id]
		safe := []any{
			r.at("DeletionProtectionEnabled"), r.at("PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled"),
			r.at("BillingMode"), r.at("SSESpecification", "SSEEnabled"), refs(r.at("SSESpecification", "KMSMasterKeyId")),
		}
		if diff := cmp.Diff([]any{false, true, "PAY_PER_REQUEST", true, []string{tmpl.id(t, "AWS::KMS::Key", "Key")}}, safe); diff != "" {
			t.Errorf("protection of %s (-want +got):\n%s", id, diff)
		}
	}
}

func testPayloads(t *testing.T, tmpl template) {
	bucket := tmpl.one(t, "AWS::S3::Bucket", "Payloads")
	want := jsonOf(t, `{"BlockPublicAcls":true,"BlockPublicPolicy":true,"IgnorePublicAcls":true,"RestrictPublicBuckets":true}`)
	if diff := cmp.Diff(want, bucket.at("PublicAccessBlockConfiguration")); diff != "" {
		t.Errorf("public access (-want +got):\n%s", diff)
	}
	if got := refs(bucket.at("BucketEncryption")); !slices.Equal(got, []string{tmpl.id(t, "AWS::KMS::Key", "Key")}) {
		t.Errorf("the bucket is encrypted with %v", got)
	}
	policy := tmpl.Resources[tmpl.ids("AWS::S3::BucketPolicy")[0]]
	if !deniesPlainText(policy) {
		t.Error("the bucket lets requests without TLS through")
	}
	if !slices.ContainsFunc(list(policy.at("PolicyDocument", "Statement")), func(v any) bool {
		s := resource{Properties: v.(map[string]any)}
		return s.at("Effect") == "Deny" && s.at("Condition", "NumericLessThan", "s3:TlsVersion") == 1.2
	}) {
		t.Error("the bucket lets requests with TLS below 1.2 through")
	}
	if bucket.at("VersioningConfiguration") != nil {
		t.Error("the bucket keeps versions of what is removed from it")
	}
}

func testFunctions(t *testing.T, tmpl template) {
	want := map[string]string{
		"Deliver":    "provided.al2023 arm64 bootstrap 60 s 512 MB, recursion Allow",
		"Requeue":    "provided.al2023 arm64 bootstrap 60 s 1769 MB, recursion Allow",
		"Expire":     "provided.al2023 arm64 bootstrap 60 s 1024 MB, recursion <nil>",
		"Disconnect": "provided.al2023 arm64 bootstrap 30 s 256 MB, recursion <nil>",
		"Notify":     "provided.al2023 arm64 bootstrap 30 s 256 MB, recursion <nil>",
		"Admin":      "provided.al2023 arm64 bootstrap 29 s 512 MB, recursion <nil>",
	}
	got := make(map[string]string)
	for _, id := range tmpl.ids("AWS::Lambda::Function") {
		f := tmpl.Resources[id]
		got[plain(id)] = fmt.Sprintf("%v %v %v %v s %v MB, recursion %v",
			f.at("Runtime"), f.at("Architectures").([]any)[0], f.at("Handler"), f.at("Timeout"), f.at("MemorySize"), f.at("RecursiveLoop"))
		if log := refs(f.at("LoggingConfig", "LogGroup")); !slices.Equal(log, []string{tmpl.id(t, "AWS::Logs::LogGroup", plain(id)+"Log")}) {
			t.Errorf("%s logs to %v", id, log)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("functions (-want +got):\n%s", diff)
	}
	for _, id := range tmpl.ids("AWS::Logs::LogGroup") {
		g := tmpl.Resources[id]
		if g.at("RetentionInDays") != 30.0 || len(refs(g.at("KmsKeyId"))) != 1 {
			t.Errorf("log group %s: %v", id, g.Properties)
		}
	}
}

// testEnvironment holds that a function started with the template's environment has all it demands, and that its names mean what they say.
func testEnvironment(t *testing.T, tmpl template) {
	env := func(name string) map[string]string {
		vars := make(map[string]string)
		for k, v := range tmpl.one(t, "AWS::Lambda::Function", name).at("Environment", "Variables").(map[string]any) {
			vars[k] = compact(v)
		}
		return vars
	}
	load := func(t *testing.T, name string, load func() (any, error), want any) {
		t.Run(name, func(t *testing.T) {
			for k, v := range env(name) {
				t.Setenv(k, v)
			}
			got, err := load()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	stores := config.Stores{DirectoryTable: "{Directory}", DeliveriesTable: "{Deliveries}", PayloadBucket: "{Payloads}"}
	telemetry := config.Telemetry{MetricsNamespace: "auditrelay/dev"}
	activity := config.Activity{IngestQueueURL: "{Ingest}", EventBus: "{Bus.Arn}"}
	changes := config.Disconnect{Telemetry: telemetry, Activity: activity, DirectoryTable: "{Directory}", NoticesQueueURL: "{Notices}"}
	load(t, "Deliver", func() (any, error) { return config.Load[config.Deliver]() }, config.Deliver{
		Stores: stores, Telemetry: telemetry,
		IngestQueueURL: "{Ingest}", DeadLettersURL: "{IngestDeadLetters}", DeadLettersARN: "{IngestDeadLetters.Arn}",
		RetryQueueURL: "{Retry}", RetryQueueARN: "{Retry.Arn}", RejectedQueueURL: "{Rejected}", DrainQueueURL: "{Drain}", NoticesQueueURL: "{Notices}",
		EventBus: activity.EventBus,
		KeyARN:   "{Key.Arn}", AttemptLimit: 20 * time.Second, DirectoryTTL: 10 * time.Second,
	})
	load(t, "Requeue", func() (any, error) { return config.Load[config.Requeue]() }, config.Requeue{
		Telemetry: telemetry, Activity: activity, DirectoryTable: "{Directory}", DeliveriesTable: "{Deliveries}",
		RetryQueueURL: "{Retry}", DrainQueueURL: "{Drain}", NoticesQueueURL: "{Notices}", TimeLimit: 45 * time.Second,
	})
	load(t, "Expire", func() (any, error) { return config.Load[config.Expire]() }, config.Expire{
		Stores: stores, Telemetry: telemetry, EventBus: activity.EventBus,
	})
	load(t, "Disconnect", func() (any, error) { return config.Load[config.Disconnect]() }, changes)
	load(t, "Notify", func() (any, error) { return config.Load[config.Notify]() }, config.Notify{
		Telemetry: telemetry, DirectoryTable: "{Directory}", MailFrom: "notices@auditrelay.invalid", MailProduct: "auditrelay", MailLocale: "en",
		MailConfigurationSet: "{Mails}",
	})
	load(t, "Admin", func() (any, error) { return config.Load[config.Admin]() }, config.Admin{
		Disconnect: changes,
		Timers: config.Timers{
			ScheduleGroup: "auditrelay-dev", ScheduleRoleARN: "{ScheduleRole.Arn}", ScheduleDeadLettersARN: "{ScheduleDeadLetters.Arn}", DisconnectFunctionARN: "{Disconnect.Arn}",
		},
		DeliveriesTable: "{Deliveries}", RetryQueueURL: "{Retry}", KeyARN: "{Key.Arn}",
		AttemptsLogGroup: "{DeliverLog}", TrustedRoles: "arn:{AWS::Partition}:iam::{AWS::AccountId}:role/auditrelay/dev/*", SearchLimit: 20 * time.Second,
	})
}

func testEventSources(t *testing.T, tmpl template) {
	want := map[string]any{
		"DeliverIngest": jsonOf(t, `{"BatchSize":100,"MaximumBatchingWindowInSeconds":1,"FunctionResponseTypes":["ReportBatchItemFailures"],
			"ScalingConfig":{"MaximumConcurrency":2},"EventSourceArn":"{Ingest.Arn}","FunctionName":"{Deliver}"}`),
		"DeliverDeadLogs": jsonOf(t, `{"BatchSize":100,"MaximumBatchingWindowInSeconds":1,"FunctionResponseTypes":["ReportBatchItemFailures"],"Enabled":false,
			"ScalingConfig":{"MaximumConcurrency":2},"EventSourceArn":"{IngestDeadLetters.Arn}","FunctionName":"{Deliver}"}`),
		"DeliverRetry": jsonOf(t, `{"BatchSize":100,"MaximumBatchingWindowInSeconds":1,"FunctionResponseTypes":["ReportBatchItemFailures"],
			"ScalingConfig":{"MaximumConcurrency":2},"EventSourceArn":"{Retry.Arn}","FunctionName":"{Deliver}"}`),
		"RequeueDrain": jsonOf(t, `{"BatchSize":1,"FunctionResponseTypes":["ReportBatchItemFailures"],
			"ScalingConfig":{"MaximumConcurrency":2},"EventSourceArn":"{Drain.Arn}","FunctionName":"{Requeue}"}`),
		"NotifyNotices": jsonOf(t, `{"BatchSize":5,"MaximumBatchingWindowInSeconds":1,"FunctionResponseTypes":["ReportBatchItemFailures"],
			"ScalingConfig":{"MaximumConcurrency":2},"EventSourceArn":"{Notices.Arn}","FunctionName":"{Notify}"}`),
		"ExpireDeliveries": jsonOf(t, `{"BatchSize":1000,"ParallelizationFactor":1,"MaximumBatchingWindowInSeconds":1,"FunctionResponseTypes":["ReportBatchItemFailures"],
			"BisectBatchOnFunctionError":true,"DestinationConfig":"{Unannounced.Arn}","MaximumRecordAgeInSeconds":43200,"StartingPosition":"TRIM_HORIZON",
			"FilterCriteria":{"Filters":[
				{"Pattern":"{\"dynamodb\":{\"Keys\":{\"pk\":{\"S\":[{\"prefix\":\"F#\"}]}}},\"eventName\":[\"INSERT\"]}"},
				{"Pattern":"{\"dynamodb\":{\"Keys\":{\"pk\":{\"S\":[{\"prefix\":\"D#\"}]}}},\"eventName\":[\"REMOVE\"],\"userIdentity\":{\"principalId\":[\"dynamodb.amazonaws.com\"],\"type\":[\"Service\"]}}"},
				{"Pattern":"{\"dynamodb\":{\"OldImage\":{\"o\":{\"S\":[{\"exists\":true}]}}},\"eventName\":[\"REMOVE\",\"MODIFY\"]}"}]},
			"EventSourceArn":"{Deliveries.StreamArn}","FunctionName":"{Expire}"}`),
	}
	got := make(map[string]any)
	for _, id := range tmpl.ids("AWS::Lambda::EventSourceMapping") {
		p := maps.Clone(tmpl.Resources[id].Properties)
		if fallen := (resource{Properties: p}).at("DestinationConfig", "OnFailure", "Destination"); fallen != nil {
			p["DestinationConfig"] = compact(fallen)
		}
		p["EventSourceArn"], p["FunctionName"] = compact(p["EventSourceArn"]), compact(p["FunctionName"])
		delete(p, "Tags")
		got[plain(id)] = p
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event sources (-want +got):\n%s", diff)
	}
	testUnsettled(t, tmpl)
	testAPI(t, tmpl)
	rule := tmpl.one(t, "AWS::Events::Rule", "EveryMinute")
	if rule.at("ScheduleExpression") != "rate(1 minute)" || !slices.Equal(refs(rule.at("Targets")), []string{tmpl.id(t, "AWS::Lambda::Function", "Requeue")}) {
		t.Errorf("the one-minute rule: %v", rule.Properties)
	}
}

// testAPI holds that nothing but the REST API reaches admin from outside, that it asks for a signature on every
// path and method, and that it waits as long as the function may take.
func testAPI(t *testing.T, tmpl template) {
	if public := slices.Concat(tmpl.ids("AWS::Lambda::Url"), tmpl.ids("AWS::ApiGatewayV2::Api")); public != nil {
		t.Errorf("these do not exist in every region: %v", public)
	}
	api := tmpl.one(t, "AWS::ApiGateway::RestApi", "Api")
	if diff := cmp.Diff([]any{"REGIONAL"}, api.at("EndpointConfiguration", "Types")); diff != "" || len(tmpl.ids("AWS::ApiGateway::Account")) > 0 {
		t.Errorf("the API's endpoint (-want +got), and accounts %v:\n%s", tmpl.ids("AWS::ApiGateway::Account"), diff)
	}
	var got []string
	for _, id := range tmpl.ids("AWS::ApiGateway::Method") {
		m := tmpl.Resources[id]
		got = append(got, fmt.Sprintf("%v on %s: %v, %v of %s within %v ms", m.at("HttpMethod"), compact(m.at("ResourceId")), m.at("AuthorizationType"),
			m.at("Integration", "Type"), compact(m.at("Integration", "Uri")), m.at("Integration", "TimeoutInMillis")))
	}
	const uri = "arn:{AWS::Partition}:apigateway:{AWS::Region}:lambda:path/2015-03-31/functions/{Admin.Arn}/invocations"
	if diff := cmp.Diff([]string{"ANY on {Apiproxy}: AWS_IAM, AWS_PROXY of " + uri + " within 29000 ms"}, got); diff != "" {
		t.Errorf("methods (-want +got):\n%s", diff)
	}
	if timeout := tmpl.one(t, "AWS::Lambda::Function", "Admin").at("Timeout"); timeout != 29.0 {
		t.Errorf("admin may take %v s, and a REST API waits for 29", timeout)
	}
	got = nil
	for _, id := range tmpl.ids("AWS::Lambda::Permission") {
		if p := tmpl.Resources[id]; slices.Contains(refs(p.at("FunctionName")), tmpl.id(t, "AWS::Lambda::Function", "Admin")) {
			got = append(got, fmt.Sprintf("%v by %v as %s", p.at("Action"), p.at("Principal"), compact(p.at("SourceArn"))))
		}
	}
	const source = "arn:{AWS::Partition}:execute-api:{AWS::Region}:{AWS::AccountId}:{Api}/{ApiStage}/*/*"
	if diff := cmp.Diff([]string{"lambda:InvokeFunction by apigateway.amazonaws.com as " + source}, got); diff != "" {
		t.Errorf("who may invoke admin (-want +got):\n%s", diff)
	}
}

// testUnsettled holds where the asynchronous events of functions end that were tried in vain.
func testUnsettled(t *testing.T, tmpl template) {
	got := make(map[string]string)
	for _, id := range tmpl.ids("AWS::Lambda::EventInvokeConfig") {
		r := tmpl.Resources[id]
		got[compact(r.at("FunctionName"))] = fmt.Sprintf("%v s, %v times again, then %v", r.at("MaximumEventAgeInSeconds"), r.at("MaximumRetryAttempts"),
			compact(r.at("DestinationConfig", "OnFailure", "Destination")))
	}
	want := map[string]string{"{Requeue}": "60 s, 0 times again, then null", "{Disconnect}": "3600 s, 2 times again, then {ScheduleDeadLetters.Arn}"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("asynchronous events (-want +got):\n%s", diff)
	}
}

func jsonOf(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}
