package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"
)

// connections is what changes of connections need: the timers of disconnects, and the bus on which changes are told.
type connections struct {
	// group holds one schedule for each destination that was disconnected in the last eight hours, and nothing else. The schedules go with it.
	group awsscheduler.ScheduleGroup
	// missed takes the events of schedules that the function disconnect did not settle.
	missed awssqs.Queue
	bus    awsevents.EventBus
	// untold takes events that the bus could not encrypt or decrypt.
	untold awssqs.Queue
}

func newConnections(stack awscdk.Stack, s Props, key awskms.IKey) connections {
	// EventBridge asks for such a queue where a key is one's own, which may be disabled
	// (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-encryption-event-bus-dlq.html). So the
	// queue has a key of SQS's.
	untold := awssqs.NewQueue(stack, jsii.String("BusDeadLetters"), &awssqs.QueueProps{
		Encryption: awssqs.QueueEncryption_SQS_MANAGED, EnforceSSL: jsii.Bool(true), RetentionPeriod: seconds(longest),
	})
	untold.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("Bus"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("events.amazonaws.com"), nil)},
		Actions:    jsii.Strings("sqs:SendMessage"),
		Resources:  jsii.Strings(*untold.QueueArn()),
		Conditions: &map[string]any{"ArnLike": map[string]any{"aws:SourceArn": stack.FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("events"), Resource: jsii.String("*"), ArnFormat: awscdk.ArnFormat_NO_RESOURCE_NAME,
		})}},
	}))
	return connections{
		untold: untold,
		group: awsscheduler.NewScheduleGroup(stack, jsii.String("Schedules"), &awsscheduler.ScheduleGroupProps{
			ScheduleGroupName: jsii.String(s.stackName()),
			// By default CDK retains it, and the next stack of this name would find its name taken.
			RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
		}),
		missed: newDeadLetters(stack, key, "ScheduleDeadLetters", longest),
		bus: awsevents.NewEventBus(stack, jsii.String("Bus"), &awsevents.EventBusProps{
			EventBusName: jsii.String(s.stackName()),
			Description:  jsii.String("What becomes of the destinations of " + s.stackName()),
			KmsKey:       key,

			DeadLetterQueue: untold,
		}),
	}
}

// newScheduleRole is the role in which the scheduler invokes the function disconnect, and hands over what it could not invoke. Only the scheduler of
// this account may take it.
func newScheduleRole(p parts, disconnect awslambda.IFunction) awsiam.Role {
	return awsiam.NewRole(p.stack, jsii.String("ScheduleRole"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("scheduler.amazonaws.com"), &awsiam.ServicePrincipalOpts{
			Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": awscdk.Aws_ACCOUNT_ID()}},
		}),
		Description: jsii.String("What the schedules of " + p.s.stackName() + " may do"),
		InlinePolicies: &map[string]awsiam.PolicyDocument{"may": awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{
			Statements: &[]awsiam.PolicyStatement{
				allow(jsii.Strings(*disconnect.FunctionArn()), "lambda:InvokeFunction"),
				allow(jsii.Strings(*p.cs.missed.QueueArn()), "sqs:SendMessage"),
				grants{p}.crypto("sqs"),
			},
		})},
	})
}
