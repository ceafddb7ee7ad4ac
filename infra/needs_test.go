package infra

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/auditrelay/auditrelay/internal/aws/authorization"
)

// need is what a service does in a role's name, by what AWS documents: an action on a resource of the
// template, both as a person reads them.
type need struct{ role, action, resource string }

func (n need) String() string { return n.role + " needs " + n.action + " on " + n.resource }

// testNeeds holds the grants against what AWS documents: what its services need in the roles' names is
// granted, and what is granted can be.
func testNeeds(t *testing.T, tmpl template) {
	needs := needsOf(t, tmpl)
	if len(needs) < 40 {
		t.Errorf("%d needs were found, want over 40", len(needs))
	}
	for _, n := range needs {
		if may := grantsOf(t, tmpl, n.role); !granted(may, n) {
			t.Errorf("%s, and has it on %v", n, may[n.action])
		}
	}
	for _, fault := range faultsOf(t, tmpl) {
		t.Error(fault)
	}
}

// needsOf are those of every function's role, and of the scheduler's.
func needsOf(t *testing.T, tmpl template) (needs []need) {
	t.Helper()
	add := func(role, action, resource string) {
		needs = append(needs, need{role, action, resource})
		if keyOf(tmpl, resource) != "" {
			for _, crypto := range authorization.Encrypted(action) {
				needs = append(needs, need{role, crypto, keyOf(tmpl, resource)})
			}
		}
	}
	role := func(function any) string { return capital(strings.ToLower(strings.Trim(compact(function), "{}"))) }
	for _, id := range tmpl.ids("AWS::Lambda::EventSourceMapping") {
		m := tmpl.Resources[id]
		source, service := compact(m.at("EventSourceArn")), "sqs"
		if strings.HasSuffix(source, ".StreamArn}") {
			service = "dynamodb"
		}
		for _, action := range authorization.EventSource(service) {
			if len(authorization.Actions()[action].On) == 0 {
				add(role(m.at("FunctionName")), action, "*")
			} else {
				add(role(m.at("FunctionName")), action, source)
			}
		}
		if fallen := m.at("DestinationConfig", "OnFailure", "Destination"); fallen != nil {
			add(role(m.at("FunctionName")), "sqs:SendMessage", compact(fallen))
		}
	}
	for _, id := range tmpl.ids("AWS::Lambda::EventInvokeConfig") {
		c := tmpl.Resources[id]
		if fallen := c.at("DestinationConfig", "OnFailure", "Destination"); fallen != nil {
			add(role(c.at("FunctionName")), "sqs:SendMessage", compact(fallen))
		}
	}
	for _, id := range tmpl.ids("AWS::Lambda::Function") {
		group := strings.Trim(compact(tmpl.Resources[id].at("LoggingConfig", "LogGroup")), "{}")
		for _, action := range authorization.Logging() {
			add(plain(id), action, "{"+group+".Arn}")
		}
	}
	// A schedule names the function, its role and its dead-letter queue, which the function admin has as
	// settings (https://docs.aws.amazon.com/scheduler/latest/UserGuide/configuring-schedule-dlq.html).
	vars := resource{Properties: tmpl.one(t, "AWS::Lambda::Function", "Admin").at("Environment", "Variables").(map[string]any)}
	add("Schedule", "lambda:InvokeFunction", compact(vars.at("DISCONNECT_FUNCTION_ARN")))
	add("Schedule", "sqs:SendMessage", compact(vars.at("SCHEDULE_DEAD_LETTERS_ARN")))
	add("Admin", "iam:PassRole", compact(vars.at("SCHEDULE_ROLE_ARN")))
	return needs
}

func granted(may map[string][]string, n need) bool {
	return slices.ContainsFunc(may[n.action], func(pattern string) bool {
		prefix, star := strings.CutSuffix(pattern, "*")
		return pattern == n.resource || star && strings.HasPrefix(n.resource, prefix)
	})
}

// keyOf is the key that the template encrypts a resource with.
func keyOf(tmpl template, resource string) string {
	id, _, _ := strings.Cut(strings.Trim(resource, "{}"), ".")
	for logical, r := range tmpl.Resources {
		if plain(logical) != id {
			continue
		}
		for _, at := range [][]string{{"KmsMasterKeyId"}, {"SSESpecification", "KMSMasterKeyId"}} {
			if key := r.at(at...); key != nil {
				return compact(key)
			}
		}
	}
	return ""
}

// faultsOf are the statements of roles and managed policies that grant nothing, or that nobody has looked up.
func faultsOf(t *testing.T, tmpl template) (faults []string) {
	t.Helper()
	statements := make(map[string][]any)
	for _, id := range tmpl.ids("AWS::IAM::Role") {
		for _, p := range list(tmpl.Resources[id].at("Policies")) {
			statements[id] = append(statements[id], list(resource{Properties: p.(map[string]any)}.at("PolicyDocument", "Statement"))...)
		}
	}
	for _, id := range tmpl.ids("AWS::IAM::ManagedPolicy") {
		statements[id] = list(tmpl.Resources[id].at("PolicyDocument", "Statement"))
	}
	for _, id := range slices.Sorted(maps.Keys(statements)) {
		for _, v := range statements[id] {
			s := resource{Properties: v.(map[string]any)}
			var looked authorization.Statement
			for _, a := range list(s.at("Action")) {
				looked.Actions = append(looked.Actions, a.(string))
			}
			for _, r := range list(s.at("Resource")) {
				looked.Resources = append(looked.Resources, tmpl.arn(compact(r)))
			}
			if conditions, ok := s.at("Condition").(map[string]any); ok {
				for _, keys := range conditions {
					looked.Keys = append(looked.Keys, slices.Sorted(maps.Keys(keys.(map[string]any)))...)
				}
			}
			for _, fault := range authorization.Check(looked) {
				faults = append(faults, plain(id)+": "+fault)
			}
		}
	}
	return faults
}

var reference = regexp.MustCompile(`\{([A-Za-z0-9:]+)(\.[A-Za-z]+)?\}`)

// arn puts names for what a template leaves open.
func (t template) arn(compacted string) string {
	return reference.ReplaceAllStringFunc(compacted, func(open string) string {
		parts := reference.FindStringSubmatch(open)
		switch parts[1] {
		case "AWS::Partition":
			return "aws"
		case "AWS::Region":
			return "eu-central-1"
		case "AWS::AccountId":
			return "000000000000"
		}
		if parts[2] == "" {
			return parts[1]
		}
		here := "eu-central-1:000000000000:"
		switch kind := t.kind(parts[1]); kind {
		case "AWS::SQS::Queue":
			return "arn:aws:sqs:" + here + parts[1]
		case "AWS::DynamoDB::Table":
			if parts[2] == ".StreamArn" {
				return "arn:aws:dynamodb:" + here + "table/" + parts[1] + "/stream/label"
			}
			return "arn:aws:dynamodb:" + here + "table/" + parts[1]
		case "AWS::S3::Bucket":
			return "arn:aws:s3:::" + parts[1]
		case "AWS::KMS::Key":
			return "arn:aws:kms:" + here + "key/" + parts[1]
		case "AWS::Lambda::Function":
			return "arn:aws:lambda:" + here + "function:" + parts[1]
		case "AWS::IAM::Role":
			return "arn:aws:iam::000000000000:role/" + parts[1]
		case "AWS::Logs::LogGroup":
			return "arn:aws:logs:" + here + "log-group:" + parts[1] + ":*"
		case "AWS::Events::EventBus":
			return "arn:aws:events:" + here + "event-bus/" + parts[1]
		default:
			return fmt.Sprintf("no ARN of %s, a %s", open, kind)
		}
	})
}

// kind is the type of the resource with that logical id, less CDK's hash.
func (t template) kind(id string) string {
	for logical, r := range t.Resources {
		if plain(logical) == id {
			return r.Type
		}
	}
	return ""
}
