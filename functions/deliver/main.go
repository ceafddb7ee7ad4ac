// Deliver takes logs from the queues ingest and retry to their destinations.
package main

import (
	"context"
	"log"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/auditrelay/auditrelay/internal/aws/handler"
	"github.com/auditrelay/auditrelay/internal/aws/session"
	"github.com/auditrelay/auditrelay/internal/config"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

func main() {
	c, err := config.Load[config.Deliver]()
	if err != nil {
		log.Fatal(err)
	}
	aws, err := session.Open(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	lines := delivery.NewLines(os.Stdout, c.MetricsNamespace)
	deliver, err := handler.Deliver(c, aws, lines)
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(func(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
		defer func() { lines.Flush(time.Now()) }()
		return deliver.Handle(ctx, e)
	})
}
