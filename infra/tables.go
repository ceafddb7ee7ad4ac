package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"
)

// The indexes. Their names are part of the tables' contract with the adapters in internal/aws/dynamo.
const (
	ownerIndex     = "owner"
	attentionIndex = "attention"
	listedIndex    = "listed"
	dueIndex       = "due"
)

// kept has what holds data outlive its stack, unless the deploy that makes it fails: then it is empty, and goes.
// Whatever is kept has a name that CloudFormation makes up, so that it never stands in the way of the next stack.
const kept = awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE

// stores is where state lives. All of it survives the stack.
type stores struct {
	directory  awsdynamodb.Table
	deliveries awsdynamodb.Table
	payloads   awss3.Bucket
}

func newStores(stack awscdk.Stack, s Props, key awskms.IKey) stores {
	return stores{
		directory:  newDirectory(stack, s, key),
		deliveries: newDeliveries(stack, s, key),
		payloads:   newPayloads(stack, key),
	}
}

// newDirectory holds workspaces, destinations, the claims of notices, and for a while the attempts that failing destinations have had. The index
// attention is sparse: it holds only the few destinations that requeue has to look after each minute. The index listed holds the ids of workspaces and of
// destinations, for lists.
func newDirectory(stack awscdk.Stack, s Props, key awskms.IKey) awsdynamodb.Table {
	table := awsdynamodb.NewTable(stack, jsii.String("Directory"), retained(s, key, &awsdynamodb.TableProps{
		PartitionKey:        attribute("pk", awsdynamodb.AttributeType_STRING),
		TimeToLiveAttribute: jsii.String("ttl"),
	}))
	table.AddGlobalSecondaryIndex(&awsdynamodb.GlobalSecondaryIndexProps{
		IndexName:      jsii.String(ownerIndex),
		PartitionKey:   attribute("workspace_id", awsdynamodb.AttributeType_STRING),
		SortKey:        attribute("pk", awsdynamodb.AttributeType_STRING),
		ProjectionType: awsdynamodb.ProjectionType_ALL,
	})
	table.AddGlobalSecondaryIndex(&awsdynamodb.GlobalSecondaryIndexProps{
		IndexName:      jsii.String(attentionIndex),
		PartitionKey:   attribute("attention", awsdynamodb.AttributeType_STRING),
		SortKey:        attribute("pk", awsdynamodb.AttributeType_STRING),
		ProjectionType: awsdynamodb.ProjectionType_ALL,
	})
	table.AddGlobalSecondaryIndex(&awsdynamodb.GlobalSecondaryIndexProps{
		IndexName:        jsii.String(listedIndex),
		PartitionKey:     attribute("listed", awsdynamodb.AttributeType_STRING),
		SortKey:          attribute("pk", awsdynamodb.AttributeType_STRING),
		ProjectionType:   awsdynamodb.ProjectionType_INCLUDE,
		NonKeyAttributes: jsii.Strings("parent_id"),
	})
	return table
}

// newDeliveries is the cache. Its due index holds only what requeue needs to send a hint, because each write of a delivery pays for the index again.
func newDeliveries(stack awscdk.Stack, s Props, key awskms.IKey) awsdynamodb.Table {
	table := awsdynamodb.NewTable(stack, jsii.String("Deliveries"), retained(s, key, &awsdynamodb.TableProps{
		PartitionKey:        attribute("pk", awsdynamodb.AttributeType_STRING),
		SortKey:             attribute("sk", awsdynamodb.AttributeType_STRING),
		TimeToLiveAttribute: jsii.String("ttl"),
		Stream:              awsdynamodb.StreamViewType_NEW_AND_OLD_IMAGES,
	}))
	table.AddGlobalSecondaryIndex(&awsdynamodb.GlobalSecondaryIndexProps{
		IndexName:        jsii.String(dueIndex),
		PartitionKey:     attribute("ds", awsdynamodb.AttributeType_NUMBER),
		SortKey:          attribute("du", awsdynamodb.AttributeType_NUMBER),
		ProjectionType:   awsdynamodb.ProjectionType_INCLUDE,
		NonKeyAttributes: jsii.Strings("rd"),
	})
	return table
}

// retained gives a table what keeps its data safe across updates and mistakes. Deletion protection is a setting, since
// it binds CloudFormation too: a first deploy that fails could not be rolled back, and nothing be deployed after it.
func retained(s Props, key awskms.IKey, props *awsdynamodb.TableProps) *awsdynamodb.TableProps {
	props.BillingMode = awsdynamodb.BillingMode_PAY_PER_REQUEST
	props.Encryption = awsdynamodb.TableEncryption_CUSTOMER_MANAGED
	props.EncryptionKey = key
	props.PointInTimeRecoverySpecification = &awsdynamodb.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: jsii.Bool(true)}
	props.DeletionProtection = jsii.Bool(s.ProtectTables)
	props.RemovalPolicy = kept
	return props
}

func attribute(name string, kind awsdynamodb.AttributeType) *awsdynamodb.Attribute {
	return &awsdynamodb.Attribute{Name: jsii.String(name), Type: kind}
}
