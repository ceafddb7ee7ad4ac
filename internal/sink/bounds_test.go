package sink

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

// Whatever a tenant's logs, template and form are, what is held for requests at once stays within the room, while another's are sent.
func TestRequestsStayWithinTheirRoom(t *testing.T) {
	const room, slack = 4 << 20, 20 << 20 // slack: what is no request's
	wide := `[` + strings.Repeat(`{{log_message_str}},`, auditlog.MaxDocuments-1) + `{{log_message_str}}]`
	for name, c := range map[string]struct {
		kind     directory.Kind
		settings map[string]any
		logs     int
		size     int // bytes of each
	}{
		"ndjson":               {directory.HTTP, map[string]any{"format": "ndjson", "template": wide, "concurrency": 32}, 40, 400_000},
		"single":               {directory.HTTP, map[string]any{"template": wide, "concurrency": 32}, 40, 400_000},
		"gzip":                 {directory.HTTP, map[string]any{"format": "ndjson", "gzip": true, "template": wide, "concurrency": 32}, 40, 400_000},
		"quoted twice":         {directory.HTTP, map[string]any{"preset": "grafana_loki", "max_log": 1 << 20, "template": wide, "concurrency": 32}, 60, 150_000},
		"one object a log":     {directory.S3, map[string]any{"bucket": "bucket-x", "template": wide, "concurrency": 32}, 40, 400_000},
		"one object for all":   {directory.S3, map[string]any{"bucket": "bucket-x", "layout": "batch", "template": wide, "concurrency": 32}, 40, 400_000},
		"logs as they are":     {directory.HTTP, map[string]any{"concurrency": 32}, 100, 100_000},
		"larger than the room": {directory.HTTP, map[string]any{"template": `{{log_message_str}}`}, 1, 12_000_000},
	} {
		t.Run(name, func(t *testing.T) {
			var taken atomic.Int64
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				taken.Add(1)
			})
			settings := map[string]any{"url": server.URL}
			secret := map[string]any{}
			if c.kind == directory.S3 {
				settings = map[string]any{"endpoint": server.URL}
				secret = map[string]any{"access_key_id": "A", "secret_access_key": "B"}
			}
			for name, value := range c.settings {
				settings[name] = value
			}
			env := localEnvironment()
			env.room, env.owner = NewRoom(room), "hostile"
			s, err := build(directory.Destination{ID: "d", Kind: c.kind, Settings: asJSON(t, settings)}, asJSON(t, secret), env)
			if err != nil {
				t.Fatal(err)
			}
			logs := sinktest.Logs(c.logs, c.size)
			peak := peakHeap(t, func() {
				for i, code := range codes(s.Send(t.Context(), logs)) {
					if code != "" {
						t.Fatalf("log %d: %s", i, code)
					}
				}
			})
			if peak > room+slack {
				t.Errorf("%d MB were held, %d are allowed", peak>>20, (room+slack)>>20)
			}
		})
	}
}

// While one owner's requests hold all that they may and hang, another's are sent at once.
func TestOneOwnersRequestsLeaveRoomForOthers(t *testing.T) {
	slow := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	fast := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	env := localEnvironment()
	env.room = NewRoom(8 << 20)
	open := func(owner, url string) *httpSink {
		env.owner = owner
		set := map[string]any{"url": url, "template": `[{{log_message}}]`, "concurrency": 32, "timeout": "30s"}
		s, err := newHTTP(asJSON(t, set), nil, env)
		if err != nil {
			t.Fatal(err)
		}
		return s.(*httpSink)
	}
	hostile, neighbour := open("hostile", slow.URL), open("neighbour", fast.URL)
	ctx, cancel := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	flood.Go(func() { hostile.Send(ctx, sinktest.Logs(32, 1<<20)) })
	defer flood.Wait()
	defer cancel()
	for held := int64(0); held < 5<<20; { // until the flood stands
		env.room.mu.Lock()
		held = env.room.held["hostile"]
		env.room.mu.Unlock()
		runtime.Gosched()
	}
	begun := time.Now()
	for i, code := range codes(neighbour.Send(t.Context(), sinktest.Logs(99, 2000))) {
		if code != "" {
			t.Errorf("log %d: %s", i, code)
		}
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the neighbour's logs took %v", took)
	}
}

// peakHeap is the most memory that do held in objects beyond what was held before.
func peakHeap(t *testing.T, do func()) int64 {
	t.Helper()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	read := func() int64 {
		metrics.Read(live)
		return int64(live[0].Value.Uint64())
	}
	runtime.GC()
	before := read()
	done := make(chan struct{})
	var peak, last int64
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(4 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				runtime.GC()
				now := read() - before
				peak = max(peak, min(last, now)) // what is allocated while garbage is collected counts as held for once
				last = now
			}
		}
	})
	do()
	close(done)
	wg.Wait()
	return peak
}

// The page on security says each bound of this package.
func TestBoundsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(page), "<!-- bounds -->")
	table, _, closed := strings.Cut(table, "<!-- /bounds -->")
	if !ok || !closed {
		t.Fatal("docs/security.md has no table of bounds")
	}
	kib := func(n int) string { return fmt.Sprintf("%d KiB", n>>10) }
	mib := func(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }
	for _, row := range []string{
		fmt.Sprintf("destinations of a workspace | %d |", directory.MostDestinations),
		fmt.Sprintf("headers of an HTTP destination; one header | %d; %d characters |", mostHeaders, longestHeader),
		fmt.Sprintf("of one HTTP request | %v to %v |", leastTimeout, mostTimeout),
		fmt.Sprintf("one call of Azure Monitor | %.0fs; %.0fs |", uploadTimeout.Seconds(), monitorTimeout.Seconds()),
		fmt.Sprintf("`max_batch` | %d; %d a second; %d |", mostConcurrency, mostRate, mostBatch),
		fmt.Sprintf("those for the log | %s; %d; %d |", kib(auditlog.MaxTemplateBytes), auditlog.MaxPlaceholders, auditlog.MaxDocuments),
		fmt.Sprintf("makes of one log | %s |", mib(auditlog.MaxMessage)),
		fmt.Sprintf("`max_log` of an HTTP destination | %d to %d bytes |", leastLog, events.MaxLogBytes),
		fmt.Sprintf("one workspace's | %s; %s |", mib(LeastRoom), mib(NewRoom(LeastRoom).each)),
		fmt.Sprintf("one refused batch costs | %d |", maxRequests),
		fmt.Sprintf("its TLS handshake | %v; %v |", dialTimeout, dialTimeout),
		fmt.Sprintf("header of an answer | %s |", kib(maxHeader)),
		fmt.Sprintf("one of a token endpoint | %s; %s |", kib(maxAnswer), kib(maxTokenAnswer)),
		fmt.Sprintf("speaks of each log | %s, and %d bytes a log |", kib(maxAnswer), itemAnswer),
		fmt.Sprintf("once its header has come | %v |", answerTime),
		fmt.Sprintf("`Retry-After` | %d days |", delivery.Lifetime/(24*time.Hour)),
		fmt.Sprintf("document of a log | %s |", mib(events.MaxLogBytes)),
		fmt.Sprintf("idle connections | %d; %s; %d |", mostSinks, mib(mostKept), mostConnections),
	} {
		if !strings.Contains(table, row) {
			t.Errorf("docs/security.md does not say: %s", row)
		}
	}
}
