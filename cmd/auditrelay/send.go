package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
)

func sendCommand() *cobra.Command {
	var url string
	var w wrapping
	cmd := &cobra.Command{
		Use:   "send --url URL [FILE…]",
		Short: "Send logs, one JSON object a line, from files (also .gz) or standard input (also gzipped)",
		Example: `  auditrelay send --url http://127.0.0.1:8686/ingest logs.ndjson
  auditrelay send --url https://sqs.eu-west-1.amazonaws.com/123456789012/auditrelay-ingest logs.ndjson.gz
  auditrelay send --url http://127.0.0.1:8686/ingest --wrap user_activity --workspace acme \
      --id-field eventID --time-field eventTime cloudtrail.ndjson.gz`,
		RunE: func(cmd *cobra.Command, files []string) error {
			if url == "" {
				return usageError("--url is missing: " + whereToSend)
			}
			if err := w.check(); err != nil {
				return err
			}
			target, err := openTarget(cmd.Context(), url)
			if err != nil {
				return err
			}
			if len(files) == 0 {
				files = []string{"-"}
			}
			s := sender{target: target, wrap: w, started: time.Now(), errors: cmd.ErrOrStderr()}
			s.bar = progress(cmd.ErrOrStderr(), totalSize(files), "sending")
			for _, file := range files {
				if err := s.file(cmd.Context(), file, cmd.InOrStdin()); err != nil {
					return errors.Join(err, s.flush(cmd.Context()))
				}
			}
			if err := s.flush(cmd.Context()); err != nil {
				return err
			}
			return s.summary(cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&url, "url", "", "where to send: the /ingest address of auditrelay local, or an SQS queue URL")
	cmd.Flags().StringVar(&w.logType, "wrap", "", "make logs of this type of foreign JSON objects; each becomes a payload")
	cmd.Flags().StringVar(&w.workspace, "workspace", "", "with --wrap: the workspace of the logs")
	cmd.Flags().StringVar(&w.idField, "id-field", "id", "with --wrap: the field that holds the log's id, a string or a whole number")
	cmd.Flags().StringVar(&w.timeField, "time-field", "timestamp", "with --wrap: the field that holds the log's time, RFC 3339")
	return cmd
}

// sender collects lines into batches and counts.
type sender struct {
	target  target
	wrap    wrapping
	bar     *progressbar.ProgressBar
	errors  io.Writer
	started time.Time

	batch   []outgoing
	size    int
	sent    int
	bytes   int
	refused int
}

// outgoing is one log on its way, and where it stood.
type outgoing struct {
	workspaceID string
	body        []byte
	place       string // file:line
}

const (
	batchLogs  = 500
	batchBytes = 4 << 20
)

func (s *sender) add(ctx context.Context, o outgoing) error {
	s.batch = append(s.batch, o)
	s.size += len(o.body)
	if len(s.batch) < batchLogs && s.size < batchBytes {
		return nil
	}
	return s.flush(ctx)
}

func (s *sender) flush(ctx context.Context) error {
	if len(s.batch) == 0 {
		return nil
	}
	refused, err := s.target.send(ctx, s.batch)
	if err != nil {
		return err
	}
	for _, r := range refused {
		fmt.Fprintln(s.errors, r)
	}
	s.sent += len(s.batch) - len(refused)
	s.refused += len(refused)
	s.bytes += s.size
	_ = s.bar.Add(s.size)
	s.batch, s.size = s.batch[:0], 0
	return nil
}

func (s *sender) summary(out io.Writer) error {
	_ = s.bar.Finish()
	fmt.Fprintf(out, "sent %d logs (%.1f MB) in %.1f s\n", s.sent, float64(s.bytes)/1e6, time.Since(s.started).Seconds())
	if s.refused > 0 {
		return fmt.Errorf("%d logs were refused; the lines above say which and why", s.refused)
	}
	return nil
}

// progress draws a bar on a terminal and nothing elsewhere.
func progress(to io.Writer, total int64, what string) *progressbar.ProgressBar {
	if !terminal(to) {
		return progressbar.DefaultBytesSilent(total)
	}
	return progressbar.NewOptions64(total, progressbar.OptionSetDescription(what), progressbar.OptionSetWriter(bare(to)), progressbar.OptionShowBytes(true),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond))
}

// totalSize is the files' size, or -1 when it cannot be known beforehand.
func totalSize(files []string) int64 {
	var total int64
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil || gzipped(f) {
			return -1
		}
		total += info.Size()
	}
	return total
}
