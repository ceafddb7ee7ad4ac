// Expire follows the stream of the table deliveries: it records and announces failed events.
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
	c, err := config.Load[config.Expire]()
	if err != nil {
		log.Fatal(err)
	}
	aws, err := session.Open(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	lines := delivery.NewLines(os.Stdout, c.MetricsNamespace)
	stream, err := handler.Expire(c, aws, lines)
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(func(ctx context.Context, e events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
		defer func() { lines.Flush(time.Now()) }()
		return stream.Handle(ctx, e)
	})
}
