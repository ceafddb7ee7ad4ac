package console

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// destinationMain is the page of one destination.
type destinationMain struct {
	card
	Owner     string
	Chart     chart
	Waiting   []logRow
	Why       []directory.CodeCount
	Counted   int       // of those that wait, the oldest, in Why
	FirstLoss time.Time // zero if nothing waits
	Attempts  []delivery.Entry
	Lost      []logRow
	Settings  string
	Receivers []faultPanel
}

// countedAtMost is how many of the logs that wait are looked at for why they do.
const countedAtMost = 1000

func (s *server) destination(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	d, err := s.Directory.CurrentDestination(r.Context(), id)
	if err != nil {
		s.missing(w, r, "There is no destination "+id+".")
		return
	}
	now := s.Now()
	main := destinationMain{Owner: d.WorkspaceID, Settings: settings(d.Settings)}
	if workspace, _, err := s.Directory.Workspace(r.Context(), d.WorkspaceID); err == nil && workspace.Name != "" {
		main.Owner = workspace.Name
	}
	if d.ExternalID != "" {
		main.Owner += ", whose external id is " + d.ExternalID
	}
	codes := make(map[failure.Code]int)
	for _, waits := range s.Cache.List(id, delivery.Key{}, countedAtMost) {
		if main.Counted++; main.FirstLoss.IsZero() {
			main.FirstLoss = waits.ExpiresAt()
		}
		codes[waits.Code]++
	}
	main.Why = directory.ByCode(codes)
	s.tally.mu.Lock()
	s.tally.catchUp()
	f := s.tally.flow(id)
	main.card = s.card(d, now)
	main.Chart = f.chart(now)
	main.Lost = s.tally.rows(newest(f.lost))
	main.Attempts = s.tally.entries(newest(f.latest))
	main.Waiting = s.tally.rows(s.tally.known(s.Cache.List(id, delivery.Key{}, keepLatest)))
	s.tally.mu.Unlock()
	if s.Demo != nil {
		for _, receiver := range s.Demo.Receivers {
			if receiver.DestinationID == id {
				main.Receivers = append(main.Receivers, s.faultPanel(receiver))
			}
		}
	}
	name := d.Name
	if name == "" {
		name = d.ID
	}
	s.show(w, r, http.StatusOK, "destination", page{Title: name, Now: now, Main: main})
}

// entries gives entries of the journal by their places.
func (t *tally) entries(places []int) []delivery.Entry {
	all := t.journal.Since(0)
	list := make([]delivery.Entry, len(places))
	for i, p := range places {
		list[i] = all[p]
	}
	return list
}

// known are the keys of deliveries whose entries are in.
func (t *tally) known(list []delivery.Delivery) []delivery.Key {
	var keys []delivery.Key
	for _, d := range list {
		if t.lives[d.Key] != nil {
			keys = append(keys, d.Key)
		}
	}
	return keys
}

const masked = "•••"

// settings are shown without what could be a credential in the wrong place: headers' values, and the user and query of URLs.
func settings(raw json.RawMessage) string {
	var value any
	if json.Unmarshal(raw, &value) != nil {
		return ""
	}
	if fields, ok := value.(map[string]any); ok {
		if headers, ok := fields["headers"].(map[string]any); ok {
			for name := range headers {
				headers[name] = masked
			}
		}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if encoder.Encode(maskURLs(value)) != nil {
		return ""
	}
	return strings.TrimSpace(out.String())
}

func maskURLs(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name := range v {
			v[name] = maskURLs(v[name])
		}
	case []any:
		for i := range v {
			v[i] = maskURLs(v[i])
		}
	case string:
		u, err := url.Parse(v)
		if err != nil || u.Scheme == "" || u.Host == "" {
			return v
		}
		shown := u.Scheme + "://" + u.Host + u.EscapedPath()
		if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			shown += "?" + masked
		}
		return shown
	}
	return value
}
