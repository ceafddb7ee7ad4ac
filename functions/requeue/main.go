// Requeue sends what comes due from the cache to the queue retry, looks after the destinations that need it, and drains backlogs.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/auditrelay/auditrelay/internal/aws/handler"
	"github.com/auditrelay/auditrelay/internal/aws/session"
	"github.com/auditrelay/auditrelay/internal/config"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

func main() {
	c, err := config.Load[config.Requeue]()
	if err != nil {
		log.Fatal(err)
	}
	aws, err := session.Open(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	lines := delivery.NewLines(os.Stdout, c.MetricsNamespace)
	minute, err := handler.Requeue(c, aws, lines)
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(func(ctx context.Context, event json.RawMessage) (any, error) {
		defer func() { lines.Flush(time.Now()) }()
		return minute.Handle(ctx, event)
	})
}
