package delivery

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/auditrelay/auditrelay/internal/auditlog"
)

// Payloads reads and removes what producers put into the payload bucket because it is too large for the queue.
type Payloads interface {
	// Read gives an object of at most limit bytes. The error is fs.ErrNotExist if there is none, ErrTooLarge if it has more.
	Read(ctx context.Context, key string, limit int) ([]byte, error)
	// Delete removes an object. One that is not there is no error.
	Delete(ctx context.Context, key string) error
}

// ErrTooLarge is Payloads.Read's answer for an object over the limit.
var ErrTooLarge = errors.New("the object is larger than the limit")

const (
	// largestPayload is what a producer's object may have, unzipped too. It is over the 40 MB of which the lines are cut, so that a log just over
	// that still arrives without them.
	largestPayload = 64 << 20
	// settleTime is what an invocation keeps back for the writes after its last attempt.
	settleTime = 10 * time.Second
)

// payloadPrefixes are where producers, and people who send rejected messages again, may point to. The rest of the bucket is the cache's.
var payloadPrefixes = [...]string{"payloads/", "rejected/"}

// acceptLarge takes the messages that are pointers, one after the other, so that memory holds one large log at a time. Those for which the time
// does not suffice are handed out again.
func (d *Deliver) acceptLarge(ctx context.Context, batch []Message, known map[Content]Receipt) (unsettled []string) {
	for i, m := range batch {
		if i > 0 && !d.timeLeft(ctx) {
			for _, left := range batch[i:] {
				unsettled = append(unsettled, left.ID)
			}
			return unsettled
		}
		settled := d.accept(ctx, []Message{m}, func(m Message) ([]byte, error) { return d.fetch(ctx, m) }, known)[0]
		if settled.open.Load() {
			unsettled = append(unsettled, m.ID)
			continue
		}
		if settled.forget {
			d.removePayload(ctx, m)
		}
	}
	return unsettled
}

// timeLeft says whether the invocation has time for more attempts.
func (d *Deliver) timeLeft(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) >= d.TimeLimit+settleTime
}

// kept gives what is kept of a rejected message, and whether the object that it points to is removed. message
// is what came from the queue, and log what that leads to: the same, or the object's content, or nil if there
// is none to read. An object stays only if all of it may be kept.
func (d *Deliver) kept(message, log []byte) (body []byte, forget bool) {
	if log == nil {
		body, _ = auditlog.Keepable(message, d.KeepUnread)
		return body, !d.KeepUnread
	}
	body, whole := auditlog.Keepable(log, d.KeepUnread)
	if whole {
		body, _ = auditlog.Keepable(message, d.KeepUnread)
	}
	return body, !whole
}

// removePayload removes what a producer stored of a log that may not be kept. The objects of other logs are
// left to the bucket's lifecycle, and what a pointer may not lead to is left alone.
func (d *Deliver) removePayload(ctx context.Context, m Message) {
	p, err := d.pointer(m)
	if err != nil {
		return
	}
	if err := d.Payloads.Delete(ctx, p.Key); err != nil {
		d.fault([]*settlement{{id: m.ID, receives: m.Receives}}, fmt.Errorf("remove the payload of message %s, which may not be kept and is left to its lifecycle: %w", m.ID, err))
	}
}

// pointer reads a pointer, and says whether it leads to where it may. The error is an *auditlog.Invalid.
func (d *Deliver) pointer(m Message) (auditlog.Pointer, error) {
	p, _, err := auditlog.ParsePointer(m.Body)
	if err != nil {
		return p, err
	}
	if p.Bucket != d.PayloadBucket {
		return p, &auditlog.Invalid{Reason: "the pointer names another bucket than the payload bucket, " + d.PayloadBucket}
	}
	if !strings.HasPrefix(p.Key, payloadPrefixes[0]) && !strings.HasPrefix(p.Key, payloadPrefixes[1]) {
		return p, &auditlog.Invalid{Reason: "the pointer's key must begin with " + payloadPrefixes[0]}
	}
	return p, nil
}

// fetch reads the log that a pointer leads to. The error is an *auditlog.Invalid if the pointer leads to
// none; then the object's content is given all the same, if it could be read.
func (d *Deliver) fetch(ctx context.Context, m Message) ([]byte, error) {
	p, err := d.pointer(m)
	if err != nil {
		return nil, err
	}
	body, err := d.Payloads.Read(ctx, p.Key, largestPayload)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &auditlog.Invalid{Reason: "the pointer leads to no object; it was removed, or never stored"}
	case errors.Is(err, ErrTooLarge):
		return nil, &auditlog.Invalid{Reason: fmt.Sprintf("the log has more than %d bytes", largestPayload)}
	case err != nil:
		return nil, fmt.Errorf("read the payload of message %s: %w", m.ID, err)
	}
	return unzipped(body)
}

// unzipped undoes a producer's gzip. With an error it gives the body as it is.
func unzipped(body []byte) ([]byte, error) {
	if !bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		return body, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return body, &auditlog.Invalid{Reason: "the payload begins like gzip and is none"}
	}
	plain := bytes.NewBuffer(make([]byte, 0, saidSize(body)+1+bytes.MinRead))
	if _, err := plain.ReadFrom(io.LimitReader(z, largestPayload+1)); err != nil {
		return body, &auditlog.Invalid{Reason: "the payload's gzip is damaged"}
	}
	if plain.Len() > largestPayload {
		return body, &auditlog.Invalid{Reason: fmt.Sprintf("the log has more than %d bytes unzipped", largestPayload)}
	}
	return plain.Bytes(), nil
}

// saidSize is how many bytes a gzip says at its end that it holds (RFC 1952, 2.3.1), so that memory is taken once. One that says too little takes more.
func saidSize(zipped []byte) int {
	if len(zipped) < 4 {
		return 0
	}
	return int(min(binary.LittleEndian.Uint32(zipped[len(zipped)-4:]), largestPayload))
}
