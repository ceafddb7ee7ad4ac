// Package handler wires the core to the adapters, one function a Lambda function. It decides nothing.
package handler

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/auditrelay/auditrelay/internal/aws/dynamo"
	"github.com/auditrelay/auditrelay/internal/aws/objects"
	"github.com/auditrelay/auditrelay/internal/aws/secrets"
	"github.com/auditrelay/auditrelay/internal/aws/sqs"
	"github.com/auditrelay/auditrelay/internal/config"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/sink"
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
	relay := &delivery.Deliver{
		Directory: &delivery.CachedDirectory{
			Source: &dynamo.Directory{Client: database, Table: c.DirectoryTable},
			TTL:    c.DirectoryTTL,
			Now:    time.Now,
		},
		Sinks: &sink.Factory{
			Secrets: &secrets.Manager{Client: secretsmanager.NewFromConfig(account), Prefix: c.SecretPrefix, Now: time.Now},
			Network: sink.Network{AllowPrivate: private, AllowHTTP: c.AllowHTTP},
			Now:     time.Now,
		},
		Cache:    cache,
		Failed:   cache,
		Retries:  &sqs.RetryQueue{Client: queues, URL: c.RetryQueueURL},
		Rejected: &sqs.RejectedQueue{Client: queues, URL: c.RejectedQueueURL, Objects: bucket, Bucket: c.PayloadBucket},
		Journal:  journal,
		Now:      time.Now,
		Budget:   c.AttemptBudget,
	}
	return &sqs.Handler{Relay: relay, RetryQueueARN: c.RetryQueueARN, Journal: journal, Now: time.Now}, nil
}

// Requeue runs once a minute. It reads no documents, so it needs no bucket.
func Requeue(c config.Requeue, account aws.Config) (*delivery.Requeue, error) {
	index, err := dynamo.NewCache(dynamodb.NewFromConfig(account), c.DeliveriesTable, nil)
	if err != nil {
		return nil, err
	}
	retries := &sqs.RetryQueue{Client: awssqs.NewFromConfig(account), URL: c.RetryQueueURL}
	return &delivery.Requeue{Index: index, Retries: retries, Now: time.Now, Budget: c.Budget}, nil
}

// Expire takes the events of the stream of the table deliveries.
func Expire(c config.Expire, account aws.Config, journal delivery.Journal) (*dynamo.Stream, error) {
	database := dynamodb.NewFromConfig(account)
	bucket := objects.Open(account, c.PayloadBucket)
	cache, err := dynamo.NewCache(database, c.DeliveriesTable, bucket)
	if err != nil {
		return nil, err
	}
	expire := &delivery.Expire{Directory: &dynamo.Directory{Client: database, Table: c.DirectoryTable}, Failed: cache, Journal: journal, Now: time.Now}
	return &dynamo.Stream{Expire: expire, Objects: bucket, Journal: journal, Now: time.Now}, nil
}
