package delivery_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
