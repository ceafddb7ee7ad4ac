package main

import (
	"context"
	"io"
)

// interruptible reads until its context ends, also while the reader below waits for input.
type interruptible struct {
	ctx     context.Context
	in      io.Reader
	rest    []byte
	err     error
	answers chan answer
}

type answer struct {
	text []byte
	err  error
}

// Read implements io.Reader.
func (r *interruptible) Read(p []byte) (int, error) {
	if len(r.rest) == 0 && r.err == nil {
		if err := r.ctx.Err(); err != nil {
			return 0, err
		}
		if r.answers == nil {
			r.answers = make(chan answer, 1)
		}
		go func() {
			text := make([]byte, 1<<16)
			n, err := r.in.Read(text)
			r.answers <- answer{text[:n], err}
		}()
		select {
		case a := <-r.answers:
			r.rest, r.err = a.text, a.err
		case <-r.ctx.Done():
			return 0, r.ctx.Err() // what is still being read is lost with the process
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	if n == 0 {
		return 0, r.err
	}
	return n, nil
}
