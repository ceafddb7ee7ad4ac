package main

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"
)

const (
	day = 24 * time.Hour
	// longest is the longest that SQS keeps a message. Moving to a dead-letter queue does not restart the count.
	longest = 14 * day
	// visibilityFactor times the function's time-out is how long Lambda asks a message to stay hidden, so that throttled batches can be tried again.
	visibilityFactor = 6
	// keyReuse is how long SQS may use a data key before it asks the key service, which costs money a call, for the next.
	keyReuse = time.Hour
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
	// receives is how often a message is handed out before it counts as dead.
	receives float64
	// dead is how long a dead message is kept, counted from when it was first sent; 0 for as long as SQS can.
	dead time.Duration
}

func newQueues(stack awscdk.Stack, key awskms.IKey) queues {
	return queues{
		// Producers' logs: kept as long as SQS can, so that an outage of our own loses none.
		ingest: newQueue(stack, key, "Ingest", queueSpec{consumer: deliverTimeout, retention: longest, receives: 10}),
		// Hints: kept briefly, since requeue sends every lost one again and old ones would only pile up.
		// Nobody need do anything about a dead one, so they go by themselves, and the alarm with them.
		retry: newQueue(stack, key, "Retry", queueSpec{consumer: deliverTimeout, retention: time.Hour, receives: 5, dead: day}),
		drain: newQueue(stack, key, "Drain", queueSpec{consumer: requeueTimeout, retention: day, receives: 10}),
		// Mails that are due: tried for two days, since SES may have no room for a day, and then on the dead-letter queue before they are forgotten.
		notices: newQueue(stack, key, "Notices", queueSpec{
			consumer: notifyTimeout, retention: 4 * day, receives: float64(2 * day / (visibilityFactor * notifyTimeout)),
		}),
		// Rejected messages wait for a person. No function reads them; a thousand looks (SQS' limit) move one on, where it stays in sight.
		rejected:    newQueue(stack, key, "Rejected", queueSpec{consumer: time.Minute, retention: longest, receives: 1000}),
		unannounced: newDeadLetters(stack, key, "Unannounced", longest),
	}
}

func newQueue(stack awscdk.Stack, key awskms.IKey, id string, spec queueSpec) queue {
	if spec.dead == 0 {
		spec.dead = longest
	}
	dead := newDeadLetters(stack, key, id+"DeadLetters", spec.dead)
	props := encrypted(key, spec.retention)
	props.VisibilityTimeout = seconds(visibilityFactor * spec.consumer)
	props.DeadLetterQueue = &awssqs.DeadLetterQueue{Queue: dead, MaxReceiveCount: jsii.Number(spec.receives)}
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
