package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/auditrelay/auditrelay/internal/local"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"auditrelay": main})
}

// TestScripts runs each script of testdata/script against a system of its own: a local runner that stands still between advances, with the
// workspace acme and the destination siem, whose receiver $RECEIVER the script can change.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: startSystem,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"advance":  advance,
			"await":    await,
			"expand":   expand,
			"freeport": chosenPort,
			"gzip":     zip,
			"large":    large,
			"receiver": behave,
		},
	})
}

type receiverKey struct{}

func startSystem(env *testscript.Env) error {
	receiver, err := local.StartReceiver()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	out, in := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = in.CloseWithError(local.Run(ctx, local.Options{Listen: "127.0.0.1:0", Directory: local.Sample(receiver.URL()), Out: in}))
	}()
	var address string
	if _, err := fmt.Fscanf(out, "ready %s\n", &address); err != nil {
		stop()
		return err
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	env.Defer(func() {
		stop()
		<-ended
		_ = receiver.Close()
	})
	env.Setenv("LOCAL", address)
	env.Setenv("RECEIVER", receiver.URL())
	env.Values[receiverKey{}] = receiver
	return nil
}

// advance moves the runner's clock: advance 8h.
func advance(ts *testscript.TestScript, _ bool, args []string) {
	resp, err := http.Post(ts.Getenv("LOCAL")+"/clock/advance", "application/json", strings.NewReader(fmt.Sprintf(`{"by":%q}`, args[0])))
	ts.Check(err)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		ts.Fatalf("advance %s: %s", args[0], resp.Status)
	}
}

// behave changes how the receiver answers: receiver 503.
func behave(ts *testscript.TestScript, _ bool, args []string) {
	receiver, ok := ts.Value(receiverKey{}).(*local.Receiver)
	if !ok {
		ts.Fatalf("there is no receiver")
	}
	receiver.Behave(local.Behaviour(args[0]))
}

// expand puts the environment into a file: expand streams.yaml.
func expand(ts *testscript.TestScript, _ bool, args []string) {
	file := ts.MkAbs(args[0])
	ts.Check(os.WriteFile(file, []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}

// zip writes a file's gzipped form beside it: gzip logs.ndjson.
func zip(ts *testscript.TestScript, _ bool, args []string) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Check(w.Close())
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".gz"), b.Bytes(), 0o600))
}

// large writes two logs, the first with a payload of that many bytes: large 1100000 logs.ndjson.
func large(ts *testscript.TestScript, _ bool, args []string) {
	size, err := strconv.Atoi(args[0])
	ts.Check(err)
	const log = `{"id":"large-%d","workspace_id":"acme","type":"user_activity","occurred_at":"2026-11-02T09:30:00Z","payload":{"x":%q}}` + "\n"
	text := fmt.Sprintf(log, 1, strings.Repeat("x", size)) + fmt.Sprintf(log, 2, "small")
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// chosenPort sets $PORT to a free one.
func chosenPort(ts *testscript.TestScript, _ bool, _ []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	ts.Check(l.Close())
	ts.Setenv("PORT", port)
}

// await asks an address until it answers: await http://127.0.0.1:8686/clock.
func await(ts *testscript.TestScript, _ bool, args []string) {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for range 500 {
		if resp, err := http.Get(args[0]); err == nil {
			_ = resp.Body.Close()
			return
		}
		<-again.C
	}
	ts.Fatalf("%s does not answer", args[0])
}
