package sqs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// maxDelay is the longest delay that a queue takes.
const maxDelay = 900 * time.Second

// RetryQueue is the queue of hints, a fair queue by destination. It implements delivery.RetryQueue.
type RetryQueue struct {
	Client *sqs.Client
	URL    string
}

// hint is a hint on the queue. Times are in milliseconds.
type hint struct {
	Destination string `json:"d"`
	Workspace   string `json:"w"`
	Log         string `json:"l"`
	Accepted    int64  `json:"a"`
	Hash        string `json:"h,omitempty"`
	At          int64  `json:"t"`
	Drain       bool   `json:"n,omitempty"`
	Reserved    bool   `json:"r,omitempty"`
	Why         string `json:"y,omitempty"`
}

// Send implements delivery.RetryQueue.
func (q *RetryQueue) Send(ctx context.Context, rides []delivery.Ride) []error {
	errs := make([]error, len(rides))
	var entries []types.SendMessageBatchRequestEntry
	var places []int
	for i, r := range rides {
		if r.Delay < 0 || r.Delay > maxDelay || r.Delay%time.Second != 0 {
			errs[i] = fmt.Errorf("delay of %v: a queue takes whole seconds from 0 to %v", r.Delay, maxDelay)
			continue
		}
		entries = append(entries, rideEntry(r))
		places = append(places, i)
	}
	for j, err := range send(ctx, q.Client, q.URL, entries) {
		errs[places[j]] = err
	}
	return errs
}

func rideEntry(r delivery.Ride) types.SendMessageBatchRequestEntry {
	body, err := json.Marshal(hint{r.DestinationID, r.WorkspaceID, r.LogID, r.AcceptedAt.UnixMilli(), r.Hash, r.At.UnixMilli(), r.Drain, r.Reserved, string(r.Why)})
	if err != nil {
		panic("sqs: a struct of strings and numbers is no JSON: " + err.Error())
	}
	return types.SendMessageBatchRequestEntry{
		MessageBody:    aws.String(string(body)),
		DelaySeconds:   int32(r.Delay / time.Second),
		MessageGroupId: aws.String(r.DestinationID),
	}
}

var errNoHint = errors.New("a message of the retry queue is no hint; it was dropped")

func parseHint(body string) (delivery.Hint, error) {
	var h hint
	if err := json.Unmarshal([]byte(body), &h); err != nil {
		return delivery.Hint{}, errNoHint
	}
	if h.Destination == "" || h.Workspace == "" || h.Log == "" || h.Accepted <= 0 || h.At <= 0 {
		return delivery.Hint{}, errNoHint
	}
	return delivery.Hint{
		Key: delivery.Key{
			DestinationID: h.Destination,
			WorkspaceID:   h.Workspace,
			LogID:         h.Log,
			AcceptedAt:    time.UnixMilli(h.Accepted).UTC(),
			Hash:          h.Hash,
		},
		At:       time.UnixMilli(h.At).UTC(),
		Drain:    h.Drain,
		Reserved: h.Reserved,
		Why:      delivery.Why(h.Why),
	}, nil
}
