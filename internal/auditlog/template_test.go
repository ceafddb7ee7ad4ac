package auditlog_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/auditlog"
)

func TestTemplateAppend(t *testing.T) {
	doc := auditlog.Document{JSON: []byte(`{"id":"l-1","payload":{"say":"\"hi\"\t"}}`)}
	escaped := `{\"id\":\"l-1\",\"payload\":{\"say\":\"\\\"hi\\\"\\t\"}}`
	at := time.Date(2023, 6, 2, 5, 30, 1, 2213999, time.UTC).In(time.FixedZone("", -4*3600))
	for _, c := range []struct{ template, want string }{
		{`{{{log_message}}}`, string(doc.JSON)},
		{`{"a":{{{log_message}}}}`, `{"a":` + string(doc.JSON) + `}`},
		{`{"a":{{log_message}}}`, `{"a":` + string(doc.JSON) + `}`},
		{`{"a":{"b":{{ log_message }}}}`, `{"a":{"b":` + string(doc.JSON) + `}}`},
		{`[{{{log_message}}},{{{log_message}}}]`, `[` + string(doc.JSON) + `,` + string(doc.JSON) + `]`},
		{`{"log_message_str": {{{log_message_str}}}}`, `{"log_message_str": "` + escaped + `"}`},
		{`{"line": "at {{{now}}}: {{{log_message_str}}}"}`, `{"line": "at 2023-06-02T01:30:01.002-04:00: ` + escaped + `"}`},
		{`{"now":{{{now}}},"m":{{{log_message}}}}`, `{"now":"2023-06-02T01:30:01.002-04:00","m":` + string(doc.JSON) + `}`},
		{`[{{{now_utc}}},{{{now_utc_micro}}},{{{now_utc_nano}}},{{{log_message}}}]`, `[1685683801002,1685683801002213,1685683801002213999,` + string(doc.JSON) + `]`},
		{`{"streams":[{"stream":{"job":"audit"},"values":[["{{{now_utc_nano}}}",{{{log_message_str}}}]]}]}`,
			`{"streams":[{"stream":{"job":"audit"},"values":[["1685683801002213999","` + escaped + `"]]}]}`},
		{"{\n\t\"a\":\r\n{{{log_message}}}\n}", "{ \t\"a\":  " + string(doc.JSON) + " }"},
		{`{"a":"{{ not one }}","b":"}}","m":{{{log_message}}}}`, `{"a":"{{ not one }}","b":"}}","m":` + string(doc.JSON) + `}`},
		{`{"quote":"\"{{{now_utc}}}\"","m":{{{log_message}}}}`, `{"quote":"\"1685683801002\"","m":` + string(doc.JSON) + `}`},
	} {
		parsed, err := auditlog.ParseTemplate(c.template)
		if err != nil {
			t.Errorf("%s: %v", c.template, err)
			continue
		}
		got := parsed.Append([]byte("before "), doc, at)
		if diff := cmp.Diff("before "+c.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.template, diff)
		}
	}
}

func TestTemplateRefused(t *testing.T) {
	for _, c := range []struct{ template, want string }{
		{``, "must contain {{{log_message}}}"},
		{`{"a":1}`, "must contain {{{log_message}}}"},
		{`{"a":{{{now}}}}`, "must contain {{{log_message}}}"},
		{`{"a":{{{log}}},"m":{{{log_message}}}}`, "{{{log}}}, which is no placeholder"},
		{`{"a":{{{log_message}}}`, "must be valid JSON"},
		{`{"a":"{{{log_message}}}"}`, "must use {{{log_message_str}}} within a string"},
		{`{{{log_message}}} {{{log_message}}}`, "must be valid JSON"},
		{`{"a":"\{{{log_message_str}}}"}`, "must be valid JSON"},
		{`{"a":"\u00{{{log_message_str}}}"}`, "must be valid JSON"},
		{`{"a":0{{{now_utc}}},"m":{{{log_message}}}}`, "must be valid JSON"},
		{`{{{log_message_str}}}` + "\xff", "valid UTF-8"},
		{`{{{log_message}}}` + strings.Repeat(" ", auditlog.MaxTemplateBytes), "at most"},
	} {
		got, err := auditlog.ParseTemplate(c.template)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: got error %v, want one with %q", c.template, err, c.want)
		}
		if !got.IsZero() {
			t.Errorf("%.60q: a refused template must be the zero one, which gives the document itself", c.template)
		}
	}
}

func TestZeroTemplate(t *testing.T) {
	doc := auditlog.Document{JSON: []byte(`{"id":"l-1"}`)}
	if got := string(auditlog.Template{}.Append(nil, doc, time.Time{})); got != `{"id":"l-1"}` {
		t.Errorf("got %s", got)
	}
}

func TestOccurredAt(t *testing.T) {
	doc, err := auditlog.Prepare(auditlog.Log{ID: "l", WorkspaceID: "w", Type: "t", OccurredAt: "2026-11-02T09:30:00Z", Payload: []byte(`{"occurred_at":"never"}`)})
	if err != nil {
		t.Fatal(err)
	}
	if got := doc.OccurredAt(); got != "2026-11-02T09:30:00Z" {
		t.Errorf("got %q", got)
	}
	for _, foreign := range []string{``, `{}`, `{"occurred_at":"`} {
		if got := (auditlog.Document{JSON: []byte(foreign)}).OccurredAt(); got != "" {
			t.Errorf("%s: got %q", foreign, got)
		}
	}
}

// FuzzTemplate holds what the sink relies on: a template that was accepted gives valid JSON on one line for every document, so that no message
// needs to be parsed again before it is sent.
func FuzzTemplate(f *testing.F) {
	for _, template := range []string{
		`{{{log_message}}}`, `{"a":{{log_message}}}`, `{"a":"{{{log_message_str}}}"}`, `{"n":1{{{now_utc}}}.{{{now_utc_nano}}}e{{{now_utc_micro}}},"m":{{{log_message}}}}`,
		`{"a":"\\{{{log_message_str}}}\\"}`, `["{{{now}}}{{{now_utc}}}",{{{log_message_str}}}]`, "{\r\n}", `"\u{{{now_utc}}}{{{log_message_str}}}"`, `{{{{log_message}}}}`,
	} {
		f.Add(template, `say "\x01\u2028 \\ "`, int64(1685683801002213999))
	}
	f.Fuzz(func(t *testing.T, template, payload string, nanos int64) {
		parsed, err := auditlog.ParseTemplate(template)
		if err != nil {
			if !parsed.IsZero() {
				t.Error("a refused template must be the zero one")
			}
			return
		}
		inner, err := json.Marshal(map[string]string{"p": payload})
		if err != nil {
			return
		}
		doc := auditlog.Document{JSON: inner}
		got := parsed.Append(nil, doc, time.Unix(0, nanos&(1<<62-1)).UTC())
		if !json.Valid(got) {
			t.Errorf("template %q gives no valid JSON: %q", template, got)
		}
		if size := parsed.Size(doc); len(got) > size || len(got) < size-auditlog.MaxPlaceholders*31 {
			t.Errorf("template %q gives %d bytes, said to be %d", template, len(got), size)
		}
		if size := auditlog.EscapedSize(got); len(auditlog.AppendEscaped(nil, got)) != size {
			t.Errorf("%q escaped is said to have %d bytes", got, size)
		}
		if bytes.ContainsAny(got, "\n\r") {
			t.Errorf("template %q gives more than one line: %q", template, got)
		}
	})
}

// What a template makes of a log is bounded: by how often the document may stand in it, and by the size of the message.
func TestTemplateIsBounded(t *testing.T) {
	repeat := func(part string, n int) string { return `[` + strings.Repeat(part+`,`, n-1) + part + `]` }
	for _, c := range []struct{ template, want string }{
		{repeat(`{{{log_message}}}`, auditlog.MaxDocuments), ""},
		{repeat(`{{log_message}}`, 4090), "at most 4 times together"},
		{repeat(`{{{log_message_str}}}`, auditlog.MaxDocuments+1), "at most 4 times together"},
		{`[{{log_message}},{{log_message_str}},"{{{log_message_str}}}",{{log_message}},{{log_message_str}}]`, "at most 4 times together"},
		{`[{{log_message}},` + repeat(`{{now}}`, auditlog.MaxPlaceholders-1) + `]`, ""},
		{`[{{log_message}},` + repeat(`{{now_utc}}`, auditlog.MaxPlaceholders) + `]`, "at most 32 placeholders"},
	} {
		parsed, err := auditlog.ParseTemplate(c.template)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%.60q: got error %v, want one with %q", c.template, err, c.want)
		}
		if parsed.IsZero() != (c.want != "") {
			t.Errorf("%.60q: a refused template must be the zero one", c.template)
		}
	}
}

// A message over the limit gives way to the document.
func TestTemplateOfALargeLog(t *testing.T) {
	parsed, err := auditlog.ParseTemplate(`[{{log_message_str}},{{log_message}}]`)
	if err != nil {
		t.Fatal(err)
	}
	const around = len(`[,""]`)
	for _, c := range []struct {
		name string
		json string
		want int // bytes of the message
	}{
		{"at the limit", `"` + strings.Repeat("x", (auditlog.MaxMessage-around)/2-3) + `"`, auditlog.MaxMessage - 1},
		{"over it", `"` + strings.Repeat("x", (auditlog.MaxMessage-around)/2-2) + `"`, (auditlog.MaxMessage - around) / 2},
		{"over it by what is escaped", `"` + strings.Repeat(`\\`, auditlog.MaxMessage/6) + `"`, auditlog.MaxMessage/6*2 + 2},
	} {
		doc := auditlog.Document{JSON: []byte(c.json)}
		got := parsed.Append(nil, doc, time.Unix(0, 0))
		if len(got) != c.want || parsed.Size(doc) != c.want {
			t.Errorf("%s: %d bytes, said to be %d; want %d", c.name, len(got), parsed.Size(doc), c.want)
		}
		if c.want < auditlog.MaxMessage/2 && !bytes.Equal(got, doc.JSON) {
			t.Errorf("%s: the message is not the document", c.name)
		}
	}
}
