package porttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

// ListedStore is a store whose deliveries and failed events can be listed.
type ListedStore interface {
	Store
	// Pending gives up to limit deliveries of a destination, the oldest first, that come after the key; their documents may lack the JSON.
	Pending(ctx context.Context, destinationID string, after delivery.Key, limit int) ([]delivery.Delivery, error)
	// Failed gives up to limit failed events of a destination by acceptance, without one those of all by destination, that come after the key.
	Failed(ctx context.Context, destinationID string, after delivery.Key, newest bool, limit int) ([]delivery.FailedEvent, error)
}

// Lists is the suite of the lists that people look at.
func Lists(t *testing.T, open func(t *testing.T) ListedStore) {
	for name, test := range map[string]func(*testing.T, ListedStore){
		"nothing waits":             listNothing,
		"the oldest first, paged":   listPending,
		"one destination's alone":   listOneDestination,
		"two logs under one id":     listNamesakes,
		"failed events, both ways":  listFailed,
		"failed events of all":      listFailedOfAll,
		"no failed event":           listNoFailed,
		"more than a page of bytes": listLarge,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// pendingIDs reads all pages of the given size.
func pendingIDs(t *testing.T, s ListedStore, destination string, size int) []string {
	t.Helper()
	ids := []string{}
	var after delivery.Key
	for {
		page, err := s.Pending(t.Context(), destination, after, size)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page {
			ids = append(ids, d.LogID)
		}
		if len(page) < size {
			return ids
		}
		after = page[len(page)-1].Key
	}
}

func failedIDs(t *testing.T, s ListedStore, destination string, newest bool, size int) []string {
	t.Helper()
	ids := []string{}
	var after delivery.Key
	for {
		page, err := s.Failed(t.Context(), destination, after, newest, size)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page {
			ids = append(ids, e.LogID)
		}
		if len(page) < size {
			return ids
		}
		after = page[len(page)-1].Key
	}
}

func wantIDs(t *testing.T, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the list differs (-want +got):\n%s", diff)
	}
}

func listNothing(t *testing.T, s ListedStore) {
	wantIDs(t, pendingIDs(t, s, "dest-1", 10), []string{})
}

func listNoFailed(t *testing.T, s ListedStore) {
	save(t, s, entering(key("dest-1", "a")))
	wantIDs(t, failedIDs(t, s, "dest-1", false, 10), []string{})
}

func listPending(t *testing.T, s ListedStore) {
	var want []string
	for i := 29; i >= 0; i-- {
		k := key("dest-1", fmt.Sprintf("log-%02d", i))
		k.AcceptedAt = accepted.Add(time.Duration(i/2) * time.Millisecond) // two of each moment
		d := entering(k)
		d.Attempts = i
		save(t, s, d)
		want = append([]string{k.LogID}, want...)
	}
	for _, size := range []int{1, 7, 30, 100} {
		wantIDs(t, pendingIDs(t, s, "dest-1", size), want)
	}
	first, err := s.Pending(t.Context(), "dest-1", delivery.Key{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	whole := stored(entering(key("dest-1", "log-00")))
	whole.Attempts = 0
	whole.Document = auditlog.Document{ID: "log-00", WorkspaceID: whole.WorkspaceID, Type: whole.Document.Type}
	first[0].Document.JSON = nil
	if diff := cmp.Diff([]delivery.Delivery{whole}, first); diff != "" {
		t.Errorf("the oldest differs (-want +got):\n%s", diff)
	}
}

func listOneDestination(t *testing.T, s ListedStore) {
	save(t, s, entering(key("dest-1", "mine")), entering(key("dest-10", "theirs")), entering(key("dest", "others")))
	wantIDs(t, pendingIDs(t, s, "dest-1", 10), []string{"mine"})
}

func listNamesakes(t *testing.T, s ListedStore) {
	var ds []delivery.Delivery
	for _, hash := range []string{"", "0123456789abcdef", "fedcba9876543210"} {
		d := entering(key("dest-1", "a"))
		d.Hash = hash
		ds = append(ds, d)
	}
	save(t, s, ds...)
	for _, size := range []int{1, 2, 10} {
		wantIDs(t, pendingIDs(t, s, "dest-1", size), []string{"a", "a", "a"})
	}
}

func listFailed(t *testing.T, s ListedStore) {
	var oldest, newest []string
	for i := range 5 {
		e := event(fmt.Sprint("log-", i))
		e.AcceptedAt = e.AcceptedAt.Add(time.Duration(i) * time.Second)
		if err := errors.Join(s.Record(t.Context(), []delivery.FailedEvent{e})...); err != nil {
			t.Fatal(err)
		}
		oldest, newest = append(oldest, e.LogID), append([]string{e.LogID}, newest...)
	}
	other := event("other")
	other.DestinationID = "dest-2"
	if err := errors.Join(s.Record(t.Context(), []delivery.FailedEvent{other})...); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 2, 5, 10} {
		wantIDs(t, failedIDs(t, s, "dest-1", false, size), oldest)
		wantIDs(t, failedIDs(t, s, "dest-1", true, size), newest)
	}
}

// listFailedOfAll has destinations whose ids begin with one another's, and more events than the store has partitions for them.
func listFailedOfAll(t *testing.T, s ListedStore) {
	var oldest, newest []string
	var events []delivery.FailedEvent
	for _, destination := range []string{"dest", "dest-1", "dest.1", "dest1", "dest_1", "zz"} { // as they sort
		var own []string
		for i := range 40 {
			e := event(fmt.Sprintf("%s.log-%02d", destination, i))
			e.DestinationID, e.AcceptedAt = destination, e.AcceptedAt.Add(time.Duration(i)*time.Second)
			events, own = append(events, e), append(own, e.LogID)
		}
		oldest = append(oldest, own...)
		slices.Reverse(own)
		newest = append(newest, own...)
	}
	if err := errors.Join(s.Record(t.Context(), events)...); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{7, 40, 1000} {
		wantIDs(t, failedIDs(t, s, "", false, size), oldest)
		wantIDs(t, failedIDs(t, s, "", true, size), newest)
		wantIDs(t, failedIDs(t, s, "dest", false, size), oldest[:40])
		wantIDs(t, failedIDs(t, s, "dest-1", true, size), newest[40:80])
	}
	whole, err := s.Failed(t.Context(), "dest", delivery.Key{}, false, 1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(events[:1], whole); diff != "" {
		t.Errorf("the first differs (-want +got):\n%s", diff)
	}
}

// listLarge holds more than the megabyte that one query reads, in documents of 20 KB each.
func listLarge(t *testing.T, s ListedStore) {
	want := []string{}
	var ds []delivery.Delivery
	for i := range 400 {
		d := entering(key("dest-1", fmt.Sprintf("log-%03d", i)))
		d.Document = document(d.Key, 20<<10)
		ds, want = append(ds, d), append(want, d.LogID)
	}
	save(t, s, ds...)
	wantIDs(t, pendingIDs(t, s, "dest-1", 1000), want)
}
