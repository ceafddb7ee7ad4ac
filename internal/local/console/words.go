package console

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// words are the functions of the templates.
func words() template.FuncMap {
	return template.FuncMap{
		"number": number, "clock": clock, "moment": moment, "iso": iso, "ago": ago, "span": span, "status": status, "kind": kindName,
		"after": after, "rows": func(now time.Time, rows []logRow, caption string) logTable { return logTable{now, rows, caption} },
	}
}

// number has commas between thousands.
func number(n int) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// clock is a time in full, moment the same without the year.
func clock(t time.Time) string  { return t.UTC().Format("Mon 2 Jan 2006, 15:04:05 UTC") }
func moment(t time.Time) string { return t.UTC().Format("2 Jan 15:04:05") }
func iso(t time.Time) string    { return t.UTC().Format(time.RFC3339) }

// ago places a time before or after now, in words.
func ago(now, t time.Time) string {
	switch d := t.Sub(now); {
	case d > time.Second:
		return "in " + span(d)
	case d < -time.Second:
		return span(-d) + " ago"
	}
	return "now"
}

// after is a time counted from a start.
func after(start, t time.Time) string {
	if d := t.Sub(start); d >= time.Second {
		return "+ " + span(d)
	}
	return "at once"
}

// span is a duration in its two largest units.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	units := []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	var parts []string
	for i, u := range units {
		if d < u.size {
			continue
		}
		parts = append(parts, fmt.Sprintf("%d %s", d/u.size, u.name))
		if i+1 < len(units) {
			if rest := d % u.size / units[i+1].size; rest > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", rest, units[i+1].name))
			}
		}
		return strings.Join(parts, " ")
	}
	return "0 s"
}

// status is a code in plain words, as the mails have it.
func status(code failure.Code) failure.Entry { return failure.Find(code) }

func kindName(k directory.Kind) string {
	switch k {
	case directory.S3:
		return "Amazon S3"
	case directory.HTTP:
		return "HTTP"
	case directory.AzureMonitor:
		return "Azure Monitor"
	case directory.AzureBlob:
		return "Azure Blob Storage"
	case directory.GCS:
		return "Google Cloud Storage"
	}
	return string(k)
}
