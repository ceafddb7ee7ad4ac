package memory

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/auditrelay/auditrelay/internal/notice"
)

// Mailer keeps every mail that was handed over. A hook that fails before makes it refuse a mail; one that fails after has it take the mail and the
// answer get lost.
type Mailer struct {
	Hook Hook
	Now  func() time.Time
	// Refuse, if set, may refuse a mail.
	Refuse func(notice.Mail) *notice.Refusal

	mu    sync.Mutex
	mails []SentMail
}

// SentMail is a mail and when it was taken.
type SentMail struct {
	notice.Mail
	At time.Time
}

// Send implements notice.Mailer.
func (m *Mailer) Send(_ context.Context, mail notice.Mail) error {
	if m.Refuse != nil {
		if r := m.Refuse(mail); r != nil {
			return r
		}
	}
	taken := false
	err := m.Hook.do(CallMail, func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		mail.To = slices.Clone(mail.To)
		m.mails = append(m.mails, SentMail{mail, m.Now()})
		taken = true
		return nil
	})
	if err != nil && !taken {
		return &notice.Refusal{Reason: err.Error()}
	}
	return err
}

// All gives every mail in the order of sending.
func (m *Mailer) All() []SentMail {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.mails)
}

// MailJournal keeps every entry about notices.
type MailJournal struct {
	// Next, if set, is told too.
	Next notice.Journal

	mu      sync.Mutex
	entries []notice.Entry
}

// Record implements notice.Journal.
func (j *MailJournal) Record(e notice.Entry) {
	j.mu.Lock()
	j.entries = append(j.entries, e)
	j.mu.Unlock()
	if j.Next != nil {
		j.Next.Record(e)
	}
}

// Entries gives every entry in the order of recording.
func (j *MailJournal) Entries() []notice.Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.entries)
}
