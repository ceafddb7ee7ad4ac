package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/auditrelay/auditrelay/internal/local"
)

// TestEveryExampleRuns executes each example of docs/cli.md that needs no account, against a new system: the workspace acme, which streams to siem and
// archive.
func TestEveryExampleRuns(t *testing.T) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		here, _ := examples(cmd)
		for _, example := range here {
			t.Run(example, func(t *testing.T) {
				t.Chdir(t.TempDir())
				address, receiver := exampleSystem(t)
				writeExampleFiles(t, receiver)
				for _, line := range append(before(example), example) {
					if out, err := runExample(t, address, strings.ReplaceAll(line, "https://siem.example/logs", receiver)); err != nil {
						t.Errorf("%s: %v\n%s", line, err, out)
					}
				}
			})
		}
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	walk(root())
}

// before is what the reader of an example has done already.
func before(example string) []string {
	switch {
	case strings.HasPrefix(example, "auditrelay destination reconnect"):
		return []string{"auditrelay destination disconnect siem --local"}
	case strings.HasPrefix(example, "auditrelay destination restore"), strings.HasSuffix(example, "--purge"):
		return []string{"auditrelay destination delete siem --local"}
	case strings.HasPrefix(example, "auditrelay workspace delete"):
		return []string{
			"auditrelay destination delete siem --local", "auditrelay destination delete siem --local --purge",
			"auditrelay destination delete archive --local", "auditrelay destination delete archive --local --purge",
		}
	case strings.Contains(example, "--parent orbit"):
		return []string{"auditrelay workspace put orbit --local --kind embedded_partner --name Orbit --admin ada@orbit.example"}
	}
	return nil
}

// smaller is what is added to an example that would take minutes, or no end.
func smaller(example string) []string {
	switch {
	case example == "auditrelay simulate" || strings.HasPrefix(example, "auditrelay simulate --"):
		return []string{"--rate", "20", "--destinations", "200", "--days", "0.02", "--outage", "5m"}
	case strings.HasPrefix(example, "auditrelay tail"):
		return []string{"--for", "1ms"}
	case strings.HasPrefix(example, "auditrelay local") && !strings.Contains(example, "--listen"):
		return []string{"--listen", "127.0.0.1:0"}
	}
	return nil
}

// readyWriter ends a system as soon as it says that it is ready.
type readyWriter struct {
	bytes.Buffer
	stop context.CancelFunc
}

func (w *readyWriter) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("ready ")) {
		w.stop()
	}
	return w.Buffer.Write(p)
}

// runExample runs one line in this process: an echo before a pipe is its input, and the usual address is the system's.
func runExample(t *testing.T, address, line string) (string, error) {
	t.Helper()
	input := ""
	if echo, rest, piped := strings.Cut(line, " | "); piped {
		input, line = strings.Trim(strings.TrimPrefix(echo, "echo "), "'"), rest
	}
	extra := smaller(line)
	line = strings.ReplaceAll(line, "\\\n", " ")
	args := words(strings.ReplaceAll(line, localAddress, address))
	if args[0] != "auditrelay" {
		return "", fmt.Errorf("an example begins with auditrelay")
	}
	for i, a := range args {
		if a == "--local" {
			args[i] = "--local=" + address
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := &readyWriter{stop: stop}
	cmd := root()
	cmd.SetArgs(append(args[1:], extra...))
	cmd.SetIn(strings.NewReader(input))
	cmd.SetOut(out)
	cmd.SetErr(io.Discard)
	err := cmd.ExecuteContext(ctx)
	return out.String(), err
}

// words splits a line as a shell does, as far as examples go: double quotes hold words together.
func words(line string) (list []string) {
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			list = append(list, part)
			continue
		}
		list = append(list, strings.Fields(part)...)
	}
	return list
}

// exampleSystem is a system that stands still between advances.
func exampleSystem(t *testing.T) (address, receiver string) {
	t.Helper()
	receivers, directory, err := local.StartSample()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	out, in := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = in.CloseWithError(local.Run(ctx, local.Options{Listen: "127.0.0.1:0", Directory: directory, Demo: receivers, Out: in}))
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		closeAll(receivers)
	})
	if _, err := fmt.Fscanf(out, "ready %s\n", &address); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return address, receivers["siem"].URL()
}

// writeExampleFiles lays out the files that examples name.
func writeExampleFiles(t *testing.T, receiver string) {
	t.Helper()
	const workspace = "workspaces:\n  - {id: acme, name: Acme Corp, kind: standalone, admins: [ada@acme.example]}\n"
	for name, text := range map[string]string{
		"streams.yaml":  workspace + "destinations:\n  - {id: siem, name: Acme SIEM, workspace_id: acme, kind: http, settings: {url: '" + receiver + "'}}\n",
		"siem.yaml":     "workspace_id: acme\nkind: http\nsettings: {url: '" + receiver + "'}\n",
		"logs.ndjson":   `{"id":"log-1","workspace_id":"acme","type":"user_activity","occurred_at":"2026-11-02T09:30:00Z","payload":{"n":1}}` + "\n",
		"trail.json.gz": compressed(t, `{"Records":[{"eventID":"event-1","eventTime":"2026-11-02T09:30:00Z"}]}`),
		"portal.ndjson": `{"request":{"id":"r-1","at":"2026-11-02 10:30:00"},"stage":"done"}` + "\n",
		"export.json":   `{"audit":{"entries":[{"at":1793611800}]}}`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func compressed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
