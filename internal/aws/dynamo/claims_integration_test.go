//go:build integration

package dynamo

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/auditrelay/auditrelay/internal/notice"
	"github.com/auditrelay/auditrelay/internal/notice/porttest"
)

func TestClaims(t *testing.T) {
	everyServer(t, func(t *testing.T, client *dynamodb.Client) {
		porttest.Claims(t, func(t *testing.T) notice.Claims { return &Claims{Client: client, Table: createDirectory(t, client)} })
	})
}
