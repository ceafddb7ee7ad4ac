package console

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/auditrelay/auditrelay/internal/memory"
)

// mailPolicy lets a mail's own styles work and nothing else: no script, no form, no picture from elsewhere, and no origin.
const mailPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

// mailboxMain is the captured mails, the newest first, and the one that is read.
type mailboxMain struct {
	Now    time.Time
	Mails  []mailRow
	Open   *memory.SentMail
	Number int
}

type mailRow struct {
	Number int
	memory.SentMail
	Open bool
}

func (s *server) mailbox(w http.ResponseWriter, r *http.Request) {
	all := s.Mail.All()
	main := mailboxMain{Now: s.Now(), Number: len(all)}
	if n, err := strconv.Atoi(r.URL.Query().Get("mail")); err == nil && n >= 1 && n <= len(all) {
		main.Number = n
	}
	if main.Number > 0 {
		main.Open = &all[main.Number-1]
	}
	for i := len(all); i > 0; i-- {
		main.Mails = append(main.Mails, mailRow{Number: i, SentMail: all[i-1], Open: i == main.Number})
	}
	s.show(w, r, http.StatusOK, "mailbox", page{Title: "Mailbox", Now: main.Now, Main: main})
}

// mailBody is a mail's HTML for the frame of the mailbox. It has a policy of its own, because a document inside the page would inherit the page's,
// under which a mail's styles do not work.
func (s *server) mailBody(w http.ResponseWriter, r *http.Request) {
	all := s.Mail.All()
	n, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || n < 1 || n > len(all) {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Security-Policy", mailPolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, all[n-1].HTML) // the client has gone, if anything
}
