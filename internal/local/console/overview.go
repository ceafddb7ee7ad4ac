package console

import (
	"context"
	"net/http"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/memory"
)

// overviewMain is the first page: the ledger, every destination, and the newest logs.
type overviewMain struct {
	Now          time.Time
	Ledger       memory.Ledger
	Destinations []card
	Logs         []logRow
	Rejected     []delivery.Rejection
	Demo         bool
	Receivers    []faultPanel
	// Ingest is where logs are sent to, as the browser reaches it.
	Ingest string
}

// card is a destination at a glance.
type card struct {
	Now                        time.Time
	Destination                directory.Destination
	Delivered, Pending, Failed int
	// Oldest is when the oldest log that waits was accepted; zero if none waits.
	Oldest time.Time
	// NextAt is the next attempt that has a time of its own; Next says it in words when there is none.
	NextAt time.Time
	Next   string
	Mood   string
	Spark  spark
}

// logRow is a delivery in a list.
type logRow struct {
	Key      delivery.Key
	Type     string
	Attempts int
	Stage    string
	Code     failure.Code
	NextAt   time.Time
}

// logTable is a list of deliveries under a caption.
type logTable struct {
	Now     time.Time
	Rows    []logRow
	Caption string
}

func (s *server) overview(w http.ResponseWriter, r *http.Request) {
	now := s.Now()
	main := overviewMain{Now: now, Ingest: "http://" + r.Host + "/ingest", Ledger: s.Journal.Ledger(), Demo: s.Demo != nil, Rejected: newest(s.Rejected.All())}
	s.tally.mu.Lock()
	s.tally.catchUp()
	for _, d := range s.destinations(r.Context()) {
		main.Destinations = append(main.Destinations, s.card(d, now))
	}
	main.Logs = s.tally.rows(newest(s.tally.accepted))
	s.tally.mu.Unlock()
	p := page{Title: "Overview", Now: now}
	if s.Demo != nil {
		for _, receiver := range s.Demo.Receivers {
			main.Receivers = append(main.Receivers, s.faultPanel(receiver))
		}
	}
	p.Main = main
	s.show(w, r, http.StatusOK, "overview", p)
}

// card reads one destination's sums. The caller holds the tally.
func (s *server) card(d directory.Destination, now time.Time) card {
	f := s.tally.flow(d.ID)
	c := card{
		Now: now, Destination: d, Delivered: f.arrived, Pending: f.waiting, Failed: f.givenUp,
		Spark: f.spark(now), Mood: mood(d),
	}
	if oldest := s.Cache.List(d.ID, delivery.Key{}, 1); len(oldest) > 0 {
		c.Oldest = oldest[0].AcceptedAt
	}
	first, timed := f.next.Min()
	switch {
	case f.waiting == 0:
		c.Next = "nothing waits"
	case d.State == directory.Deleted:
		c.Next = "after a restore"
	case d.State != directory.Connected:
		c.Next = "after a reconnect"
	case d.Draining:
		c.Next = "the backlog is being sent"
	case d.Health.State == directory.Failing && s.Cache.Parked(d.ID) > 0:
		c.Next = "a few each minute"
	case timed && first.at.After(now):
		c.NextAt = first.at
	default:
		c.Next = "now"
	}
	return c
}

// mood is the one word for a destination that colours it.
func mood(d directory.Destination) string {
	switch {
	case d.State != directory.Connected:
		return string(d.State)
	case d.Health.State == directory.Failing:
		return "failing"
	case d.Draining:
		return "draining"
	}
	return "healthy"
}

// rows tells where deliveries stand. The caller holds the tally.
func (t *tally) rows(keys []delivery.Key) []logRow {
	rows := make([]logRow, 0, len(keys))
	for _, k := range keys {
		l := t.lives[k]
		row := logRow{Key: k, Type: l.kind, Attempts: l.attempts, Stage: stageName(l.stage), NextAt: l.nextAt}
		if l.stage != arrived {
			row.Code = l.code
		}
		rows = append(rows, row)
	}
	return rows
}

func stageName(s stage) string {
	switch s {
	case arrived:
		return "delivered"
	case givenUp:
		return "failed"
	}
	return "pending"
}

// destinations are all there are. The directory is in memory; an error would only end the list.
func (s *server) destinations(ctx context.Context) []directory.Destination {
	var list []directory.Destination
	for d, err := range s.Directory.Destinations(ctx) {
		if err != nil {
			break
		}
		list = append(list, d)
	}
	return list
}

func (s *server) destinationName(id string) string {
	d, err := s.Directory.CurrentDestination(context.Background(), id)
	if err != nil || d.Name == "" {
		return id
	}
	return d.Name
}

// attentionEvery is how often requeue looks at destinations that fail or are being drained.
const attentionEvery = time.Minute

// nextEvent is when something next happens by itself at a destination; false when nothing is waited for.
func (s *server) nextEvent(ctx context.Context, now time.Time) (next time.Time, ok bool) {
	offer := func(t time.Time) {
		if t.After(now) && (!ok || t.Before(next)) {
			next, ok = t, true
		}
	}
	if t, set := s.Timers.Next(); set {
		offer(t)
	}
	s.tally.mu.Lock()
	defer s.tally.mu.Unlock()
	s.tally.catchUp()
	for _, d := range s.destinations(ctx) {
		f := s.tally.flow(d.ID)
		if f.waiting == 0 {
			continue
		}
		if oldest := s.Cache.List(d.ID, delivery.Key{}, 1); len(oldest) > 0 {
			offer(oldest[0].ExpiresAt())
		}
		if d.State != directory.Connected {
			continue
		}
		if first, timed := f.next.Min(); timed {
			offer(first.at)
		}
		if d.Draining || d.Health.State == directory.Failing && s.Cache.Parked(d.ID) > 0 {
			offer(now.Truncate(attentionEvery).Add(attentionEvery))
		}
	}
	return next, ok
}
