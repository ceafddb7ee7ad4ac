// Package porttest holds one conformance suite for each port of package delivery. Every implementation passes the same ones.
package porttest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// Store is the deliveries table: each test opens an empty one.
type Store interface {
	delivery.Cache
	delivery.FailedEvents
	delivery.FailedRecorder
	delivery.Index
}

var accepted = time.Date(2026, 11, 2, 9, 30, 0, 123e6, time.UTC)

func key(destination, log string) delivery.Key {
	return delivery.Key{DestinationID: destination, WorkspaceID: "ws_1.main-x", LogID: log, AcceptedAt: accepted, Hash: "0123456789abcdef"}
}

// entering is a delivery that was tried once and enters the cache.
func entering(k delivery.Key) delivery.Delivery {
	return delivery.Delivery{
		Key:      k,
		Attempts: 1,
		Tried:    k.AcceptedAt.Add(time.Second),
		NextAt:   k.AcceptedAt.Add(61 * time.Second),
		Code:     failure.Code("http.server_error"),
		Document: document(k, 1200),
	}
}

// document is a JSON text of about that many bytes.
func document(k delivery.Key, size int) auditlog.Document {
	text := fmt.Appendf(nil, `{"id":%q,"type":"job_details","workspace_id":%q,"occurred_at":"2026-11-02T09:30:00Z","payload":{"é":"`, k.LogID, k.WorkspaceID)
	for state := uint32(7); len(text) < size-3; state = state*1664525 + 1013904223 {
		text = append(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-"[state>>26])
	}
	return auditlog.Document{ID: k.LogID, WorkspaceID: k.WorkspaceID, Type: "job_details", JSON: append(text, `"}}`...)}
}

// stored is what the cache holds of a delivery after its save.
func stored(d delivery.Delivery) delivery.Delivery {
	d.Revision++
	return d
}

func load(t *testing.T, s delivery.Cache, keys ...delivery.Key) map[delivery.Key]delivery.Delivery {
	t.Helper()
	found, rest, err := s.Load(t.Context(), keys)
	if err != nil || len(rest) > 0 {
		t.Fatalf("load: %d left over, error %v", len(rest), err)
	}
	return found
}

func save(t *testing.T, s delivery.Cache, ds ...delivery.Delivery) {
	t.Helper()
	errs := s.Save(t.Context(), ds)
	if len(errs) != len(ds) {
		t.Fatalf("save answered %d times for %d deliveries", len(errs), len(ds))
	}
	for i, err := range errs {
		if err != nil {
			t.Fatalf("save %d of %d: %v", i, len(ds), err)
		}
	}
}

// holds fails the test unless the cache has exactly want for the keys.
func holds(t *testing.T, s delivery.Cache, keys []delivery.Key, want ...delivery.Delivery) {
	t.Helper()
	wanted := make(map[delivery.Key]delivery.Delivery)
	for _, d := range want {
		wanted[d.Key] = d
	}
	if diff := cmp.Diff(wanted, load(t, s, keys...), wholeBytes()); diff != "" {
		t.Errorf("the cache differs (-want +got, up to 4,000 bytes):\n%.4000s", diff)
	}
}

// wholeBytes compares bytes at once; byte by byte, a megabyte takes a second.
func wholeBytes() cmp.Option { return cmp.Comparer(bytes.Equal) }

// many makes n deliveries of one destination.
func many(n int) (ds []delivery.Delivery, keys []delivery.Key) {
	for i := range n {
		d := entering(key("dest-many", fmt.Sprintf("log-%03d", i)))
		ds, keys = append(ds, d), append(keys, d.Key)
	}
	return ds, keys
}

func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// expect compares the answers of a call with the errors wanted, by identity.
func expect(t *testing.T, got []error, want ...error) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("answers %v, want %v", got, want)
	}
}
