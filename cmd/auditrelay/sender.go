package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/auditrelay/auditrelay/internal/logfile"
)

// sender sends what files hold, in their order, and counts. A line counts as dealt with once it was sent or
// refused, and all before it were.
type sender struct {
	target  target
	reading reading
	files   []string
	from    logfile.Place // of the first file
	bar     *progressbar.ProgressBar
	errors  io.Writer
	started time.Time

	waiting []entry
	size    int // bytes of what is waiting

	sent, refused int
	bytes         int
	last          *position // the last that was dealt with
	unknown       int       // logs of the last call whose answer was not heard
}

// position is a place in one of the files.
type position struct {
	file int
	at   logfile.Place
	next logfile.Place
}

// entry is a value that was read: a message that is to be sent, or why it is none.
type entry struct {
	position
	message outgoing
	refusal error
}

const (
	callLogs  = 500
	callBytes = 4 << 20
	// callTime bounds one call, so that a receiving side which never answers is an error.
	callTime = time.Minute
	// graceTime is how long Ctrl-C waits for the answer to the call under way.
	graceTime = 5 * time.Second
)

// run sends everything. The error is why it stopped before the end.
func (s *sender) run(ctx context.Context, stdin io.Reader) error {
	for i, name := range s.files {
		if err := s.file(ctx, i, name, stdin); err != nil {
			return err
		}
	}
	return s.flush(ctx)
}

func (s *sender) file(ctx context.Context, number int, name string, stdin io.Reader) error {
	in := stdin
	if name != standardInput {
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("open the logs: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := logfile.Open(&interruptible{ctx: ctx, in: in})
	if err != nil {
		return errors.Join(s.flush(ctx), fmt.Errorf("%s: %w", shown(name), err))
	}
	for v, err := range s.reading.values(text) {
		switch {
		case ctx.Err() != nil:
			return errInterrupted
		case err != nil:
			return errors.Join(s.flush(ctx), readError(name, v.Place, err))
		case number == 0 && v.Place.Before(s.from):
			continue
		}
		e := entry{position: position{number, v.Place, v.Next}, refusal: v.Bad}
		if v.Bad == nil {
			e.message, e.refusal = s.reading.message(inOneLine(v.JSON))
			if better := logfile.Explain(v.JSON); e.refusal != nil && better != nil {
				e.refusal = better
			}
		}
		if err := s.add(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

func readError(name string, at logfile.Place, err error) error {
	if layout, ok := errors.AsType[logfile.Layout](err); ok {
		return fmt.Errorf("%s: %w", shown(name), layout)
	}
	return fmt.Errorf("read %s at line %v: %w", shown(name), at, err)
}

// shown is a file's name as messages have it.
func shown(name string) string {
	if name == standardInput {
		return "stdin"
	}
	return name
}

func (s *sender) add(ctx context.Context, e entry) error {
	s.waiting = append(s.waiting, e)
	s.size += len(e.message.body)
	if len(s.waiting) < callLogs && s.size < callBytes {
		return nil
	}
	return s.flush(ctx)
}

// flush sends what is waiting. An answer that was not heard ends the sending: the lines from there on are not
// dealt with.
func (s *sender) flush(ctx context.Context) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	waiting := s.waiting
	s.waiting, s.size = s.waiting[:0], 0
	var messages []outgoing
	for _, e := range waiting {
		if e.refusal == nil {
			messages = append(messages, e.message)
		}
	}
	var answers []error
	if len(messages) > 0 {
		call, done := answered(ctx)
		defer done()
		answers = s.target.send(call, messages)
	}
	for _, e := range waiting {
		if e.refusal == nil {
			err := answers[0]
			if _, refused := errors.AsType[*refusedError](err); err != nil && !refused {
				if dial, ok := errors.AsType[*net.OpError](err); !ok || dial.Op != "dial" {
					s.unknown = len(answers)
				}
				if ctx.Err() != nil {
					return errInterrupted
				}
				return err
			}
			answers, e.refusal = answers[1:], err
		}
		s.settle(e)
	}
	return nil
}

// settle counts a line that was dealt with.
func (s *sender) settle(e entry) {
	s.last = &e.position
	if e.refusal != nil {
		s.refused++
		fmt.Fprintf(s.errors, "%s:%v: %v\n", shown(s.files[e.file]), e.at, e.refusal)
		return
	}
	s.sent++
	s.bytes += len(e.message.body)
	_ = s.bar.Add(len(e.message.body))
}

// answered is the context of a call, which Ctrl-C does not break off at once: an answer says what was sent.
func answered(ctx context.Context) (context.Context, context.CancelFunc) {
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTime)
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(graceTime, cancel) })
	return call, func() {
		stop()
		cancel()
	}
}

// summary tells what became of the logs, and how to go on where they were not all dealt with.
func (s *sender) summary(out io.Writer, stopped error) {
	_ = s.bar.Finish()
	fmt.Fprintf(out, "sent %d logs (%.1f MB) in %.1f s; refused %d", s.sent, float64(s.bytes)/1e6, time.Since(s.started).Seconds(), s.refused)
	if s.last != nil {
		fmt.Fprintf(out, "; last line %s:%v", shown(s.files[s.last.file]), s.last.at)
	}
	fmt.Fprintln(out)
	if stopped == nil {
		return
	}
	if s.unknown > 0 {
		fmt.Fprintf(out, "%d more may have been sent: the call was not answered. Sending them again does no harm.\n", s.unknown)
	}
	if s.last != nil {
		fmt.Fprintf(out, "go on with: --from-line %v %s\n", s.last.next, strings.Join(s.files[s.last.file:], " "))
	}
}

// verdict is what the command ends with.
func (s *sender) verdict(stopped error) error {
	if stopped != nil {
		return stopped
	}
	if s.refused > 0 {
		return refusedLines(s.refused)
	}
	return nil
}

// refusedLines says that some lines were no logs, and everything else was sent.
type refusedLines int

func (n refusedLines) Error() string {
	return fmt.Sprintf("%d logs were refused; the lines above say which and why", int(n))
}
