// Notify mails what the queue notices says is due.
package main

import (
	"context"
	"log"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/auditrelay/auditrelay/internal/aws/handler/notify"
	"github.com/auditrelay/auditrelay/internal/aws/session"
	"github.com/auditrelay/auditrelay/internal/config"
	"github.com/auditrelay/auditrelay/internal/notice"
)

func main() {
	c, err := config.Load[config.Notify]()
	if err != nil {
		log.Fatal(err)
	}
	aws, err := session.Open(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	handler, err := notify.New(c, aws, notice.NewLines(os.Stdout, c.MetricsNamespace))
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(handler.Handle)
}
