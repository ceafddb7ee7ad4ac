package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// newStack is the whole deployment. Every construct stands directly in the stack: a logical id comes from a construct's
// path within its stack, and a changed logical id would replace the resource and its data.
func newStack(scope constructs.Construct, id string, s Props) *Deployment {
	stack := awscdk.NewStack(scope, jsii.String(id), &awscdk.StackProps{
		StackName:   jsii.String(s.stackName()),
		Env:         s.Env,
		Description: jsii.String("auditrelay (" + s.Stage + "): delivers audit logs to customers' destinations and retries for seven days"),
		Tags:        &map[string]*string{"application": jsii.String("auditrelay"), "stage": jsii.String(s.Stage)},
	})
	// Statements are merged also in an app that lacks this flag of CDK, so that a role says the same wherever it is made.
	stack.Node().SetContext(jsii.String("@aws-cdk/aws-iam:minimizePolicies"), true)
	key := newKey(stack, s)
	qs := newQueues(stack, key)
	st := newStores(stack, s, key)
	p := parts{stack: stack, s: s, key: key, qs: qs, st: st, cs: newConnections(stack, s, key), post: newPost(stack, s)}
	fs := newFunctions(p)
	producers := newProducers(stack, s, key, qs, st)
	api, operators := newAPI(stack, s, fs.admin.Function)
	alarms := alarmsOf(p, fs)
	topic := newAlarms(stack, s, key, alarms)
	board := newDashboard(p, fs, alarms)
	newQueries(stack, s, fs)

	output(stack, "IngestQueueUrl", "Where producers send logs", qs.ingest.QueueUrl())
	output(stack, "PayloadBucketName", "Where producers put logs too large for a message, under "+producerPrefix, st.payloads.BucketName())
	output(stack, "ProducerPolicyArn", "The managed policy for producers' roles", producers.ManagedPolicyArn())
	output(stack, "ApiUrl", "The management API, for `auditrelay` and other signed requests", api.Url())
	output(stack, "OperatorPolicyArn", "The managed policy for the roles of whoever operates it", operators.ManagedPolicyArn())
	output(stack, "EventBusName", "Where what becomes of destinations is told", p.cs.bus.EventBusName())
	output(stack, "DestinationTrustPolicy", "The trust policy of an S3 destination's role, for the external id of its workspace", trustPolicy(stack, s))
	if records := p.post.dkim(s); records != "" {
		output(stack, "MailDnsRecords", "The DNS records by which SES knows the sender", jsii.String(records))
	}
	output(stack, "AlarmTopicArn", "Where alarms go; subscribe whoever is on call", topic.TopicArn())
	output(stack, "DashboardUrl", "How deliveries fare", jsii.Sprintf("https://%s.console.%s/cloudwatch/home?region=%s#dashboards/dashboard/%s",
		*awscdk.Aws_REGION(), *consoleDomain(stack), *awscdk.Aws_REGION(), *board.DashboardName()))
	return &Deployment{
		Stack: stack, Ingest: qs.ingest, Payloads: st.payloads, Producer: producers, Operator: operators,
		API: api, Bus: p.cs.bus, AlarmTopic: topic,
	}
}

func output(stack awscdk.Stack, name, description string, value *string) {
	awscdk.NewCfnOutput(stack, jsii.String(name), &awscdk.CfnOutputProps{Description: jsii.String(description), Value: value})
}

func (s Props) stackName() string { return "auditrelay-" + s.Stage }

// consoleDomain is where the console is in the stack's partition
// (https://docs.aws.amazon.com/general/latest/gr/rande.html, and the guides to GovCloud, China and the European
// Sovereign Cloud).
func consoleDomain(stack awscdk.Stack) *string {
	of := func(domain string) *map[string]any { return &map[string]any{"console": domain} }
	partitions := awscdk.NewCfnMapping(stack, jsii.String("Partitions"), &awscdk.CfnMappingProps{Mapping: &map[string]*map[string]any{
		"aws": of("aws.amazon.com"), "aws-us-gov": of("amazonaws-us-gov.com"), "aws-cn": of("amazonaws.cn"), "aws-eusc": of("amazonaws-eusc.eu"),
	}})
	return partitions.FindInMap(awscdk.Aws_PARTITION(), jsii.String("console"), nil)
}
