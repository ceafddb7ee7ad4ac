package local

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"

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
	d, err := sampleOfTwo(siem.URL(), archive.URL())
	return map[string]*Receiver{"siem": siem, "archive": archive}, d, err
}

// sampleOfTwo is a run without a configuration file: the workspace acme streams to two receivers of this process. The siem takes every log, one a
// request; the archive takes user activity, many a request. Their time-outs are short, because the virtual clock stands still meanwhile.
func sampleOfTwo(siemURL, archiveURL string) (Directory, error) {
	file := fmt.Sprintf(`
workspaces:
  - {id: acme, name: Acme Corp, kind: standalone, admins: [ada@acme.example], error_recipients: [oncall@acme.example]}
destinations:
  - {id: siem, name: Acme SIEM, workspace_id: acme, kind: http, settings: {url: %q, timeout: 4s}}
  - {id: archive, name: Acme archive, workspace_id: acme, kind: http, log_types: [user_activity], settings: {url: %q, format: ndjson, timeout: 4s}}
`, siemURL, archiveURL)
	return ParseFile("sample", []byte(file), Network())
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
