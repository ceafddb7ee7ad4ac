// Package handler wires the core to the adapters, one function a Lambda function. It decides nothing.
package handler

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awseventbridge "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/auditrelay/auditrelay/internal/aws/dynamo"
	"github.com/auditrelay/auditrelay/internal/aws/eventbridge"
	"github.com/auditrelay/auditrelay/internal/aws/kms"
	"github.com/auditrelay/auditrelay/internal/aws/objects"
	"github.com/auditrelay/auditrelay/internal/aws/sqs"
	"github.com/auditrelay/auditrelay/internal/config"
	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/sink"
	"github.com/auditrelay/auditrelay/internal/vault"
)

// Deliver takes the events of the queues ingest and retry.
func Deliver(c config.Deliver, account aws.Config, journal delivery.Journal) (*sqs.Handler, error) {
	private, err := c.Prefixes()
	if err != nil {
		return nil, err
	}
	database, queues := dynamodb.NewFromConfig(account), awssqs.NewFromConfig(account)
	bucket := objects.Open(account, c.PayloadBucket)
	cache, err := dynamo.NewCache(database, c.DeliveriesTable, bucket)
	if err != nil {
		return nil, err
	}
	remembered := &delivery.CachedDirectory{
		Source: &dynamo.Directory{Client: database, Table: c.DirectoryTable, Now: time.Now},
		TTL:    c.DirectoryTTL,
		Now:    time.Now,
		Fault:  faults(journal),
	}
	sinks := &sink.Factory{
		Vault:   Vault(c.DirectoryTable, c.KeyARN, account),
		Records: remembered,
		Network: sink.Network{AllowPrivate: private, AllowHTTP: c.AllowHTTP},
		Account: func(context.Context) (aws.Config, error) { return account, nil },
		Room:    sink.NewRoom(requestRoom(c.MemoryMB)),
		Now:     time.Now,
	}
	relay := func(fresh delivery.Source) *delivery.Deliver {
		d := &delivery.Deliver{
			FreshFrom:    fresh,
			HintsFrom:    &sqs.Source{Client: queues, URL: c.RetryQueueURL},
			Directory:    remembered,
			Destinations: remembered,
			Sinks:        sinks,
			Cache:        cache,
			Failed:       cache,
			Retries:      &sqs.RetryQueue{Client: queues, URL: c.RetryQueueURL},
			Rejected:     &sqs.RejectedQueue{Client: queues, URL: c.RejectedQueueURL, Objects: bucket, Bucket: c.PayloadBucket},
			Payloads:     bucket, PayloadBucket: c.PayloadBucket, KeepUnread: c.KeepRejectedBodies,
			Budget:  &dynamo.Budget{Client: database, Table: c.DirectoryTable},
			Notices: &sqs.NoticeQueue{Client: queues, URL: c.NoticesQueueURL},
			Drains:  &sqs.DrainQueue{Client: queues, URL: c.DrainQueueURL},
			Outbox: &connection.Outbox{ // of health alone, which is no activity of anybody
				Store: &dynamo.Directory{Client: database, Table: c.DirectoryTable},
				Bus:   &eventbridge.Bus{Client: awseventbridge.NewFromConfig(account), Name: c.EventBus},
				Now:   time.Now,
				Fault: faults(journal),
			},
			Journal:   journal,
			Now:       time.Now,
			TimeLimit: c.AttemptLimit,
		}
		if c.Dedupe {
			d.Receipts = cache
		}
		return d
	}
	h := &sqs.Handler{RetryQueueARN: c.RetryQueueARN, Journal: journal, Now: time.Now}
	if c.IngestQueueURL == "" {
		h.Relay = relay(nil)
	} else {
		h.Relay = relay(&sqs.Source{Client: queues, URL: c.IngestQueueURL})
	}
	if c.DeadLettersURL != "" {
		h.Dead, h.DeadLettersARN = relay(&sqs.Source{Client: queues, URL: c.DeadLettersURL}), c.DeadLettersARN
	}
	return h, nil
}

// Vault seals and opens the credentials in the table's records.
func Vault(table, keyARN string, account aws.Config) *vault.Vault {
	return &vault.Vault{
		Keys: &dynamo.Keys{Client: dynamodb.NewFromConfig(account), Table: table}, Wrapper: kms.Open(account, keyARN), Now: time.Now,
	}
}

// watchedAtOnce is how many destinations the watch looks at beside each other: eight calls each, for which package session keeps connections.
const watchedAtOnce = 8

// Requeue runs once a minute, and for each page of a drain.
func Requeue(c config.Requeue, account aws.Config, journal delivery.Journal) (*Minute, error) {
	database, queues := dynamodb.NewFromConfig(account), awssqs.NewFromConfig(account)
	cache, err := dynamo.NewCache(database, c.DeliveriesTable, nil) // it reads no documents, so it needs no bucket
	if err != nil {
		return nil, err
	}
	destinations := &dynamo.Directory{Client: database, Table: c.DirectoryTable, Now: time.Now}
	retries := &sqs.RetryQueue{Client: queues, URL: c.RetryQueueURL}
	outbox := Outbox(c.Activity, c.DirectoryTable, c.NoticesQueueURL, account, journal)
	disconnect := config.Disconnect{Activity: c.Activity, DirectoryTable: c.DirectoryTable, NoticesQueueURL: c.NoticesQueueURL}
	return &Minute{
		Requeue: &delivery.Requeue{Index: cache, Retries: retries, Now: time.Now, Budget: c.TimeLimit},
		Watch: &delivery.Watch{
			Attention: destinations, Destinations: destinations, Backlog: cache, Progress: cache, Retries: retries, Now: time.Now,
			Notices:  &sqs.NoticeQueue{Client: queues, URL: c.NoticesQueueURL},
			Drains:   &sqs.DrainQueue{Client: queues, URL: c.DrainQueueURL},
			Sweep:    outbox.Sweep,
			EndGrace: Connections(disconnect, nil, account, outbox).EndGrace,
			Journal:  journal,
			AtOnce:   watchedAtOnce,
			Budget:   c.TimeLimit,
		},
		Drain: &delivery.Drain{
			Destinations: destinations, Backlog: cache, Latest: cache.Latest(), Progress: cache, Retries: retries, Journal: journal, Now: time.Now,
		},
		Journal: journal,
	}, nil
}

// Expire takes the events of the stream of the table deliveries.
func Expire(c config.Expire, account aws.Config, journal delivery.Journal) (*dynamo.Stream, error) {
	database := dynamodb.NewFromConfig(account)
	bucket := objects.Open(account, c.PayloadBucket)
	cache, err := dynamo.NewCache(database, c.DeliveriesTable, bucket)
	if err != nil {
		return nil, err
	}
	destinations := &dynamo.Directory{Client: database, Table: c.DirectoryTable}
	expire := &delivery.Expire{
		Directory: destinations, Failed: cache, Outbox: destinations, Journal: journal, Now: time.Now,
		Bus: &eventbridge.Bus{Client: awseventbridge.NewFromConfig(account), Name: c.EventBus},
	}
	return &dynamo.Stream{Expire: expire, Objects: bucket, Journal: journal, Now: time.Now}, nil
}
