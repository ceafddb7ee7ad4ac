package foreign

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/events"
)

func TestLog(t *testing.T) {
	form := Form{Type: "user_activity", ID: [][]string{{"id"}}, Time: []string{"at"}, TypeField: "meta.kind", ZeroRetentionField: "meta.private"}
	at := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	for event, want := range map[string]any{
		`{"id":"a","at":"2026-11-02T09:30:00Z"}`:                                events.Log{ID: "a", Type: "user_activity"},
		`{"id":7,"at":1793611800,"meta":{"kind":"job_summary","private":true}}`: events.Log{ID: "7", Type: "job_summary", ZeroRetention: true},
		`{"id":"a","at":1793611800,"meta":{"kind":null,"private":false}}`:       events.Log{ID: "a", Type: "user_activity"},
		`{"id":"a","at":1793611800,"meta":7}`:                                   events.Log{ID: "a", Type: "user_activity"},
		`{"id":"b","id":"a","at":1793611800}`:                                   events.Log{ID: "a", Type: "user_activity"}, // of two the last counts

		`{"id":"a","at":1793611800,"meta":{"private":"true"}}`: `the field "meta.private" (--zero-retention-field) is neither true nor false`,
		`{"id":"a","at":1793611800,"meta":{"private":1}}`:      `the field "meta.private" (--zero-retention-field) is neither true nor false`,
		`{"id":"a","at":1793611800,"meta":{"kind":7}}`:         `the field "meta.kind" (--type-field) is not a string`,
		`{"id":"a","at":1793611800,"meta":{"kind":"A B"}}`:     `type must be a snake_case word of at most 64 characters, such as user_activity`,
		`{"at":1793611800}`:             `the line has no field "id" (--id-field)`,
		`{"id":"","at":1793611800}`:     `the line has no field "id" (--id-field)`,
		`{"id":null,"at":1793611800}`:   `the line has no field "id" (--id-field)`,
		`{"id":["a"],"at":1793611800}`:  `the field "id" (--id-field) is neither a string nor a whole number`,
		`{"id":1.5,"at":1793611800}`:    `the field "id" (--id-field) is neither a string nor a whole number`,
		`{"id":"a"}`:                    `the line has no field "at" (--time-field)`,
		`{"id":"a","at":true}`:          `the field "at" (--time-field) ` + errNoTime.Error(),
		`{"id":"a","at":"secret"}`:      `the field "at" (--time-field) ` + errNoTime.Error(),
		`[1]`:                           `the event must be a JSON object, not an array`,
		`null`:                          `the event must be a JSON object, not null`,
		`{"id":"a",`:                    `the event is not valid JSON: it ends too early, after 10 bytes`,
		"{\"id\":\"a\xff\",\"at\":1}":   `the event is not valid UTF-8`,
		`{"id":"a","at":1793611800}{}`:  `the event is not valid JSON: byte 27 of 28 is not what the syntax allows`,
		strings.Repeat(`{"a":`, 10_001): `the event nests objects and arrays more than 10000 deep, at byte 50001 of 50005`,
		``:                              `the event is empty; it must be a JSON object`,
	} {
		var got any
		l, err := form.Log("acme", []byte(event))
		if got = l; err != nil {
			got = err.Error()
		}
		if expected, ok := want.(events.Log); ok {
			expected.WorkspaceID, expected.OccurredAt, expected.Payload = "acme", at, json.RawMessage(event)
			want = expected
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%.200s (-want +got):\n%s", event, diff)
		}
	}
}

func TestFind(t *testing.T) {
	const event = `{"a":{"b":{"c":1},"b.c":2,"d":null},"a.b":{"x":3},"a.b.y":4,"n":5,"s":"{\"t\":6}","list":[{"u":7}]}`
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(event), &fields); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"n": "5", "a.b.c": "2", "a.b.x": "3", "a.b.y": "4", "a.b": `{"x":3}`,
		"": "", "a.d": "", "a.e": "", "n.x": "", "s.t": "", "list.u": "", "a.": "", ".a": "", "N": "",
	} {
		if got := string(find(fields, path)); got != want {
			t.Errorf("%q is %s, want %s", path, got, want)
		}
	}
}

func TestIDs(t *testing.T) {
	tail := func(n int) string { return strings.Repeat("h", n) }
	for name, test := range map[string]struct{ event, want string }{
		"one field":             {`{"a":"x-1"}`, "x-1"},
		"a large number":        {`{"a":9007199254740993}`, "9007199254740993"},
		"below zero":            {`{"a":-5}`, "-5"},
		"two fields":            {`{"a":"x","b":"y"}`, "x.y"},
		"a dot in one field":    {`{"a":"x.1"}`, "x.1"},
		"a dot in two fields":   {`{"a":"x.1","b":"y"}`, "x.1.y-" + tail(32)},
		"other characters":      {`{"a":"x/ü=="}`, "x____-" + tail(32)},
		"nothing but those":     {`{"a":"名前"}`, "__-" + tail(32)},
		"as long as may be":     {`{"a":"` + strings.Repeat("x", 128) + `"}`, strings.Repeat("x", 128)},
		"longer":                {`{"a":"` + strings.Repeat("x", 129) + `"}`, strings.Repeat("x", 95) + "-" + tail(32)},
		"neither":               {`{"c":1}`, tail(64)},
		"the second only":       {`{"b":"y"}`, tail(64)},
		"the first is an empty": {`{"a":"","b":"y"}`, tail(64)},
	} {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal([]byte(test.event), &fields); err != nil {
			t.Fatal(err)
		}
		got, err := Form{ID: [][]string{{"a", "b"}, {"a"}, {SHA256}}}.id(fields, []byte(test.event))
		head, isHashed := strings.CutSuffix(test.want, strings.Repeat("h", len(test.want)-len(strings.TrimRight(test.want, "h"))))
		if err != nil || !isHashed || !strings.HasPrefix(got, head) || len(got) != len(test.want) || events.CheckID("id", got) != nil {
			t.Errorf("%s: %s, %v; want %s", name, got, err, test.want)
		}
	}
}

// TestIDsAreTheirOwn holds that what differs in the event's own system differs here, and that the same event
// has the same id twice.
func TestIDsAreTheirOwn(t *testing.T) {
	ids := make(map[string]string)
	form := Form{ID: [][]string{{"a", "b"}, {"a"}, {"c", SHA256}, {SHA256}}}
	for _, event := range []string{
		`{"a":"x.y","b":"z"}`, `{"a":"x","b":"y.z"}`, `{"a":"x.y.z"}`, `{"a":"x_y","b":"z"}`, `{"a":"x/y","b":"z"}`, `{"a":"x:y","b":"z"}`,
		`{"a":"` + strings.Repeat("x", 200) + `"}`, `{"a":"` + strings.Repeat("x", 201) + `"}`, `{"c":"r","n":1}`, `{"c":"r","n":2}`, `{"n":1}`, `{"n":2}`, `{"n": 2}`,
	} {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal([]byte(event), &fields); err != nil {
			t.Fatal(err)
		}
		id, err := form.id(fields, []byte(event))
		again, _ := form.id(fields, []byte(event))
		if err != nil || id != again || events.CheckID("id", id) != nil {
			t.Errorf("%s: %s, then %s, %v", event, id, again, err)
		}
		if other, taken := ids[id]; taken {
			t.Errorf("%s and %s are both %s", event, other, id)
		}
		ids[id] = event
	}
}

func TestMoments(t *testing.T) {
	berlin, err := ParseZone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string]string{
		`1793611800`:               "2026-11-02T09:30:00Z",
		`1793611800.5`:             "2026-11-02T09:30:00.5Z",
		`1793611800.123456789`:     "2026-11-02T09:30:00.123456789Z",
		`1.7936118e9`:              "2026-11-02T09:30:00Z",
		`1793611800123`:            "2026-11-02T09:30:00.123Z",
		`1793611800123.25`:         "2026-11-02T09:30:00.12325Z",
		`1793611800123456`:         "2026-11-02T09:30:00.123456Z",
		`1793611800123456789`:      "2026-11-02T09:30:00.123456789Z",
		`"1793611800"`:             "2026-11-02T09:30:00Z",
		`"1793611800123456789"`:    "2026-11-02T09:30:00.123456789Z",
		`100000000`:                "1973-03-03T09:46:40Z",
		`100000000000`:             "1973-03-03T09:46:40Z",
		`7258118399`:               "2199-12-31T23:59:59Z",
		`7258118399999999999`:      "2199-12-31T23:59:59.999999999Z",
		`7258118400`:               errEpoch.Error(),
		`99999999`:                 errEpoch.Error(),
		`20261102`:                 errEpoch.Error(),
		`"20261102"`:               errEpoch.Error(),
		`0`:                        errEpoch.Error(),
		`-1793611800`:              errEpoch.Error(),
		`1e999999999`:              errEpoch.Error(),
		`99999999999999999999`:     errEpoch.Error(),
		`"1.2.3"`:                  errEpoch.Error(),
		`20261102093000`:           "2026-11-02T09:30:00+01:00",
		`"20261102093000.125"`:     "2026-11-02T09:30:00.125+01:00",
		`true`:                     errNoTime.Error(),
		`{}`:                       errNoTime.Error(),
		`["2026-11-02T09:30:00Z"]`: errNoTime.Error(),

		`"2026-11-02T09:30:00Z"`:              "2026-11-02T09:30:00Z",
		`"2026-11-02t09:30:00z"`:              "2026-11-02T09:30:00Z",
		`"2026-11-02T09:30:00.1234567Z"`:      "2026-11-02T09:30:00.1234567Z",
		`"2026-11-02T09:30:00.123456789123Z"`: "2026-11-02T09:30:00.123456789Z",
		`"2026-11-02T09:30:00,5Z"`:            "2026-11-02T09:30:00.5Z",
		`"2026-11-02T09:30:00+05:30"`:         "2026-11-02T09:30:00+05:30",
		`"2026-11-02T09:30:00.239+0000"`:      "2026-11-02T09:30:00.239Z",
		`"2026-11-02T09:30:00-0800"`:          "2026-11-02T09:30:00-08:00",
		`"2026-11-02T09:30:00+05"`:            "2026-11-02T09:30:00+05:00",
		`"2026-11-02 09:30:00Z"`:              "2026-11-02T09:30:00Z",
		`"2026-11-02 09:30:00 +0100"`:         "2026-11-02T09:30:00+01:00",
		`"2026-11-02 09:30:00.123 UTC"`:       "2026-11-02T09:30:00.123Z",
		`"2026-11-02 09:30:00 GMT"`:           "2026-11-02T09:30:00Z",
		`" 2026-11-02T09:30:00Z "`:            "2026-11-02T09:30:00Z",
		`"2026-11-02T09:30:00"`:               "2026-11-02T09:30:00+01:00",
		`"2026-07-02 09:30:00.5"`:             "2026-07-02T09:30:00.5+02:00",
		`"20261102T093000Z"`:                  "2026-11-02T09:30:00Z",
		`"Mon, 02 Nov 2026 09:30:00 GMT"`:     "2026-11-02T09:30:00Z",
		`"Mon, 2 Nov 2026 09:30:00 -0800"`:    "2026-11-02T09:30:00-08:00",
		`"11/2/2026 9:30:00 PM"`:              "2026-11-02T21:30:00+01:00",
		`"11/02/2026 21:30:00"`:               "2026-11-02T21:30:00+01:00",
		`"11/2/2026 9:30:00 pm -08:00"`:       "2026-11-02T21:30:00-08:00",
		`"2026-11-02"`:                        errNoTime.Error(),
		`"09:30:00"`:                          errNoTime.Error(),
		`"2026-13-02T09:30:00Z"`:              errNoTime.Error(),
		`"2026-02-30T09:30:00Z"`:              errNoTime.Error(),
		`"2026-11-02T09:30:00 Europe/Berlin"`: errNoTime.Error(),
		`"yesterday"`:                         errNoTime.Error(),
		`""`:                                  errEpoch.Error(),
	} {
		got, err := Form{Zone: berlin, MonthFirst: true}.moment(json.RawMessage(raw))
		text := got.Format(time.RFC3339Nano)
		if err != nil {
			text = err.Error()
		}
		if text != want {
			t.Errorf("%s is %s, want %s", raw, text, want)
		}
	}
}

func TestTimesWithoutAZone(t *testing.T) {
	for _, raw := range []string{`"2026-11-02T09:30:00"`, `"2026-11-02 09:30:00.5"`, `20261102093000`} {
		if at, err := (Form{}).moment(json.RawMessage(raw)); err != errNoZone { //nolint:errorlint // it is what moment gives
			t.Errorf("%s: %v, %v", raw, at, err)
		}
	}
	if at, err := (Form{}).moment(json.RawMessage(`"11/2/2026 9:30:00 PM"`)); err != errNoTime { //nolint:errorlint // it is what moment gives
		t.Errorf("months come first only where they are known to: %v, %v", at, err)
	}
}

func TestParseZone(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for name, want := range map[string]string{"UTC": "Z", "Europe/Berlin": "+02:00", "+05:30": "+05:30", "-0800": "-08:00", "+09": "+09:00"} {
		zone, err := ParseZone(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := at.In(zone).Format("Z07:00"); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	for _, name := range []string{"", "CEST+2", "Berlin", "+25:00", "../etc/passwd"} {
		if zone, err := ParseZone(name); err == nil {
			t.Errorf("%q is %v", name, zone)
		}
	}
}

// FuzzLog: whatever the event, a log is valid and holds it byte for byte, or the error is a sentence that
// quotes nothing of it.
func FuzzLog(f *testing.F) {
	for _, s := range Sources() {
		f.Add(s.Name, []byte(fmt.Sprintf(`{%q:"x","id":1,"time":"2026-11-02T09:30:00Z"}`, s.Form.ID[0][0])))
	}
	f.Fuzz(func(t *testing.T, name string, event []byte) {
		s, err := FindSource(name)
		if err != nil {
			return
		}
		l, err := s.Form.Log("acme", event)
		if err != nil {
			if len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\x00\x1b") {
				t.Errorf("%q is no reason", err)
			}
			return
		}
		if err := l.Validate(); err != nil || string(l.Payload) != string(event) {
			t.Errorf("%v, %v", l, err)
		}
	})
}
