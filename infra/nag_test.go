package infra

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
)

// suppression is a finding of cdk-nag that is as it should be, with the reason.
type suppression struct {
	// where is the construct, rule the rule's id with the part that it found, if any, in brackets.
	where, rule string
	reason      string
}

// suppressions is also the list of everything that a role may do on more than one named resource.
func suppressions() []suppression {
	const prefix = "objects are made later; the grant is bounded by a prefix of this bucket"
	const (
		roles     = "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:iam::*:role/auditrelay-*]"
		schedules = "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:scheduler:<AWS::Region>:<AWS::AccountId>:schedule/auditrelay-dev/*]"
		api       = "each change is an entry of the activity audit, with the caller; to log requests, the account must have a role for all of its APIs, which is not the stack's to set"
		theirs    = "customers make these roles in their own accounts, and each trusts the path of this role, and an external id; the grant is bounded by the role's name"
	)
	return []suppression{
		{"Payloads", "AwsSolutions-S1", "objects live fifteen days at most and are named in the functions' logs; whoever must record each access turns on CloudTrail data events"},
		{"DeliverRole", "AwsSolutions-IAM5[Resource::<PayloadsCDFAA0A2.Arn>/payloads/*]", prefix},
		{"DeliverRole", "AwsSolutions-IAM5[Resource::<PayloadsCDFAA0A2.Arn>/deliveries/*]", prefix},
		{"DeliverRole", "AwsSolutions-IAM5[Resource::<PayloadsCDFAA0A2.Arn>/rejected/*]", prefix},
		{"DeliverRole", roles, theirs},
		{"AdminRole", roles, theirs},
		{"AdminRole", schedules, "a schedule is made when its destination is disconnected; the grant is bounded by the stage's group"},
		{"ExpireRole", "AwsSolutions-IAM5[Resource::<PayloadsCDFAA0A2.Arn>/deliveries/*]", prefix},
		{"Unannounced", "AwsSolutions-SQS3", "it is the dead-letter queue of a stream, which CloudFormation does not show on the queue"},
		{"ScheduleDeadLetters", "AwsSolutions-SQS3", "it is the dead-letter queue of schedules, which are made at run time, and of a function's asynchronous events"},
		{"ExpireRole", "AwsSolutions-IAM5[Resource::*]", "dynamodb:ListStreams cannot be granted on less; it lists the names of streams and reads nothing"},
		{"BusDeadLetters", "AwsSolutions-SQS3", "it is the dead-letter queue of the bus, which CloudFormation does not show on the queue"},
		{"ApiStage", "AwsSolutions-APIG1", api},
		{"ApiStage", "AwsSolutions-APIG6", api},
		{"Api", "AwsSolutions-APIG2", "the function validates each request against the document of the API"},
		{"ApiStage", "AwsSolutions-APIG3", "a request without a signature of the account's own roles ends at the API; a firewall would cost by the month"},
		{"Api", "AwsSolutions-COG4", "requests are signed by IAM: those who call are operators, not users"},
		{"Operator", "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:execute-api:<AWS::Region>:<AWS::AccountId>:<ApiF70053CD>/api/*/*]", "every path and method of this API"},
		{"Producer", "AwsSolutions-IAM5[Resource::<PayloadsCDFAA0A2.Arn>/payloads/*]", prefix},
	}
}

// TestNag holds cdk-nag's findings equal to the list above, so that a new finding fails, and so does a suppression that nothing needs any more.
// `go test -v -run TestNag ./infra` prints the report.
func TestNag(t *testing.T) {
	s := defaults(t)
	s.AlarmMail, s.ProducerAccounts = "oncall@example.com", []string{"111122223333"}
	context := cdkContext(t)
	(*context)["@aws-cdk/core:annotationsInValidationReport"] = false // else the first finding ends the synthesis
	stack := stackOf(t, s, context)
	awscdk.Aspects_Of(stack).Add(cdknag.NewAwsSolutionsChecks(&cdknag.NagPackProps{Reports: jsii.Bool(false)}), nil)
	annotations := assertions.Annotations_FromStack(stack)
	every, nag := jsii.String("*"), assertions.Match_StringLikeRegexp(jsii.String("AwsSolutions-.*"))
	found := make(map[string]bool)
	for _, m := range slices.Concat(*annotations.FindError(every, nag), *annotations.FindWarning(every, nag)) {
		//nolint:staticcheck // the type has moved to a module that this version of the library does not offer for Go
		id, entry := *m.Id, m.Entry
		construct, _, _ := strings.Cut(strings.TrimPrefix(id, "/"+s.stackName()+"/"), "/")
		rule, _, _ := strings.Cut(entry.Data.(string), ": ")
		found[construct+" "+rule] = true
	}
	for _, x := range suppressions() {
		key := x.where + " " + x.rule
		if !found[key] {
			t.Errorf("suppressed but not found: %s", key)
		}
		delete(found, key)
		t.Logf("%s: %s", key, x.reason)
	}
	for _, key := range sorted(found) {
		t.Errorf("found: %s", key)
	}
}
