package infra

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testPartition holds that the template works in each partition of AWS: no ARN names one, and no host a domain. What
// has a domain are the principals of services, which are the same in all
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html), but for CloudWatch
// Logs, whose principal is made of the region and the partition's domain.
func testPartition(t *testing.T, tmpl template) {
	text, err := json.Marshal([]any{tmpl.Resources, tmpl.Outputs})
	if err != nil {
		t.Fatal(err)
	}
	var all any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]bool)
	domain := regexp.MustCompile(`[a-z0-9.-]*\.amazonaws\.[a-z.]+|[a-z0-9.-]*\.aws\b|arn:aws[a-z-]*:`)
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			for _, name := range domain.FindAllString(v, -1) {
				found[name] = true
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(all)
	want := []string{
		"apigateway.amazonaws.com", "cloudwatch.amazonaws.com", "dynamodb.amazonaws.com", "events.amazonaws.com", "lambda.amazonaws.com", "scheduler.amazonaws.com",
	}
	if diff := cmp.Diff(want, sorted(found)); diff != "" {
		t.Errorf("hosts and partitions that the template names (-want +got):\n%s", diff)
	}
	principals := compact(tmpl.one(t, "AWS::KMS::Key", "Key").at("KeyPolicy", "Statement"))
	if !strings.Contains(principals, "logs.") || !slices.Contains(refs(tmpl.one(t, "AWS::KMS::Key", "Key").at("KeyPolicy")), "AWS::URLSuffix") {
		t.Errorf("the key does not let CloudWatch Logs in by the partition's domain: %s", principals)
	}
}
