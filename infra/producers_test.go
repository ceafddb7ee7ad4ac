package infra

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testProducers holds what the managed policy for producers allows: to send, and to read nothing.
func testProducers(t *testing.T, tmpl template) {
	policy := tmpl.one(t, "AWS::IAM::ManagedPolicy", "Producer")
	var got []string
	for _, v := range list(policy.at("PolicyDocument", "Statement")) {
		s := resource{Properties: v.(map[string]any)}
		got = append(got, compact(s.at("Action"))+" on "+compact(s.at("Resource")))
	}
	want := []string{
		`["sqs:GetQueueUrl","sqs:SendMessage"] on {Ingest.Arn}`,
		`s3:PutObject on {Payloads.Arn}/payloads/*`,
		`["kms:Decrypt","kms:GenerateDataKey"] on {Key.Arn}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("producers may (-want +got):\n%s", diff)
	}
}

// testOperators holds what the managed policy for operators allows: to call the API, and nothing else.
func testOperators(t *testing.T, tmpl template) {
	want := jsonOf(t, `[{"Effect":"Allow","Action":"execute-api:Invoke",
		"Resource":"arn:{AWS::Partition}:execute-api:{AWS::Region}:{AWS::AccountId}:{Api}/api/*/*"}]`)
	var got []any
	for _, v := range list(tmpl.one(t, "AWS::IAM::ManagedPolicy", "Operator").at("PolicyDocument", "Statement")) {
		s := maps.Clone(v.(map[string]any))
		s["Resource"] = compact(s["Resource"])
		got = append(got, s)
	}
	if diff := cmp.Diff(want, any(got)); diff != "" {
		t.Errorf("operators may (-want +got):\n%s", diff)
	}
}

// testOtherAccounts holds what other accounts may do, by the policies of the resources themselves.
func testOtherAccounts(t *testing.T, tmpl template, want map[string]string) {
	got := make(map[string]string)
	look := func(name string, document any) {
		for _, v := range list(document) {
			s := resource{Properties: v.(map[string]any)}
			if s.at("Sid") == "Producers" {
				got[name] = compact(s.at("Principal", "AWS")) + " " + compact(s.at("Action")) + " on " + compact(s.at("Resource"))
			}
		}
	}
	for _, kind := range []string{"AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy"} {
		for _, id := range tmpl.ids(kind) {
			look(plain(id), tmpl.Resources[id].at("PolicyDocument", "Statement"))
		}
	}
	look("Key", tmpl.one(t, "AWS::KMS::Key", "Key").at("KeyPolicy", "Statement"))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("other accounts may (-want +got):\n%s", diff)
	}
}
