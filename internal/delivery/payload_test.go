package delivery_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/memory"
)

func pointer(bucket, key string) []byte {
	return fmt.Appendf(nil, `["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":%q,"s3Key":%q}]`, bucket, key)
}

func zipped(body []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(body); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// bigLog is a log with lines, of about size bytes.
func bigLog(id string, size int, zeroRetention bool) []byte {
	line := map[string]any{"recipe_line_number": 1, "input": map[string]string{"data": strings.Repeat("x", 1000)}}
	lines := make([]any, size/1050)
	for i := range lines {
		lines[i] = line
	}
	body, err := json.Marshal(map[string]any{
		"id": id, "workspace_id": "acme", "type": "job_details", "occurred_at": "2026-11-02T08:59:58Z", "zero_retention": zeroRetention,
		"payload": map[string]any{"id": "j-1", "lines": lines},
	})
	if err != nil {
		panic(err)
	}
	return body
}

// TestLargeRetriesComeByParts has the hints of more large logs in one batch than memory has room for: they are loaded one part after the other, and all
// arrive. When the time for a further part is too short, its messages are handed out again.
func TestLargeRetriesComeByParts(t *testing.T) {
	clock := func() time.Time { return start.Add(time.Hour) }
	loads := 0
	cache := memory.NewCache(clock)
	cache.Hook = func(call string) memory.Fault {
		if call == memory.CallLoad {
			loads++
		}
		return memory.OK
	}
	store := &memory.Directory{}
	dest := directory.Destination{ID: "siem", WorkspaceID: "acme", Kind: directory.HTTP, State: directory.Connected}
	if _, err := store.PutDestination(t.Context(), dest); err != nil {
		t.Fatal(err)
	}
	r := &receiver{now: clock, answer: downFor(0), held: make(map[string]int)}
	deliver := &delivery.Deliver{
		Directory: store, Destinations: store, Sinks: r, Cache: cache, Journal: &memory.Journal{}, Now: clock, TimeLimit: 20 * time.Second,
	}
	var hints []delivery.HintMessage
	for i := range 10 {
		d := delivery.Delivery{Key: delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: fmt.Sprint("log-", i), AcceptedAt: start}, Attempts: 1, NextAt: clock()}
		d.Document = auditlog.Document{ID: d.LogID, WorkspaceID: "acme", Type: "job_details", JSON: make([]byte, 9<<20)}
		if err := cache.Save(t.Context(), []delivery.Delivery{d})[0]; err != nil {
			t.Fatal(err)
		}
		hints = append(hints, delivery.HintMessage{ID: d.LogID, Hint: delivery.Hint{Key: d.Key, At: d.NextAt}})
	}

	short, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if open := deliver.Retry(short, hints); len(open) != 7 || len(r.held) != 3 {
		t.Errorf("%d messages are open, %d logs arrived; want 7 and 3 when there is no time for a second part", len(open), len(r.held))
	}
	loads = 0
	if open := deliver.Retry(t.Context(), hints); len(open) != 0 || len(r.held) != 10 || loads != 3 {
		t.Errorf("%d messages are open, %d logs arrived, in %d loads; want 0, 10 and 3", len(open), len(r.held), loads)
	}
	if cache.Len() != 0 {
		t.Errorf("%d deliveries stay in the cache", cache.Len())
	}
}

// TestPointers sends logs by way of the payload bucket, good and bad: the good arrive, the bad are rejected with a reason that says what is wrong.
func TestPointers(t *testing.T) {
	w, r := newWorld(nil, downFor(0))
	w.Payloads.Put("payloads/two-mb", bigLog("two-mb", 2<<20, false))
	w.Payloads.Put("payloads/zipped", zipped(bigLog("zipped", 5<<20, false)))
	w.Payloads.Put("payloads/zero", bigLog("zero", 2<<20, true))
	w.Payloads.Put("payloads/bomb", zipped(make([]byte, 80<<20)))
	w.Payloads.Put("payloads/damaged", zipped(bigLog("damaged", 2<<20, false))[:500])
	w.Payloads.Put("deliveries/another", bigLog("another", 2<<20, false))
	for _, key := range []string{"payloads/two-mb", "payloads/zipped", "payloads/zero"} {
		w.Send(pointer("payloads", key))
	}
	bad := map[string]string{
		string(pointer("payloads", "payloads/missing")):   "the pointer leads to no object; it was removed, or never stored",
		string(pointer("payloads", "payloads/bomb")):      "the log has more than 67108864 bytes unzipped",
		string(pointer("payloads", "payloads/damaged")):   "the payload's gzip is damaged",
		string(pointer("payloads", "deliveries/another")): "the pointer's key must begin with payloads/",
		string(pointer("theirs", "payloads/two-mb")):      "the pointer names another bucket than the payload bucket, payloads",
	}
	for body := range bad {
		w.Send([]byte(body))
	}
	w.Send(message("neighbour"))
	advance(t, w, time.Minute)

	want := memory.Ledger{Accepted: 9, Delivered: 4, Rejected: 5}
	if diff := cmp.Diff(want, w.Journal.Ledger()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	for _, id := range []string{"two-mb", "zipped", "zero", "neighbour"} {
		if r.held[id] != 1 {
			t.Errorf("%s was delivered %d times", id, r.held[id])
		}
	}
	got := make(map[string]string)
	for _, r := range w.Rejected.All() {
		got[string(r.Body)] = r.Reason
	}
	if diff := cmp.Diff(bad, got); diff != "" {
		t.Errorf("rejected (-want +got):\n%s", diff)
	}
	if n := w.Payloads.Len(); n != 5 {
		t.Errorf("%d objects are left, want 5: that of the zero-retention log is removed", n)
	}
}

// TestPayloadStaysUntilSettled fails what follows the read of a pointer: the message comes again and the log arrives.
func TestPayloadStaysUntilSettled(t *testing.T) {
	failing := true
	w, r := newWorld(func(call string) memory.Fault {
		if failing && (call == memory.CallReadPayload || call == memory.CallSave) {
			return memory.FailBefore
		}
		return memory.OK
	}, downFor(20*time.Minute))
	w.Payloads.Put("payloads/zero", bigLog("zero", 2<<20, true))
	w.Send(pointer("payloads", "payloads/zero"))
	advance(t, w, 10*time.Minute)
	if w.Payloads.Len() != 1 {
		t.Fatal("the payload is gone before its log is safe")
	}
	failing = false
	advance(t, w, day)
	if r.held["zero"] != 1 || w.Payloads.Len() != 0 {
		t.Errorf("delivered %d times, %d objects left; want 1 and 0", r.held["zero"], w.Payloads.Len())
	}
}

// TestLargeLogMemory takes a log of 40 MB all the way to its destination and measures what is alive while it is sent: the bucket's copy, the log
// and the document together stay under 256 MB.
func TestLargeLogMemory(t *testing.T) {
	const limit = 256 << 20
	var before, during runtime.MemStats
	w, r := newWorld(nil, func(time.Time, string) error {
		runtime.GC()
		runtime.ReadMemStats(&during)
		return nil
	})
	w.Payloads.Put("payloads/large", bigLog("large", 39<<20, false))
	w.Send(pointer("payloads", "payloads/large"))
	runtime.GC()
	runtime.ReadMemStats(&before)
	advance(t, w, time.Second)
	if r.held["large"] != 1 {
		t.Fatal("the log did not arrive")
	}
	alive := during.HeapAlloc
	if allocated := during.TotalAlloc - before.TotalAlloc; alive > limit || allocated > limit {
		t.Errorf("%d MB are alive while it is sent, %d MB were allocated until then; want at most %d", alive>>20, allocated>>20, limit>>20)
	}
	t.Logf("%d MB alive, %d MB allocated", during.HeapAlloc>>20, (during.TotalAlloc-before.TotalAlloc)>>20)
}
