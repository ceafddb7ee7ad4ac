package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"text/tabwriter"
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
		Use:   "demo",
		Short: "Tell the story of a week: a destination fails and recovers, another stays dead",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := newDemo(cmd.OutOrStdout())
			if err != nil {
				return err
			}
			defer d.close()
			return d.tell(cmd.Context())
		},
	}
}

// demo is a world with two receivers: the SIEM, which fails for a while, and the archive, which is dead.
type demo struct {
	out     io.Writer
	world   *local.World
	siem    *local.Receiver
	archive *local.Receiver
	started time.Time
	told    int // entries of the journal that were told already
}

func newDemo(out io.Writer) (*demo, error) {
	siem, err := local.StartReceiver()
	if err != nil {
		return nil, err
	}
	archive, err := local.StartReceiver()
	if err != nil {
		return nil, err
	}
	started := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	d := &demo{out: out, world: local.NewWorld(started, nil), siem: siem, archive: archive, started: started}
	d.world.SetSinks(&sink.Factory{Secrets: d.world.Secrets, Network: local.Network(), Now: time.Now})
	directoryOf, err := demoDirectory(siem.URL(), archive.URL())
	if err != nil {
		return nil, err
	}
	return d, d.world.Apply(context.Background(), directoryOf)
}

func (d *demo) close() {
	_ = d.siem.Close()
	_ = d.archive.Close()
}

// demoDirectory is one workspace: acme streams to both receivers.
func demoDirectory(siemURL, archiveURL string) (local.Directory, error) {
	file := fmt.Sprintf(`
workspaces:
  - {id: acme, name: Acme Corp, kind: standalone, admins: [ada@acme.example]}
destinations:
  - {id: siem, name: Acme SIEM, workspace_id: acme, kind: http, settings: {url: %q}}
  - {id: archive, name: Acme archive, workspace_id: acme, kind: http, log_types: [user_activity], settings: {url: %q, format: ndjson}}
`, siemURL, archiveURL)
	return local.ParseFile("demo.yaml", []byte(file), local.Network())
}

func (d *demo) tell(ctx context.Context) error {
	d.say("Two destinations: siem wants every log, archive wants user activity only. The archive is dead from the start.")
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
	return d.balance()
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

// timeline tells what the journal has gained: a line for each attempt and each end.
func (d *demo) timeline() error {
	entries := d.world.Journal.Entries()
	table := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	for _, e := range entries[d.told:] {
		at := stamp(e.At.Sub(d.started))
		switch {
		case e.Event == delivery.EventAttempted && e.Outcome == delivery.Delivered:
			fmt.Fprintf(table, "  %s\t%s\t%s\tattempt %d\tdelivered\t\n", at, e.LogID, e.DestinationID, e.Attempt)
		case e.Event == delivery.EventAttempted:
			fmt.Fprintf(table, "  %s\t%s\t%s\tattempt %d\t%s\t%s\n", at, e.LogID, e.DestinationID, e.Attempt, e.Code, wait(e))
		case e.Event == delivery.EventFailing:
			fmt.Fprintf(table, "  %s\t\t%s\t\tis failing: %s\t\n", at, e.DestinationID, failure.Find(e.Code).Status)
		case e.Event == delivery.EventRecovered:
			fmt.Fprintf(table, "  %s\t\t%s\t\thas recovered\t\n", at, e.DestinationID)
		case e.Event == delivery.EventFailed:
			fmt.Fprintf(table, "  %s\t%s\t%s\t%d attempts\tgiven up: %s\t\n", at, e.LogID, e.DestinationID, e.Attempt, failure.Find(e.Code).Status)
		}
	}
	d.told = len(entries)
	return table.Flush()
}

// wait tells the pause that follows a failed attempt.
func wait(e delivery.Entry) string {
	if !e.NextAt.Before(e.ExpiresAt()) {
		return "was the last"
	}
	return "again in " + e.NextAt.Sub(e.At).Round(time.Second).String()
}

// balance adds everything up and fails if the sums do not agree.
func (d *demo) balance() error {
	l := d.world.Journal.Ledger()
	fmt.Fprintf(d.out, "\n%d accepted = %d delivered + %d pending + %d failed\n", l.Accepted, l.Delivered, l.Pending, l.Failed)
	fmt.Fprintf(d.out, "The siem holds %d different logs after %d requests. %d failed events are on record, each after its seven days.\n",
		d.siem.Logs(), d.siem.Requests(), len(d.world.Cache.FailedEvents()))
	if l.Accepted != l.Delivered+l.Pending+l.Failed || l.Pending != 0 {
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
