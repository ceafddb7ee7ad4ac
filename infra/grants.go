package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/jsii-runtime-go"
)

// grants says what each function may do, one method a function. Actions are spelt out, and resources are ARNs of this stack. The exceptions
// end in a star, since their resources are made later or by others, and each is bounded by a prefix: destinations' secrets, objects in the
// payload bucket, and roles in customers' accounts.
type grants struct {
	stack awscdk.Stack
	key   awskms.IKey
}

func (g grants) deliver(s settings, qs queues, st stores) []awsiam.PolicyStatement {
	return []awsiam.PolicyStatement{
		consume(qs.ingest, qs.retry),
		allow(jsii.Strings(*qs.retry.QueueArn(), *qs.rejected.QueueArn(), *qs.drain.QueueArn(), *qs.notices.QueueArn()), "sqs:SendMessage"),
		allow(jsii.Strings(index(*st.directory.TableArn(), ownerIndex)), "dynamodb:Query"),
		// It writes a destination's health, and the count of its attempts while it fails.
		allow(jsii.Strings(*st.directory.TableArn()), "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"),
		allow(jsii.Strings(*st.deliveries.TableArn()),
			"dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"),
		// Rejected messages too: one that is sent back to ingest leads there.
		allow(jsii.Strings(objects(st, producerPrefix), objects(st, cachePrefix), objects(st, rejectedPrefix)), "s3:GetObject"),
		allow(jsii.Strings(objects(st, cachePrefix), objects(st, rejectedPrefix)), "s3:PutObject"),
		// Without this a missing object answers 403, like a forbidden one, and its log could not be rejected for what it is.
		allow(jsii.Strings(*st.payloads.BucketArn()), "s3:ListBucket"),
		allow(jsii.Strings(g.secrets(s)), "secretsmanager:GetSecretValue"),
		allow(jsii.Strings(g.roles(s)), "sts:AssumeRole"),
		g.crypto("sqs", "dynamodb", "s3", "secretsmanager"),
	}
}

func (g grants) requeue(qs queues, st stores) []awsiam.PolicyStatement {
	return []awsiam.PolicyStatement{
		consume(qs.drain),
		allow(jsii.Strings(*qs.retry.QueueArn(), *qs.drain.QueueArn(), *qs.notices.QueueArn()), "sqs:SendMessage"),
		allow(jsii.Strings(*st.deliveries.TableArn(), index(*st.deliveries.TableArn(), dueIndex)), "dynamodb:Query"),
		allow(jsii.Strings(*st.deliveries.TableArn()), "dynamodb:GetItem", "dynamodb:PutItem"), // how far it has come
		allow(jsii.Strings(index(*st.directory.TableArn(), attentionIndex)), "dynamodb:Query"),
		allow(jsii.Strings(*st.directory.TableArn()), "dynamodb:GetItem", "dynamodb:PutItem"), // the end of a drain
		g.crypto("sqs", "dynamodb"),
	}
}

func (g grants) expire(qs queues, st stores) []awsiam.PolicyStatement {
	return []awsiam.PolicyStatement{
		allow(jsii.Strings(*st.deliveries.TableStreamArn()), "dynamodb:DescribeStream", "dynamodb:GetShardIterator", "dynamodb:GetRecords"),
		allow(jsii.Strings(*st.deliveries.TableArn()), "dynamodb:PutItem"),
		allow(jsii.Strings(*st.directory.TableArn()), "dynamodb:GetItem"),
		allow(jsii.Strings(objects(st, cachePrefix)), "s3:DeleteObject"),
		allow(jsii.Strings(*qs.unannounced.QueueArn()), "sqs:SendMessage"),
		g.crypto("sqs", "dynamodb", "s3"),
	}
}

// consume is what Lambda's poller does with a queue on behalf of the function.
func consume(qs ...queue) awsiam.PolicyStatement {
	arns := make([]*string, len(qs))
	for i, q := range qs {
		arns[i] = q.QueueArn()
	}
	return allow(&arns, "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes")
}

// crypto allows the use of the key, but only by way of the named services: who can read nothing from those can decrypt nothing.
func (g grants) crypto(services ...string) awsiam.PolicyStatement {
	var via []string
	for _, service := range services {
		via = append(via, viaService(service))
	}
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:    jsii.Strings("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"),
		Resources:  jsii.Strings(*g.key.KeyArn()),
		Conditions: &map[string]any{"StringEquals": map[string]any{"kms:ViaService": via}},
	})
}

// secrets are those of this stage's destinations.
func (g grants) secrets(s settings) string {
	return *g.stack.FormatArn(&awscdk.ArnComponents{
		Service:      jsii.String("secretsmanager"),
		Resource:     jsii.String("secret"),
		ResourceName: jsii.String(s.secretPrefix() + "*"),
		ArnFormat:    awscdk.ArnFormat_COLON_RESOURCE_NAME,
	})
}

// roles are those that customers made for their S3 destinations, in their own accounts.
func (g grants) roles(s settings) string {
	return *g.stack.FormatArn(&awscdk.ArnComponents{
		Service:      jsii.String("iam"),
		Region:       jsii.String(""),
		Account:      jsii.String("*"),
		Resource:     jsii.String("role"),
		ResourceName: jsii.String(s.DestinationRoles),
	})
}

func objects(st stores, prefix string) string {
	return *st.payloads.ArnForObjects(jsii.String(prefix + "*"))
}

func index(table, name string) string { return table + "/index/" + name }

func allow(resources *[]*string, actions ...string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{Actions: jsii.Strings(actions...), Resources: resources})
}
