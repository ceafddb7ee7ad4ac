package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/foreign"
	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/logfile"
)

// send runs the command and gives what it says and what it ends with.
func send(ctx context.Context, stdin io.Reader, args ...string) (out, errs string, code int) {
	var stdout, stderr bytes.Buffer
	cmd := root()
	cmd.SetArgs(append([]string{"send"}, args...))
	cmd.SetIn(stdin)
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	if err := cmd.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(&stderr, err)
		code = exitCode(err)
	}
	return stdout.String(), stderr.String(), code
}

// received is a local runner whose workspace acme streams to a receiver, and a function that waits until all
// is delivered.
func received(t *testing.T) (address string, receiver *local.Receiver, settle func()) {
	t.Helper()
	receiver, err := local.StartReceiver()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	out, in := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = in.CloseWithError(local.Run(ctx, local.Options{Listen: "127.0.0.1:0", Directory: local.Sample(receiver.URL()), Out: in}))
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		_ = receiver.Close()
	})
	if _, err := fmt.Fscanf(out, "ready %s\n", &address); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return address, receiver, func() {
		resp, err := http.Post(address+"/clock/advance", "application/json", strings.NewReader(`{"by":"1m"}`))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
}

// delivered is the payload of a log as it arrived, byte for byte.
func delivered(receiver *local.Receiver, id string) string {
	_, payload, _ := bytes.Cut(receiver.Log(id, ""), []byte(`"payload":`))
	return string(bytes.TrimSuffix(payload, []byte("}")))
}

// TestSourcesArriveUnchanged sends the sample of each source through the whole system.
func TestSourcesArriveUnchanged(t *testing.T) {
	address, receiver, settle := received(t)
	for _, s := range foreign.Sources() {
		files, err := filepath.Glob("../../internal/foreign/testdata/" + s.Name + ".*")
		if err != nil || len(files) != 1 {
			t.Fatalf("%s: %v, %v", s.Name, files, err)
		}
		out, errs, code := send(t.Context(), nil, "--url", address+"/ingest", "--from", s.Name, "--workspace", "acme", files[0])
		if code != 0 {
			t.Errorf("%s ends with %d: %s%s", s.Name, code, out, errs)
		}
		settle()
		text, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for v := range logfile.Documents(bytes.NewReader(text), s.Records...) {
			count++
			want := inOneLine(v.JSON)
			l, err := s.Form.Log("acme", want)
			if err != nil {
				t.Fatal(err)
			}
			if got := delivered(receiver, l.ID); got != string(want) {
				t.Errorf("%s, %s arrived as\n%s\nand was\n%s", s.Name, l.ID, got, want)
			}
		}
		if want := fmt.Sprintf("sent %d logs ", count); !strings.HasPrefix(out, want) {
			t.Errorf("%s: %q does not begin with %q", s.Name, out, want)
		}
	}
}

// trail is a file as CloudTrail delivers it: one line, of one object, gzipped. Its events have what HTML and
// JSON escape, and are of many sizes.
func trail(t *testing.T, events int) (path string, payloads map[string]string) {
	t.Helper()
	payloads = make(map[string]string, events)
	list := make([]string, events)
	for i := range list {
		id := fmt.Sprintf("7dd15a89-ae0f-4340-8e6c-%012d", i)
		list[i] = fmt.Sprintf(`{"eventVersion":"1.09","eventTime":"2026-11-02T%02d:%02d:%02dZ","eventName":"GetObject","requestParameters":{"key":"a/<%d>&b=\u003c\/","n":%d},`+
			`"userAgent":"[%s]","responseElements":null,"eventID":"%s","resources":[{"ARN":"arn:aws:s3:::acme/ü"}]}`, i/3600, i/60%60, i%60, i, uint64(9007199254740993)+uint64(i), strings.Repeat("x", i*7%4000), id)
		payloads[id] = list[i]
	}
	path = filepath.Join(t.TempDir(), "111122223333_CloudTrail_eu-central-1_20261102T0930Z_Mu0KsOhtH1ar15ZZ.json.gz")
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := io.WriteString(w, `{"Records":[`+strings.Join(list, ",")+`]}`); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), os.WriteFile(path, packed.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path, payloads
}

func TestCloudTrailFile(t *testing.T) {
	address, receiver, settle := received(t)
	path, payloads := trail(t, 1450)
	out, errs, code := send(t.Context(), nil, "--url", address+"/ingest", "--from", "cloudtrail", "--workspace", "acme", path)
	if code != 0 || !strings.HasPrefix(out, "sent 1450 logs ") || !strings.HasSuffix(out, "; refused 0; last line "+path+":1/1450\n") {
		t.Fatalf("%d: %s%s", code, out, errs)
	}
	settle()
	for id, want := range payloads {
		if got := delivered(receiver, id); got != want {
			t.Fatalf("%s arrived as\n%s\nand was\n%s", id, got, want)
		}
	}
	if receiver.Logs() != len(payloads) {
		t.Errorf("%d logs arrived of %d", receiver.Logs(), len(payloads))
	}
}

// intake answers as the local runner does and counts the ids that it took. At one call it does something
// first.
type intake struct {
	mu    sync.Mutex
	calls int
	taken map[string]int
	at    int
	do    func()
}

func (in *intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.calls++; in.calls == in.at {
		in.do()
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	for line := range bytes.Lines(body) {
		var log struct{ ID string }
		if json.Unmarshal(line, &log) == nil {
			in.taken[log.ID]++
		}
	}
	fmt.Fprintf(w, `{"queued":%d}`, bytes.Count(body, []byte("\n")))
}

// told are the figures of a summary.
type told struct {
	sent, refused int
	goOn          []string
}

func read(t *testing.T, summary string) (s told) {
	t.Helper()
	if _, err := fmt.Sscanf(summary, "sent %d logs", &s.sent); err != nil {
		t.Fatalf("%q: %v", summary, err)
	}
	_, rest, _ := strings.Cut(summary, "refused ")
	if _, err := fmt.Sscanf(rest, "%d", &s.refused); err != nil {
		t.Fatalf("%q: %v", summary, err)
	}
	if _, hint, ok := strings.Cut(summary, "go on with: "); ok {
		s.goOn = strings.Fields(hint)
	}
	return s
}

// TestHundredThousandLines sends a file with a bad line in each thousand, is ended by Ctrl-C, goes on, meets
// an endpoint that dies, and goes on again: what the three runs tell adds up to the file, and each bad line
// was named once.
func TestHundredThousandLines(t *testing.T) {
	const lines, bad = 100_000, 100
	var text strings.Builder
	for i := range lines {
		at := `"2026-11-02T09:30:00Z"`
		if i%1000 == 777 {
			at = `"yesterday"`
		}
		fmt.Fprintf(&text, "{\"id\":\"log-%d\",\"timestamp\":%s}\n", i, at)
	}
	file := filepath.Join(t.TempDir(), "lines.ndjson")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	in := &intake{taken: make(map[string]int), at: 50}
	server := httptest.NewServer(in)
	defer server.Close()
	// Ctrl-C comes while a call is under way, which is answered: what it took is counted.
	in.do = interrupt
	flags := []string{"--url", server.URL + "/ingest", "--wrap", "user_activity", "--workspace", "acme"}
	var named strings.Builder
	run := func(ctx context.Context, want int, args ...string) told {
		t.Helper()
		out, errs, code := send(ctx, nil, append(flags, args...)...)
		if code != want {
			t.Fatalf("it ends with %d, not %d: %s%.500s", code, want, out, errs)
		}
		named.WriteString(errs)
		return read(t, out)
	}
	first := run(ctx, exitInterrupted, file)
	in.at, in.calls = 60, 0
	in.do = func() { panic(http.ErrAbortHandler) } // the answer never comes
	second := run(t.Context(), exitFailed, first.goOn...)
	in.at = 0
	third := run(t.Context(), exitInvalid, second.goOn...)

	if first.sent == 0 || second.sent == 0 || first.sent+second.sent+third.sent != lines-bad || first.refused+second.refused+third.refused != bad || third.goOn != nil {
		t.Errorf("the runs tell %v, %v and %v of %d lines", first, second, third, lines)
	}
	if n := strings.Count(named.String(), file+":"); n != bad {
		t.Errorf("%d bad lines were named of %d", n, bad)
	}
	if !strings.Contains(named.String(), file+":778: the field \"timestamp\" (--time-field) is no time") {
		t.Errorf("line 778 was not named: %.300s", named.String())
	}
	for i := range lines {
		want := 1
		if i%1000 == 777 {
			want = 0
		}
		if n := in.taken["log-"+strconv.Itoa(i)]; n != want {
			t.Fatalf("line %d was taken %d times, want %d", i+1, n, want)
		}
	}
}

// TestDeadEndpoint holds that nothing is counted as sent where nobody answered, and that the end comes at
// once.
func TestDeadEndpoint(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	address := server.URL
	server.Close()
	const logs = `{"id":"a","timestamp":1793611800}` + "\n" + `{"id":"b","timestamp":1793611800}` + "\n"
	out, errs, code := send(t.Context(), strings.NewReader(logs), "--url", address+"/ingest", "--wrap", "user_activity", "--workspace", "acme")
	if code != exitFailed || !strings.HasPrefix(out, "sent 0 logs") || strings.Contains(out, "may have been sent") || !strings.Contains(errs, "is auditrelay local running there?") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
}

// TestInterruptedWhileReading holds that Ctrl-C ends a command that waits for input which does not come.
func TestInterruptedWhileReading(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	in, feed := io.Pipe()
	defer feed.Close()
	go func() {
		_, _ = io.WriteString(feed, `{"id":"a"`)
		interrupt()
	}()
	out, errs, code := send(ctx, in, "--url", "http://127.0.0.1:1/ingest", "--wrap", "user_activity", "--workspace", "acme")
	if code != exitInterrupted || !strings.HasPrefix(out, "sent 0 logs") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
}

func TestInterruptible(t *testing.T) {
	var got bytes.Buffer
	text := strings.Repeat("0123456789", 20_000)
	if _, err := got.ReadFrom(&interruptible{ctx: t.Context(), in: strings.NewReader(text)}); err != nil || got.String() != text {
		t.Errorf("%d bytes came of %d, %v", got.Len(), len(text), err)
	}
	failing := &interruptible{ctx: t.Context(), in: io.MultiReader(strings.NewReader("ab"), errorReader{})}
	if text, err := io.ReadAll(failing); string(text) != "ab" || !errors.Is(err, errBroken) {
		t.Errorf("%q, %v", text, err)
	}
}

var errBroken = errors.New("broken")

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, errBroken }

// TestSilentEndpoint holds that Ctrl-C waits for the call under way, and not for ever.
func TestSilentEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		call, done := answered(ctx)
		defer done()
		interrupt()
		start := time.Now()
		<-call.Done()
		if waited := time.Since(start); waited != graceTime {
			t.Errorf("a call is broken off after %v, not %v", waited, graceTime)
		}
		unasked, done := answered(t.Context())
		defer done()
		start = time.Now()
		<-unasked.Done()
		if waited := time.Since(start); waited != callTime {
			t.Errorf("a call is given up after %v, not %v", waited, callTime)
		}
	})
}

func TestExitCodesOfSend(t *testing.T) {
	got := map[string]int{
		"interrupted":    exitCode(errInterrupted),
		"refused lines":  exitCode(refusedLines(3)),
		"a wrong layout": exitCode(fmt.Errorf("x: %w", logfile.Layout("is Parquet"))),
		"used wrongly":   exitCode(usageError("x")),
		"another error":  exitCode(io.ErrUnexpectedEOF),
	}
	want := map[string]int{"interrupted": 130, "refused lines": 5, "a wrong layout": 5, "used wrongly": 2, "another error": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
