//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/auditrelay/auditrelay/internal/aws/emulator"
)

// servers are the emulators, as whoever may do everything reaches them.
type servers struct {
	fauxqs, dynamodb, ses, moto aws.Config
}

func startServers(t *testing.T) servers {
	t.Helper()
	return servers{
		dynamodb: emulator.Start(t, emulator.DynamoDBLocal), fauxqs: emulator.Start(t, emulator.Fauxqs),
		ses: emulator.Start(t, emulator.SES), moto: emulator.Start(t, emulator.Moto),
	}
}

// backends says which server stands for which service, by the service's name in signatures.
func (s servers) backends() map[string]string {
	return map[string]string{
		"sqs": *s.fauxqs.BaseEndpoint, "s3": *s.fauxqs.BaseEndpoint, "sts": *s.fauxqs.BaseEndpoint,
		"dynamodb": *s.dynamodb.BaseEndpoint,
		"ses":      *s.ses.BaseEndpoint,
		"events":   *s.moto.BaseEndpoint, "logs": *s.moto.BaseEndpoint, "scheduler": *s.moto.BaseEndpoint, "kms": *s.moto.BaseEndpoint,
	}
}

// create makes what the template says. A type that it does not know is an error, so that nothing new is left out of the test unnoticed.
func (s servers) create(t *testing.T, v *values) {
	t.Helper()
	for _, r := range v.Resources {
		if !slices.Contains(made, r.Type) && !slices.Contains(notRun, r.Type) {
			t.Fatalf("the template host does not know the type %s: say in resources_test.go how it is made, or that it does not run", r.Type)
		}
	}
	steps := []struct {
		kind   string
		create func(t *testing.T, v *values, id string) error
	}{
		{"AWS::KMS::Key", s.createKey},
		{"AWS::SQS::Queue", s.createQueue},
		{"AWS::DynamoDB::Table", s.createTable},
		{"AWS::S3::Bucket", s.createBucket},
		{"AWS::Events::EventBus", s.createBus},
		{"AWS::Scheduler::ScheduleGroup", s.createScheduleGroup},
		{"AWS::Logs::LogGroup", s.createLogGroup},
	}
	for _, step := range steps {
		ids := v.all(step.kind)
		if step.kind == "AWS::SQS::Queue" {
			deadLettersFirst(v, ids)
		}
		for _, id := range ids {
			if err := step.create(t, v, id); err != nil {
				t.Fatalf("create %s %s: %v", step.kind, id, err)
			}
		}
	}
}

// made are the types that the host makes or acts out. Their grants and names are used, or they are emulated.
var made = []string{
	"AWS::SQS::Queue", "AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Events::EventBus", "AWS::Scheduler::ScheduleGroup", "AWS::Logs::LogGroup",
	"AWS::Lambda::Function", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Permission", "AWS::ApiGateway::RestApi", "AWS::ApiGateway::Resource", "AWS::ApiGateway::Method", "AWS::ApiGateway::Deployment", "AWS::ApiGateway::Stage", "AWS::Events::Rule", "AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy",
	"AWS::KMS::Key", "AWS::SES::EmailIdentity", "AWS::SES::ConfigurationSet",
}

// notRun are the types that no function meets: what people look at, and what only AWS itself heeds.
var notRun = []string{
	"AWS::KMS::Alias", "AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy", "AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "AWS::SNS::Subscription", "AWS::CloudWatch::Alarm",
	"AWS::CloudWatch::Dashboard", "AWS::Logs::QueryDefinition", "AWS::Logs::MetricFilter", "AWS::Lambda::EventInvokeConfig",
	"AWS::Events::EventBusPolicy", "AWS::Events::Archive", "AWS::SES::ConfigurationSetEventDestination",
}

// deadLettersFirst puts queues that others refer to before these.
func deadLettersFirst(v *values, ids []string) {
	redrives := func(id string) int {
		if v.Resources[id].Properties["RedrivePolicy"] != nil {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(ids, func(a, b string) int { return redrives(a) - redrives(b) })
}

// properties reads a resource's resolved properties into a request of the service, whose fields have the same names.
func properties(v *values, id string, into any) error {
	resolved, err := v.resolve(v.Resources[id].Properties)
	if err != nil {
		return err
	}
	text, err := json.Marshal(resolved)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

func (s servers) createQueue(t *testing.T, v *values, id string) error {
	var q struct {
		VisibilityTimeout, MessageRetentionPeriod, DelaySeconds int
		RedrivePolicy                                           map[string]any
	}
	if err := properties(v, id, &q); err != nil {
		return err
	}
	attributes := map[string]string{"DelaySeconds": fmt.Sprint(q.DelaySeconds)}
	if q.VisibilityTimeout > 0 {
		attributes["VisibilityTimeout"] = fmt.Sprint(q.VisibilityTimeout)
	}
	if q.MessageRetentionPeriod > 0 {
		attributes["MessageRetentionPeriod"] = fmt.Sprint(q.MessageRetentionPeriod)
	}
	if q.RedrivePolicy != nil {
		policy, err := json.Marshal(q.RedrivePolicy)
		if err != nil {
			return err
		}
		attributes["RedrivePolicy"] = string(policy)
	}
	name := v.name(id)
	out, err := sqs.NewFromConfig(s.fauxqs).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		return err
	}
	v.queues[id] = *out.QueueUrl
	return nil
}

func (s servers) createKey(t *testing.T, v *values, id string) error {
	out, err := kms.NewFromConfig(s.moto).CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		return err
	}
	v.keys[id] = *out.KeyMetadata.Arn
	return nil
}

func (s servers) createTable(t *testing.T, v *values, id string) error {
	var in dynamodb.CreateTableInput
	if err := properties(v, id, &in); err != nil {
		return err
	}
	in.TableName, in.SSESpecification, in.DeletionProtectionEnabled = aws.String(v.name(id)), nil, nil
	if in.StreamSpecification != nil {
		in.StreamSpecification.StreamEnabled = aws.Bool(true)
	}
	if in.BillingMode != types.BillingModePayPerRequest {
		return fmt.Errorf("billing mode %q", in.BillingMode)
	}
	_, err := dynamodb.NewFromConfig(s.dynamodb).CreateTable(t.Context(), &in)
	return err
}

func (s servers) createBucket(t *testing.T, v *values, id string) error {
	client := s3.NewFromConfig(s.fauxqs, func(o *s3.Options) { o.UsePathStyle = true })
	_, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(v.name(id))})
	return err
}

func (s servers) createBus(t *testing.T, v *values, id string) error {
	_, err := eventbridge.NewFromConfig(s.moto).CreateEventBus(t.Context(), &eventbridge.CreateEventBusInput{Name: aws.String(v.name(id))})
	return err
}

func (s servers) createScheduleGroup(t *testing.T, v *values, id string) error {
	_, err := scheduler.NewFromConfig(s.moto).CreateScheduleGroup(t.Context(), &scheduler.CreateScheduleGroupInput{Name: aws.String(v.name(id))})
	return err
}

func (s servers) createLogGroup(t *testing.T, v *values, id string) error {
	_, err := cloudwatchlogs.NewFromConfig(s.moto).CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(v.name(id))})
	return err
}
