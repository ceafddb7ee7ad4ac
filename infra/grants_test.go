package infra

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// grantsOf gives what a function's role may do: action to resources. What is denied has the word before it.
func grantsOf(t *testing.T, tmpl template, function string) map[string][]string {
	t.Helper()
	got := make(map[string][]string)
	for _, p := range list(tmpl.one(t, "AWS::IAM::Role", function+"Role").at("Policies")) {
		doc := resource{Properties: p.(map[string]any)}
		for _, v := range list(doc.at("PolicyDocument", "Statement")) {
			s := resource{Properties: v.(map[string]any)}
			for _, action := range list(s.at("Action")) {
				name := action.(string)
				if s.at("Effect") != "Allow" {
					name = s.at("Effect").(string) + " " + name
				}
				for _, r := range list(s.at("Resource")) {
					got[name] = append(got[name], compact(r))
				}
			}
		}
	}
	for action, resources := range got {
		slices.Sort(resources)
		got[action] = slices.Compact(resources)
	}
	return got
}

// testGrants holds the whole of what each function may do, so that a new permission is a decision that a reviewer sees.
func testGrants(t *testing.T, tmpl template) {
	crypto := []string{"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"}
	taken := []string{"{Ingest.Arn}", "{IngestDeadLetters.Arn}", "{Retry.Arn}"}
	cached, produced, rejected := "{Payloads.Arn}/deliveries/*", "{Payloads.Arn}/payloads/*", "{Payloads.Arn}/rejected/*"
	const (
		ours = "arn:{AWS::Partition}:iam::{AWS::AccountId}:role/*"
		ses  = "arn:{AWS::Partition}:ses:{AWS::Region}:{AWS::AccountId}:"
	)
	want := map[string]map[string][]string{
		"Deliver": {
			"sqs:ReceiveMessage":          taken,
			"sqs:ChangeMessageVisibility": taken,
			"sqs:DeleteMessage":           taken,
			"sqs:GetQueueAttributes":      taken,
			"sqs:SendMessage":             {"{Drain.Arn}", "{Notices.Arn}", "{Rejected.Arn}", "{Retry.Arn}"},
			"events:PutEvents":            {"{Bus.Arn}"},
			"dynamodb:BatchGetItem":       {"{Deliveries.Arn}"},
			"dynamodb:GetItem":            {"{Directory.Arn}"},
			"dynamodb:Query":              {"{Directory.Arn}/index/owner"},
			"dynamodb:BatchWriteItem":     {"{Deliveries.Arn}"},
			"dynamodb:PutItem":            {"{Deliveries.Arn}", "{Directory.Arn}"},
			"dynamodb:UpdateItem":         {"{Deliveries.Arn}", "{Directory.Arn}"},
			"dynamodb:DeleteItem":         {"{Deliveries.Arn}", "{Directory.Arn}"},
			"s3:GetObject":                {cached, produced, rejected},
			"s3:PutObject":                {cached, rejected},
			"s3:DeleteObject":             {produced, rejected},
			"s3:ListBucket":               {"{Payloads.Arn}"},
			"sts:AssumeRole":              {"arn:{AWS::Partition}:iam::*:role/auditrelay-*"},
			"Deny sts:AssumeRole":         {ours},
		},
		"Requeue": {
			"sqs:ReceiveMessage":     {"{Drain.Arn}"},
			"sqs:DeleteMessage":      {"{Drain.Arn}"},
			"sqs:GetQueueAttributes": {"{Drain.Arn}"},
			"sqs:SendMessage":        {"{Drain.Arn}", "{Ingest.Arn}", "{Notices.Arn}", "{Retry.Arn}"},
			"dynamodb:Query":         {"{Deliveries.Arn}", "{Deliveries.Arn}/index/due", "{Directory.Arn}/index/attention", "{Directory.Arn}/index/owner"},
			"events:PutEvents":       {"{Bus.Arn}"},
			"dynamodb:DeleteItem":    {"{Directory.Arn}"},
			"dynamodb:GetItem":       {"{Deliveries.Arn}", "{Directory.Arn}"},
			"dynamodb:PutItem":       {"{Deliveries.Arn}", "{Directory.Arn}"},
			"dynamodb:UpdateItem":    {"{Directory.Arn}"},
		},
		"Expire": {
			"dynamodb:DescribeStream":   {"{Deliveries.StreamArn}"},
			"dynamodb:GetRecords":       {"{Deliveries.StreamArn}"},
			"dynamodb:GetShardIterator": {"{Deliveries.StreamArn}"},
			"dynamodb:ListStreams":      {"*"},
			"dynamodb:PutItem":          {"{Deliveries.Arn}", "{Directory.Arn}"},
			"dynamodb:GetItem":          {"{Directory.Arn}"},
			"s3:DeleteObject":           {cached},
			"sqs:SendMessage":           {"{Unannounced.Arn}"},
			"events:PutEvents":          {"{Bus.Arn}"},
		},
		"Disconnect": {
			"sqs:SendMessage":     {"{Ingest.Arn}", "{Notices.Arn}", "{ScheduleDeadLetters.Arn}"},
			"dynamodb:Query":      {"{Directory.Arn}/index/owner"},
			"dynamodb:GetItem":    {"{Directory.Arn}"},
			"dynamodb:PutItem":    {"{Directory.Arn}"},
			"dynamodb:UpdateItem": {"{Directory.Arn}"},
			"dynamodb:DeleteItem": {"{Directory.Arn}"},
			"events:PutEvents":    {"{Bus.Arn}"},
		},
		"Notify": {
			"sqs:ReceiveMessage":     {"{Notices.Arn}"},
			"sqs:DeleteMessage":      {"{Notices.Arn}"},
			"sqs:GetQueueAttributes": {"{Notices.Arn}"},
			"dynamodb:GetItem":       {"{Directory.Arn}"},
			"dynamodb:PutItem":       {"{Directory.Arn}"},
			"ses:SendEmail":          {ses + "configuration-set/{Mails}", ses + "identity/auditrelay.invalid", ses + "identity/notices@auditrelay.invalid"},
		},
		"Admin": {
			"sqs:SendMessage":          {"{Ingest.Arn}", "{Notices.Arn}", "{Retry.Arn}"},
			"dynamodb:Query":           {"{Deliveries.Arn}", "{Directory.Arn}/index/listed", "{Directory.Arn}/index/owner"},
			"dynamodb:GetItem":         {"{Directory.Arn}"},
			"dynamodb:PutItem":         {"{Directory.Arn}"},
			"dynamodb:UpdateItem":      {"{Directory.Arn}"},
			"dynamodb:DeleteItem":      {"{Directory.Arn}"},
			"dynamodb:BatchGetItem":    {"{Directory.Arn}"},
			"events:PutEvents":         {"{Bus.Arn}"},
			"scheduler:CreateSchedule": {"arn:{AWS::Partition}:scheduler:{AWS::Region}:{AWS::AccountId}:schedule/auditrelay-dev/*"},
			"scheduler:DeleteSchedule": {"arn:{AWS::Partition}:scheduler:{AWS::Region}:{AWS::AccountId}:schedule/auditrelay-dev/*"},
			"scheduler:GetSchedule":    {"arn:{AWS::Partition}:scheduler:{AWS::Region}:{AWS::AccountId}:schedule/auditrelay-dev/*"},
			"iam:PassRole":             {"{ScheduleRole.Arn}"},
			"logs:FilterLogEvents":     {"{DeliverLog.Arn}"},
			"sts:AssumeRole":           {"arn:{AWS::Partition}:iam::*:role/auditrelay-*"},
			"Deny sts:AssumeRole":      {ours},
		},
		"Schedule": {
			"lambda:InvokeFunction": {"{Disconnect.Arn}"},
			"sqs:SendMessage":       {"{ScheduleDeadLetters.Arn}"},
		},
	}
	for function, may := range want {
		if function != "Schedule" { // the scheduler's, which has no log
			may["logs:CreateLogStream"] = []string{"{" + function + "Log.Arn}"}
			may["logs:PutLogEvents"] = may["logs:CreateLogStream"]
		}
		for _, action := range crypto {
			may[action] = []string{"{Key.Arn}"}
		}
		if diff := cmp.Diff(may, grantsOf(t, tmpl, function)); diff != "" {
			t.Errorf("%s may (-want +got):\n%s", function, diff)
		}
	}
	testBounds(t, tmpl)
	if got := tmpl.ids("AWS::IAM::Policy"); got != nil {
		t.Errorf("policies beside the roles' own: %v", got)
	}
	for _, id := range tmpl.ids("AWS::IAM::Role") {
		testRole(t, id, tmpl.Resources[id])
	}
}

// testBounds holds the conditions that stand for a narrower resource.
func testBounds(t *testing.T, tmpl template) {
	want := map[string]any{
		"Notify ses:SendEmail": jsonOf(t, `{"StringEqualsIgnoreCase":{"ses:FromAddress":"notices@auditrelay.invalid"}}`),
		"Admin iam:PassRole":   jsonOf(t, `{"StringEquals":{"iam:PassedToService":"scheduler.amazonaws.com"}}`),
	}
	// Of the directory, only what was told and, at the end of their eight hours, deleted destinations.
	for function, keys := range map[string]string{"Deliver": `["O#*"]`, "Requeue": `["D#*","O#*"]`, "Disconnect": `["D#*","O#*"]`} {
		want[function+" dynamodb:DeleteItem"] = jsonOf(t, `{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":`+keys+`}}`)
	}
	const kept = "Expire dynamodb:PutItem {Directory.Arn}" // what the bus has not taken
	want[kept] = want["Deliver dynamodb:DeleteItem"]
	got := make(map[string]any)
	for _, function := range []string{"Notify", "Admin", "Deliver", "Requeue", "Disconnect", "Expire"} {
		for _, p := range list(tmpl.one(t, "AWS::IAM::Role", function+"Role").at("Policies")) {
			doc := resource{Properties: p.(map[string]any)}
			for _, v := range list(doc.at("PolicyDocument", "Statement")) {
				s := resource{Properties: v.(map[string]any)}
				action, _ := s.at("Action").(string)
				for _, bound := range []string{function + " " + action, function + " " + action + " " + compact(s.at("Resource"))} {
					if _, ok := want[bound]; ok {
						got[bound] = s.at("Condition")
					}
				}
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	trusted := jsonOf(t, `[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":"scheduler.amazonaws.com"},"Condition":{"StringEquals":{"aws:SourceAccount":{"Ref":"AWS::AccountId"}}}}]`)
	if diff := cmp.Diff(trusted, tmpl.one(t, "AWS::IAM::Role", "ScheduleRole").at("AssumeRolePolicyDocument", "Statement")); diff != "" {
		t.Errorf("who takes the schedules' role (-want +got):\n%s", diff)
	}
}

// testRole holds the rules for every role there is, whatever it is for.
func testRole(t *testing.T, id string, role resource) {
	if managed := role.at("ManagedPolicyArns"); managed != nil {
		t.Errorf("%s has managed policies, which grant on every resource: %v", id, managed)
	}
	for _, p := range list(role.at("Policies")) {
		doc := resource{Properties: p.(map[string]any)}
		for _, v := range list(doc.at("PolicyDocument", "Statement")) {
			s := resource{Properties: v.(map[string]any)}
			for _, r := range list(s.at("Resource")) {
				if s.at("Effect") == "Allow" && compact(r) == "*" && s.at("Action") != "dynamodb:ListStreams" {
					t.Errorf("%s may act on everything: %v", id, v)
				}
			}
			for _, a := range list(s.at("Action")) {
				if strings.Contains(a.(string), "*") {
					t.Errorf("%s has the open action %v", id, a)
				}
				if strings.HasPrefix(a.(string), "kms:") && s.at("Condition", "StringEquals", "kms:ViaService") == nil {
					testDirectUse(t, id, a.(string), s)
				}
			}
		}
	}
}

// testDirectUse holds who may call KMS itself: those who seal or open the credentials of destinations, for that purpose.
func testDirectUse(t *testing.T, role, action string, s resource) {
	t.Helper()
	purpose := map[string]any{"StringEquals": map[string]any{"kms:EncryptionContext:purpose": "auditrelay-destination-credentials"}}
	if diff := cmp.Diff(purpose, s.at("Condition")); diff != "" {
		t.Errorf("%s may use the key by itself for any purpose (-want +got):\n%s", role, diff)
	}
	may := map[string][]string{"kms:Decrypt": {"Deliver", "Admin"}, "kms:GenerateDataKey": {"Admin"}}
	if !slices.ContainsFunc(may[action], func(f string) bool { return strings.HasPrefix(role, f+"Role") }) {
		t.Errorf("%s may use the key by itself for %s", role, action)
	}
}
