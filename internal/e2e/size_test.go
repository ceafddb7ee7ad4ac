//go:build e2e

package e2e

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// The limits of issue 5: what Lambda loads, how long a cold start takes, and what deliver needs at a full batch.
const (
	maxBootstrap = 15 << 20
	maxZip       = 6 << 20
	maxStart     = 80 * time.Millisecond
	maxPeak      = 96 << 20
	// starts is how often a start is measured. The fastest counts: the others tell of what else the machine did.
	starts = 10
)

// TestSize prints the table of make size, and fails over a limit. Sizes are of what is deployed; times and memory are of this machine.
func TestSize(t *testing.T) {
	tmpl := readTemplate(t, assembly(t))
	d := deploy(t, startServers(t), tmpl, compile(t, tmpl), "")
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "function\tbootstrap\tzip\texec to first next\tpeak memory")
	for _, name := range slices.Sorted(maps.Keys(d.functions)) {
		f := d.functions[name]
		p, err := programOf(tmpl, f.id)
		if err != nil {
			t.Fatal(err)
		}
		bootstrap, zipped, start := fileSize(t, p.asset), zipSize(t, p.asset), fastestStart(t, f)
		peak := "-"
		if name == "deliver" {
			bytes := peakMemory(t, d, f)
			peak = megabytes(bytes)
			within(t, "deliver's peak memory at a batch of 100 logs of 2 KiB", bytes, maxPeak)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d ms\t%s\n", name, megabytes(bootstrap), megabytes(zipped), start.Milliseconds(), peak)
		within(t, name+"'s bootstrap", bootstrap, maxBootstrap)
		within(t, name+"'s zip", zipped, maxZip)
		if start > maxStart {
			t.Errorf("%s asks for work %v after its start, at most %v are allowed", name, start, maxStart)
		}
	}
	fmt.Fprintf(table, "at most\t%s\t%s\t%d ms\t%s\n", megabytes(maxBootstrap), megabytes(maxZip), maxStart.Milliseconds(), megabytes(maxPeak))
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
}

func within(t *testing.T, what string, bytes, limit int64) {
	t.Helper()
	if bytes > limit {
		t.Errorf("%s is %s, at most %s are allowed", what, megabytes(bytes), megabytes(limit))
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func fileSize(t *testing.T, file string) int64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func zipSize(t *testing.T, file string) int64 {
	t.Helper()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var size counter
	archive := zip.NewWriter(&size)
	out, err := archive.Create("bootstrap")
	if err == nil {
		_, err = io.Copy(out, in)
	}
	if err == nil {
		err = archive.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return int64(size)
}

func fastestStart(t *testing.T, f *function) time.Duration {
	t.Helper()
	fastest := time.Duration(1<<63 - 1)
	for range starts {
		e, err := startEnvironment(f.file, f.arn, 0, f.environment(), f.output)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-e.ready:
			fastest = min(fastest, e.readyIn)
		case <-e.ended:
			t.Fatalf("%s ended at its start:\n%s", f.name, f.output)
		case <-time.After(f.timeout):
			t.Fatalf("%s did not ask for work:\n%s", f.name, f.output)
		}
		e.stop()
	}
	return fastest
}

// peakMemory is the most that deliver had in memory over ten batches of 100 logs of 2 KiB.
func peakMemory(t *testing.T, d *deployment, f *function) int64 {
	t.Helper()
	r := openReceiver(t, http.StatusOK)
	d.workspace(t, "w-size", r.url)
	for batch := range 10 {
		var e events.SQSEvent
		for i := range 100 {
			id := fmt.Sprintf("size-%d-%d", batch, i)
			e.Records = append(e.Records, events.SQSMessage{
				MessageId: id, Body: aLog("w-size", id, `{"text":"`+strings.Repeat("x", 2<<10)+`"}`), EventSourceARN: d.arn(d.construct(t, "AWS::SQS::Queue", "Ingest")),
				Attributes: map[string]string{"SentTimestamp": strconv.FormatInt(time.Now().UnixMilli(), 10), "ApproximateReceiveCount": "1"},
			})
		}
		payload, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.invoke(t.Context(), payload); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.count(); got != 1000 {
		t.Fatalf("%d logs were delivered, want 1000", got)
	}
	return highWater(t, f.all[0].process.Process.Pid)
}

// highWater reads the peak of a process's resident memory.
func highWater(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	t.Fatal("the kernel does not tell the peak of the memory")
	return 0
}
