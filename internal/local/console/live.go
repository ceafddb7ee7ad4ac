package console

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

const (
	// lookEvery is how often the world is looked at for each page that is open; changes in between are told as one.
	lookEvery = 200 * time.Millisecond
	// refreshEvery is how often a page is fetched anew while the clock runs, for its times in words.
	refreshEvery = 10 * time.Second
	// jump is how far the clock must move beside its speed to be told of.
	jump = 2 * time.Second
)

// look is all whose change makes a page worth fetching again.
type look struct {
	entries, mails, accepted, rejected, revisions int
	receivers                                     string
}

func (s *server) look(ctx context.Context) look {
	ledger := s.Journal.Ledger()
	l := look{entries: s.Journal.Len(), mails: len(s.Mail.All()), accepted: ledger.Accepted, rejected: ledger.Rejected}
	for _, d := range s.destinations(ctx) {
		l.revisions += d.Revision + 1
	}
	if s.Demo != nil {
		for _, r := range s.Demo.Receivers {
			l.receivers += r.Answers() + " "
		}
	}
	return l
}

// events tells by server-sent events that something changed, and nothing else.
func (s *server) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	seen, clock, at := s.look(r.Context()), s.Now(), time.Now()
	for n := 1; ; n++ {
		if _, err := fmt.Fprintf(w, "id: %d\nevent: changed\ndata: %d\n\n", n, n); err != nil || out.Flush() != nil {
			return
		}
		for changed := false; !changed; {
			select {
			case <-r.Context().Done():
				return
			case <-ticker.C:
			}
			passed := time.Since(at)
			drift := s.Now().Sub(clock.Add(time.Duration(float64(passed) * s.Speed)))
			now := s.look(r.Context())
			changed = now != seen || drift.Abs() > jump || s.Speed > 0 && passed > refreshEvery
			if changed {
				seen, clock, at = now, s.Now(), time.Now()
			}
		}
	}
}
