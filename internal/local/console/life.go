package console

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// logMain is the page of one log on its way to one destination.
type logMain struct {
	Now             time.Time
	Key             delivery.Key
	DestinationName string
	Others          []logRow
	Lives           []lifeView
	Document        string
	// From says where the document was found, or why there is none.
	From string
}

// lifeView is one acceptance of the log and all that followed.
type lifeView struct {
	logRow
	Steps []step
	// Waits says what comes next.
	Waits string
}

// step is a point of the timeline.
type step struct {
	delivery.Entry
	Class string
}

func (s *server) log(w http.ResponseWriter, r *http.Request) {
	destinationID, workspaceID, logID := r.PathValue("destination"), r.PathValue("workspace"), r.PathValue("log")
	main := logMain{Now: s.Now(), Key: delivery.Key{DestinationID: destinationID, WorkspaceID: workspaceID, LogID: logID}}
	main.DestinationName = s.destinationName(destinationID)
	d, err := s.Directory.CurrentDestination(r.Context(), destinationID)
	known := err == nil
	var last delivery.Key
	s.tally.mu.Lock()
	s.tally.catchUp()
	for _, k := range s.tally.byLog[logID] {
		switch {
		case k.DestinationID == destinationID && k.WorkspaceID == workspaceID:
			main.Lives = append(main.Lives, s.tally.lifeView(k, d, known))
			last = k
		default:
			main.Others = append(main.Others, s.tally.rows([]delivery.Key{k})...)
		}
	}
	s.tally.mu.Unlock()
	if len(main.Lives) == 0 {
		s.missing(w, r, "There is no log "+logID+" of workspace "+workspaceID+" on its way to "+destinationID+".")
		return
	}
	main.Document, main.From = s.document(r, last)
	s.show(w, r, http.StatusOK, "log", page{Title: "Log " + logID, Now: main.Now, Main: main})
}

// lifeView tells a delivery's life. The caller holds the tally.
func (t *tally) lifeView(k delivery.Key, d directory.Destination, known bool) lifeView {
	l := t.lives[k]
	view := lifeView{logRow: t.rows([]delivery.Key{k})[0]}
	for _, e := range t.entries(l.steps) {
		view.Steps = append(view.Steps, step{e, stepClass(e)})
	}
	if l.stage != waiting {
		return view
	}
	switch {
	case !known:
		view.Waits = "The destination was deleted; the log waits for its end."
	case d.State != directory.Connected:
		view.Waits = "It waits until the destination is reconnected, for seven days at most."
	case l.nextAt.IsZero() && d.Health.State == directory.Failing:
		view.Waits = "It is held back while the destination fails; the first success sends it."
	case l.nextAt.IsZero():
		view.Waits = "It is on its way."
	}
	return view
}

func stepClass(e delivery.Entry) string {
	switch e.Event {
	case delivery.EventAccepted:
		return "accepted"
	case delivery.EventHeld:
		return "held"
	case delivery.EventFailed:
		return "lost"
	}
	return string(e.Outcome)
}

// document looks for what the destination receives: in the cache while the log waits, at a built-in receiver once it has arrived.
func (s *server) document(r *http.Request, k delivery.Key) (text, from string) {
	if cached, _, err := s.Cache.Load(r.Context(), []delivery.Key{k}); err == nil {
		if d, ok := cached[k]; ok {
			return indented(d.Document.JSON), "As it waits in the cache, before the destination's template."
		}
	}
	if s.Demo != nil {
		for _, receiver := range s.Demo.Receivers {
			if receiver.DestinationID != k.DestinationID {
				continue
			}
			if got := receiver.Log(k.LogID, k.Hash); got != nil {
				return indented(got), "As the built-in receiver got it."
			}
		}
	}
	return "", "auditrelay keeps no copy of a log that has arrived or was given up."
}

func indented(raw []byte) string {
	var out bytes.Buffer
	if json.Indent(&out, raw, "", "  ") != nil {
		return string(raw)
	}
	return out.String()
}

// find leads from a log's id to its page.
func (s *server) find(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	s.tally.mu.Lock()
	s.tally.catchUp()
	keys := s.tally.byLog[id]
	s.tally.mu.Unlock()
	if len(keys) == 0 {
		s.missing(w, r, "No log with the id "+id+" was accepted for a destination.")
		return
	}
	k := keys[len(keys)-1]
	http.Redirect(w, r, "/logs/"+url.PathEscape(k.DestinationID)+"/"+url.PathEscape(k.WorkspaceID)+"/"+url.PathEscape(k.LogID), http.StatusSeeOther)
}
