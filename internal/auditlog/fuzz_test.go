package auditlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/events"
)

// exampleLogs gives the contract's examples as seeds.
func exampleLogs(f *testing.F) [][]byte {
	f.Helper()
	names, err := fs.Glob(events.Examples(), "*.json")
	if err != nil || len(names) == 0 {
		f.Fatalf("examples %v, %v", names, err)
	}
	var bodies [][]byte
	for _, name := range names {
		body, err := fs.ReadFile(events.Examples(), name)
		if err != nil {
			f.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	return bodies
}

// FuzzDecode: a message is a valid log or an *Invalid with a reason that quotes no payload, and a valid one says what encoding/json reads in it.
func FuzzDecode(f *testing.F) {
	for _, body := range exampleLogs(f) {
		f.Add(body)
	}
	f.Add([]byte(`{"id":"a","ID":"b","id":"c","payload":{},"payload":[]}`))
	f.Add([]byte(`{"id":"a`))
	f.Add([]byte("\xff"))
	f.Fuzz(func(t *testing.T, body []byte) {
		log, err := Decode(body)
		if err != nil {
			bad, ok := errors.AsType[*Invalid](err)
			if !ok || bad.Reason == "" || strings.ContainsAny(bad.Reason, "\n\x00") || len(bad.Reason) > 200 {
				t.Fatalf("%T %q is no reason for a person", err, err)
			}
			return
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(body, &fields); err != nil {
			t.Fatalf("takes what encoding/json does not: %v", err)
		}
		if diff := cmp.Diff(string(fields["payload"]), string(log.Payload)); diff != "" {
			t.Errorf("payload (-want +got):\n%s", diff)
		}
		for field, got := range map[string]string{"id": log.ID, "workspace_id": log.WorkspaceID, "type": log.Type, "occurred_at": log.OccurredAt} {
			var want string
			if err := json.Unmarshal(fields[field], &want); err != nil || want != got {
				t.Errorf("%s is %q, want %q (%v)", field, got, want, err)
			}
		}
		if string(fields["zero_retention"]) == "true" && !log.ZeroRetention {
			t.Error("zero_retention is true and was not heeded")
		}
		if log.ZeroRetention && mentions(body) == 0 {
			t.Error("zero retention was not asked for")
		}
	})
}

// FuzzPrepare: the document of every valid log is one line of valid JSON that says what the log says.
func FuzzPrepare(f *testing.F) {
	for _, body := range exampleLogs(f) {
		f.Add(body)
	}
	f.Add([]byte("{\"id\":\"a\",\"workspace_id\":\"b\",\"type\":\"c\",\"occurred_at\":\"2026-11-02T09:30:00\\u005a\",\"payload\":{\n\"x\":\r[1 ,2]}}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		log, err := Decode(body)
		if err != nil {
			return
		}
		doc, err := Prepare(log)
		if err != nil {
			t.Fatalf("a log of %d bytes cannot be prepared: %v", len(body), err)
		}
		if bytes.ContainsAny(doc.JSON, "\r\n") {
			t.Error("the document has more than one line")
		}
		var got events.Document
		if err := json.Unmarshal(doc.JSON, &got); err != nil {
			t.Fatalf("the document is no JSON: %v", err)
		}
		want := events.Document{ID: log.ID, Type: log.Type, WorkspaceID: log.WorkspaceID, OccurredAt: got.OccurredAt, Payload: got.Payload}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("document (-want +got):\n%s", diff)
		}
		if !log.ZeroRetention {
			if diff := cmp.Diff(compact(t, log.Payload), compact(t, got.Payload)); diff != "" {
				t.Errorf("payload (-want +got):\n%s", diff)
			}
		}
		again, err := Parse(doc.JSON)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(doc, again); diff != "" {
			t.Errorf("read back (-want +got):\n%s", diff)
		}
	})
}

// FuzzWithoutData holds the streaming removal against one that takes the value apart, for every JSON value without repeated names.
func FuzzWithoutData(f *testing.F) {
	for _, body := range exampleLogs(f) {
		f.Add(body)
	}
	f.Add([]byte(`{"lines":[[{"input":1}],{"lines":{"output":[{"input":2}]}}],"input":{"lines":{"x":{"output":3}}}}`))
	f.Add([]byte(`[{"\u006cines":{"\u0069nput":1,"n":[]}}]`))
	f.Add([]byte(`{"Lines":["a",1,null,{"b":["c",{"d":"e"}]}],"report":{"a":[1,"b"]},"error":"c","f":"{\"output\":1}"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var value any
		in := json.NewDecoder(bytes.NewReader(payload))
		in.UseNumber()
		if !json.Valid(payload) || in.Decode(&value) != nil {
			return
		}
		got, err := withoutData(payload)
		if err != nil {
			t.Fatalf("%v", err)
		}
		var copied any
		out := json.NewDecoder(bytes.NewReader(got))
		out.UseNumber()
		if err := out.Decode(&copied); err != nil {
			t.Fatalf("no JSON is left: %v", err)
		}
		if again, err := withoutData(got); err != nil || !bytes.Equal(got, again) {
			t.Errorf("%s is left of %s (%v)", again, got, err)
		}
		if repeats(payload) {
			return // which of the two a reader keeps depends on what stood in them
		}
		if diff := cmp.Diff(stripped(value, plain), copied); diff != "" {
			t.Errorf("value (-want +got):\n%s", diff)
		}
	})
}

// stripped is what withoutData should give for a value at that place.
func stripped(value any, at place) any {
	switch v := value.(type) {
	case []any:
		if at == ofLine {
			at = listed
		}
		kept := make([]any, len(v))
		for i, e := range v {
			kept[i] = stripped(e, at)
		}
		return kept
	case map[string]any:
		if at == line || at == listed {
			at = ofLine
		}
		kept := make(map[string]any, len(v))
		for name, e := range v {
			switch word := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(name), "ſ", "s")); {
			case word == "input", word == "output":
			case at != private && word == "lines":
				kept[name] = stripped(e, line)
			case word == "report", word == "error":
				kept[name] = stripped(e, private)
			default:
				kept[name] = stripped(e, at)
			}
		}
		return kept
	case string:
		if at != plain && at != ofLine && (at != line || v != SizeNotice) || holdsData(v) {
			return MaskNotice
		}
	case json.Number, bool:
		if at != plain && at != ofLine {
			return nil
		}
	}
	return value
}

// repeats says whether any object in the value has two members of one name, or a name that JSON readers replace.
func repeats(payload []byte) bool {
	in := decoder(payload)
	var names []map[string]bool
	for {
		token, err := in.ReadToken()
		if err != nil {
			return false
		}
		depth := in.StackDepth()
		for len(names) <= depth {
			names = append(names, nil)
		}
		kind, length := in.StackIndex(depth)
		switch {
		case kind == '{' && length == 0:
			names[depth] = make(map[string]bool)
		case kind == '{' && length%2 == 1:
			name := token.String()
			if names[depth][name] {
				return true
			}
			names[depth][name] = true
		}
	}
}

func compact(t *testing.T, text []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
