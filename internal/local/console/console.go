// Package console is the page of the local runner: what happens at each destination, one log's life, the mails, the clock, and buttons to break
// and mend things. It is rendered on the server; the script only sends forms without leaving the page and fetches again what changed.
package console

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"time"

	"github.com/auditrelay/auditrelay/internal/memory"
)

// Console shows a world. All that it reads may change while it runs.
type Console struct {
	Journal   *memory.Journal
	Directory *memory.Directory
	Cache     *memory.Cache
	Mail      *memory.Mailer
	Timers    *memory.Timers
	Rejected  *memory.RejectedQueue
	// Now is the virtual time and Speed how fast it runs.
	Now   func() time.Time
	Speed float64
	// Advance moves the virtual clock through everything that falls due.
	Advance func(ctx context.Context, by time.Duration) error
	// API is the management API, which the buttons of destinations call.
	API http.Handler
	// Demo is what only a run without a configuration has; nil otherwise.
	Demo *Demo
}

// Demo are receivers that can be broken, and logs to send.
type Demo struct {
	Receivers []Receiver
	// Examples puts the example logs on the ingest queue, so many times, and answers how many that were.
	Examples func(rounds int) (int, error)
}

// Receiver is a built-in receiver behind a destination.
type Receiver struct {
	DestinationID string
	// Answers is how it behaves now, and Answer changes that, to one of the faults.
	Answers func() string
	Answer  func(string)
	// Log is a log as it arrived, or nil; of several under one id the one with the hash.
	Log func(id, hash string) json.RawMessage
}

//go:embed templates assets
var files embed.FS

// contentPolicy lets a page load nothing but the console's own files.
const contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; frame-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// server is a console with what it has read so far.
type server struct {
	Console
	tally *tally
	pages map[string]*template.Template
}

// Handler serves the console: pages under / and everything else under /console/.
func (c Console) Handler() http.Handler {
	s := &server{Console: c, tally: &tally{journal: c.Journal}, pages: parse()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.overview)
	mux.HandleFunc("GET /destinations/{id}", s.destination)
	mux.HandleFunc("GET /logs", s.find)
	mux.HandleFunc("GET /logs/{destination}/{workspace}/{log}", s.log)
	mux.HandleFunc("GET /mailbox", s.mailbox)
	mux.HandleFunc("GET /console/mail/{number}", s.mailBody)
	mux.HandleFunc("GET /console/events", s.events)
	mux.HandleFunc("POST /console/advance", s.advance)
	mux.HandleFunc("POST /console/examples", s.examples)
	mux.HandleFunc("POST /console/receivers/{id}", s.answer)
	mux.HandleFunc("POST /console/destinations/{id}/{action}", s.act)
	assets, err := fs.Sub(files, "assets")
	if err != nil {
		panic("console: " + err.Error()) // the name is a constant that is valid
	}
	mux.Handle("GET /console/assets/", http.StripPrefix("/console/assets/", http.FileServerFS(assets)))
	return http.NewCrossOriginProtection().Handler(guarded(mux))
}

func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func parse() map[string]*template.Template {
	pages := make(map[string]*template.Template)
	for _, name := range []string{"overview", "destination", "log", "mailbox", "missing"} {
		pages[name] = template.Must(template.New("layout.html").Funcs(words()).
			ParseFS(files, "templates/layout.html", "templates/parts.html", "templates/"+name+".html"))
	}
	return pages
}

// page is what every page has.
type page struct {
	Title string
	Path  string
	Now   time.Time
	Speed float64
	// NextAt is when something next happens by itself; zero if nothing is waited for.
	NextAt    time.Time
	Mails     int
	Steps     []advanceStep
	Main      any
	Receivers []faultPanel
}

// advanceStep is a button of the clock.
type advanceStep struct{ By, Name string }

func advanceSteps() []advanceStep {
	return []advanceStep{{"1m", "1 min"}, {"15m", "15 min"}, {"1h", "1 h"}, {"8h", "8 h"}, {"24h", "1 day"}, {"168h", "7 days"}}
}

// faultPanel is one receiver and the ways it can answer.
type faultPanel struct {
	DestinationID, Name, Answers string
	Faults                       []fault
}

type fault struct {
	Answer, Name string
	Chosen       bool
}

// faults are the ways a receiver can be told to answer.
func faults() []fault {
	return []fault{
		{Answer: "200", Name: "200 OK"}, {Answer: "401", Name: "401 Unauthorized"}, {Answer: "403", Name: "403 Forbidden"},
		{Answer: "404", Name: "404 Not Found"}, {Answer: "503", Name: "503 Unavailable"}, {Answer: "hang", Name: "Hang"},
		{Answer: "slow", Name: "Slow"}, {Answer: "reset", Name: "Reset"},
	}
}

func (s *server) faultPanel(r Receiver) faultPanel {
	p := faultPanel{DestinationID: r.DestinationID, Name: s.destinationName(r.DestinationID), Faults: faults()}
	answers := r.Answers()
	for i := range p.Faults {
		if p.Faults[i].Answer == answers {
			p.Faults[i].Chosen, p.Answers = true, p.Faults[i].Name
		}
	}
	return p
}

// show renders a page. It is written out only when it is whole.
func (s *server) show(w http.ResponseWriter, r *http.Request, status int, name string, p page) {
	p.Path, p.Speed, p.Steps = r.URL.Path, s.Speed, advanceSteps()
	p.Mails = len(s.Mail.All())
	p.NextAt, _ = s.nextEvent(r.Context(), p.Now)
	var out bytes.Buffer
	if err := s.pages[name].Execute(&out, p); err != nil {
		http.Error(w, fmt.Sprintf("the page %s cannot be rendered: %v", name, err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // the client has gone, if anything
}

func (s *server) missing(w http.ResponseWriter, r *http.Request, what string) {
	s.show(w, r, http.StatusNotFound, "missing", page{Title: "Not found", Now: s.Now(), Main: what})
}
