package infra

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/jsii-runtime-go"
)

// newProducers makes the policy that a producer's role in this account is given: send logs to ingest, put large ones under payloads/, and read
// nothing. Producers in other accounts are let in by the resources themselves, and need the same three statements in a policy of their own.
func newProducers(stack awscdk.Stack, s Props, key awskms.Key, qs queues, st stores) awsiam.ManagedPolicy {
	send := jsii.Strings("sqs:SendMessage", "sqs:GetQueueUrl")
	// Producers encrypt, and S3 decrypts what it wrote when it joins the parts of an upload.
	encrypt := jsii.Strings("kms:Decrypt", "kms:GenerateDataKey")
	via := map[string]any{"StringEquals": map[string]any{"kms:ViaService": []string{viaService("sqs"), viaService("s3")}}}
	large := objects(st, producerPrefix)
	if accounts := s.producers(); accounts != nil {
		qs.ingest.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Sid: jsii.String("Producers"), Principals: accounts, Actions: send, Resources: jsii.Strings(*qs.ingest.QueueArn()),
		}))
		st.payloads.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Sid: jsii.String("Producers"), Principals: accounts, Actions: jsii.Strings("s3:PutObject"), Resources: jsii.Strings(large),
		}))
		key.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Sid: jsii.String("Producers"), Principals: accounts, Actions: encrypt, Resources: jsii.Strings("*"), Conditions: &via,
		}), nil)
	}
	return awsiam.NewManagedPolicy(stack, jsii.String("Producer"), &awsiam.ManagedPolicyProps{
		Description: jsii.String("Send audit logs to " + s.stackName()),
		Statements: &[]awsiam.PolicyStatement{
			awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{Actions: send, Resources: jsii.Strings(*qs.ingest.QueueArn())}),
			awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{Actions: jsii.Strings("s3:PutObject"), Resources: jsii.Strings(large)}),
			awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{Actions: encrypt, Resources: jsii.Strings(*key.KeyArn()), Conditions: &via}),
		},
	})
}

// producers are the other accounts that may send logs, or nil if there are none.
func (s Props) producers() *[]awsiam.IPrincipal {
	if len(s.ProducerAccounts) == 0 {
		return nil
	}
	accounts := make([]awsiam.IPrincipal, len(s.ProducerAccounts))
	for i, id := range s.ProducerAccounts {
		accounts[i] = awsiam.NewAccountPrincipal(jsii.String(id))
	}
	return &accounts
}

// viaService is a service as the condition kms:ViaService names it.
func viaService(service string) string {
	return strings.Join([]string{service, *awscdk.Aws_REGION(), *awscdk.Aws_URL_SUFFIX()}, ".")
}
