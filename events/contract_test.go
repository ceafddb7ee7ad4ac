package events_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/auditlog"
)

// compiled gives one of the schemas, with formats asserted.
func compiled(t testing.TB, name string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	return compiledBy(t, c, name)
}

// lax gives one of the schemas as other readers of JSON Schema do: format is an annotation, as draft 2020-12
// has it, and $ matches before a line break at the end too, as in Python.
func lax(t testing.TB, name string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.UseRegexpEngine(func(pattern string) (jsonschema.Regexp, error) {
		if open, ok := strings.CutSuffix(pattern, "$"); ok {
			pattern = open + `\n?$`
		}
		return regexp.Compile(pattern)
	})
	return compiledBy(t, c, name)
}

func compiledBy(t testing.TB, c *jsonschema.Compiler, name string) *jsonschema.Schema {
	t.Helper()
	var id string
	names, err := fs.Glob(events.Schemas(), "*.schema.json")
	if err != nil || len(names) != 3 {
		t.Fatalf("schemas %v, %v", names, err)
	}
	for _, n := range names {
		text, err := fs.ReadFile(events.Schemas(), n)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v", n, err)
		}
		url := doc.(map[string]any)["$id"].(string)
		if err := c.AddResource(url, doc); err != nil {
			t.Fatalf("%s: %v", n, err)
		}
		if n == name {
			id = url
		}
	}
	s, err := c.Compile(id)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}

// bySchema is nil if the text is JSON that the schema takes.
func bySchema(s *jsonschema.Schema, text []byte) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

func TestExamplesAreValid(t *testing.T) {
	in, out := compiled(t, "log.schema.json"), compiled(t, "document.schema.json")
	names, err := fs.Glob(events.Examples(), "*.json")
	if err != nil || len(names) < 6 {
		t.Fatalf("examples %v, %v", names, err)
	}
	ids := make(map[string]string)
	var types []string
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			text, err := fs.ReadFile(events.Examples(), name)
			if err != nil {
				t.Fatal(err)
			}
			if err := bySchema(in, text); err != nil {
				t.Errorf("schema: %v", err)
			}
			var produced events.Log
			if err := json.Unmarshal(text, &produced); err != nil {
				t.Fatalf("events.Log: %v", err)
			}
			if err := produced.Validate(); err != nil {
				t.Errorf("Validate: %v", err)
			}
			log, err := auditlog.Decode(text)
			if err != nil {
				t.Fatalf("Decode: %v", err)
			}
			if other, ok := ids[log.ID]; ok {
				t.Errorf("has the id of %s", other)
			}
			ids[log.ID] = name
			types = append(types, log.Type)
			doc, err := auditlog.Prepare(log)
			if err != nil {
				t.Fatalf("Prepare: %v", err)
			}
			if err := bySchema(out, doc.JSON); err != nil {
				t.Errorf("document: %v", err)
			}
			if name := strings.TrimSuffix(name, ".json"); !strings.HasPrefix(name, strings.ReplaceAll(log.Type, "_", "-")) && !strings.HasPrefix(name, "other-") {
				t.Errorf("a file of a log of type %s has another type's name", log.Type)
			}
		})
	}
	for _, want := range []string{events.UserActivity, events.JobSummary, events.JobDetails} {
		if !slices.Contains(types, want) {
			t.Errorf("no example of type %s", want)
		}
	}
}

// invalid is one file of the corpus: a message that is no log, as JSON or as raw text, and the reason that the producer is told.
type invalid struct {
	Reason  string          `json:"reason"`
	Message json.RawMessage `json:"message"`
	Raw     *string         `json:"raw"`
}

func TestInvalidMessagesAreRefusedBySchemaAndGo(t *testing.T) {
	schemas := map[string]*jsonschema.Schema{"the schema": compiled(t, "log.schema.json"), "a lax reader of the schema": lax(t, "log.schema.json")}
	files, err := filepath.Glob("testdata/invalid/*.json")
	if err != nil || len(files) < 80 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var bad invalid
			if err := json.Unmarshal(text, &bad); err != nil {
				t.Fatal(err)
			}
			message := []byte(bad.Message)
			if bad.Raw != nil {
				message = []byte(*bad.Raw)
			}
			for reader, schema := range schemas {
				if bySchema(schema, message) == nil {
					t.Errorf("%s takes it", reader)
				}
			}
			_, err = auditlog.Decode(message)
			if err == nil {
				t.Fatal("Decode takes it")
			}
			if diff := cmp.Diff(bad.Reason, err.Error()); diff != "" {
				t.Errorf("reason (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzAgreement holds the schema's rules and Go's together on single values: what one takes, the other takes.
func FuzzAgreement(f *testing.F) {
	for _, occurredAt := range []string{"2026-11-02T09:30:00Z", "2024-02-29T23:59:59.123456789-23:59", "0000-01-01T00:00:00-00:00", "9999-12-31T23:59:59+00:00",
		"2026-11-02t09:30:00Z", "2016-12-31T23:59:60Z", "2026-11-02T09:30:00,5Z", "2026-11-02T09:30:00+24:00"} {
		f.Add("log-1", "user_activity", occurredAt)
	}
	f.Add(strings.Repeat("a", 128), strings.Repeat("a", 64), "2026-11-02T09:30:00Z")
	f.Add(strings.Repeat("a", 129), strings.Repeat("a", 65), "2026-11-02T09:30:00Z")
	f.Add("..", "a_1_b", "2026-11-02T09:30:00Z")
	f.Add("", "a__b", "")
	schema, lax := compiled(f, "log.schema.json"), lax(f, "log.schema.json")
	f.Fuzz(func(t *testing.T, id, logType, occurredAt string) {
		valid := map[string]any{"id": "a", "workspace_id": "a", "type": "a", "occurred_at": "2026-11-02T09:30:00Z", "payload": map[string]any{}}
		for field, value := range map[string]string{"id": id, "workspace_id": id, "type": logType, "occurred_at": occurredAt} {
			message, err := json.Marshal(with(valid, field, value))
			if err != nil {
				t.Fatal(err)
			}
			strict := bySchema(schema, message)
			_, byGo := auditlog.Decode(message)
			if (strict == nil) != (byGo == nil) {
				t.Errorf("%s %q: the schema says %v, Go says %v", field, value, strict, byGo)
			}
			if byLax := bySchema(lax, message); (byLax == nil) != (byGo == nil) {
				t.Errorf("%s %q: a lax reader of the schema says %v, Go says %v", field, value, byLax, byGo)
			}
		}
	})
}

func with(m map[string]any, field string, value any) map[string]any {
	changed := make(map[string]any, len(m))
	for k, v := range m {
		changed[k] = v
	}
	changed[field] = value
	return changed
}

func TestToleratedBySchemaAndGo(t *testing.T) {
	schema, lax := compiled(t, "log.schema.json"), lax(t, "log.schema.json")
	long := strings.Repeat("x", 128)
	for name, message := range map[string]string{
		"unknown fields":            `{"id":"a","workspace_id":"b","type":"c","occurred_at":"2026-11-02T09:30:00Z","payload":{},"trace_id":{"deep":[1]}}`,
		"longest ids":               fmt.Sprintf(`{"id":%q,"workspace_id":%q,"type":"c","occurred_at":"2026-11-02T09:30:00Z","payload":{}}`, long, long),
		"white space around":        "\r\n {\"id\" : \"a\",\n\"workspace_id\":\"b\",\"type\":\"c\",\"occurred_at\":\"2026-11-02T09:30:00Z\",\"payload\":{ }}\t ",
		"escaped characters":        `{"\u0069d":"\u0061","workspace_id":"b","type":"c","occurred_at":"2026-11-02T09:30:00\u005a","payload":{}}`,
		"last of two fields counts": `{"id":7,"id":"a","workspace_id":"b","type":"c","occurred_at":"2026-11-02T09:30:00Z","payload":[],"payload":{}}`,
		"repeats in the payload":    `{"id":"a","workspace_id":"b","type":"c","occurred_at":"2026-11-02T09:30:00Z","payload":{"x":1,"x":2}}`,
		"lone surrogate in payload": `{"id":"a","workspace_id":"b","type":"c","occurred_at":"2026-11-02T09:30:00Z","payload":{"x":"\ud800"}}`,
		"huge number in payload":    `{"id":"a","workspace_id":"b","type":"c","occurred_at":"2026-11-02T09:30:00Z","payload":{"x":1e999}}`,
		"29 February of 2000":       `{"id":"a","workspace_id":"b","type":"c","occurred_at":"2000-02-29T23:59:59.999999999-23:59","payload":{}}`,
		"29 February of 2024":       `{"id":"a","workspace_id":"b","type":"c","occurred_at":"2024-02-29T00:00:00+00:00","payload":{}}`,
		"zero retention is false":   `{"id":"a","workspace_id":"b","type":"c","occurred_at":"2026-11-02T09:30:00Z","zero_retention":false,"payload":{}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if err := bySchema(schema, []byte(message)); err != nil {
				t.Errorf("schema: %v", err)
			}
			if err := bySchema(lax, []byte(message)); err != nil {
				t.Errorf("a lax reader of the schema: %v", err)
			}
			if _, err := auditlog.Decode([]byte(message)); err != nil {
				t.Errorf("Go: %v", err)
			}
		})
	}
}

func TestValidateFindsWhatWouldBeRejected(t *testing.T) {
	valid := events.Log{ID: "a", WorkspaceID: "b", Type: "user_activity", OccurredAt: time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC), Payload: []byte(` {"event":"x"}`)}
	for name, c := range map[string]struct {
		spoil func(*events.Log)
		want  string
	}{
		"valid":           {func(*events.Log) {}, ""},
		"no time":         {func(l *events.Log) { l.OccurredAt = time.Time{} }, "occurred_at is missing"},
		"year 10000":      {func(l *events.Log) { l.OccurredAt = l.OccurredAt.AddDate(9000, 0, 0) }, "occurred_at must be"},
		"id":              {func(l *events.Log) { l.ID = "a b" }, "id must be 1 to 128"},
		"workspace":       {func(l *events.Log) { l.WorkspaceID = "" }, "workspace_id must be 1 to 128"},
		"type":            {func(l *events.Log) { l.Type = "UserActivity" }, "type must be a snake_case word"},
		"no payload":      {func(l *events.Log) { l.Payload = nil }, "payload must be a JSON object"},
		"payload array":   {func(l *events.Log) { l.Payload = []byte(`[]`) }, "payload must be a JSON object"},
		"payload no JSON": {func(l *events.Log) { l.Payload = []byte(`{"a":}`) }, "payload must be a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			l := valid
			c.spoil(&l)
			got := ""
			if err := l.Validate(); err != nil {
				got = err.Error()
			}
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("Validate: %q, want %q", got, c.want)
			}
			message, err := json.Marshal(l)
			if err != nil {
				return // what cannot be written cannot be sent either
			}
			if _, err := auditlog.Decode(message); (err == nil) != (got == "") && name != "no time" {
				t.Errorf("Validate says %q, Decode says %v", got, err)
			}
		})
	}
}

func TestBusExamplesMatchSchemaAndTypes(t *testing.T) {
	schema := compiled(t, "bus.schema.json")
	details := map[string]any{
		events.LogDeliveryFailed:       new(events.LogDeliveryFailedDetail),
		events.DestinationFailing:      new(events.DestinationFailingDetail),
		events.DestinationRecovered:    new(events.DestinationRecoveredDetail),
		events.DestinationDisconnected: new(events.DestinationDisconnectedDetail),
		events.DestinationDisabled:     new(events.DestinationDisabledDetail),
		events.DestinationReconnected:  new(events.DestinationReconnectedDetail),
		events.DestinationChanged:      new(events.DestinationChangedDetail),
	}
	for name, detail := range details {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(path.Join("examples/bus", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			if err := bySchema(schema, text); err != nil {
				t.Errorf("schema: %v", err)
			}
			var event struct {
				Source     string          `json:"source"`
				DetailType string          `json:"detail-type"`
				Detail     json.RawMessage `json:"detail"`
			}
			if err := json.Unmarshal(text, &event); err != nil {
				t.Fatal(err)
			}
			if event.Source != events.Source || event.DetailType != name {
				t.Errorf("source %q, detail-type %q", event.Source, event.DetailType)
			}
			again := json.NewDecoder(bytes.NewReader(event.Detail))
			again.DisallowUnknownFields()
			if err := again.Decode(detail); err != nil {
				t.Fatalf("Go type: %v", err)
			}
			written, err := json.Marshal(detail)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(generic(t, event.Detail), generic(t, written)); diff != "" {
				t.Errorf("read and written again (-want +got):\n%s", diff)
			}
			for field := range generic(t, event.Detail).(map[string]any) {
				broken, err := json.Marshal(map[string]any{"source": events.Source, "detail-type": name, "detail": with(generic(t, event.Detail).(map[string]any), field, nil)})
				if err != nil {
					t.Fatal(err)
				}
				if bySchema(schema, broken) == nil {
					t.Errorf("the schema takes null for %s", field)
				}
			}
		})
	}
	files, err := filepath.Glob("examples/bus/*.json")
	if err != nil || len(files) != len(details) {
		t.Errorf("%d examples for %d detail-types, %v", len(files), len(details), err)
	}
}

func generic(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
