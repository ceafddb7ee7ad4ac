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
)

// Audit is where changes are told.
func Audit(c config.Activity, account aws.Config) *connection.Recorder {
	return &connection.Recorder{
		Logs: &sqs.ActivityQueue{Client: awssqs.NewFromConfig(account), URL: c.IngestQueueURL},
		Bus:  &eventbridge.Bus{Client: awseventbridge.NewFromConfig(account), Name: c.EventBus},
	}
}

// Timers are the one-time schedules.
func Timers(c config.Timers, account aws.Config) *scheduler.Timers {
	return &scheduler.Timers{
		Client: awsscheduler.NewFromConfig(account), Group: c.ScheduleGroup, RoleARN: c.ScheduleRoleARN,
		TargetARN: c.DisconnectFunctionARN, DeadLettersARN: c.ScheduleDeadLettersARN, KeyARN: c.ScheduleKeyARN,
	}
}

// Connections changes connections. Without timers it can only disable, by Fire.
func Connections(c config.Disconnect, timers connection.Timers, account aws.Config) *connection.Service {
	return &connection.Service{
		Store:   &dynamo.Directory{Client: dynamodb.NewFromConfig(account), Table: c.DirectoryTable, Now: time.Now},
		Timers:  timers,
		Notices: &sqs.NoticeQueue{Client: awssqs.NewFromConfig(account), URL: c.NoticesQueueURL},
		Audit:   Audit(c.Activity, account),
		Now:     time.Now,
	}
}

// Disconnect takes the events of the one-time schedules.
func Disconnect(c config.Disconnect, account aws.Config) func(context.Context, scheduler.Event) error {
	connections := Connections(c, nil, account)
	return func(ctx context.Context, e scheduler.Event) error {
		return connections.Fire(ctx, e.DestinationID, e.Generation)
	}
}
