package handler

import (
	"context"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awseventbridge "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	awsscheduler "github.com/aws/aws-sdk-go-v2/service/scheduler"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/auditrelay/auditrelay/internal/aws/dynamo"
	"github.com/auditrelay/auditrelay/internal/aws/eventbridge"
	"github.com/auditrelay/auditrelay/internal/aws/scheduler"
	"github.com/auditrelay/auditrelay/internal/aws/ses"
	"github.com/auditrelay/auditrelay/internal/aws/sqs"
	"github.com/auditrelay/auditrelay/internal/config"
	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/notice"
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
		Store:   &dynamo.Directory{Client: dynamodb.NewFromConfig(account), Table: c.DirectoryTable},
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

// Notify takes the events of the queue notices.
func Notify(c config.Notify, account aws.Config, journal notice.Journal) (*sqs.NoticeHandler, error) {
	if err := c.CheckMailOff(); err != nil {
		return nil, err
	}
	from, err := mail.ParseAddress(c.MailFrom)
	if err != nil {
		return nil, fmt.Errorf("MAIL_FROM must be a mail address such as notices@acme.example: %w", err)
	}
	templates, err := notice.Templates()
	if err != nil {
		return nil, err
	}
	renderer, err := notice.NewRenderer(templates, c.MailLocale, c.MailProduct, listID(from.Address))
	if err != nil {
		return nil, err
	}
	off := make(map[directory.NoticeKind]bool, len(c.MailOff))
	for _, kind := range c.MailOff {
		off[directory.NoticeKind(kind)] = true
	}
	database := dynamodb.NewFromConfig(account)
	notify := &notice.Notify{
		Directory: &dynamo.Directory{Client: database, Table: c.DirectoryTable},
		Claims:    &dynamo.Claims{Client: database, Table: c.DirectoryTable},
		Mailer:    ses.New(account, ses.Sender{From: c.MailFrom, ReplyTo: c.MailReplyTo, ConfigurationSet: c.MailConfigurationSet}),
		Renderer:  renderer, Journal: journal, Now: time.Now, Off: off,
	}
	return &sqs.NoticeHandler{Notifier: notify, Journal: journal, Now: time.Now}, nil
}

// listID is the List-Id of the mails of a sender, RFC 2919: the same for all of them, and nobody else's.
func listID(from string) string {
	return "<connection-notices." + from[strings.LastIndexByte(from, '@')+1:] + ">"
}
