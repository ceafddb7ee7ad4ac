package delivery_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/local"
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

// TestPointers sends logs by way of the payload bucket, good and bad: the good arrive, the bad are rejected
// with a reason that says what is wrong, and of what may not be kept nothing stays in the bucket.
func TestPointers(t *testing.T) {
	objects := map[string][]byte{
		"payloads/two-mb":      bigLog("two-mb", 2<<20, false),
		"payloads/zipped":      zipped(bigLog("zipped", 5<<20, false)),
		"payloads/zero":        bigLog("zero", 2<<20, true),
		"rejected/zero-again":  bigLog("zero-again", 2<<20, true),
		"payloads/stray-zero":  bytes.Replace(bigLog("stray-zero", 2<<20, true), []byte(`"workspace_id":"acme"`), []byte(`"workspace_id":"nobody"`), 1),
		"payloads/bad-id":      bytes.Replace(bigLog("bad-id", 2<<20, false), []byte(`"id":"bad`), []byte(`"id":"no good`), 1),
		"payloads/bad-zero":    bytes.Replace(bigLog("bad-zero", 2<<20, true), []byte(`"type":"job`), []byte(`"type":"a job`), 1),
		"payloads/list":        []byte(`[{"lines":[{"input":"x"}]}]`),
		"payloads/empty":       {},
		"payloads/bomb":        zipped(make([]byte, 80<<20)),
		"payloads/damaged":     zipped(bigLog("damaged", 2<<20, false))[:500],
		"payloads/huge":        make([]byte, 64<<20+1),
		"deliveries/another":   bigLog("another", 2<<20, false),
		"deliveries/list":      []byte(`[]`),
		"payloads/not-pointed": []byte(`[]`),
	}
	bad := map[string][]byte{
		"the pointer leads to no object; it was removed, or never stored":                pointer("payloads", "payloads/missing"),
		"the log has more than 67108864 bytes unzipped":                                  pointer("payloads", "payloads/bomb"),
		"the log has more than 67108864 bytes":                                           pointer("payloads", "payloads/huge"),
		"the payload's gzip is damaged":                                                  pointer("payloads", "payloads/damaged"),
		"the pointer's key must begin with payloads/":                                    pointer("payloads", "deliveries/list"),
		"the pointer names another bucket than the payload bucket, payloads":             pointer("theirs", "payloads/two-mb"),
		"the message must be a JSON object, not an array":                                pointer("payloads", "payloads/list"),
		"the message is empty; it must be a JSON object":                                 pointer("payloads", "payloads/empty"),
		"id must be 1 to 128 characters of A-Z a-z 0-9 . _ -":                            pointer("payloads", "payloads/bad-id"),
		"type must be a snake_case word of at most 64 characters, such as user_activity": pointer("payloads", "payloads/bad-zero"),
		"the pointer to the log must name s3BucketName and s3Key":                        pointer("payloads", ""),
	}
	send := func(w *local.World) {
		for key, body := range objects {
			w.Payloads.Put(key, body)
		}
		for _, key := range []string{"payloads/two-mb", "payloads/zipped", "payloads/zero", "rejected/zero-again", "payloads/stray-zero"} {
			w.Send(pointer("payloads", key))
		}
		for _, body := range bad {
			w.Send(body)
		}
		w.Send(message("neighbour"))
		advance(t, w, time.Minute)
	}
	// rejected gives the bodies by their reasons; of a note its size.
	rejected := func(w *local.World) map[string]any {
		got := make(map[string]any)
		for _, r := range w.Rejected.All() {
			got[r.Reason] = noteOf(string(r.Body))
		}
		return got
	}
	want := make(map[string]any)
	for reason, body := range bad {
		want[reason] = string(body)
	}
	const noType = "type must be a snake_case word of at most 64 characters, such as user_activity"

	t.Run("as a rule", func(t *testing.T) {
		w, r := newWorld(nil, downFor(0))
		send(w)
		ledger := memory.Ledger{Accepted: 17, Delivered: 5, Unrouted: 1, Rejected: 11}
		if diff := cmp.Diff(ledger, w.Journal.Ledger()); diff != "" {
			t.Errorf("ledger (-want +got):\n%s", diff)
		}
		for _, id := range []string{"two-mb", "zipped", "zero", "zero-again", "neighbour"} {
			if r.held[id] != 1 {
				t.Errorf("%s was delivered %d times", id, r.held[id])
			}
		}
		want := maps.Clone(want)
		want["the log has more than 67108864 bytes unzipped"] = len(objects["payloads/bomb"])
		want["the payload's gzip is damaged"] = 500
		want["the message must be a JSON object, not an array"] = len(objects["payloads/list"])
		want["the message is empty; it must be a JSON object"] = 0
		want[noType] = len(objects["payloads/bad-zero"])
		want["the pointer to the log must name s3BucketName and s3Key"] = len(pointer("payloads", ""))
		if diff := cmp.Diff(want, rejected(w)); diff != "" {
			t.Errorf("rejected (-want +got):\n%s", diff)
		}
		left := []string{"deliveries/another", "deliveries/list", "payloads/bad-id", "payloads/not-pointed", "payloads/two-mb", "payloads/zipped"}
		if diff := cmp.Diff(left, w.Payloads.Keys()); diff != "" {
			t.Errorf("objects that are left, those that may be kept (-want +got):\n%s", diff)
		}
	})
	t.Run("where unread messages are kept", func(t *testing.T) {
		w, _ := newWorld(nil, downFor(0))
		w.KeepUnread()
		send(w)
		want := maps.Clone(want)
		want[noType] = len(objects["payloads/bad-zero"])
		if diff := cmp.Diff(want, rejected(w)); diff != "" {
			t.Errorf("rejected (-want +got):\n%s", diff)
		}
		for _, gone := range []string{"payloads/zero", "rejected/zero-again", "payloads/stray-zero", "payloads/bad-zero"} {
			if slices.Contains(w.Payloads.Keys(), gone) {
				t.Errorf("%s is left", gone)
			}
		}
		if n := w.Payloads.Len(); n != len(objects)-4 {
			t.Errorf("%d objects are left, want all but those of zero retention, %d", n, len(objects)-4)
		}
	})
}

// noteOf tells a note from a body: it gives the size that a note names, or the body.
func noteOf(body string) any {
	var note struct {
		Bytes            int
		SHA256, Withheld string
	}
	if json.Unmarshal([]byte(body), &note) == nil && len(note.SHA256) == 64 && note.Withheld != "" {
		return note.Bytes
	}
	return body
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
