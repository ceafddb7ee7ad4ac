//go:build e2e

package e2e

import (
	"fmt"
	"strings"
)

// name is a resource's physical name: the one that the template gives, or one made of its logical id.
func (v *values) name(id string) string {
	r := v.Resources[id]
	for _, property := range []string{"QueueName", "TableName", "BucketName", "FunctionName", "RoleName", "Name", "LogGroupName", "TopicName"} {
		if given, ok := r.Properties[property]; ok && r.Type != "AWS::Lambda::EventSourceMapping" {
			return v.prefix + v.text(v.eval(given))
		}
	}
	if r.Type == "AWS::S3::Bucket" {
		return strings.ToLower(v.prefix + id)
	}
	return v.prefix + id
}

// ref is what CloudFormation's Ref gives: for most types the name, for some the ARN, for a queue its URL.
func (v *values) ref(id string) any {
	switch id {
	case "AWS::Partition":
		return "aws"
	case "AWS::Region":
		return region
	case "AWS::AccountId":
		return account
	case "AWS::URLSuffix":
		return suffix
	case "AWS::StackName", "AWS::StackId":
		return v.prefix + "stack"
	case "AWS::NoValue":
		return nil
	}
	r, ok := v.Resources[id]
	if !ok {
		panic(&unresolved{"the reference to " + id + ", which the template does not have"})
	}
	switch r.Type {
	case "AWS::SQS::Queue":
		if url, ok := v.queues[id]; ok {
			return url
		}
	case "AWS::SNS::Topic", "AWS::IAM::ManagedPolicy":
		return v.arn(id)
	case "AWS::SES::EmailIdentity":
		return v.text(v.eval(r.Properties["EmailIdentity"]))
	case "AWS::ApiGateway::Stage":
		return v.text(v.eval(r.Properties["StageName"]))
	case "AWS::ApiGateway::RestApi", "AWS::ApiGateway::Resource", "AWS::ApiGateway::Deployment":
		return strings.ToLower(id)
	case "AWS::KMS::Key", "AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Lambda::Function", "AWS::IAM::Role", "AWS::Logs::LogGroup",
		"AWS::Events::EventBus", "AWS::Events::Rule", "AWS::Scheduler::ScheduleGroup", "AWS::SES::ConfigurationSet", "AWS::CloudWatch::Dashboard":
		return v.name(id)
	}
	panic(&unresolved{fmt.Sprintf("Ref of %s, a %s", id, r.Type)})
}

func (v *values) attribute(id, attribute string) any {
	r, ok := v.Resources[id]
	if !ok {
		panic(&unresolved{"an attribute of " + id + ", which the template does not have"})
	}
	switch {
	case attribute == "Arn", attribute == "TopicArn":
		return v.arn(id)
	case attribute == "StreamArn" && r.Type == "AWS::DynamoDB::Table":
		return v.arn(id) + "/stream/2026-01-01T00:00:00.000"
	case attribute == "QueueName", attribute == "Name":
		return v.name(id)
	case attribute == "RootResourceId" && r.Type == "AWS::ApiGateway::RestApi":
		return strings.ToLower(id) + "-root"
	}
	panic(&unresolved{fmt.Sprintf("the attribute %s of %s, a %s", attribute, id, r.Type)})
}

// arn is a resource's ARN in the form of its service, see the Service Authorization Reference.
func (v *values) arn(id string) string {
	r, name := v.Resources[id], v.name(id)
	here := region + ":" + account + ":"
	switch r.Type {
	case "AWS::SQS::Queue":
		return "arn:aws:sqs:" + here + name
	case "AWS::SNS::Topic":
		return "arn:aws:sns:" + here + name
	case "AWS::DynamoDB::Table":
		return "arn:aws:dynamodb:" + here + "table/" + name
	case "AWS::S3::Bucket":
		return "arn:aws:s3:::" + name
	case "AWS::KMS::Key":
		if made, ok := v.keys[id]; ok {
			return made
		}
		return "arn:aws:kms:" + here + "key/" + name
	case "AWS::Lambda::Function":
		return "arn:aws:lambda:" + here + "function:" + name
	case "AWS::IAM::Role":
		path := "/"
		if r.Properties["Path"] != nil {
			path = v.text(v.eval(r.Properties["Path"]))
		}
		return "arn:aws:iam::" + account + ":role" + path + name
	case "AWS::IAM::ManagedPolicy":
		return "arn:aws:iam::" + account + ":policy/" + name
	case "AWS::Logs::LogGroup":
		return "arn:aws:logs:" + here + "log-group:" + name + ":*"
	case "AWS::Events::EventBus":
		return "arn:aws:events:" + here + "event-bus/" + name
	case "AWS::Events::Rule":
		return "arn:aws:events:" + here + "rule/" + name
	case "AWS::Scheduler::ScheduleGroup":
		return "arn:aws:scheduler:" + here + "schedule-group/" + name
	case "AWS::SES::EmailIdentity":
		return "arn:aws:ses:" + here + "identity/" + v.text(v.eval(r.Properties["EmailIdentity"]))
	case "AWS::SES::ConfigurationSet":
		return "arn:aws:ses:" + here + "configuration-set/" + name
	}
	panic(&unresolved{fmt.Sprintf("the ARN of %s, a %s", id, r.Type)})
}
