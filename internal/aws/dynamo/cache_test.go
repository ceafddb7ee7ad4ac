package dynamo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

var accepted = time.Date(2026, 11, 2, 9, 30, 0, 123e6, time.UTC)

func someDelivery(log string, size int) delivery.Delivery {
	k := delivery.Key{DestinationID: "dest-1", WorkspaceID: "ws-1", LogID: log, AcceptedAt: accepted}
	text := make([]byte, size)
	state := uint32(size + len(log))
	for i := range text {
		state = state*1664525 + 1013904223
		text[i] = byte(state >> 24) // noise, which does not shrink
	}
	return delivery.Delivery{Key: k, NextAt: accepted.Add(time.Minute), Document: auditlog.Document{ID: log, WorkspaceID: "ws-1", Type: "job_summary", JSON: text}}
}

func someDeliveries(n int) (ds []delivery.Delivery, keys []delivery.Key) {
	for i := range n {
		d := someDelivery(fmt.Sprint("log-", i), 100)
		ds, keys = append(ds, d), append(keys, d.Key)
	}
	return ds, keys
}

// writes gives the write requests of a BatchWriteItem call.
func writes(request map[string]any) []any {
	return request["RequestItems"].(map[string]any)["deliveries"].([]any)
}

func unprocessed(writes []any) string {
	text, _ := json.Marshal(map[string]any{"UnprocessedItems": map[string]any{"deliveries": writes}})
	return string(text)
}

func TestCallsPerOperation(t *testing.T) {
	ds, keys := someDeliveries(100)
	moved := append([]delivery.Delivery(nil), ds...)
	for i := range moved {
		moved[i].Revision = 1
	}
	var failed []delivery.FailedEvent
	var ends []delivery.End
	for _, k := range keys {
		failed = append(failed, delivery.FailedEvent{Key: k, FailedAt: accepted.Add(delivery.Lifetime)})
		ends = append(ends, delivery.End{FailedEvent: failed[len(failed)-1], Revision: 1})
	}
	for name, test := range map[string]struct {
		do   func(c *Cache)
		want []string
	}{
		"100 new deliveries":  {func(c *Cache) { c.Save(t.Context(), ds) }, []string{"BatchWriteItem 4"}},
		"100 moved on":        {func(c *Cache) { c.Save(t.Context(), moved) }, []string{"UpdateItem 100"}},
		"100 loaded":          {func(c *Cache) { _, _, _ = c.Load(t.Context(), keys) }, []string{"BatchGetItem 1"}},
		"101 loaded":          {func(c *Cache) { _, _, _ = c.Load(t.Context(), append(keys, someDelivery("x", 1).Key)) }, []string{"BatchGetItem 2"}},
		"100 removed":         {func(c *Cache) { c.Remove(t.Context(), keys) }, []string{"BatchWriteItem 4"}},
		"100 given up":        {func(c *Cache) { c.GiveUp(t.Context(), ends) }, []string{"TransactWriteItems 100"}},
		"100 recorded":        {func(c *Cache) { c.Record(t.Context(), failed) }, []string{"PutItem 100"}},
		"one recorded twice":  {func(c *Cache) { c.Record(t.Context(), []delivery.FailedEvent{failed[0], failed[0]}) }, []string{"PutItem 1"}},
		"one due shard":       {func(c *Cache) { readDue(t, c) }, []string{"Query 1"}},
		"progress, both ways": {func(c *Cache) { _, _ = c.Progress(t.Context()); _ = c.SaveProgress(t.Context(), delivery.Progress{}) }, []string{"GetItem 1", "PutItem 1"}},
		"nothing saved":       {func(c *Cache) { c.Save(t.Context(), nil) }, nil},
		"a range that is none": {func(c *Cache) {
			c.Due(t.Context(), 0, accepted, accepted, true)(func([]delivery.Hint, error) bool { return true })
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := new(service)
			test.do(s.cache(t, &bucket{}))
			if diff := cmp.Diff(test.want, s.made()); diff != "" {
				t.Errorf("calls differ (-want +got):\n%s", diff)
			}
		})
	}
}

func readDue(t *testing.T, c *Cache) {
	t.Helper()
	for _, err := range c.Due(t.Context(), 3, time.Time{}, accepted, false) {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestItemsLeftOutAreOfferedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(service)
		s.answer = func(_ string, request map[string]any) (string, string) {
			all := writes(request)
			return unprocessed(all[:len(all)/2]), ""
		}
		ds, _ := someDeliveries(25)
		for i, err := range s.cache(t, &bucket{}).Save(t.Context(), ds) {
			if err != nil {
				t.Errorf("delivery %d: %v", i, err)
			}
		}
		if diff := cmp.Diff([]string{"BatchWriteItem 5"}, s.made()); diff != "" { // 25, 12, 6, 3, 1
			t.Errorf("calls differ (-want +got):\n%s", diff)
		}
	})
}

func TestItemsLeftOutForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{answer: func(_ string, request map[string]any) (string, string) {
			var stuck []any
			for _, w := range writes(request) {
				if text, _ := json.Marshal(w); strings.Contains(string(text), "#log-7\"") {
					stuck = append(stuck, w)
				}
			}
			return unprocessed(stuck), ""
		}}
		started := time.Now()
		ds, keys := someDeliveries(25)
		c := s.cache(t, &bucket{})
		for _, errs := range [][]error{c.Save(t.Context(), ds), c.Remove(t.Context(), keys)} {
			for i, err := range errs {
				if want := i == 7; errors.Is(err, errLeftOut) != want {
					t.Errorf("delivery %d: %v", i, err)
				}
			}
		}
		if took := time.Since(started); took < 4*time.Second || took > 16*time.Second {
			t.Errorf("gave up after %v, want about 5 s each", took)
		}
	})
}

func TestReadsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		s := &service{answer: func(_ string, request map[string]any) (string, string) {
			calls++
			asked := request["RequestItems"].(map[string]any)["deliveries"].(map[string]any)
			if asked["ConsistentRead"] != true {
				t.Error("a read is not consistent")
			}
			if calls == 3 {
				return "", ""
			}
			text, _ := json.Marshal(map[string]any{"UnprocessedKeys": map[string]any{"deliveries": asked}})
			return string(text), ""
		}}
		_, keys := someDeliveries(3)
		if _, _, err := s.cache(t, &bucket{}).Load(t.Context(), keys); err != nil || calls != 3 {
			t.Errorf("error %v after %d calls, want none after 3", err, calls)
		}
		s.answer = func(_ string, request map[string]any) (string, string) {
			text, _ := json.Marshal(map[string]any{"UnprocessedKeys": request["RequestItems"]})
			return string(text), ""
		}
		if _, _, err := s.cache(t, &bucket{}).Load(t.Context(), keys); !errors.Is(err, errLeftOut) {
			t.Errorf("error %v, want %v", err, errLeftOut)
		}
	})
}

func TestAFailedBatchFailsAloneAndWhole(t *testing.T) {
	s := &service{answer: func(_ string, request map[string]any) (string, string) {
		if text, _ := json.Marshal(request); strings.Contains(string(text), "#log-30\"") {
			return "", "ProvisionedThroughputExceededException"
		}
		return "", ""
	}}
	ds, _ := someDeliveries(60)
	for i, err := range s.cache(t, &bucket{}).Save(t.Context(), ds) {
		if want := i >= 25 && i < 50; (err != nil) != want {
			t.Errorf("delivery %d: %v", i, err)
		}
	}
}

func TestLargeDocumentsGoToTheBucket(t *testing.T) {
	var item map[string]any
	s := &service{answer: func(_ string, request map[string]any) (string, string) {
		item = writes(request)[0].(map[string]any)["PutRequest"].(map[string]any)["Item"].(map[string]any)
		return "", ""
	}}
	b := new(bucket)
	c := s.cache(t, b)
	large := someDelivery("log-1", maxDocument+100)
	if err := c.Save(t.Context(), []delivery.Delivery{large})[0]; err != nil {
		t.Fatal(err)
	}
	key := item[attrObject].(map[string]any)["S"].(string)
	if !strings.HasPrefix(key, "deliveries/dest-1/log-1/") || item[attrDocument] != nil {
		t.Errorf("the item has object key %q and document %v", key, item[attrDocument] != nil)
	}
	document, err := c.pack.unpack(b.objects[key])
	if err != nil || !bytes.Equal(document, large.Document.JSON) {
		t.Errorf("the object holds %d bytes (%v), want the document's %d", len(document), err, len(large.Document.JSON))
	}
	if err := c.Save(t.Context(), []delivery.Delivery{large})[0]; err != nil || len(b.objects) != 2 {
		t.Errorf("a second save (%v) leads to %d objects, want 2: names are never used again", err, len(b.objects))
	}

	b.fail = errors.New("the bucket is closed")
	small := someDelivery("log-2", 100)
	errs := c.Save(t.Context(), []delivery.Delivery{large, small})
	if !errors.Is(errs[0], b.fail) || errs[1] != nil {
		t.Errorf("answers %v, want an error for the large delivery only", errs)
	}
}

// One log that many destinations refuse is saved for as many at once as there is room for.
func TestWhatIsBeingSavedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		underWay, goOn := new(atomic.Int32), make(chan struct{})
		s := &service{answer: func(string, map[string]any) (string, string) {
			underWay.Add(1)
			<-goOn
			return "", ""
		}}
		c := s.cache(t, &bucket{})
		large := someDelivery("log-1", 10)
		large.Document.JSON = make([]byte, writeRoom/2)
		var saves sync.WaitGroup
		for i := range 8 {
			d := large
			d.DestinationID = fmt.Sprint("dest-", i)
			saves.Go(func() {
				if err := c.Save(t.Context(), []delivery.Delivery{d})[0]; err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if n := underWay.Load(); n != 2 {
			t.Errorf("%d are being written, want 2", n)
		}
		close(goOn)
		saves.Wait()
		if n := underWay.Load(); n != 8 {
			t.Errorf("%d were written, want 8", n)
		}
	})
}

func TestDeliveriesAreSavedInPartsThatFit(t *testing.T) {
	var ds []delivery.Delivery
	for _, size := range []int{writeRoom / 2, writeRoom / 3, writeRoom / 3, 2 * writeRoom, 10, 10} {
		ds = append(ds, delivery.Delivery{Document: auditlog.Document{JSON: make([]byte, size)}})
	}
	got := fittingRoom(ds, []int{0, 1, 2, 3, 4, 5})
	if diff := cmp.Diff([][]int{{0, 1}, {2}, {3}, {4, 5}}, got); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
}

func TestDeliveryWhoseObjectIsGone(t *testing.T) {
	d := someDelivery("log-1", 10)
	row := deliveryKey(d.Key)
	s := &service{answer: func(string, map[string]any) (string, string) {
		return fmt.Sprintf(`{"Responses":{"deliveries":[{"pk":{"S":%q},"sk":{"S":%q},"r":{"N":"1"},"o":{"S":"deliveries/gone"}}]}}`,
			row.text(attrPK), row.text(attrSK)), ""
	}}
	b := new(bucket)
	c := s.cache(t, b)
	if found, _, err := c.Load(t.Context(), []delivery.Key{d.Key}); err != nil || len(found) != 0 {
		t.Errorf("%d deliveries, error %v; want none and none", len(found), err)
	}
	b.fail = errors.New("the bucket is closed")
	if _, _, err := c.Load(t.Context(), []delivery.Key{d.Key}); !errors.Is(err, b.fail) {
		t.Errorf("error %v, want %v", err, b.fail)
	}
}

// TestTTLWaitsForALateFirstAttempt holds when TTL may remove a delivery.
func TestTTLWaitsForALateFirstAttempt(t *testing.T) {
	k := delivery.Key{DestinationID: "siem", WorkspaceID: "acme", LogID: "log", AcceptedAt: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}
	end := k.ExpiresAt()
	for next, want := range map[time.Time]time.Time{
		k.AcceptedAt.Add(time.Minute): end.Add(time.Hour),
		end:                           end.Add(time.Hour),
		end.Add(30 * time.Hour):       end.Add(31 * time.Hour),
	} {
		if got := removableAt(delivery.Delivery{Key: k, NextAt: next}); !got.Equal(want) {
			t.Errorf("next attempt %v: removable at %v, want %v", next, got, want)
		}
	}
}

// TestEndsGoBesideEachOther gives up a batch of hints, and records a batch of the stream, while each call takes 20 ms.
func TestEndsGoBesideEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{answer: func(string, map[string]any) (string, string) {
			time.Sleep(20 * time.Millisecond)
			return "", ""
		}}
		c := s.cache(t, &bucket{})
		var es []delivery.FailedEvent
		var ends []delivery.End
		for i := range 1000 {
			e := delivery.FailedEvent{Key: someDelivery(fmt.Sprint("log-", i), 1).Key, FailedAt: accepted.Add(delivery.Lifetime)}
			es, ends = append(es, e), append(ends, delivery.End{FailedEvent: e, Revision: 1})
		}
		for _, test := range []struct {
			what string
			do   func() []error
			most time.Duration
		}{
			{"a hundred are given up", func() []error { return c.GiveUp(t.Context(), ends[:100]) }, 60 * time.Millisecond},
			{"a thousand are recorded", func() []error { return c.Record(t.Context(), es) }, 500 * time.Millisecond},
		} {
			began := time.Now()
			if err := errors.Join(test.do()...); err != nil {
				t.Fatalf("%s: %v", test.what, err)
			}
			if took := time.Since(began); took > test.most {
				t.Errorf("%s in %v, want at most %v", test.what, took, test.most)
			}
		}
	})
}

// TestOneThatIsRecordedTwiceIsAnsweredTwice has a failed event twice in a batch, while the table refuses every write.
func TestOneThatIsRecordedTwiceIsAnsweredTwice(t *testing.T) {
	s := &service{answer: func(string, map[string]any) (string, string) { return "", "AccessDeniedException" }}
	e := delivery.FailedEvent{Key: someDelivery("a", 1).Key, FailedAt: accepted.Add(delivery.Lifetime)}
	for i, err := range s.cache(t, &bucket{}).Record(t.Context(), []delivery.FailedEvent{e, e}) {
		if err == nil {
			t.Errorf("the %d. is said to be recorded", i+1)
		}
	}
}

// TestFailedEventsAreSpread looks at how many of one destination's go into a partition.
func TestFailedEventsAreSpread(t *testing.T) {
	const logs = 32_000
	count := make(map[string]int)
	for i := range logs {
		k := someDelivery("", 0).Key
		k.LogID = fmt.Sprint("log-", i)
		count[failedKey(k).text(attrPK)]++
	}
	for shard := range failedShards {
		if n := count[failedPK(shard)]; n < logs/failedShards*8/10 || n > logs/failedShards*12/10 {
			t.Errorf("partition %d has %d of %d", shard, n, logs)
		}
	}
	if ends := len(count) * 1000 / 2; ends < 16_000 { // a partition's write units a second, two for each end
		t.Errorf("%d partitions take %d ends a second, want 16,000", len(count), ends)
	}
}
