package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"
)

const (
	// producerPrefix is where producers put logs that are too large for a queue message.
	producerPrefix = "payloads/"
	// cachePrefix is where deliver keeps the documents of deliveries that are too large for an item of the table.
	cachePrefix = "deliveries/"
	// rejectedPrefix is where deliver puts rejected messages whose body no queue takes.
	rejectedPrefix = "rejected/"
	// producedDays is how long an object is kept to which a message points, on ingest or on rejected. The
	// message stays on its queue and the dead-letter queue for as long as SQS keeps it (longest), since
	// moving it does not restart the count. If a person moves it back, on the last day perhaps, it is a new
	// message and may stay as long again. Then its log may want the seven days of retries, and a day is to
	// spare.
	producedDays = float64((2*longest+lifetime)/day) + 1
	// cachedDays is how long the document of a delivery is kept, which is written when the delivery begins to
	// wait, and a day to spare.
	cachedDays = float64(lifetime/day) + 1
)

// newKey is the one key that everything at rest is encrypted with. It outlives the stack, since without it backups could not be read.
func newKey(stack awscdk.Stack, s Props) awskms.Key {
	key := awskms.NewKey(stack, jsii.String("Key"), &awskms.KeyProps{
		Description:       jsii.String("auditrelay (" + s.Stage + "): queues, tables, payloads, log groups, events and destinations' credentials"),
		Alias:             jsii.String("alias/" + s.stackName()),
		EnableKeyRotation: jsii.Bool(true),
		RemovalPolicy:     kept,
	})
	key.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("LogGroups"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String(viaService("logs")), nil)},
		Actions:    jsii.Strings("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"),
		Resources:  jsii.Strings("*"), // in a key's policy this means the key itself
		Conditions: &map[string]any{"ArnLike": map[string]any{
			"kms:EncryptionContext:aws:logs:arn": stack.FormatArn(&awscdk.ArnComponents{
				Service:      jsii.String("logs"),
				Resource:     jsii.String("log-group"),
				ResourceName: jsii.String(s.logGroup("*")),
				ArnFormat:    awscdk.ArnFormat_COLON_RESOURCE_NAME,
			}),
		}},
	}), nil)
	return key
}

// newPayloads is the bucket of what is too large for a queue or a table. Nothing in it goes before what
// refers to it.
func newPayloads(stack awscdk.Stack, key awskms.IKey) awss3.Bucket {
	return awss3.NewBucket(stack, jsii.String("Payloads"), &awss3.BucketProps{
		Encryption:        awss3.BucketEncryption_KMS,
		EncryptionKey:     key,
		BucketKeyEnabled:  jsii.Bool(true), // one call to the key an hour, not one an object
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		ObjectOwnership:   awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		EnforceSSL:        jsii.Bool(true),
		MinimumTLSVersion: jsii.Number(1.2),
		RemovalPolicy:     kept,
		LifecycleRules: &[]*awss3.LifecycleRule{
			outlived("payloads", producerPrefix, producedDays),
			outlived("deliveries", cachePrefix, cachedDays),
			outlived("rejected", rejectedPrefix, producedDays),
			{Id: jsii.String("abandoned"), AbortIncompleteMultipartUploadAfter: awscdk.Duration_Days(jsii.Number(1))},
		},
	})
}

// outlived removes objects some days after they were written, at the next midnight UTC or later. Of two rules
// for one object the shorter would count, so each prefix has its own.
func outlived(id, prefix string, days float64) *awss3.LifecycleRule {
	return &awss3.LifecycleRule{Id: jsii.String(id), Prefix: jsii.String(prefix), Expiration: awscdk.Duration_Days(jsii.Number(days))}
}
