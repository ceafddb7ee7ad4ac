package auditlog

import (
	"fmt"
	"strings"
	"testing"
)

// TestNesting holds the limit and that a deeper message is refused by its name, whatever stands in its strings.
func TestNesting(t *testing.T) {
	const envelope = `{"id":"deep","workspace_id":"ws-1","type":"user_activity","occurred_at":"2026-11-01T10:00:00Z","payload":%s}`
	arrays := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	tooDeep := fmt.Sprintf("nests objects and arrays more than %d deep", MaxNesting)
	for name, test := range map[string]struct{ payload, reason string }{
		"as deep as may be":            {`{"v":` + arrays(MaxNesting-2) + `}`, ""},
		"one too deep":                 {`{"v":` + arrays(MaxNesting-1) + `}`, tooDeep},
		"objects":                      {strings.Repeat(`{"v":`, MaxNesting) + "1" + strings.Repeat("}", MaxNesting), tooDeep},
		"brackets in strings":          {`{"v":"` + strings.Repeat(`[\"{`, MaxNesting) + `"]}`, "is not what the syntax allows"},
		"closed before":                {`{"v":[` + strings.Repeat(`[],`, MaxNesting) + `],"w":1}`, "is not what the syntax allows"},
		"deep, and broken further on":  {`{"v":` + arrays(MaxNesting-2) + `,}`, "is not what the syntax allows"},
		"deep, and a quote at its end": {`{"v\\":` + arrays(MaxNesting-1) + `}`, tooDeep},
	} {
		_, err := Decode(fmt.Appendf(nil, envelope, test.payload))
		if (err == nil) != (test.reason == "") || err != nil && !strings.Contains(err.Error(), test.reason) {
			t.Errorf("%s: %v, want %q", name, err, test.reason)
		}
	}
}

func TestCheckObject(t *testing.T) {
	for text, want := range map[string]string{
		` {"a":[1]} `: "",
		`[1]`:         "the message must be a JSON object, not an array",
		`{"a":1`:      "the message is not valid JSON: it ends too early, after 6 bytes",
		"{\"a\":\xff": "the message is not valid UTF-8",
	} {
		got := ""
		if err := CheckObject([]byte(text)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
