// Package infra is the CDK construct of the whole deployment: New makes one CloudFormation stack out of Props. The app
// in infra/app makes it from the CDK's context; another CDK app imports this package and calls New, see
// docs/examples/cdk.
package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigateway"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
)

// Deployment is a stack, with what other stacks of an app use of it.
type Deployment struct {
	// Stack is a field, since jsii refuses a struct that embeds one of its objects.
	Stack awscdk.Stack
	// Ingest is the queue to which producers send logs. Their roles have the policy Producer, which also lets them put
	// large logs into Payloads.
	Ingest   awssqs.IQueue
	Payloads awss3.IBucket
	Producer awsiam.IManagedPolicy
	// API is the management API, and Operator the policy of the roles that call it.
	API      awsapigateway.IRestApi
	Operator awsiam.IManagedPolicy
	// Bus is where what becomes of destinations is told.
	Bus awsevents.IEventBus
	// AlarmTopic is where alarms go.
	AlarmTopic awssns.ITopic
}

// New makes the stack of a deployment. CloudFormation and `auditrelay doctor` know it as auditrelay-<stage>, whatever
// its id. Under another id (Props.ID is that of this project's own app) Lambda's permissions and the API's deployment
// are made anew; all that holds data keeps its place. New panics, as constructs do, with an error that names every
// setting that breaks its rule and what to write instead; the settings are named as in docs/deploy.md.
func New(scope constructs.Construct, id string, props *Props) *Deployment {
	if props == nil {
		props = &Props{}
	}
	s, err := props.checked()
	if err != nil {
		panic(err)
	}
	return newStack(scope, id, s)
}

// FromContext reads the settings from the CDK context, cdk.json or `--context name=value`. The error names every one
// that is missing, malformed or unknown. Account and region are where the CDK command line would deploy, empty
// without credentials: then MailFrom may be left out, since the template can be shown and no more, and no region is
// checked.
func FromContext(context map[string]any, account, region string) (*Props, error) {
	s, err := readSettings(context, account != "")
	if err != nil {
		return nil, err
	}
	if s, err = s.in(region); err != nil {
		return nil, err
	}
	return &s, nil
}

// ID is the stack's id in this project's own app, and its name in CloudFormation.
func (s Props) ID() string { return s.stackName() }
