package handler

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awseventbridge "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	awsscheduler "github.com/aws/aws-sdk-go-v2/service/scheduler"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/auditrelay/auditrelay/internal/aws/dynamo"
	"github.com/auditrelay/auditrelay/internal/aws/eventbridge"
	"github.com/auditrelay/auditrelay/internal/aws/scheduler"
	"github.com/auditrelay/auditrelay/internal/aws/sqs"
	"github.com/auditrelay/auditrelay/internal/config"
	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

// Outbox tells of changes that were stored in the table. Notices is the URL of their queue.
func Outbox(c config.Activity, table, notices string, account aws.Config, journal delivery.Journal) *connection.Outbox {
	return &connection.Outbox{
		Store:   &dynamo.Directory{Client: dynamodb.NewFromConfig(account), Table: table},
		Logs:    &sqs.ActivityQueue{Client: awssqs.NewFromConfig(account), URL: c.IngestQueueURL},
		Bus:     &eventbridge.Bus{Client: awseventbridge.NewFromConfig(account), Name: c.EventBus},
		Notices: &sqs.NoticeQueue{Client: awssqs.NewFromConfig(account), URL: notices},
		Now:     time.Now,
		Fault:   faults(journal),
	}
}

// faults writes errors of our own down, with what they concern.
func faults(journal delivery.Journal) func(error) {
	return func(err error) {
		for _, e := range delivery.Faults(err, time.Now()) {
			journal.Record(e)
		}
	}
}

// Timers are the one-time schedules.
func Timers(c config.Timers, account aws.Config) *scheduler.Timers {
	return &scheduler.Timers{
		Client: awsscheduler.NewFromConfig(account), Group: c.ScheduleGroup, RoleARN: c.ScheduleRoleARN,
		TargetARN: c.DisconnectFunctionARN, DeadLettersARN: c.ScheduleDeadLettersARN, KeyARN: c.ScheduleKeyARN,
	}
}

// Connections changes connections. Without timers it can only end a grace, by Fire.
func Connections(c config.Disconnect, timers connection.Timers, account aws.Config, outbox *connection.Outbox) *connection.Service {
	return &connection.Service{
		Store:   &dynamo.Directory{Client: dynamodb.NewFromConfig(account), Table: c.DirectoryTable, Now: time.Now},
		Timers:  timers,
		Notices: &sqs.NoticeQueue{Client: awssqs.NewFromConfig(account), URL: c.NoticesQueueURL},
		Outbox:  outbox,
		Now:     time.Now,
	}
}

// Disconnect takes the events of the one-time schedules.
func Disconnect(c config.Disconnect, account aws.Config, journal delivery.Journal) func(context.Context, scheduler.Event) error {
	connections := Connections(c, nil, account, Outbox(c.Activity, c.DirectoryTable, c.NoticesQueueURL, account, journal))
	fault := faults(journal)
	return func(ctx context.Context, e scheduler.Event) error {
		err := connections.Fire(ctx, connection.Timer{DestinationID: e.DestinationID, Incarnation: e.Incarnation, Generation: e.Generation})
		fault(err) // the line of the returned error has no fields
		return err
	}
}
