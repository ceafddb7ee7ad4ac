package handler

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/auditrelay/auditrelay/internal/admin"
	"github.com/auditrelay/auditrelay/internal/aws/attempts"
	"github.com/auditrelay/auditrelay/internal/aws/dynamo"
	"github.com/auditrelay/auditrelay/internal/aws/restapi"
	"github.com/auditrelay/auditrelay/internal/aws/sqs"
	"github.com/auditrelay/auditrelay/internal/config"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/sink"
)

// Admin takes the requests of the REST API.
func Admin(c config.Admin, account aws.Config, journal delivery.Journal) (http.Handler, error) {
	private, err := c.Prefixes()
	if err != nil {
		return nil, err
	}
	database := dynamodb.NewFromConfig(account)
	directory := &dynamo.Directory{Client: database, Table: c.DirectoryTable, Now: time.Now}
	cache, err := dynamo.NewCache(database, c.DeliveriesTable, nil) // lists read no documents
	if err != nil {
		return nil, err
	}
	outbox := Outbox(c.Activity, c.DirectoryTable, c.NoticesQueueURL, account, journal)
	api := &admin.API{
		Workspaces:   directory,
		Destinations: directory,
		Listing:      directory,
		Vault:        Vault(c.DirectoryTable, c.KeyARN, account),
		Connections:  Connections(c.Disconnect, Timers(c.Timers, account), account, outbox),
		Outbox:       outbox,
		Pending:      cache,
		Failed:       cache,
		Attempts:     &attempts.Reader{Client: cloudwatchlogs.NewFromConfig(account), Group: c.AttemptsLogGroup, TimeLimit: c.SearchLimit},
		Retries:      &sqs.RetryQueue{Client: awssqs.NewFromConfig(account), URL: c.RetryQueueURL},
		TrustedRoles: c.TrustedRoles,
		Network:      sink.Network{AllowPrivate: private, AllowHTTP: c.AllowHTTP},
		Account:      func(context.Context) (aws.Config, error) { return account, nil },
		Now:          time.Now,
		Caller:       restapi.Caller,
		Journal:      journal,
		Fault:        faults(journal),
	}
	return api.Handler(), nil
}
