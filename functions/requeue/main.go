// Requeue sends what comes due from the cache to the queue retry, every minute.
package main

import (
	"context"
	"log"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/auditrelay/auditrelay/internal/aws/handler"
	"github.com/auditrelay/auditrelay/internal/aws/session"
	"github.com/auditrelay/auditrelay/internal/config"
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
	requeue, err := handler.Requeue(c, aws)
	if err != nil {
		log.Fatal(err)
	}
	lambda.Start(requeue.Run)
}
