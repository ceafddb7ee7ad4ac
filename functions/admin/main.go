// Admin serves the management API behind a REST API, which takes IAM-signed requests only.
package main

import (
	"context"
	"log"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/auditrelay/auditrelay/internal/aws/handler"
	"github.com/auditrelay/auditrelay/internal/aws/restapi"
	"github.com/auditrelay/auditrelay/internal/aws/session"
	"github.com/auditrelay/auditrelay/internal/config"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

func main() {
	handler.QuoteNobody()
	c, err := config.Load[config.Admin]()
	if err != nil {
		log.Fatal(err)
	}
	aws, err := session.Open(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	lines := delivery.NewLines(os.Stdout, c.MetricsNamespace)
	api, err := handler.Admin(c, aws, lines)
	if err != nil {
		log.Fatal(err)
	}
	answer := restapi.Handler(api)
	lambda.Start(func(ctx context.Context, r events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
		defer func() { lines.Flush(time.Now()) }()
		return answer(ctx, r)
	})
}
