package local

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/local/console"
)

// console serves the pages over this world. The buttons of destinations call the API.
func (s *Server) console(api http.Handler) http.Handler {
	w := s.World
	c := console.Console{
		Journal: w.Journal, Directory: w.Directory, Cache: w.Cache, Mail: w.Mail, Timers: w.Timers, Rejected: w.Rejected,
		Now: w.Clock.Now, Speed: s.Speed, Advance: w.Advance, API: api,
	}
	if len(s.Demo) == 0 {
		return c.Handler()
	}
	c.Demo = &console.Demo{Examples: w.examples()}
	for _, id := range slices.Sorted(maps.Keys(s.Demo)) {
		r := s.Demo[id]
		c.Demo.Receivers = append(c.Demo.Receivers, console.Receiver{
			DestinationID: id, Log: r.Log,
			Answers: func() string { return string(r.Behaviour()) },
			Answer:  func(b string) { r.Behave(Behaviour(b)) },
		})
	}
	return c.Handler()
}

// StartSample starts the receivers of a sample directory.
func StartSample() (map[string]*Receiver, Directory, error) {
	siem, err := StartReceiver()
	if err != nil {
		return nil, Directory{}, err
	}
	archive, err := StartReceiver()
	if err != nil {
		_ = siem.Close()
		return nil, Directory{}, err
	}
	return map[string]*Receiver{"siem": siem, "archive": archive}, sampleOfTwo(siem.URL(), archive.URL()), nil
}

// sampleTimeout is short, because the virtual clock stands still while a receiver is waited for; a slow one still answers within it.
const sampleTimeout = slowAnswer + time.Second

// sampleOfTwo is the sample with a second destination: the siem takes every log, the archive user activity only, many in one request.
func sampleOfTwo(siemURL, archiveURL string) Directory {
	d := Sample(siemURL)
	settings := func(url, format string) json.RawMessage {
		text, _ := json.Marshal(map[string]string{"url": url, "format": format, "timeout": sampleTimeout.String()}) // strings can always be written
		return text
	}
	d.Destinations[0].Settings = settings(siemURL, "single")
	archive := d.Destinations[0]
	archive.ID, archive.Name, archive.LogTypes = "archive", "Acme archive", []string{events.UserActivity}
	archive.Settings = settings(archiveURL, "ndjson")
	d.Destinations = append(d.Destinations, archive)
	return d
}

// examples gives a function that sends the example logs, each time under new ids, all of the sample's workspace.
func (w *World) examples() func(rounds int) (sent int, err error) {
	var round atomic.Int64
	return func(rounds int) (sent int, err error) {
		logs, err := exampleLogs()
		if err != nil {
			return 0, err
		}
		for range rounds {
			n := round.Add(1)
			for _, log := range logs {
				log.ID = fmt.Sprintf("%s.%d", log.ID, n)
				log.WorkspaceID = "acme"
				body, err := json.Marshal(log)
				if err != nil {
					return sent, fmt.Errorf("write example %s: %w", log.ID, err)
				}
				w.Send(body)
				sent++
			}
		}
		return sent, nil
	}
}

func exampleLogs() ([]events.Log, error) {
	names, err := fs.Glob(events.Examples(), "*.json")
	if err != nil {
		return nil, fmt.Errorf("list the example logs: %w", err)
	}
	logs := make([]events.Log, len(names))
	for i, name := range names {
		text, err := fs.ReadFile(events.Examples(), name)
		if err != nil {
			return nil, fmt.Errorf("read example %s: %w", name, err)
		}
		if err := json.Unmarshal(text, &logs[i]); err != nil {
			return nil, fmt.Errorf("read example %s: %w", name, err)
		}
	}
	return logs, nil
}
