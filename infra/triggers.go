package infra

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventstargets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambdadestinations"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambdaeventsources"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"
)

const (
	// batch is how many messages deliver takes at once, waiting batchWindow for them. A hundred logs of 2 KiB an invocation cost a tenth of what
	// single ones do; more would put more destinations into one invocation than it can deal with at once.
	batch       = 100
	batchWindow = time.Second
	// notifyBatch is small, as ofNotices is.
	notifyBatch = 5
	// streamBatch is how many records of the stream expire takes at once. A batch of 1,000 takes half a second, so that one batch
	// of a shard after the other announces 2,000 ends a second.
	streamBatch = 1000
	// streamAge is how long expire tries a record of the stream. The stream itself forgets after 24 hours; the rest is time for a person.
	streamAge = 12 * time.Hour
)

func triggerDeliver(stack awscdk.Stack, deliver awslambda.Function, s Props, qs queues) {
	fromQueue(deliver, "Ingest", qs.ingest.Queue, s.shares().ingest, batch)
	fromQueue(deliver, "Retry", qs.retry.Queue, s.shares().retry, batch)
	// Dead letters are taken where they lie, when a person has ended the cause and says so. Moved back, they would be new
	// messages with seven new days.
	dead := fromQueue(deliver, "DeadLogs", qs.ingest.dead, leastOfQueue, batch)
	if raw, ok := dead.Node().DefaultChild().(awslambda.CfnEventSourceMapping); ok {
		raw.SetEnabled(jsii.Bool(false))
	}
	output(stack, "DeadLogsMapping", "The event source that takes the dead letters of ingest while it is enabled", dead.EventSourceMappingId())
}

func fromQueue(f awslambda.Function, id string, q awssqs.Queue, concurrency, batch int) awslambda.EventSourceMapping {
	options := &awslambda.EventSourceMappingOptions{
		EventSourceArn:          q.QueueArn(),
		BatchSize:               jsii.Number(batch),
		MaxConcurrency:          jsii.Number(concurrency),
		ReportBatchItemFailures: jsii.Bool(true),
	}
	if batch > 1 {
		options.MaxBatchingWindow = seconds(batchWindow)
	}
	return f.AddEventSourceMapping(jsii.String(id), options)
}

// triggerRequeue runs requeue every minute, and for every page of a drain: one page a run, because the largest takes most of a run's time. A run that failed is not repeated: the next one does its work, and a stale one would only stand in
// its way. So this asynchronous path needs no dead-letter queue: nothing is in the event. An alarm watches that runs end well.
func triggerRequeue(stack awscdk.Stack, requeue awslambda.Function, s Props, qs queues) {
	fromQueue(requeue, "Drain", qs.drain.Queue, s.shares().drain, 1)
	requeue.ConfigureAsyncInvoke(&awslambda.EventInvokeConfigOptions{RetryAttempts: jsii.Number(0), MaxEventAge: seconds(time.Minute)})
	awsevents.NewRule(stack, jsii.String("EveryMinute"), &awsevents.RuleProps{
		Description: jsii.String("Runs requeue"),
		Schedule:    awsevents.Schedule_Rate(seconds(time.Minute)),
		Targets: &[]awsevents.IRuleTarget{awseventstargets.NewLambdaFunction(requeue, &awseventstargets.LambdaFunctionProps{
			RetryAttempts: jsii.Number(0),
			MaxEventAge:   seconds(time.Minute),
		})},
	})
}

// triggerExpire follows the cache's stream. The filters keep the function, and its price, away from the traffic of deliveries. It sees failed
// events as they are recorded, deliveries that TTL removed, and items that named a document outside the table, which it removes.
func triggerExpire(expire awslambda.Function, s Props, qs queues, st stores) {
	failed := awslambda.FilterCriteria_Filter(&map[string]any{
		"eventName": []string{"INSERT"},
		"dynamodb":  map[string]any{"Keys": keyPrefix("F#")},
	})
	expired := awslambda.FilterCriteria_Filter(&map[string]any{
		"eventName":    []string{"REMOVE"},
		"userIdentity": map[string]any{"type": []string{"Service"}, "principalId": []string{"dynamodb.amazonaws.com"}},
		"dynamodb":     map[string]any{"Keys": keyPrefix("D#")},
	})
	outside := awslambda.FilterCriteria_Filter(&map[string]any{
		"eventName": []string{"REMOVE", "MODIFY"},
		"dynamodb":  map[string]any{"OldImage": map[string]any{"o": map[string]any{"S": awslambda.FilterRule_Exists()}}},
	})
	expire.AddEventSourceMapping(jsii.String("Deliveries"), &awslambda.EventSourceMappingOptions{
		EventSourceArn:          st.deliveries.TableStreamArn(),
		StartingPosition:        awslambda.StartingPosition_TRIM_HORIZON,
		Filters:                 &[]*map[string]any{failed, expired, outside},
		BatchSize:               jsii.Number(streamBatch),
		ParallelizationFactor:   jsii.Number(s.shares().stream),
		MaxBatchingWindow:       seconds(batchWindow),
		BisectBatchOnError:      jsii.Bool(true),
		ReportBatchItemFailures: jsii.Bool(true),
		MaxRecordAge:            seconds(streamAge),
		OnFailure:               awslambdaeventsources.NewSqsDlq(qs.unannounced),
	})
}

// triggerDisconnect bounds what happens to events of schedules, which Lambda takes from the scheduler and hands out by itself. What stays unsettled goes
// where the scheduler puts what it could not hand over.
func triggerDisconnect(disconnect awslambda.Function, cs connections) {
	disconnect.ConfigureAsyncInvoke(&awslambda.EventInvokeConfigOptions{
		RetryAttempts: jsii.Number(2), MaxEventAge: seconds(time.Hour), OnFailure: awslambdadestinations.NewSqsDestination(cs.missed),
	})
}

func triggerNotify(notify awslambda.Function, s Props, qs queues) {
	fromQueue(notify, "Notices", qs.notices.Queue, s.shares().notices, notifyBatch)
}

func keyPrefix(prefix string) map[string]any {
	return map[string]any{"pk": map[string]any{"S": awslambda.FilterRule_BeginsWith(jsii.String(prefix))}}
}
