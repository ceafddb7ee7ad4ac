// Deliver takes logs from the queues ingest and retry to their destinations.
package main

import (
	"context"
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
	handler.QuoteNobody()
	c, err := config.Load[config.Deliver]()
	if err != nil {
		log.Fatal(err)
	}
	aws, err := session.Open(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	handler.UseMemory(c.MemoryMB)
	lines := delivery.NewLines(os.Stdout, c.MetricsNamespace)
	deliver, err := handler.Deliver(c, aws, lines)
	if err != nil {
		log.Fatal(err)
	}
	deliver.Done = func() { lines.Flush(time.Now()) }
	lambda.Start(deliver)
}
