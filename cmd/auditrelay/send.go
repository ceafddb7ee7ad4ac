package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/foreign"
	"github.com/auditrelay/auditrelay/internal/logfile"
)

const sendLong = `Send logs from files or from standard input, plain or compressed (gzip, zstd, bzip2).

A line is a log as docs/producers.md tells it. With --wrap or --from it is an event of another system, which
becomes the payload of a log byte for byte. --from knows where the systems of docs/producers.md keep an
event's id and time; flags beside it replace what it knows. Files are UTF-8.

Each log is checked before it is sent. What is no log is skipped, and named by its file and line; the others
are sent. At the end, also after Ctrl-C, it tells how many logs were sent and refused and which line was the
last, and where it stopped early, how to go on: --from-line. A log that is sent twice does no harm: its
id and its bytes are the same.

It ends with 0 if every log was sent, with 5 if some were refused, with 1 if it stopped because the receiving
side failed or a file could not be read, and with 130 after Ctrl-C, once the call under way was answered.`

func sendCommand() *cobra.Command {
	var url, fromLine string
	var w wrapping
	cmd := &cobra.Command{
		Use:   "send --url URL [FILE…]",
		Short: "Send logs from files or standard input",
		Long:  sendLong,
		Example: `  auditrelay send --url http://127.0.0.1:8686/ingest logs.ndjson
  auditrelay send --url https://sqs.eu-west-1.amazonaws.com/123456789012/auditrelay-ingest logs.ndjson.gz
  auditrelay send --url http://127.0.0.1:8686/ingest --from cloudtrail --workspace acme trail.json.gz
  auditrelay send --url http://127.0.0.1:8686/ingest --wrap user_activity --workspace acme \
      --id-field request.id,stage --time-field request.at --time-zone Europe/Berlin portal.ndjson
  auditrelay send --url http://127.0.0.1:8686/ingest --wrap user_activity --workspace acme \
      --records audit.entries --id-field sha256 --time-field at export.json`,
		RunE: func(cmd *cobra.Command, files []string) error {
			if url == "" {
				return usageError("--url is missing: " + whereToSend)
			}
			reading, err := w.reading(cmd.Flags().Changed)
			if err != nil {
				return err
			}
			var from logfile.Place
			if fromLine != "" {
				if from, err = logfile.ParsePlace(fromLine); err != nil {
					return usageError("--from-line: " + err.Error())
				}
			}
			if len(files) == 0 {
				files = []string{standardInput}
			}
			total, err := totalSize(files)
			if err != nil {
				return err
			}
			target, err := openTarget(cmd.Context(), url)
			if err != nil {
				return err
			}
			s := sender{target: target, reading: reading, files: files, from: from, started: time.Now(), errors: cmd.ErrOrStderr()}
			s.bar = progress(cmd.ErrOrStderr(), total, "sending")
			err = s.run(cmd.Context(), cmd.InOrStdin())
			s.summary(cmd.OutOrStdout(), err)
			return s.verdict(err)
		},
	}
	f := cmd.Flags()
	f.StringVar(&url, "url", "", "where to send: the /ingest address of auditrelay local, or an SQS queue URL")
	f.StringVar(&w.source, "from", "", "the system whose events these are, such as okta or cloudtrail; docs/producers.md lists them")
	f.StringVar(&w.form.Type, "wrap", "", "make logs of this type of foreign JSON objects; each becomes a payload (with --from "+events.UserActivity+")")
	f.StringVar(&w.workspace, "workspace", "", "the workspace of the logs that are made")
	f.StringSliceVar(&w.id, "id-field", []string{"id"}, "the field that holds an event's id, a string or a whole number; several make one id together. Dots lead into objects; "+
		foreign.SHA256+" is the event's own hash")
	f.StringVar(&w.time, "time-field", "timestamp", "the field that holds an event's time, RFC 3339 or a number since 1970 in s, ms, µs or ns")
	f.StringVar(&w.zone, "time-zone", "", "the zone of times that name none: UTC, Europe/Berlin, +05:30")
	f.StringVar(&w.form.TypeField, "type-field", "", "the field that holds the log's type, where an event has it")
	f.StringVar(&w.form.ZeroRetentionField, "zero-retention-field", "", "the field that asks for zero retention, with true")
	f.StringVar(&w.records, "records", "", "read JSON however its lines are, and send each element of the array of this name: Records. A point (.) is for arrays and objects that stand by themselves")
	f.StringVar(&fromLine, "from-line", "", "begin at this line of the first file: 5000, or 1/5000 for a record of a document that is one line")
	_ = cmd.RegisterFlagCompletionFunc("from", func(*cobra.Command, []string, string) (names []string, _ cobra.ShellCompDirective) {
		for _, s := range foreign.Sources() {
			names = append(names, cobra.CompletionWithDesc(s.Name, s.Title))
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

const standardInput = "-"

// totalSize is the files' size, or -1 when it cannot be known beforehand. The error is a file that cannot be
// read.
func totalSize(files []string) (total int64, err error) {
	for _, name := range files {
		if name == standardInput {
			total = -1
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return 0, fmt.Errorf("open the logs: %w", err)
		}
		if info.IsDir() {
			return 0, usageError(name + " is a directory; name the files in it")
		}
		if packed(name) || total < 0 {
			total = -1
			continue
		}
		total += info.Size()
	}
	return total, nil
}

// packed guesses from a file's name whether more comes out of it than is in it.
func packed(name string) bool {
	for _, ending := range []string{".gz", ".zst", ".bz2"} {
		if strings.HasSuffix(name, ending) {
			return true
		}
	}
	return false
}

// progress draws a bar on a terminal and nothing elsewhere.
func progress(to io.Writer, total int64, what string) *progressbar.ProgressBar {
	if !terminal(to) {
		return progressbar.DefaultBytesSilent(total)
	}
	return progressbar.NewOptions64(total, progressbar.OptionSetDescription(what), progressbar.OptionSetWriter(bare(to)), progressbar.OptionShowBytes(true),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30), progressbar.OptionThrottle(100*time.Millisecond))
}
