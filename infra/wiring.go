package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"

	"github.com/auditrelay/auditrelay/internal/config"
)

// parts are what functions are wired to.
type parts struct {
	stack awscdk.Stack
	s     Props
	key   awskms.IKey
	qs    queues
	st    stores
	cs    connections
	post  post
}

// functionNames are the directories under the build directory.
func functionNames() []string {
	return []string{"deliver", "requeue", "expire", "disconnect", "notify", "admin"}
}

type functions struct {
	deliver, requeue, expire, disconnect, notify, admin deployed
}

func (fs functions) all() []deployed {
	return []deployed{fs.deliver, fs.requeue, fs.expire, fs.disconnect, fs.notify, fs.admin}
}

// ends are the queues with dead letters, and those that are dead-letter queues of other things than queues.
func (p parts) ends() []queue {
	return append(p.qs.all(), queue{dead: p.qs.unannounced}, queue{dead: p.cs.missed}, queue{dead: p.cs.untold})
}

func newFunctions(p parts) functions {
	fs := functions{
		deliver:    newFunction(p, p.deliver()),
		requeue:    newFunction(p, p.requeue()),
		expire:     newFunction(p, p.expire()),
		disconnect: newFunction(p, p.disconnect()),
		notify:     newFunction(p, p.notify()),
	}
	fs.admin = newFunction(p, p.admin(fs))
	triggerDeliver(p.stack, fs.deliver.Function, p.s, p.qs)
	triggerRequeue(p.stack, fs.requeue.Function, p.s, p.qs)
	triggerExpire(fs.expire.Function, p.s, p.qs, p.st)
	triggerDisconnect(fs.disconnect.Function, p.cs)
	triggerNotify(fs.notify.Function, p.s, p.qs)
	return fs
}

func (p parts) telemetry() config.Telemetry {
	return config.Telemetry{MetricsNamespace: p.s.metrics()}
}

func (p parts) network() config.Network {
	return config.Network{AllowPrivateCIDRs: p.s.AllowPrivateCIDRs, AllowHTTP: p.s.AllowHTTP}
}

func (p parts) stores() config.Stores {
	return config.Stores{DirectoryTable: *p.st.directory.TableName(), DeliveriesTable: *p.st.deliveries.TableName(), PayloadBucket: *p.st.payloads.BucketName()}
}

func (p parts) activity() config.Activity {
	return config.Activity{IngestQueueURL: *p.qs.ingest.QueueUrl(), EventBus: *p.cs.bus.EventBusArn()}
}

func (p parts) changes() config.Disconnect {
	return config.Disconnect{Telemetry: p.telemetry(), Activity: p.activity(), DirectoryTable: *p.st.directory.TableName(), NoticesQueueURL: *p.qs.notices.QueueUrl()}
}

func (p parts) deliver() function {
	return function{
		name:        "deliver",
		description: "Takes logs from the queues ingest and retry to their destinations",
		timeout:     deliverTimeout,
		memoryMB:    512,
		config: config.Deliver{
			Stores:           p.stores(),
			Telemetry:        p.telemetry(),
			Network:          p.network(),
			IngestQueueURL:   *p.qs.ingest.QueueUrl(),
			DeadLettersURL:   *p.qs.ingest.dead.QueueUrl(),
			DeadLettersARN:   *p.qs.ingest.dead.QueueArn(),
			RetryQueueURL:    *p.qs.retry.QueueUrl(),
			RetryQueueARN:    *p.qs.retry.QueueArn(),
			RejectedQueueURL: *p.qs.rejected.QueueUrl(),
			DrainQueueURL:    *p.qs.drain.QueueUrl(),
			NoticesQueueURL:  *p.qs.notices.QueueUrl(),
			EventBus:         *p.cs.bus.EventBusArn(),
			KeyARN:           *p.key.KeyArn(),

			KeepRejectedBodies: p.s.KeepRejectedBodies,
			Dedupe:             p.s.Dedupe,
		},
		reserved: p.s.ReservedConcurrency,
		loops:    true,
		may:      grants{p}.deliver(),
	}
}

func (p parts) requeue() function {
	return function{
		name:        "requeue",
		description: "Sends what comes due, and backlogs that are drained, from the cache to the queue retry",
		timeout:     requeueTimeout,
		memoryMB:    requeueMemoryMB,
		config: config.Requeue{
			Telemetry:       p.telemetry(),
			Activity:        p.activity(),
			DirectoryTable:  *p.st.directory.TableName(),
			DeliveriesTable: *p.st.deliveries.TableName(),
			RetryQueueURL:   *p.qs.retry.QueueUrl(),
			DrainQueueURL:   *p.qs.drain.QueueUrl(),
			NoticesQueueURL: *p.qs.notices.QueueUrl(),
		},
		loops: true,
		may:   grants{p}.requeue(),
	}
}

func (p parts) expire() function {
	return function{
		name:        "expire",
		description: "Announces failed events from the cache's stream",
		timeout:     expireTimeout,
		memoryMB:    expireMemoryMB,
		config:      config.Expire{Stores: p.stores(), Telemetry: p.telemetry(), EventBus: *p.cs.bus.EventBusArn()},
		may:         grants{p}.expire(),
	}
}

func (p parts) disconnect() function {
	return function{
		name:        "disconnect",
		description: "Disables or removes a destination eight hours after an admin disconnected or deleted it",
		timeout:     disconnectTimeout,
		memoryMB:    256,
		config:      p.changes(),
		may:         grants{p}.disconnect(),
	}
}

func (p parts) notify() function {
	return function{
		name:        "notify",
		description: "Mails what the queue notices says is due",
		timeout:     notifyTimeout,
		memoryMB:    256,
		config: config.Notify{
			Telemetry:            p.telemetry(),
			DirectoryTable:       *p.st.directory.TableName(),
			MailFrom:             p.s.MailFrom,
			MailReplyTo:          p.s.MailReplyTo,
			MailProduct:          p.s.MailProduct,
			MailOff:              p.s.MailOff,
			MailConfigurationSet: p.post.setName(),
			MailRegion:           p.s.MailRegion,
		},
		may: grants{p}.notify(),
	}
}

func (p parts) admin(fs functions) function {
	role := newScheduleRole(p, fs.disconnect)
	return function{
		name:        "admin",
		description: "Serves the management API",
		timeout:     adminTimeout,
		memoryMB:    512,
		config: config.Admin{
			Disconnect: p.changes(),
			Timers: config.Timers{
				ScheduleGroup:          *p.cs.group.ScheduleGroupName(),
				ScheduleRoleARN:        *role.RoleArn(),
				ScheduleDeadLettersARN: *p.cs.missed.QueueArn(),
				DisconnectFunctionARN:  *fs.disconnect.FunctionArn(),
			},
			Network:          p.network(),
			DeliveriesTable:  *p.st.deliveries.TableName(),
			RetryQueueURL:    *p.qs.retry.QueueUrl(),
			KeyARN:           *p.key.KeyArn(),
			AttemptsLogGroup: *fs.deliver.log.LogGroupName(),
			TrustedRoles:     *trustedRoles(p.stack, p.s),
		},
		may: grants{p}.admin(role, fs.deliver.log),
	}
}
