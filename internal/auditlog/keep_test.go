package auditlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKeepable(t *testing.T) {
	const as = "as it came"
	note := func(fields string) string {
		return `{` + fields + `"withheld":"the message has %d bytes and asks for zero retention; the producer must send it again"}`
	}
	const names = `"id":"a b","workspace_id":"w","type":"job_details","occurred_at":"2026-11-02T09:30:00Z",`
	const lines = `"payload":{"lines":[{"input":"CANARY"}]}`
	for name, c := range map[string]struct{ body, want string }{
		"no zero retention":     {`{` + names + `"payload":{"lines":[{"input":"CANARY"}]}}`, as},
		"false":                 {`{` + names + `"zero_retention": false,` + lines + `}`, as},
		"named in a text":       {`{` + names + `"payload":["zero_retention", "is \"zero_retention\" meant?"]}`, as},
		"no JSON":               {`zero_retention: see the manual`, as},
		"true":                  {`{` + names + `"zero_retention":true,` + lines + `}`, note(names + `"zero_retention":true,`)},
		"of a wrong type":       {`{` + names + `"zero_retention":"yes",` + lines + `}`, note(names + `"zero_retention":"yes",`)},
		"escaped name":          {`{"id":"a","zero\u005fretention":true,` + lines + `}`, note(`"id":"a","zero_retention":true,`)},
		"last counts":           {`{"id":"a","zero_retention":true,"zero_retention":false,` + lines + `}`, note(`"id":"a","zero_retention":false,`)},
		"payload is text":       {`{"id":"a","zero_retention":true,"payload":"{\"lines\":[{\"input\":\"CANARY\"}]}"}`, note(`"id":"a","zero_retention":true,`)},
		"text in text":          {`{"id":"a","log":"{\"zero_retention\": true,\"lines\":\"CANARY\"}"}`, note(`"id":"a",`)},
		"wrapped":               {`{"log":{"zero_retention":true,` + lines + `}}`, note("")},
		"a list":                {`[{"zero_retention":true,` + lines + `}]`, note("")},
		"broken off":            {`{"id":"a","zero_retention" : true,"payload":{"lines":[{"input":"CANARY`, note("")},
		"broken off, false":     {`{"id":"a","zero_retention" : false,"payload":{"lines":[{"input":"CANARY`, as},
		"two on a line":         {`{"zero_retention":false}{"zero_retention":true,` + lines + `}`, note("")},
		"data in another field": {`{"id":{"input":"CANARY"},"zero_retention":true}`, note(`"zero_retention":true,`)},
		"a long text as id":     {`{"id":"` + strings.Repeat("CANARY", 40) + `","zero_retention":true}`, note(`"zero_retention":true,`)},
	} {
		t.Run(name, func(t *testing.T) {
			want := c.body
			if c.want != as {
				want = fmt.Sprintf(c.want, len(c.body))
			}
			got := Keepable([]byte(c.body))
			if diff := cmp.Diff(want, string(got)); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
			if c.want != as && !json.Valid(got) {
				t.Error("what is kept is no JSON")
			}
		})
	}
}

// FuzzKeepable: what is kept is the message itself, and then it does not ask for zero retention, or a short JSON object.
func FuzzKeepable(f *testing.F) {
	for _, body := range exampleLogs(f) {
		f.Add(body)
		f.Add(body[:len(body)/2])
	}
	f.Add([]byte(`{"id":"\"","zero_retention":1}`))
	f.Add([]byte(`{"zero_retention":true,"id":"a"`))
	f.Fuzz(func(t *testing.T, body []byte) {
		kept := Keepable(body)
		if bytes.Equal(kept, body) {
			if log, err := Decode(body); err == nil && log.ZeroRetention {
				t.Fatal("a zero-retention log was kept as it came")
			}
			return
		}
		if !json.Valid(kept) || len(kept) > 2000 {
			t.Fatalf("kept %d bytes, %q", len(kept), kept)
		}
	})
}
