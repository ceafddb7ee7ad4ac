package sink

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

// many is the i-th of many destinations at one server.
func many(t *testing.T, i int, url string) directory.Destination {
	t.Helper()
	return directory.Destination{ID: fmt.Sprintf("dest-%06d", i), Kind: directory.HTTP, Version: 1, Settings: asJSON(t, map[string]any{"url": url})}
}

func ask(t *testing.T, f *Factory, d directory.Destination) delivery.Sink {
	t.Helper()
	s, err := f.Sink(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func deliverOne(t *testing.T, s delivery.Sink) {
	t.Helper()
	if err := s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err; err != nil {
		t.Error(err)
	}
}

// live is the memory that is in use.
func live() int {
	runtime.GC()
	runtime.GC() // what the first one finalizes
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestMemoryIsFlatInTheNumberOfDestinations asks for the sinks of three times as many destinations as are kept.
func TestMemoryIsFlatInTheNumberOfDestinations(t *testing.T) {
	f := &Factory{Vault: openVault{}, Network: local(), Now: time.Now}
	before := live()
	var memory [3]int
	for round := range memory {
		for i := range mostSinks {
			ask(t, f, many(t, round*mostSinks+i, "https://logs.example/intake"))
		}
		memory[round] = live() - before
		t.Logf("%d destinations: %d sinks are kept, %.1f MB", (round+1)*mostSinks, f.sinks.Len(), float64(memory[round])/1e6)
	}
	if f.sinks.Len() != mostSinks {
		t.Errorf("%d sinks are kept, want %d", f.sinks.Len(), mostSinks)
	}
	if memory[2] > memory[0]*11/10 {
		t.Errorf("memory grows from %d to %d bytes", memory[0], memory[2])
	}
	runtime.KeepAlive(f)
}

// TestASinkThatNobodyAsksForIsDropped lets an hour pass.
// Sinks of large settings are kept in smaller numbers.
func TestMemoryIsFlatInTheSizeOfSettings(t *testing.T) {
	f := &Factory{Vault: openVault{}, Network: local(), Now: time.Now}
	template := `{"pad":"` + strings.Repeat("x", 60<<10) + `","log":{{log_message}}}`
	before := live()
	for i := range 2 * mostKept / (sinkForms * len(template)) {
		d := many(t, i, "https://logs.example/intake")
		d.Settings = asJSON(t, map[string]any{"url": "https://logs.example/intake", "template": template})
		ask(t, f, d)
	}
	if grown := live() - before; grown > mostKept*5/4 {
		t.Errorf("%d sinks take %d MB, want about %d", f.sinks.Len(), grown>>20, mostKept>>20)
	}
	if want := mostKept / (sinkBytes + sinkForms*len(template)); f.sinks.Len() > want || f.sinks.Len() < want/2 {
		t.Errorf("%d sinks are kept, want about %d", f.sinks.Len(), want)
	}
}

func TestASinkThatNobodyAsksForIsDropped(t *testing.T) {
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	f := &Factory{Vault: openVault{}, Network: local(), Now: func() time.Time { return now }}
	one, two := many(t, 1, "https://logs.example"), many(t, 2, "https://logs.example")
	first := ask(t, f, one)
	now = now.Add(mostIdle - time.Second)
	if ask(t, f, two); ask(t, f, one) != first {
		t.Error("a sink was dropped before its hour")
	}
	now = now.Add(mostIdle)
	if ask(t, f, two); f.sinks.Len() != 1 || ask(t, f, one) == first {
		t.Error("a sink was kept over its hour")
	}
}

// TestADroppedSinkFinishes drops a sink while it sends: the log arrives, and the connection is closed then.
func TestADroppedSinkFinishes(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	closed := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-release
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(closed)
		}
	}
	server.Start()
	defer server.Close()
	f := &Factory{Vault: openVault{}, Network: local(), Now: time.Now}
	s := ask(t, f, many(t, 0, server.URL))
	var sending sync.WaitGroup
	sending.Go(func() { deliverOne(t, s) })
	<-arrived
	for i := range mostSinks {
		ask(t, f, many(t, i+1, server.URL))
	}
	if f.sinks.Contains("dest-000000") || f.open.Load() != 1 {
		t.Errorf("kept: %v, %d open connections; want false, 1", f.sinks.Contains("dest-000000"), f.open.Load())
	}
	close(release)
	sending.Wait()
	<-closed
	for f.open.Load() != 0 { // it is counted a moment after the server sees it
		runtime.Gosched()
	}
}

// TestConnectionsAreFew sends a log to each of more destinations than there may be connections: all arrive, and the connections of those that were
// asked for least recently are closed.
func TestConnectionsAreFew(t *testing.T) {
	const destinations = mostConnections * 3 / 2
	posts := 0
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		defer mu.Unlock()
		posts++
	}))
	defer server.Close()
	f := &Factory{Vault: openVault{}, Network: local(), Now: time.Now}
	most := int64(0)
	for i := range destinations {
		deliverOne(t, ask(t, f, many(t, i, server.URL)))
		most = max(most, f.open.Load())
	}
	if posts != destinations || most > mostConnections {
		t.Errorf("%d of %d logs arrived over %d connections at most, want %d", posts, destinations, most, mostConnections)
	}
	before := f.open.Load()
	deliverOne(t, ask(t, f, many(t, destinations-1, server.URL)))
	if after := f.open.Load(); before != mostConnections || after != mostConnections/2 { // with one more it would have been connected anew
		t.Errorf("%d connections are open before and %d after a log to the destination asked for last, want %d and %d", before, after,
			mostConnections, mostConnections/2)
	}
	for _, k := range f.sinks.Values() {
		k.sink.closeIdle()
	}
}

// TestAnotherVersionClosesTheOldConnections replaces a destination's credentials between two logs.
func TestAnotherVersionClosesTheOldConnections(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	f := &Factory{Vault: openVault{}, Network: local(), Now: time.Now}
	d := many(t, 0, server.URL)
	d.Credentials = directory.Sealed(`{"bearer":"old"}`)
	deliverOne(t, ask(t, f, d))
	d.Version, d.Credentials = 2, directory.Sealed(`{"bearer":"new"}`)
	deliverOne(t, ask(t, f, d))
	if n := f.open.Load(); n != 1 {
		t.Errorf("%d connections are open, want that of the new credentials", n)
	}
}

// TestARecordMadeAgain has one destination deleted and another made under its id, with the counters of the first: the
// sink of the first sends nothing for it.
func TestARecordMadeAgain(t *testing.T) {
	type request struct{ path, token string }
	var mu sync.Mutex
	var got []request
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, request{r.URL.Path, r.Header.Get("Authorization")})
	}))
	defer server.Close()
	f := &Factory{Vault: openVault{}, Network: local(), Now: time.Now}
	for _, record := range []struct{ incarnation, path, token string }{{"A", "/a", "of-a"}, {"B", "/b", "of-b"}, {"A", "/a", "of-a"}, {"", "/c", "of-c"}} {
		d := many(t, 0, server.URL+record.path)
		d.Incarnation, d.Credentials = record.incarnation, directory.Sealed(`{"bearer":"`+record.token+`"}`)
		deliverOne(t, ask(t, f, d))
	}
	want := []request{{"/a", "Bearer of-a"}, {"/b", "Bearer of-b"}, {"/a", "Bearer of-a"}, {"/c", "Bearer of-c"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(request{})); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}
