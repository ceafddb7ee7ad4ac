package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"time"
)

// roleSyslogNG is syslog-ng, where it is installed with its HTTP destination (Debian: syslog-ng-core, syslog-ng-mod-http). It reads the logs from a
// file, so it is spared the queue; it is here as the floor of programs that are not made of Lambda and SQS.
const roleSyslogNG = "syslog-ng"

// syslogNGVariants are none where it is not installed.
func syslogNGVariants() []variant {
	if _, err := exec.LookPath(roleSyslogNG); err != nil {
		return nil
	}
	return []variant{
		{name: "syslog-ng, from a file, one POST a log", role: roleSyslogNG, batch: 1, status: http.StatusOK},
		{name: "syslog-ng, from a file, 100 logs a POST", role: roleSyslogNG, batch: batchSize, status: http.StatusOK},
	}
}

var syslogNGVersion = regexp.MustCompile(`(?m)^Config version: ([0-9.]+)`)

// syslogNG runs it over a file of logs until its receiver has them all.
func (b *bench) syslogNG(ctx context.Context, v variant) (sample, error) {
	dir, err := os.MkdirTemp(b.dir, "syslog-ng")
	if err != nil {
		return sample{}, fmt.Errorf("make a directory: %w", err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	var lines strings.Builder
	for i := range warmUp*batchSize + b.logs {
		lines.WriteString(logBody(i) + "\n")
	}
	if err := os.WriteFile(in("logs"), []byte(lines.String()), 0o600); err != nil {
		return sample{}, fmt.Errorf("write the logs: %w", err)
	}
	about, err := exec.CommandContext(ctx, roleSyslogNG, "--version").Output()
	version := syslogNGVersion.FindSubmatch(about)
	if err != nil || version == nil {
		return sample{}, fmt.Errorf("ask syslog-ng for its version: %w", errors.Join(err, errNoVersion))
	}

	var received atomic.Int64
	warmed, done := make(chan struct{}), make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		n := int64(bytes.Count(body, []byte("\n")) + 1)
		before := received.Add(n) - n
		if mark := int64(warmUp * batchSize); before < mark && before+n >= mark {
			close(warmed)
		}
		if all := int64(warmUp*batchSize + b.logs); before < all && before+n >= all {
			close(done)
		}
		w.WriteHeader(v.status)
	}))
	defer receiver.Close()
	config := fmt.Sprintf(`@version: %s
source logs { file("%s" flags(no-parse) read-old-records(yes) log-fetch-limit(1000) log-iw-size(10000)); };
destination siem { http(url("%s") method("POST") headers("Content-Type: application/json") body("${MESSAGE}") delimiter("\n") batch-lines(%d) workers(%d)); };
log { source(logs); destination(siem); flags(flow-control); };
`, version[1], in("logs"), receiver.URL, v.batch, baselineAtOnce)
	if err := os.WriteFile(in("conf"), []byte(config), 0o600); err != nil {
		return sample{}, fmt.Errorf("write the configuration: %w", err)
	}
	//nolint:gosec // paths of the bench's own directory
	cmd := exec.CommandContext(ctx, roleSyslogNG, "--foreground", "--no-caps", "--cfgfile", in("conf"), "--persist-file", in("persist"),
		"--pidfile", in("pid"), "--control", in("control"))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return sample{}, fmt.Errorf("start %s: %w", v.name, err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	var begun time.Duration
	var since time.Time
	for _, mark := range []struct {
		reached <-chan struct{}
		note    func()
	}{{warmed, func() { begun, since = b.used(cmd), time.Now() }}, {done, func() {}}} {
		select {
		case <-mark.reached:
			mark.note()
		case <-ctx.Done():
			return sample{}, fmt.Errorf("%s: %d logs arrived: %w", v.name, received.Load(), context.Cause(ctx))
		}
	}
	return sample{
		cpu: (b.used(cmd) - begun).Seconds() * 1000 / float64(b.logs), memory: peak(cmd.Process.Pid), rate: float64(b.logs) / time.Since(since).Seconds(),
	}, nil
}

var errNoVersion = errors.New("it does not say one")
