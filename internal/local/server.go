package local

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/legible"
)

// Server answers the local runner's HTTP interface. Its paths and names are a contract: others test by them.
type Server struct {
	World *World
	// Speed is what GET /clock tells.
	Speed float64
	// Hosts are names by which the listener may be called besides localhost and its address.
	Hosts []string
	// Demo are built-in receivers by destination; nil with a configuration of one's own.
	Demo map[string]*Receiver
}

// Handler routes the interface.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range []struct {
		method, path string
		answer       http.HandlerFunc
	}{
		{http.MethodPost, "/ingest", s.ingest},
		{http.MethodPut, "/payloads/{key...}", s.putPayload},
		{http.MethodGet, "/clock", s.clock},
		{http.MethodPost, "/clock/advance", s.advance},
		{http.MethodGet, "/attempts", s.attempts},
		{http.MethodGet, "/failed", s.failed},
		{http.MethodGet, "/rejected", s.rejected},
		{http.MethodGet, "/mail", s.mail},
		{http.MethodGet, "/ledger", s.ledger},
	} {
		mux.HandleFunc(r.method+" "+r.path, r.answer)
		mux.HandleFunc(r.path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", r.method)
			problem(w, http.StatusMethodNotAllowed, "this path takes "+r.method)
		})
	}
	api := s.World.admin()
	mux.Handle("/v1/", api)
	mux.Handle("/", s.console(api))
	return heard(ownHost(s.Hosts, http.NewCrossOriginProtection().Handler(mux))) // a page from elsewhere may not read, send, advance or disconnect
}

// readOnAtMost is how much of a refused body is read on.
const readOnAtMost = 16 << 20

// heard reads what a handler has left of a body that it refused for its size. Otherwise the connection is reset under a client that is still sending, and
// it never hears why.
func heard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := r.Body
		r.Body = io.NopCloser(body) // a closed body cannot be read on
		next.ServeHTTP(w, r)
		_, _ = io.CopyN(io.Discard, body, readOnAtMost) // a client that is gone needs no answer
	})
}

// ingest puts each line on the ingest queue as it is. A line that the queue refuses for its size is kept with the rejected messages.
func (s *Server) ingest(w http.ResponseWriter, r *http.Request) {
	lines := bufio.NewReaderSize(r.Body, 1<<16)
	var answer struct {
		Queued  int `json:"queued"`
		Refused int `json:"refused,omitempty"`
		// RefusedLines counts the lines that are not blank, from 1.
		RefusedLines []int `json:"refused_lines,omitempty"`
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		problem(w, http.StatusUnsupportedMediaType, "the lines must be sent as they are, without Content-Encoding")
		return
	}
	for {
		line, length, err := readLine(lines, largestLine)
		if err != nil && !errors.Is(err, io.EOF) {
			problem(w, http.StatusBadRequest, fmt.Sprintf("the body broke off after %d whole lines, which are queued", answer.Queued+answer.Refused))
			return
		}
		refused := false
		switch body := bytes.TrimRight(line, "\r"); {
		case length > largestLine:
			s.World.refuse(nil, length)
			refused = true
		case len(body) == 0:
		case s.World.Send(body):
			answer.Queued++
		default:
			refused = true
		}
		if refused { // each has more than a megabyte, so that few are listed
			answer.Refused++
			answer.RefusedLines = append(answer.RefusedLines, answer.Queued+answer.Refused)
		}
		if err != nil {
			break
		}
	}
	answerJSON(w, answer)
}

// largestLine bounds what is held of one line. The queue refuses a line over events.MaxMessageBytes; one up to this is kept with the rejected.
const largestLine = 4 * events.MaxMessageBytes

// readLine reads to the next line break, which it leaves out. A line longer than most is read and counted, but not given.
func readLine(r *bufio.Reader, most int) (line []byte, length int, err error) {
	for {
		part, err := r.ReadSlice('\n')
		part = bytes.TrimSuffix(part, []byte("\n"))
		if length += len(part); length <= most {
			line = append(line, part...)
		} else {
			line = nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, length, err
		}
	}
}

// largestPayload bounds what is taken into memory at once.
const largestPayload = 128 << 20

// putPayload is the payload bucket for producers: a log that is too large for the queue goes there, under payloads/, and its pointer to /ingest.
func (s *Server) putPayload(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, largestPayload))
	if err != nil {
		problem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the payload could not be read; it may have at most %d bytes", largestPayload))
		return
	}
	s.World.Payloads.Put("payloads/"+r.PathValue("key"), body)
	answerJSON(w, map[string]string{"s3BucketName": PayloadBucket, "s3Key": "payloads/" + r.PathValue("key")})
}

type clockAnswer struct {
	Now   time.Time `json:"now"`
	Speed float64   `json:"speed"`
}

func (s *Server) clock(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, clockAnswer{s.World.Clock.Now(), s.Speed})
}

// longestAdvance bounds one call; a year is 525,600 runs of requeue.
const longestAdvance = 366 * 24 * time.Hour

func (s *Server) advance(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		By string `json:"by"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&ask); err != nil {
		problem(w, http.StatusBadRequest, `the body must be a JSON object such as {"by":"8h"}`)
		return
	}
	by, err := parseDuration(ask.By)
	if err != nil || by < 0 || by > longestAdvance {
		problem(w, http.StatusBadRequest, `by must be a duration from 0 to 366 days, such as "90s", "8h", "7d" or "2d14h"`)
		return
	}
	if err := s.World.Advance(r.Context(), by); err != nil {
		return // the client has gone
	}
	s.clock(w, r)
}

// parseDuration reads Go's durations with whole days before them: "7d", "2d14h".
func parseDuration(text string) (time.Duration, error) {
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		return time.ParseDuration(text)
	}
	n, err := strconv.Atoi(days)
	if err != nil || n < 0 || n > 366 {
		return 0, errors.New("not a number of days")
	}
	whole := time.Duration(n) * 24 * time.Hour
	if rest == "" {
		return whole, nil
	}
	part, err := time.ParseDuration(rest)
	if err != nil || part < 0 {
		return 0, errors.New("not a duration after the days")
	}
	return whole + part, nil
}

// Attempt is one entry of GET /attempts.
type Attempt struct {
	LogID         string           `json:"log_id"`
	Hash          string           `json:"hash,omitempty"`
	WorkspaceID   string           `json:"workspace_id"`
	DestinationID string           `json:"destination_id"`
	Kind          string           `json:"kind"`
	Attempt       int              `json:"attempt"`
	Outcome       delivery.Outcome `json:"outcome"`
	Code          string           `json:"code"`
	At            time.Time        `json:"at"`
	DurationMS    int64            `json:"duration_ms"`
	NextAttemptAt *time.Time       `json:"next_attempt_at"`
	Why           delivery.Why     `json:"why"`
	MessageID     string           `json:"message_id"`
	Receives      int              `json:"receives"`
}

func (s *Server) attempts(w http.ResponseWriter, r *http.Request) {
	logID, destinationID := r.URL.Query().Get("log_id"), r.URL.Query().Get("destination_id")
	list := make([]Attempt, 0)
	for _, e := range s.World.Journal.Entries() {
		tried := e.Event == delivery.EventAttempted || e.Event == delivery.EventHeld
		if !tried || (logID != "" && e.LogID != logID) || (destinationID != "" && e.DestinationID != destinationID) {
			continue
		}
		list = append(list, Attempt{
			LogID: e.LogID, Hash: e.Hash, WorkspaceID: e.WorkspaceID, DestinationID: e.DestinationID, Kind: string(e.Kind), Attempt: e.Attempt,
			Outcome: e.Outcome, Code: string(e.Code), At: e.At, DurationMS: e.Took.Milliseconds(), NextAttemptAt: nextAttempt(e.Key, e.NextAt),
			Why: e.Why, MessageID: e.MessageID, Receives: e.Receives,
		})
	}
	answerJSON(w, list)
}

// nextAttempt is nil when no attempt is left: the time of the delivery's end is none.
func nextAttempt(k delivery.Key, at time.Time) *time.Time {
	if at.IsZero() || !at.Before(k.ExpiresAt()) {
		return nil
	}
	return &at
}

// FailedEvent is one entry of GET /failed.
type FailedEvent struct {
	LogID         string    `json:"log_id"`
	Hash          string    `json:"hash,omitempty"`
	WorkspaceID   string    `json:"workspace_id"`
	DestinationID string    `json:"destination_id"`
	AcceptedAt    time.Time `json:"accepted_at"`
	FailedAt      time.Time `json:"failed_at"`
	Attempts      int       `json:"attempts"`
	Code          string    `json:"code"`
}

func (s *Server) failed(w http.ResponseWriter, _ *http.Request) {
	list := make([]FailedEvent, 0)
	for _, e := range s.World.Cache.FailedEvents() {
		list = append(list, FailedEvent{
			LogID: e.LogID, Hash: e.Hash, WorkspaceID: e.WorkspaceID, DestinationID: e.DestinationID,
			AcceptedAt: e.AcceptedAt, FailedAt: e.FailedAt, Attempts: e.Attempts, Code: string(e.Code),
		})
	}
	answerJSON(w, list)
}

// RejectedMessage is one entry of GET /rejected.
type RejectedMessage struct {
	Reason string    `json:"reason"`
	Body   string    `json:"body"`
	At     time.Time `json:"at"`
}

func (s *Server) rejected(w http.ResponseWriter, _ *http.Request) {
	list := make([]RejectedMessage, 0)
	for _, r := range s.World.Rejected.All() {
		list = append(list, RejectedMessage{r.Reason, string(r.Body), r.At})
	}
	answerJSON(w, list)
}

// Mail is one entry of GET /mail.
type Mail struct {
	At            time.Time `json:"at"`
	Kind          string    `json:"kind"`
	DestinationID string    `json:"destination_id"`
	To            []string  `json:"to"`
	Subject       string    `json:"subject"`
	Text          string    `json:"text"`
	HTML          string    `json:"html"`
}

func (s *Server) mail(w http.ResponseWriter, _ *http.Request) {
	list := make([]Mail, 0)
	for _, m := range s.World.Mail.All() {
		list = append(list, Mail{m.At, string(m.Kind), m.DestinationID, m.To, m.Subject, m.Text, m.HTML})
	}
	answerJSON(w, list)
}

func (s *Server) ledger(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, s.World.Journal.Ledger())
}

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(legible.JSONWriter{To: w}).Encode(v) // the client has gone, if anything
}

// problem answers an error as RFC 9457 has it.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": detail})
}
