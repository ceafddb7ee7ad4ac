package infra

import (
	"os"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testTrust holds that the trust policy which customers copy takes in the roles that assume theirs, by what stays
// the same: the account and the stage. Nothing of it may be a name that CloudFormation makes, nor name a region.
func testTrust(t *testing.T, tmpl template, stage string) {
	text := compact(tmpl.Outputs["DestinationTrustPolicy"]["Value"])
	policy := resource{Properties: jsonOf(t, text).(map[string]any)}
	statements := list(policy.at("Statement"))
	if len(statements) != 1 {
		t.Fatalf("the policy is %s", text)
	}
	one := resource{Properties: statements[0].(map[string]any)}
	pattern, _ := one.at("Condition", "ArnLike", "aws:PrincipalArn").(string)
	if want := "arn:{AWS::Partition}:iam::{AWS::AccountId}:role/auditrelay/" + stage + "/*"; pattern != want {
		t.Errorf("the policy trusts %s, want %s", pattern, want)
	}
	if strings.Contains(text, "Region") || len(refs(tmpl.Outputs["DestinationTrustPolicy"]["Value"])) != 2 {
		t.Errorf("the policy names more than the partition and the account: %s", text)
	}
	for _, function := range functionNames() {
		role := tmpl.one(t, "AWS::IAM::Role", strings.ToUpper(function[:1])+function[1:]+"Role")
		arn := "arn:{AWS::Partition}:iam::{AWS::AccountId}:role" + role.at("Path").(string) + "made-by-CloudFormation"
		if ok, err := path.Match(strings.TrimSuffix(pattern, "*")+"[^/]*", arn); err != nil || !ok {
			t.Errorf("customers do not trust the role of %s, %s", function, arn)
		}
		if role.at("RoleName") != nil {
			t.Errorf("the role of %s has the name %v, which one region alone can give out", function, role.at("RoleName"))
		}
	}
	if role := tmpl.one(t, "AWS::IAM::Role", "ScheduleRole"); role.at("Path") != nil {
		t.Error("customers trust the role of schedules")
	}
}

// TestTrustOfTwoStages holds that the pattern of one stage takes in no role of another, whatever their names.
func TestTrustOfTwoStages(t *testing.T) {
	for _, stages := range [][2]string{{"prod", "prod-eu"}, {"prod-eu", "prod"}, {"a", "aa"}} {
		one, other := Props{Stage: stages[0]}, Props{Stage: stages[1]}
		if strings.HasPrefix(other.rolePath(), one.rolePath()) {
			t.Errorf("who trusts %s trusts %s", one.rolePath(), other.rolePath())
		}
	}
}

// TestTrustPolicyIsDocumented holds the policy in the page for customers to the one of the output.
func TestTrustPolicyIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/destinations/s3.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(page), "`trust.json`:\n\n```json\n")
	block, _, closed := strings.Cut(after, "\n```")
	if !ok || !closed {
		t.Fatal("docs/destinations/s3.md shows no trust.json")
	}
	fill := strings.NewReplacer("<account of this deployment>", "{AWS::AccountId}", "arn:aws:", "arn:{AWS::Partition}:", "<stage>", "dev",
		"<external id of the workspace>", externalIDToBe)
	want := jsonOf(t, compact(synthesize(t, defaults(t)).Outputs["DestinationTrustPolicy"]["Value"]))
	if diff := cmp.Diff(want, jsonOf(t, fill.Replace(block))); diff != "" {
		t.Errorf("the policy of the output and the one of the page (-output +page):\n%s", diff)
	}
}
