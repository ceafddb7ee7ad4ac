package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// grantsOf gives what a function's role may do: action to resources.
func grantsOf(t *testing.T, tmpl template, function string) map[string][]string {
	t.Helper()
	got := make(map[string][]string)
	for _, p := range list(tmpl.one(t, "AWS::IAM::Role", function+"Role").at("Policies")) {
		doc := resource{Properties: p.(map[string]any)}
		for _, v := range list(doc.at("PolicyDocument", "Statement")) {
			s := resource{Properties: v.(map[string]any)}
			if s.at("Effect") != "Allow" {
				t.Errorf("%s has a statement that does not allow: %v", function, v)
			}
			for _, action := range list(s.at("Action")) {
				for _, r := range list(s.at("Resource")) {
					got[action.(string)] = append(got[action.(string)], compact(r))
				}
			}
		}
	}
	for _, resources := range got {
		slices.Sort(resources)
	}
	return got
}

// testGrants holds the whole of what each function may do, so that a new permission is a decision that a reviewer sees.
func testGrants(t *testing.T, tmpl template) {
	crypto := []string{"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"}
	queue := []string{"{Ingest.Arn}", "{Retry.Arn}"}
	cached, produced, rejected := "{Payloads.Arn}/deliveries/*", "{Payloads.Arn}/payloads/*", "{Payloads.Arn}/rejected/*"
	want := map[string]map[string][]string{
		"Deliver": {
			"sqs:ReceiveMessage":            queue,
			"sqs:DeleteMessage":             queue,
			"sqs:ChangeMessageVisibility":   queue,
			"sqs:GetQueueAttributes":        queue,
			"sqs:SendMessage":               {"{Drain.Arn}", "{Notices.Arn}", "{Rejected.Arn}", "{Retry.Arn}"},
			"dynamodb:BatchGetItem":         {"{Deliveries.Arn}"},
			"dynamodb:GetItem":              {"{Directory.Arn}"},
			"dynamodb:Query":                {"{Directory.Arn}/index/owner"},
			"dynamodb:BatchWriteItem":       {"{Deliveries.Arn}"},
			"dynamodb:PutItem":              {"{Deliveries.Arn}", "{Directory.Arn}"},
			"dynamodb:UpdateItem":           {"{Deliveries.Arn}", "{Directory.Arn}"},
			"dynamodb:DeleteItem":           {"{Deliveries.Arn}"},
			"s3:GetObject":                  {cached, produced, rejected},
			"s3:PutObject":                  {cached, rejected},
			"s3:ListBucket":                 {"{Payloads.Arn}"},
			"secretsmanager:GetSecretValue": {"arn:{AWS::Partition}:secretsmanager:{AWS::Region}:{AWS::AccountId}:secret:auditrelay/dev/destinations/*"},
			"sts:AssumeRole":                {"arn:{AWS::Partition}:iam::*:role/auditrelay-*"},
		},
		"Requeue": {
			"sqs:ReceiveMessage":          {"{Drain.Arn}"},
			"sqs:DeleteMessage":           {"{Drain.Arn}"},
			"sqs:ChangeMessageVisibility": {"{Drain.Arn}"},
			"sqs:GetQueueAttributes":      {"{Drain.Arn}"},
			"sqs:SendMessage":             {"{Drain.Arn}", "{Notices.Arn}", "{Retry.Arn}"},
			"dynamodb:Query":              {"{Deliveries.Arn}", "{Deliveries.Arn}/index/due", "{Directory.Arn}/index/attention"},
			"dynamodb:GetItem":            {"{Deliveries.Arn}", "{Directory.Arn}"},
			"dynamodb:PutItem":            {"{Deliveries.Arn}", "{Directory.Arn}"},
		},
		"Expire": {
			"dynamodb:DescribeStream":   {"{Deliveries.StreamArn}"},
			"dynamodb:GetRecords":       {"{Deliveries.StreamArn}"},
			"dynamodb:GetShardIterator": {"{Deliveries.StreamArn}"},
			"dynamodb:PutItem":          {"{Deliveries.Arn}"},
			"dynamodb:GetItem":          {"{Directory.Arn}"},
			"s3:DeleteObject":           {cached},
			"sqs:SendMessage":           {"{Unannounced.Arn}"},
		},
	}
	for function, may := range want {
		may["logs:CreateLogStream"] = []string{"{" + function + "Log.Arn}"}
		may["logs:PutLogEvents"] = may["logs:CreateLogStream"]
		for _, action := range crypto {
			may[action] = []string{"{Key.Arn}"}
		}
		if diff := cmp.Diff(may, grantsOf(t, tmpl, function)); diff != "" {
			t.Errorf("%s may (-want +got):\n%s", function, diff)
		}
	}
	if got := tmpl.ids("AWS::IAM::Policy"); got != nil {
		t.Errorf("policies beside the roles' own: %v", got)
	}
	for _, id := range tmpl.ids("AWS::IAM::Role") {
		testRole(t, id, tmpl.Resources[id])
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
				if compact(r) == "*" {
					t.Errorf("%s may act on everything: %v", id, v)
				}
			}
			for _, a := range list(s.at("Action")) {
				if strings.Contains(a.(string), "*") {
					t.Errorf("%s has the open action %v", id, a)
				}
				if strings.HasPrefix(a.(string), "kms:") && s.at("Condition", "StringEquals", "kms:ViaService") == nil {
					t.Errorf("%s may use the key by itself: %v", id, v)
				}
			}
		}
	}
}
