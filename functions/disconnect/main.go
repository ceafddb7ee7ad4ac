// Disconnect disables a destination at the end of the eight hours after an admin disconnected it.
package main

import (
	"context"
	"log"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/auditrelay/auditrelay/internal/aws/handler"
	"github.com/auditrelay/auditrelay/internal/aws/scheduler"
	"github.com/auditrelay/auditrelay/internal/aws/session"
	"github.com/auditrelay/auditrelay/internal/config"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

func main() {
	c, err := config.Load[config.Disconnect]()
	if err != nil {
		log.Fatal(err)
	}
	aws, err := session.Open(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	lines := delivery.NewLines(os.Stdout, c.MetricsNamespace)
	disconnect := handler.Disconnect(c, aws, lines)
	lambda.Start(func(ctx context.Context, e scheduler.Event) error {
		defer func() { lines.Flush(time.Now()) }()
		return disconnect(ctx, e)
	})
}
