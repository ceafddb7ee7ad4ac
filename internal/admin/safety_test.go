package admin_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/auditrelay/auditrelay/internal/admin"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

// bug is a port that panics, or fails with an error that tells too much.
type bug struct{ err error }

func (b bug) Pending(context.Context, string, delivery.Key, int) ([]delivery.Delivery, error) {
	if b.err == nil {
		panic("arn:aws:dynamodb:secret-place")
	}
	return nil, b.err
}

func (b bug) OldestPending(ctx context.Context, id string) ([]delivery.Delivery, error) {
	return b.Pending(ctx, id, delivery.Key{}, 1)
}

func TestClientsSeeNothingOfOurOwnFailures(t *testing.T) {
	for name, port := range map[string]admin.Pending{"a panic": bug{}, "an error": bug{errors.New("arn:aws:dynamodb:secret-place")}} {
		w := newWorld(t)
		w.Pending = port
		w.handler = w.Handler()
		got := w.want(t, http.StatusInternalServerError, http.MethodGet, "/v1/deliveries?destination_id=siem", "")
		if strings.Contains(got.text, "secret-place") || strings.Contains(got.text, "goroutine") || got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: the client sees %s", name, got.text)
		}
		if len(w.faults) != 1 || !strings.Contains(w.faults[0], "secret-place") {
			t.Errorf("%s: the operator sees %q", name, w.faults)
		}
	}
}

// TestManyAdminsAtOnce has each of a hundred change the destination on what they have read: one of them wins, the others are told.
func TestManyAdminsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.seed(t)
	tag := w.want(t, http.StatusOK, http.MethodGet, "/v1/destinations/siem", "").header.Get("ETag")
	answers := make([]int, 100)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			body := fmt.Sprintf(`{"name":"name %d","credentials":{"bearer":"name %d"},"verify":false}`, i, i)
			answers[i] = w.call(t, http.MethodPatch, "/v1/destinations/siem", body, "If-Match", tag).status
		})
	}
	wg.Wait()
	won := 0
	for _, status := range answers {
		switch status {
		case http.StatusOK:
			won++
		case http.StatusPreconditionFailed:
		default:
			t.Errorf("an admin got %d", status)
		}
	}
	if won != 1 {
		t.Errorf("%d admins won, want 1", won)
	}
	d, err := w.directory.CurrentDestination(t.Context(), "siem")
	if err != nil {
		t.Fatal(err)
	}
	if c := w.credentials(t, "siem"); c != fmt.Sprintf(`{"bearer":%q}`, d.Name) {
		t.Errorf("%q won, but the credentials are %s", d.Name, c)
	}
	w.want(t, http.StatusOK, http.MethodPost, "/v1/destinations/siem/disconnect", "")
	for i := range answers {
		wg.Go(func() {
			answers[i] = w.call(t, http.MethodPost, "/v1/destinations/siem/reconnect?verify=false", "").status
		})
	}
	wg.Wait()
	won = 0
	for _, status := range answers {
		if status == http.StatusOK {
			won++
		} else if status != http.StatusConflict {
			t.Errorf("an admin got %d", status)
		}
	}
	if won != 1 {
		t.Errorf("%d admins reconnected, want 1", won)
	}
}
