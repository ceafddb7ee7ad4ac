package local_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/memory"
	"github.com/auditrelay/auditrelay/internal/notice"
)

// downAtFirst is a destination that takes no log for two hours.
type downAtFirst struct{ now func() time.Time }

func (d downAtFirst) Sink(context.Context, directory.Destination) (delivery.Sink, error) {
	return d, nil
}

func (d downAtFirst) Send(_ context.Context, logs []auditlog.Document) []delivery.Result {
	results := make([]delivery.Result, len(logs))
	for i := range results {
		if d.now().Before(monday.Add(2 * time.Hour)) {
			results[i].Err = &failure.Error{Code: failure.HTTPUnauthorized}
		}
	}
	return results
}

// eventful lives through nine days in which every part has something to do, and has each call of a kind fail
// from the start for ten minutes, and again on the fourth day.
func eventful(t *testing.T, failing string) *local.World {
	t.Helper()
	var mu sync.Mutex
	var now func() time.Time
	w := local.NewWorld(monday, func(call string) memory.Fault {
		mu.Lock()
		defer mu.Unlock()
		if now == nil || call != failing {
			return memory.OK
		}
		if since := now().Sub(monday) % (72 * time.Hour); since < 10*time.Minute {
			return memory.FailBefore
		}
		return memory.OK
	})
	w.SetSinks(downAtFirst{w.Clock.Now})
	w.Dedupe()
	if err := w.Apply(t.Context(), local.Sample("http://127.0.0.1:1/")); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	now = w.Clock.Now
	mu.Unlock()
	api := (&local.Server{World: w}).Handler()
	post := func(path string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("{}"))
		r.Host = "localhost"
		r.Header.Set("Content-Type", "application/json")
		api.ServeHTTP(httptest.NewRecorder(), r) // it may be refused: its calls fail too
	}
	send := func(ids ...string) {
		for _, id := range ids {
			w.Send([]byte(`{"id":"` + id + `","workspace_id":"acme","type":"user_activity","occurred_at":"2026-11-02T08:59:58Z","payload":{}}`))
		}
	}
	advance := func(d time.Duration) {
		if err := w.Advance(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 30 {
		send("log-" + string(rune('a'+i%26)) + string(rune('a'+i/26)))
	}
	w.Send([]byte(`{"id":"bad"}`))
	advance(5 * time.Minute)
	post("/v1/destinations/siem/disconnect")
	advance(10 * time.Hour)
	post("/v1/destinations/siem/reconnect?verify=false")
	advance(62 * time.Hour)
	send("late")
	post("/v1/destinations/siem/disconnect")
	advance(time.Minute)
	post("/v1/destinations/siem/reconnect?verify=false")
	advance(6 * 24 * time.Hour)
	return w
}

// TestFaultsNameWhatTheyConcern has every call fail for a while. Each fault must name the destination, the
// log or the message that it concerns, so that somebody who looks for one of them finds it; but for faults of
// what concerns them all.
func TestFaultsNameWhatTheyConcern(t *testing.T) {
	common := []string{ // calls that are made for no destination
		memory.CallAttention, memory.CallDue, memory.CallProgress, memory.CallSaveProgress, memory.CallOutgoing, memory.CallWrittenSince,
	}
	met := make(map[string]int)
	for _, call := range memory.Calls() {
		w := eventful(t, call)
		for _, e := range w.Journal.Entries() {
			if e.Event != delivery.EventFault {
				continue
			}
			met[call]++
			if e.DestinationID == "" && e.LogID == "" && e.MessageID == "" && !slices.Contains(common, call) {
				t.Errorf("%s: nothing is named: %s", call, e.Reason)
			}
			if strings.Contains(e.Reason, "siem") && e.DestinationID == "" {
				t.Errorf("%s: the destination is no field: %s", call, e.Reason)
			}
			if e.LogID == "" && strings.Contains(e.Reason, "log log-") {
				t.Errorf("%s: the log is no field: %s", call, e.Reason)
			}
		}
		for _, e := range w.MailJournal.Entries() {
			if e.Event == notice.EventFault {
				met[call]++
				if e.DestinationID == "" {
					t.Errorf("%s: no destination is named: %s", call, e.Reason)
				}
			}
		}
	}
	// silent are calls whose failure is answered to a client, or has the message come again, or of which this story has none.
	silent := []string{
		memory.CallAck, memory.CallPutWorkspace, memory.CallReadPayload, memory.CallDeletePayload, memory.CallMail, memory.CallRecord,
		memory.CallGiveUp, memory.CallKeep, memory.CallCancelTimer, memory.CallWrapKey, memory.CallUnwrapKey, memory.CallDataKey,
		memory.CallAddDataKey, memory.CallWrittenSince, memory.CallHide, memory.CallTurns, memory.CallSaveTurns,
	}
	for _, call := range memory.Calls() {
		if (met[call] == 0) != slices.Contains(silent, call) {
			t.Errorf("%s made %d faults", call, met[call])
		}
	}
}
