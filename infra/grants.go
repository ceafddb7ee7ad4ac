package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"

	"github.com/auditrelay/auditrelay/internal/config"
)

// grants says what each function may do, one method a function. Actions are spelt out, and resources are ARNs
// of this stack. The exceptions end in a star, since their resources are made later or by others, and each is
// bounded by a prefix: schedules of the stage's group, objects in the payload bucket,
// and roles in customers' accounts. One is a star: the list of streams. What AWS documents of each action,
// package authorization holds.
type grants struct{ parts }

// outgoingPrefix begins the keys of what is to be told, and destinationPrefix those of destinations, in the table directory (package dynamo).
const (
	outgoingPrefix    = "O#"
	destinationPrefix = "D#"
)

func (g grants) deliver() []awsiam.PolicyStatement {
	return []awsiam.PolicyStatement{
		consume(g.qs.ingest, g.qs.retry, queue{Queue: g.qs.ingest.dead}),
		send(g.qs.retry, g.qs.rejected, g.qs.drain, g.qs.notices),
		g.announce(),
		g.owned(),
		g.told(),
		// It hides and settles the messages that it takes one by one.
		allow(arnsOf([]queue{g.qs.ingest, g.qs.retry, {Queue: g.qs.ingest.dead}}), "sqs:ChangeMessageVisibility"),
		// It writes a destination's health, and the count of its attempts while it fails.
		allow(jsii.Strings(*g.st.directory.TableArn()), "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"),
		allow(jsii.Strings(*g.st.deliveries.TableArn()),
			"dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"),
		// Rejected messages too: one that is sent back to ingest leads there.
		allow(jsii.Strings(g.objects(producerPrefix), g.objects(cachePrefix), g.objects(rejectedPrefix)), "s3:GetObject"),
		allow(jsii.Strings(g.objects(cachePrefix), g.objects(rejectedPrefix)), "s3:PutObject"),
		// The object of a log that may not be kept, which a person may have put beside the rejected messages.
		allow(jsii.Strings(g.objects(producerPrefix), g.objects(rejectedPrefix)), "s3:DeleteObject"),
		// Without this a missing object answers 403, like a forbidden one, and its log could not be rejected for what it is.
		allow(jsii.Strings(*g.st.payloads.BucketArn()), "s3:ListBucket"),
		g.credentials("kms:Decrypt"),
		allow(jsii.Strings(g.roles()), "sts:AssumeRole"),
		g.noRoleOfOurs(),
		g.crypto("sqs", "dynamodb", "s3"),
	}
}

func (g grants) requeue() []awsiam.PolicyStatement {
	return []awsiam.PolicyStatement{
		consume(g.qs.drain),
		send(g.qs.retry, g.qs.drain),
		allow(jsii.Strings(*g.st.deliveries.TableArn(), index(*g.st.deliveries.TableArn(), dueIndex)), "dynamodb:Query"),
		allow(jsii.Strings(*g.st.deliveries.TableArn()), "dynamodb:GetItem", "dynamodb:PutItem"), // how far it has come
		allow(jsii.Strings(index(*g.st.directory.TableArn(), attentionIndex)), "dynamodb:Query"),
		// The end of a drain, and of the eight hours of a disconnect or a deletion whose timer was lost.
		g.disable(),
		g.owned(),
		g.announce(), // and what others could not tell
		g.ends(),
		send(g.qs.notices, g.qs.ingest),
		g.crypto("sqs", "dynamodb"),
	}
}

func (g grants) expire() []awsiam.PolicyStatement {
	return []awsiam.PolicyStatement{
		allow(jsii.Strings(*g.st.deliveries.TableStreamArn()), "dynamodb:DescribeStream", "dynamodb:GetShardIterator", "dynamodb:GetRecords"),
		// Lambda's poller asks which streams there are, and this cannot be granted on less than all of them.
		// It reads nothing of them.
		allow(jsii.Strings("*"), "dynamodb:ListStreams"),
		allow(jsii.Strings(*g.st.deliveries.TableArn()), "dynamodb:PutItem"),
		allow(jsii.Strings(*g.st.directory.TableArn()), "dynamodb:GetItem"),
		g.keyed("dynamodb:PutItem", outgoingPrefix), // what the bus does not take
		allow(jsii.Strings(g.objects(cachePrefix)), "s3:DeleteObject"),
		allow(jsii.Strings(*g.qs.unannounced.QueueArn()), "sqs:SendMessage"),
		g.announce(),
		g.crypto("sqs", "dynamodb", "s3"),
	}
}

func (g grants) disconnect() []awsiam.PolicyStatement {
	return []awsiam.PolicyStatement{
		g.disable(),
		g.owned(),
		g.announce(),
		g.ends(),
		send(g.qs.notices, g.qs.ingest),
		// What it did not settle, Lambda puts there in its name.
		allow(jsii.Strings(*g.cs.missed.QueueArn()), "sqs:SendMessage"),
		g.crypto("sqs", "dynamodb"),
	}
}

func (g grants) notify() []awsiam.PolicyStatement {
	return []awsiam.PolicyStatement{
		consume(g.qs.notices),
		allow(jsii.Strings(*g.st.directory.TableArn()), "dynamodb:GetItem", "dynamodb:PutItem"), // claims
		awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Actions:   jsii.Strings("ses:SendEmail"),
			Resources: g.identities(),
			// SES holds the case of an address against an identity, and IAM's comparison need not do it again.
			Conditions: &map[string]any{"StringEqualsIgnoreCase": map[string]any{"ses:FromAddress": g.s.mailAddress()}},
		}),
		g.crypto("sqs", "dynamodb"),
	}
}

// admin may also change what deliver and disconnect only use. It lists deliveries and cannot open the bucket.
func (g grants) admin(schedules awsiam.IRole, attempts awslogs.ILogGroup) []awsiam.PolicyStatement {
	return []awsiam.PolicyStatement{
		allow(jsii.Strings(*g.st.directory.TableArn()),
			"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"),
		allow(jsii.Strings(index(*g.st.directory.TableArn(), listedIndex)), "dynamodb:Query"),
		g.owned(),
		allow(jsii.Strings(*g.st.deliveries.TableArn()), "dynamodb:Query"),
		send(g.qs.retry, g.qs.notices, g.qs.ingest),
		g.announce(),
		g.credentials("kms:Decrypt", "kms:GenerateDataKey"),
		allow(jsii.Strings(g.schedules()), "scheduler:CreateSchedule", "scheduler:GetSchedule", "scheduler:DeleteSchedule"),
		awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Actions:    jsii.Strings("iam:PassRole"),
			Resources:  jsii.Strings(*schedules.RoleArn()),
			Conditions: &map[string]any{"StringEquals": map[string]any{"iam:PassedToService": "scheduler.amazonaws.com"}},
		}),
		allow(jsii.Strings(*attempts.LogGroupArn()), "logs:FilterLogEvents"),
		// It tests destinations, as deliver would write to them.
		allow(jsii.Strings(g.roles()), "sts:AssumeRole"),
		g.noRoleOfOurs(),
		g.crypto("sqs", "dynamodb", "logs"),
	}
}

// owned lists a workspace and the destinations that it owns.
func (g grants) owned() awsiam.PolicyStatement {
	return allow(jsii.Strings(index(*g.st.directory.TableArn(), ownerIndex)), "dynamodb:Query")
}

// disable changes a destination's record, and draws a number for the change.
func (g grants) disable() awsiam.PolicyStatement {
	return allow(jsii.Strings(*g.st.directory.TableArn()), "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem")
}

// announce tells of changes on the bus.
func (g grants) announce() awsiam.PolicyStatement {
	return allow(jsii.Strings(*g.cs.bus.EventBusArn()), "events:PutEvents")
}

// told removes from the directory what was told, and nothing else.
func (g grants) told() awsiam.PolicyStatement {
	return g.keyed("dynamodb:DeleteItem", outgoingPrefix)
}

// ends removes what was told, and destinations whose eight hours after their deletion are over.
func (g grants) ends() awsiam.PolicyStatement {
	return g.keyed("dynamodb:DeleteItem", destinationPrefix, outgoingPrefix)
}

// keyed allows an action on items of the directory whose keys begin so, and on nothing else there.
func (g grants) keyed(action string, prefixes ...string) awsiam.PolicyStatement {
	keys := make([]string, len(prefixes))
	for i, p := range prefixes {
		keys[i] = p + "*"
	}
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:    jsii.Strings(action),
		Resources:  jsii.Strings(*g.st.directory.TableArn()),
		Conditions: &map[string]any{"ForAllValues:StringLike": map[string]any{"dynamodb:LeadingKeys": jsii.Strings(keys...)}},
	})
}

func send(qs ...queue) awsiam.PolicyStatement { return allow(arnsOf(qs), "sqs:SendMessage") }

// consume is what Lambda's poller does with a queue on behalf of the function.
func consume(qs ...queue) awsiam.PolicyStatement {
	return allow(arnsOf(qs), "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
}

func arnsOf(qs []queue) *[]*string {
	arns := make([]*string, len(qs))
	for i, q := range qs {
		arns[i] = q.QueueArn()
	}
	return &arns
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

// credentials allows the direct use of the key for the data keys of destinations' credentials, and for nothing else.
func (g grants) credentials(actions ...string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:    jsii.Strings(actions...),
		Resources:  jsii.Strings(*g.key.KeyArn()),
		Conditions: &map[string]any{"StringEquals": map[string]any{"kms:EncryptionContext:" + config.KeyPurposeName: config.KeyPurpose}},
	})
}

// roles are those that customers made for their S3 destinations, in their own accounts.
func (g grants) roles() string {
	return *g.stack.FormatArn(&awscdk.ArnComponents{
		Service:      jsii.String("iam"),
		Region:       jsii.String(""),
		Account:      jsii.String("*"),
		Resource:     jsii.String("role"),
		ResourceName: jsii.String(g.s.DestinationRoles),
	})
}

// noRoleOfOurs keeps a customer, who names the role of an S3 destination, from naming one of the deployment's own account.
func (g grants) noRoleOfOurs() awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Effect:  awsiam.Effect_DENY,
		Actions: jsii.Strings("sts:AssumeRole"),
		Resources: &[]*string{g.stack.FormatArn(&awscdk.ArnComponents{
			Service: jsii.String("iam"), Region: jsii.String(""), Resource: jsii.String("role"), ResourceName: jsii.String("*"),
		})},
	})
}

// schedules are those of the stage's group.
func (g grants) schedules() string {
	return *g.stack.FormatArn(&awscdk.ArnComponents{
		Service:      jsii.String("scheduler"),
		Resource:     jsii.String("schedule"),
		ResourceName: jsii.String(*g.cs.group.ScheduleGroupName() + "/*"),
	})
}

func (g grants) objects(prefix string) string { return objects(g.st, prefix) }

func objects(st stores, prefix string) string {
	return *st.payloads.ArnForObjects(jsii.String(prefix + "*"))
}

func index(table, name string) string { return table + "/index/" + name }

func allow(resources *[]*string, actions ...string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{Actions: jsii.Strings(actions...), Resources: resources})
}
