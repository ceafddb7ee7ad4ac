package auditlog

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/events"
)

func TestPrepareKeepsTheEnvelope(t *testing.T) {
	log := decoded(t, []byte(`{"payload":{"b":1,"a":[{}]},"zero_retention":false,"occurred_at":"2026-11-02T15:00:00.500+05:30","type":"user_activity","workspace_id":"acme","id":"l-1","later":1}`))
	got, err := Prepare(log)
	if err != nil {
		t.Fatal(err)
	}
	want := Document{ID: "l-1", WorkspaceID: "acme", Type: "user_activity",
		JSON: []byte(`{"id":"l-1","type":"user_activity","workspace_id":"acme","occurred_at":"2026-11-02T15:00:00.500+05:30","payload":{"b":1,"a":[{}]}}`)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
	again, err := Parse(got.JSON)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, again); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

func TestParseRefusesWhatIsNoDocument(t *testing.T) {
	if d, err := Parse([]byte(`{"id":`)); err == nil {
		t.Errorf("Parse gives %+v", d)
	}
}

// sized is a valid message whose document has exactly the given number of bytes, nearly all of them in lines.
func sized(t testing.TB, documentBytes int, zeroRetention bool) []byte {
	t.Helper()
	payload := func(n int) string { return `{"job":"j-1","lines":[{"n":"` + strings.Repeat("x", n) + `"}]}` }
	least := len(document(decoded(t, message(payload(0), zeroRetention)), []byte(payload(0))).JSON)
	return message(payload(documentBytes-least), zeroRetention)
}

func TestSizeRule(t *testing.T) {
	for _, c := range []struct {
		bytes int
		whole bool
	}{
		{events.MaxLogBytes - 1, true},
		{events.MaxLogBytes, true},
		{events.MaxLogBytes + 1, false},
	} {
		t.Run(fmt.Sprint(c.bytes), func(t *testing.T) {
			log := decoded(t, sized(t, c.bytes, false))
			doc, err := Prepare(log)
			if err != nil {
				t.Fatal(err)
			}
			if c.whole {
				if len(doc.JSON) != c.bytes || !bytes.HasSuffix(doc.JSON, log.Payload) && !bytes.Contains(doc.JSON, log.Payload) {
					t.Errorf("a document of %d bytes, want all %d", len(doc.JSON), c.bytes)
				}
				return
			}
			want := `{"id":"l-1","type":"job_details","workspace_id":"acme","occurred_at":"2026-11-02T09:30:00Z","payload":{"job":"j-1","lines":"Log lines exceed size limit"}}`
			if diff := cmp.Diff(want, string(doc.JSON)); diff != "" {
				t.Errorf("document (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSizeRuleCountsAfterZeroRetention(t *testing.T) {
	data := strings.Repeat("x", events.MaxLogBytes)
	doc, err := Prepare(decoded(t, message(`{"lines":[{"n":1,"input":"`+data+`"}]}`, true)))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(doc.JSON, []byte(`"payload":{"lines":[{"n":1}]}}`)) {
		t.Errorf("a document of %d bytes: its lines would fit", len(doc.JSON))
	}
}

func TestTooLargeWithoutLines(t *testing.T) {
	report := `"report":"` + strings.Repeat("x", events.MaxLogBytes) + `"}`
	log := decoded(t, message(`{"lines":[1],`+report, false))
	_, err := Prepare(log)
	shortened := len(document(log, []byte(`{"lines":"`+SizeNotice+`",`+report)).JSON)
	want := fmt.Sprintf("the log has %d bytes without its lines; at most %d are delivered", shortened, events.MaxLogBytes)
	if err == nil || err.Error() != want {
		t.Errorf("Prepare: %v, want %s", err, want)
	}
}

func TestWithoutLinesReplacesOutermostLines(t *testing.T) {
	for name, c := range map[string]struct{ payload, want string }{
		"at the top":    {`{"a":1,"lines":[{"lines":[1]}],"b":2}`, `{"a":1,"lines":"Log lines exceed size limit","b":2}`},
		"below":         {`{"a":{"lines":{"x":1}},"b":[{"lines":null}]}`, `{"a":{"lines":"Log lines exceed size limit"},"b":[{"lines":"Log lines exceed size limit"}]}`},
		"escaped":       {`{"l\u0069nes":[1]}`, `{"lines":"Log lines exceed size limit"}`},
		"repeated":      {`{"lines":[1],"lines":[2]}`, `{"lines":"Log lines exceed size limit","lines":"Log lines exceed size limit"}`},
		"a mere string": {`{"a":"lines"}`, `{"a":"lines"}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := withoutLines([]byte(c.payload))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Errorf("payload (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLargeLogMemory: a log of 40 MB and all that preparing it allocates stay below 256 MB, even if nothing is collected meanwhile. It is 120 to
// 160 MiB as a rule; the race detector makes it more.
func TestLargeLogMemory(t *testing.T) {
	line := `{"recipe_line_number":1,"input":{"a":"` + strings.Repeat("x", 100) + `"},"line_stat":{"total":0.5,"details":["` + strings.Repeat("y", 900) + `"]}}`
	many := message(`{"lines":[`+strings.Repeat(line+",", events.MaxLogBytes/len(line)-1)+line+`]}`, true)
	for name, body := range map[string][]byte{"many lines": many, "one line": sized(t, events.MaxLogBytes, true)} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			doc, err := Prepare(decoded(t, body))
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Fatal(err)
			}
			allocated := after.TotalAlloc - before.TotalAlloc
			t.Logf("message %d MiB, document %d MiB, allocated %d MiB", len(body)>>20, len(doc.JSON)>>20, allocated>>20)
			if total := uint64(len(body)) + allocated; total > 256<<20 {
				t.Errorf("%d MiB with the message, want at most 256", total>>20)
			}
		})
	}
}

// message is a job_details message with the payload.
func message(payload string, zeroRetention bool) []byte {
	return fmt.Appendf(nil, `{"id":"l-1","workspace_id":"acme","type":"job_details","occurred_at":"2026-11-02T09:30:00Z","zero_retention":%t,"payload":%s}`, zeroRetention, payload)
}

func decoded(t testing.TB, body []byte) Log {
	t.Helper()
	log, err := Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func BenchmarkDecodeAndPrepare(b *testing.B) {
	for _, size := range []int{2 << 10, 1 << 20} {
		for _, zeroRetention := range []bool{false, true} {
			b.Run(fmt.Sprintf("%dKiB/zero_retention=%t", size>>10, zeroRetention), func(b *testing.B) {
				body := sized(b, size, zeroRetention)
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := Prepare(decoded(b, body)); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// A document without its lines is otherwise what it was, whatever else is called lines.
func TestDocumentWithoutLines(t *testing.T) {
	for payload, want := range map[string]string{
		`{"a":1,"lines":[{"input":{"x":1}}],"b":"é"}`:         `{"a":1,"lines":"Log lines exceed size limit","b":"é"}`,
		`{"report":{"lines":[1,{"lines":2}]},"lines":"text"}`: `{"report":{"lines":"Log lines exceed size limit"},"lines":"Log lines exceed size limit"}`,
		`{"a":"\"lines\":[1]"}`:                               `{"a":"\"lines\":[1]"}`,
	} {
		doc, err := Prepare(decoded(t, message(payload, false)))
		if err != nil {
			t.Fatal(err)
		}
		shorter, err := doc.WithoutLines()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Replace(string(doc.JSON), payload, want, 1), string(shorter.JSON)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", payload, diff)
		}
		shorter.JSON = doc.JSON
		if diff := cmp.Diff(doc, shorter); diff != "" {
			t.Errorf("%s: besides its JSON (-want +got):\n%s", payload, diff)
		}
	}
}
