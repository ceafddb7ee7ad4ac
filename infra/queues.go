package infra

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

const (
	day = 24 * time.Hour
	// longest is the longest that SQS keeps a message. Moving to a dead-letter queue does not restart the count.
	longest = 14 * day
	// mostReceives is how often SQS can hand a message out before it moves it
	// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue.html).
	mostReceives = 1000
	// visibilityFactor times the function's time-out, and the batching window, is how long Lambda asks a message to
	// stay hidden, so that throttled batches can be tried again
	// (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html).
	visibilityFactor = 6
	// keyReuse is how long SQS may use a data key before it asks the key service, which costs money a call, for the next.
	keyReuse = time.Hour

	// drainPatience is how long a page of a drain comes back by itself.
	drainPatience = 12 * time.Hour
	// noticesPatience is a day in which AWS answers who wants to leave SES's sandbox, and the three days that SES waits
	// for a domain's DNS records (https://docs.aws.amazon.com/ses/latest/dg/creating-identities.html).
	noticesPatience = 4 * day
)

// queues are the ways into and through the system. Each has a dead-letter queue.
type queues struct {
	ingest, retry, drain, notices, rejected queue
	// unannounced takes the places of stream records that expire could not deal with.
	unannounced awssqs.Queue
}

// all are the queues that have a dead-letter queue.
func (qs queues) all() []queue {
	return []queue{qs.ingest, qs.retry, qs.drain, qs.notices, qs.rejected}
}

// queue is a queue and where its messages go that were handed out too often.
type queue struct {
	awssqs.Queue
	dead awssqs.Queue
}

// queueSpec is in what queues differ.
type queueSpec struct {
	// consumer is the time-out of the function that reads the queue.
	consumer  time.Duration
	retention time.Duration
	// patience is for how long a message comes back that is never settled, before it counts as dead. Each time costs one of
	// mostReceives, so the visibility time-out is a share of it at least.
	patience time.Duration
	// dead is how long a dead message is kept, counted from when it was first sent; 0 for as long as SQS can.
	dead time.Duration
}

// visibility is how long a message stays hidden that was handed out, in whole minutes.
func (s queueSpec) visibility() time.Duration {
	least := max(visibilityFactor*s.consumer+batchWindow, s.patience/mostReceives)
	return (least + time.Minute - 1).Truncate(time.Minute)
}

// receives is how often a message is handed out before it counts as dead.
func (s queueSpec) receives() int {
	return int((s.patience + s.visibility() - 1) / s.visibility())
}

// retention of a queue with patience is longer than that: SQS drops a message at the end of its retention, and moves
// none to the dead letters for its age, so that no alarm would tell of it.
func newQueues(stack awscdk.Stack, key awskms.IKey) queues {
	return queues{
		// Producers' logs, which come back for as long as a log may live; so an outage of our own makes no dead letters, and no
		// log begins anew. What ends the process again and again is a dead letter before it is dropped.
		ingest: newQueue(stack, key, "Ingest", ingestSpec()),
		// Hints: kept briefly, since requeue sends every lost one again and old ones would only pile up.
		// Nobody need do anything about a dead one, so they go by themselves, and the alarm with them.
		retry: newQueue(stack, key, "Retry", queueSpec{consumer: deliverTimeout, retention: time.Hour, patience: 30 * time.Minute, dead: day}),
		drain: newQueue(stack, key, "Drain", queueSpec{consumer: requeueTimeout, retention: day, patience: drainPatience}),
		// Mails that are due: worth sending also after a long weekend without SES.
		notices: newQueue(stack, key, "Notices", queueSpec{consumer: notifyTimeout, retention: longest, patience: noticesPatience}),
		// Rejected messages wait for a person. No function reads them; a thousand looks move one on, where it stays in sight.
		rejected:    newQueue(stack, key, "Rejected", queueSpec{consumer: time.Minute, retention: longest, patience: mostReceives * 7 * time.Minute}),
		unannounced: newDeadLetters(stack, key, "Unannounced", longest),
	}
}

// ingestSpec is that of the queue ingest, whose numbers are the core's.
func ingestSpec() queueSpec {
	return queueSpec{consumer: deliverTimeout, retention: longest, patience: delivery.Lifetime}
}

func newQueue(stack awscdk.Stack, key awskms.IKey, id string, spec queueSpec) queue {
	if spec.dead == 0 {
		spec.dead = longest
	}
	props := encrypted(key, spec.dead)
	props.VisibilityTimeout = seconds(spec.visibility())
	dead := awssqs.NewQueue(stack, jsii.String(id+"DeadLetters"), props)
	props = encrypted(key, spec.retention)
	props.VisibilityTimeout = seconds(spec.visibility())
	props.DeadLetterQueue = &awssqs.DeadLetterQueue{Queue: dead, MaxReceiveCount: jsii.Number(spec.receives())}
	return queue{Queue: awssqs.NewQueue(stack, jsii.String(id), props), dead: dead}
}

func newDeadLetters(stack awscdk.Stack, key awskms.IKey, id string, retention time.Duration) awssqs.Queue {
	return awssqs.NewQueue(stack, jsii.String(id), encrypted(key, retention))
}

func encrypted(key awskms.IKey, retention time.Duration) *awssqs.QueueProps {
	return &awssqs.QueueProps{
		Encryption:          awssqs.QueueEncryption_KMS,
		EncryptionMasterKey: key,
		DataKeyReuse:        seconds(keyReuse),
		EnforceSSL:          jsii.Bool(true),
		RetentionPeriod:     seconds(retention),
	}
}

func seconds(d time.Duration) awscdk.Duration {
	return awscdk.Duration_Seconds(jsii.Number(d.Seconds()))
}
