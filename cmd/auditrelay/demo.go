package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/sink"
)

func demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "demo",
		Short:   "Tell the story of a week: a destination fails and recovers, another stays dead",
		Example: "  auditrelay demo",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := newDemo(cmd.Context(), cmd.OutOrStdout())
			if err != nil {
				return err
			}
			defer d.close()
			return d.tell(cmd.Context())
		},
	}
}

// demo is a world with receivers of every kind on this machine: the SIEM, which fails for a while, the archive, which is dead, and a bucket, a
// blob container and a Log Analytics workspace, which just work.
type demo struct {
	out     io.Writer
	world   *local.World
	siem    *local.Receiver
	archive *local.Receiver
	monitor *local.Receiver
	bucket  *bucketStore
	blobs   *blobStore // nil without Azurite
	started time.Time
	told    int // entries of the journal that were told already
}

func newDemo(ctx context.Context, out io.Writer) (d *demo, err error) {
	started := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	d = &demo{out: out, world: local.NewWorld(started, nil), started: started}
	for _, r := range []**local.Receiver{&d.siem, &d.archive, &d.monitor} {
		if *r, err = local.StartReceiver(); err != nil {
			return nil, err
		}
	}
	if d.bucket, err = startBucket(); err != nil {
		return nil, err
	}
	if d.blobs, err = startBlobs(ctx); errors.Is(err, errNoAzurite) {
		fmt.Fprintln(out, err)
	} else if err != nil {
		return nil, err
	}
	d.world.SetSinks(&sink.Factory{Vault: d.world.Vault, Records: d.world.Directory, Network: local.Network(), Room: sink.NewRoom(sink.LeastRoom), Now: time.Now})
	destinations, err := d.directory()
	if err != nil {
		return nil, err
	}
	return d, d.world.Apply(ctx, destinations)
}

func (d *demo) close() {
	for _, r := range []*local.Receiver{d.siem, d.archive, d.monitor} {
		_ = r.Close()
	}
	d.bucket.server.Close()
	if d.blobs != nil {
		_ = d.blobs.close()
	}
}

// directory is one workspace that streams to everything.
func (d *demo) directory() (local.Directory, error) {
	file := fmt.Sprintf(`
workspaces:
  - {id: acme, name: Acme Corp, kind: standalone, admins: [ada@acme.example]}
destinations:
  - {id: siem, name: Acme SIEM, workspace_id: acme, kind: http, settings: {url: %q}}
  - {id: archive, name: Acme archive, workspace_id: acme, kind: http, log_types: [user_activity], settings: {url: %q, format: ndjson}}
  - {id: bucket, name: Acme bucket, workspace_id: acme, kind: s3, settings: {bucket: %s, endpoint: %q},
     credentials: {access_key_id: demo, secret_access_key: demo-demo}}
  - {id: monitor, name: Acme Log Analytics, workspace_id: acme, kind: azure_monitor,
     settings: {api: legacy, endpoint: %q, workspace_id: 7c0f2c5e-5c3b-4a55-9f4b-0d6c2f1f2a11, log_type: AcmeAudit}, credentials: {shared_key: ZGVtby1kZW1v}}
`, d.siem.URL(), d.archive.URL(), demoBucket, d.bucket.server.URL, strings.TrimSuffix(d.monitor.URL(), "/logs"))
	if d.blobs != nil {
		file += fmt.Sprintf(`  - {id: blobs, name: Acme blobs, workspace_id: acme, kind: azure_blob,
     settings: {account: %s, container: %s, endpoint: %q}, credentials: {account_key: %q}}
`, azuriteAccount, demoContainer, d.blobs.url, azuriteKey)
	}
	return local.ParseFile("demo.yaml", []byte(file), local.Network())
}

func (d *demo) tell(ctx context.Context) error {
	d.say("One workspace streams to an HTTP receiver (siem), a bucket, a blob container, a Log Analytics workspace, and an archive that is dead from the start.")
	_ = d.archive.Close()
	examples, err := exampleLogs()
	if err != nil {
		return err
	}
	half := len(examples) / 2
	steps := []struct {
		text string
		do   func()
		then time.Duration
	}{
		{fmt.Sprintf("%d logs go in.", half), func() { d.send(examples[:half]) }, time.Second},
		{"The siem breaks: it answers 503.", func() { d.siem.Behave("503") }, time.Minute},
		{fmt.Sprintf("%d more logs go in.", len(examples)-half), func() { d.send(examples[half:]) }, 90 * time.Minute},
		{"The siem is back. The first log whose time comes finds it out, and the others follow at once.", func() { d.siem.Behave("200") }, 12 * time.Hour},
		{"Nobody repairs the archive. The retries go on, further and further apart.", func() {}, 8 * 24 * time.Hour},
	}
	for _, s := range steps {
		d.say(s.text)
		s.do()
		if err := d.world.Advance(ctx, s.then); err != nil {
			return err
		}
		if err := d.timeline(); err != nil {
			return err
		}
	}
	return d.balance(ctx, len(examples))
}

// say tells what happens, with the time since the start.
func (d *demo) say(text string) {
	fmt.Fprintf(d.out, "\n%s  %s\n", stamp(d.world.Clock.Now().Sub(d.started)), text)
}

func (d *demo) send(logs [][]byte) {
	for _, l := range logs {
		d.world.Send(l)
	}
}

// timeline tells what the journal has gained: what arrived at the first attempt in one line, then a line for each retry and each end.
func (d *demo) timeline() error {
	entries := d.world.Journal.Entries()
	defer func() { d.told = len(entries) }()
	first := make(map[string]int)
	var tales table
	for _, e := range entries[d.told:] {
		if e.Event == delivery.EventAttempted && e.Outcome == delivery.Delivered && e.Attempt == 1 {
			first[e.DestinationID]++
			continue
		}
		if cells := tale(e); cells != nil {
			tales.add(append([]cell{text("  %s", stamp(e.At.Sub(d.started)))}, cells...)...)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(first)) {
		fmt.Fprintf(d.out, "  delivered at the first attempt: %d to %s\n", first[id], id)
	}
	return tales.write(d.out)
}

// tale tells one entry in the columns of the timeline: log, destination, attempt, outcome, what next.
func tale(e delivery.Entry) []cell {
	row := func(attempt, outcome cell, next string) []cell {
		return []cell{text("%s", e.LogID), text("%s", e.DestinationID), attempt, outcome, text("%s", next)}
	}
	attempt := text("attempt %d", e.Attempt)
	switch {
	case e.Event == delivery.EventAttempted && e.Outcome == delivery.Delivered:
		return row(attempt, text("delivered").in(green), "")
	case e.Event == delivery.EventAttempted:
		return row(attempt, text("%s", e.Code).in(yellow), wait(e))
	case e.Event == delivery.EventFailing:
		return row(text(""), text("is failing").in(red), failure.Find(e.Code).Status)
	case e.Event == delivery.EventRecovered:
		return row(text(""), text("has recovered").in(green), "")
	case e.Event == delivery.EventFailed:
		return row(text("%d attempts", e.Attempt), text("given up").in(red), failure.Find(e.Code).Status)
	}
	return nil
}

// wait tells the pause that follows a failed attempt.
func wait(e delivery.Entry) string {
	if !e.NextAt.Before(e.ExpiresAt()) {
		return "was the last"
	}
	return "again in " + e.NextAt.Sub(e.At).Round(time.Second).String()
}

// balance adds everything up, looks into the stores themselves, and fails if the sums do not agree.
func (d *demo) balance(ctx context.Context, logs int) error {
	names, err := d.bucket.names()
	if err != nil {
		return err
	}
	held := map[string]int{"siem": d.siem.Logs(), "monitor": d.monitor.Logs(), "bucket": len(names)}
	if d.blobs != nil {
		if held["blobs"], err = d.blobs.count(ctx); err != nil {
			return err
		}
	}
	fmt.Fprintf(d.out, "\nWhat the destinations hold, each log once: %v\nAn object in the bucket: %s\n", held, names[0])
	for _, m := range d.world.Mail.All() {
		fmt.Fprintf(d.out, "Mail on %s to %s: %s\n", stamp(m.At.Sub(d.started)), strings.Join(m.To, ", "), m.Subject)
	}
	l := d.world.Journal.Ledger()
	fmt.Fprintf(d.out, "%d failed events are on record, each after its seven days.\n", len(d.world.Cache.FailedEvents()))
	repeated := ""
	if l.Repeated > 0 {
		repeated = fmt.Sprintf(" + %d repeated", l.Repeated)
	}
	fmt.Fprintf(d.out, "\n%d accepted = %d delivered + %d pending + %d failed%s\n", l.Accepted, l.Delivered, l.Pending, l.Failed, repeated)
	for id, n := range held {
		if n != logs {
			return fmt.Errorf("%s holds %d logs, want %d", id, n, logs)
		}
	}
	if l.Accepted != l.Delivered+l.Pending+l.Failed+l.Repeated || l.Pending != 0 {
		return fmt.Errorf("the ledger does not balance: %+v", l)
	}
	return nil
}

// stamp is a time since the start: day, hours, minutes, seconds.
func stamp(d time.Duration) string {
	days := int(d / (24 * time.Hour))
	d -= time.Duration(days) * 24 * time.Hour
	return fmt.Sprintf("day %d %02d:%02d:%02d", days, int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}

// exampleLogs are the logs of events/examples as queue messages, all of the workspace acme.
func exampleLogs() ([][]byte, error) {
	var logs [][]byte
	names, err := fs.Glob(events.Examples(), "*.json")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(events.Examples(), name)
		if err != nil {
			return nil, err
		}
		var log events.Log
		if err := json.Unmarshal(text, &log); err != nil {
			return nil, fmt.Errorf("example %s: %w", name, err)
		}
		log.WorkspaceID = "acme"
		body, err := json.Marshal(log)
		if err != nil {
			return nil, err
		}
		logs = append(logs, bytes.TrimSpace(body))
	}
	return logs, nil
}
