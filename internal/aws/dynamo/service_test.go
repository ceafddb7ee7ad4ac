package dynamo

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// service is a scripted DynamoDB. It counts calls.
type service struct {
	// answer gives a call's response as JSON, or an error type such as "ThrottlingException".
	answer func(operation string, request map[string]any) (response, failure string)

	mu    sync.Mutex
	calls map[string]int
}

// RoundTrip implements http.RoundTripper.
func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var request map[string]any
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return nil, fmt.Errorf("a request that is no JSON: %w", err)
	}
	s.mu.Lock()
	if s.calls == nil {
		s.calls = make(map[string]int)
	}
	s.calls[operation]++
	s.mu.Unlock()
	body, status := "{}", http.StatusOK
	if s.answer != nil {
		response, failure := s.answer(operation, request)
		if response != "" {
			body = response
		}
		if failure != "" {
			body, status = fmt.Sprintf(`{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":"scripted"}`, failure), http.StatusBadRequest
		}
	}
	header := http.Header{"Content-Type": {"application/x-amz-json-1.0"}}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// made tells the calls so far, such as "BatchWriteItem 4".
func (s *service) made() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, operation := range slices.Sorted(maps.Keys(s.calls)) {
		list = append(list, fmt.Sprintf("%s %d", operation, s.calls[operation]))
	}
	return list
}

// client leads to the scripted service, without retries of its own.
func (s *service) client() *dynamodb.Client {
	return dynamodb.NewFromConfig(aws.Config{
		Region:      "eu-central-1",
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient:  &http.Client{Transport: s},
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
	})
}

func (s *service) cache(t *testing.T, objects Objects) *Cache {
	t.Helper()
	c, err := NewCache(s.client(), "deliveries", objects)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
