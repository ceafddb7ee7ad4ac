package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// told is the answer to a form: what came of it, in a sentence.
type told struct {
	OK      bool   `json:"ok"`
	Message string `json:"message"`
}

// tell answers the script with JSON, and a browser without script by leading it to the overview, or with the sentence if something went wrong.
func tell(w http.ResponseWriter, r *http.Request, t told) {
	if r.Header.Get("Accept") == "application/json" {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(t) // the client has gone, if anything
		return
	}
	if !t.OK {
		http.Error(w, t.Message, http.StatusConflict)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// afterTheEvent is added on the way to the next event: hints ride in whole seconds, rounded up.
const afterTheEvent = time.Second

func (s *server) advance(w http.ResponseWriter, r *http.Request) {
	now := s.Now()
	by := time.Duration(0)
	switch asked := r.PostFormValue("by"); {
	case asked == "next":
		next, ok := s.nextEvent(r.Context(), now)
		if !ok {
			tell(w, r, told{false, "Nothing waits: no log has a next attempt and no timer runs."})
			return
		}
		by = next.Sub(now) + afterTheEvent
	case slices.ContainsFunc(advanceSteps(), func(step advanceStep) bool { return step.By == asked }):
		by, _ = time.ParseDuration(asked) // the steps are valid
	default:
		tell(w, r, told{false, "The clock has no such step."})
		return
	}
	before := s.Journal.Len()
	if err := s.Advance(r.Context(), by); err != nil {
		return // the client has gone
	}
	tell(w, r, told{true, fmt.Sprintf("The clock moved on by %s: %s.", span(by), attemptsIn(s.Journal.Since(before)))})
}

// attemptsIn says how many attempts were made and how many of them delivered a log.
func attemptsIn(entries []delivery.Entry) string {
	tried, delivered := 0, 0
	for _, e := range entries {
		if e.Event != delivery.EventAttempted {
			continue
		}
		tried++
		if e.Outcome == delivery.Delivered {
			delivered++
		}
	}
	if tried == 0 {
		return "no attempt was made"
	}
	return fmt.Sprintf("%s, %s delivered", plural(tried, "attempt", "attempts"), number(delivered))
}

// mostRounds bounds the examples of one click.
const mostRounds = 1000

func (s *server) examples(w http.ResponseWriter, r *http.Request) {
	rounds, err := strconv.Atoi(r.PostFormValue("rounds"))
	if s.Demo == nil || err != nil || rounds < 1 || rounds > mostRounds {
		tell(w, r, told{false, "Example logs are sent one to a thousand times, and only without a configuration file."})
		return
	}
	sent, err := s.Demo.Examples(rounds)
	if err != nil {
		tell(w, r, told{false, err.Error()})
		return
	}
	tell(w, r, told{true, plural(sent, "log", "logs") + " sent to the ingest queue."})
}

func (s *server) answer(w http.ResponseWriter, r *http.Request) {
	answer := r.PostFormValue("answer")
	known := slices.IndexFunc(faults(), func(f fault) bool { return f.Answer == answer })
	if s.Demo != nil && known >= 0 {
		for _, receiver := range s.Demo.Receivers {
			if receiver.DestinationID == r.PathValue("id") {
				receiver.Answer(answer)
				tell(w, r, told{true, fmt.Sprintf("The receiver of %s now answers: %s.", s.destinationName(receiver.DestinationID), faults()[known].Name)})
				return
			}
		}
	}
	tell(w, r, told{false, "There is no such receiver or fault."})
}

// act calls the management API for a destination's button.
func (s *server) act(w http.ResponseWriter, r *http.Request) {
	id, action := r.PathValue("id"), r.PathValue("action")
	path, body := "/v1/destinations/"+id+"/"+action, []byte(nil)
	switch action {
	case "disconnect", "reconnect", "test", "restore":
	case "redrive":
		path = "/v1/redrive"
		body, _ = json.Marshal(map[string]string{"destination_id": id}) // strings can always be written
	default:
		tell(w, r, told{false, "There is no such action."})
		return
	}
	ask := r.Clone(r.Context())
	ask.URL = &url.URL{Path: path}
	ask.RequestURI = ask.URL.RequestURI()
	ask.Body, ask.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	ask.Header = http.Header{"User-Agent": {r.UserAgent()}}
	if len(body) > 0 {
		ask.Header.Set("Content-Type", "application/json")
	}
	answer := &answerBuffer{header: make(http.Header), status: http.StatusOK}
	s.API.ServeHTTP(answer, ask)
	tell(w, r, answer.told(action))
}

// answerBuffer takes an answer of the API.
type answerBuffer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answerBuffer) Header() http.Header         { return a.header }
func (a *answerBuffer) WriteHeader(status int)      { a.status = status }
func (a *answerBuffer) Write(p []byte) (int, error) { return a.body.Write(p) }

// told puts the API's answer into a sentence.
func (a *answerBuffer) told(action string) told {
	var got struct {
		Detail      string `json:"detail"`
		OK          bool   `json:"ok"`
		Status      any    `json:"status"`
		Description string `json:"description"`
		Guidance    string `json:"guidance"`
		DurationMS  int    `json:"duration_ms"`
		Queued      int    `json:"queued"`
	}
	if err := json.Unmarshal(a.body.Bytes(), &got); err != nil || a.status >= http.StatusBadRequest {
		if got.Detail == "" {
			got.Detail = http.StatusText(a.status)
		}
		return told{false, "Refused: " + got.Detail + "."}
	}
	switch action {
	case "disconnect":
		return told{true, "Disconnected. Logs wait; in eight hours the destination is disabled, and one mail is sent."}
	case "reconnect":
		return told{true, "Reconnected. The backlog is sent at once."}
	case "restore":
		return told{true, "Restored. The backlog is sent at once."}
	case "redrive":
		return told{true, plural(got.Queued, "log is", "logs are") + " tried now, before their time."}
	}
	if got.OK {
		return told{true, fmt.Sprintf("The destination took a test log in %d ms.", got.DurationMS)}
	}
	return told{false, fmt.Sprintf("The test log was not taken: %v. %s %s", got.Status, got.Description, got.Guidance)}
}
