package auditlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// noteOf is the note of a message, with these names.
func noteOf(body, why string, names withheld) *withheld {
	sum := sha256.Sum256([]byte(body))
	names.Bytes, names.SHA256, names.Withheld = len(body), hex.EncodeToString(sum[:]), why
	return &names
}

func TestKeepable(t *testing.T) {
	const names = `"id":"a b","workspace_id":"w","type":"job_details","occurred_at":"2026-11-02T09:30:00Z",`
	const lines = `"payload":{"lines":[{"input":"CANARY"}]}`
	kept := withheld{WorkspaceID: "w", Type: "job_details", OccurredAt: "2026-11-02T09:30:00Z"}
	a := withheld{ID: "a"}
	for name, c := range map[string]struct {
		body string
		why  string // empty for a message that is kept as it came
		withheld
	}{
		"no zero retention":          {body: `{` + names + `"payload":{"lines":[{"input":"CANARY"}]}}`},
		"false, once":                {body: `{` + names + `"zero_retention": false,` + lines + `}`},
		"true":                       {`{` + names + `"zero_retention":true,` + lines + `}`, forbidden, kept},
		"a text for true":            {`{` + names + `"zero_retention":"CANARY",` + lines + `}`, forbidden, kept},
		"null":                       {`{` + names + `"zero_retention":null,` + lines + `}`, forbidden, kept},
		"false, in capitals":         {`{"id":"a","ZERO_RETENTION":false,` + lines + `}`, forbidden, a},
		"another spelling":           {`{"id":"a","zeroRetention":true,` + lines + `}`, forbidden, a},
		"escaped name":               {`{"id":"a","zero\u005fretention":true,` + lines + `}`, forbidden, a},
		"true, then false":           {`{"id":"a","zero_retention":true,"zero_retention":false,` + lines + `}`, forbidden, a},
		"false, then true":           {`{"id":"a","zero_retention":false,"zero_retention":true,` + lines + `}`, forbidden, a},
		"false twice":                {`{"id":"a","zero_retention":false,"zero_retention":false,` + lines + `}`, forbidden, a},
		"named in a text":            {`{"id":"a","payload":["zero_retention"]}`, forbidden, a},
		"payload is text":            {`{"id":"a","zero_retention":true,"payload":"{\"lines\":[{\"input\":\"CANARY\"}]}"}`, forbidden, a},
		"text in text":               {`{"id":"a","log":"{\"zero_retention\": true,\"lines\":\"CANARY\"}"}`, forbidden, a},
		"escaped in text in text":    {`{"id":"a","log":"{\\\"zero\\\\u005Fretention\\\": true,\\\"lines\\\":\\\"CANARY\\\"}"}`, forbidden, a},
		"a notification's text":      {`{"id":"a","Message":"{\n \"Zero-Retention\": true,\n \"input\": \"CANARY\"}"}`, forbidden, a},
		"wrapped":                    {`{"log":{"zero_retention":true,` + lines + `}}`, forbidden, withheld{}},
		"wrapped, and false outside": {`{"zero_retention":false,"log":{"zero_retention":true,` + lines + `}}`, forbidden, withheld{}},
		"data in another field":      {`{"id":{"input":"CANARY"},"zero_retention":true}`, forbidden, withheld{}},
		"data as id":                 {`{"id":"CANARY CANARY","workspace_id":"` + strings.Repeat("CANARY", 40) + `","type":"CANARY","occurred_at":"CANARY","zero_retention":true}`, forbidden, withheld{}},
		"a list":                     {`[{"zero_retention":false,` + lines + `}]`, unreadable, withheld{}},
		"broken off":                 {`{"id":"a","payload":{"lines":[{"input":"CANARY`, unreadable, withheld{}},
		"two on a line":              {`{"zero_retention":false}{"zero_retention":true,` + lines + `}`, unreadable, withheld{}},
		"a byte order mark":          {"\ufeff" + `{"id":"a",` + lines + `}`, unreadable, withheld{}},
		"single quotes":              {`{'id':'a','payload':{'lines':[{'input':'CANARY'}]}}`, unreadable, withheld{}},
		"YAML":                       {`{id: a, zero_retention: true, payload: {lines: [{input: CANARY}]}}`, unreadable, withheld{}},
		"base64":                     {base64.StdEncoding.EncodeToString([]byte(`{` + names + lines + `}`)), unreadable, withheld{}},
		"no UTF-8":                   {"{\"id\":\"a\",\"payload\":{\"x\":\"CANARY\xff\"}}", unreadable, withheld{}},
		"prose":                      {`retain nothing of CANARY, please`, unreadable, withheld{}},
		"nothing":                    {``, unreadable, withheld{}},
		"half a pointer":             {`["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"CANARY"}]`, unreadable, withheld{}},
	} {
		t.Run(name, func(t *testing.T) {
			kept, whole := Keepable([]byte(c.body), false)
			if c.why == "" {
				if diff := cmp.Diff(c.body, string(kept)); diff != "" || !whole {
					t.Errorf("kept, whole is %t (-want +got):\n%s", whole, diff)
				}
				return
			}
			var got *withheld
			if err := json.Unmarshal(kept, &got); err != nil {
				t.Fatalf("%q is no note: %v", kept, err)
			}
			if diff := cmp.Diff(noteOf(c.body, c.why, c.withheld), got); diff != "" || whole {
				t.Errorf("note, whole is %t (-want +got):\n%s", whole, diff)
			}
			if again, whole := Keepable(kept, false); !whole || !bytes.Equal(kept, again) {
				t.Errorf("of the note itself is kept %s, whole is %t", again, whole)
			}
			wanted, whole := Keepable([]byte(c.body), true)
			if readable := c.why == forbidden || mentions([]byte(c.body)) > 0; whole == readable {
				t.Errorf("a deployment that wants messages that cannot be read gets %q", wanted)
			}
		})
	}
}

// TestKeepablePointer: a pointer holds no data, but a producer may have written more beside it.
func TestKeepablePointer(t *testing.T) {
	body := `["com.amazon.sqs.javamessaging.MessageS3Pointer",{"s3BucketName":"b","s3Key":"payloads/k","zero_retention":true,"input":"CANARY"}]`
	want := `["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"payloads/k"}]`
	kept, whole := Keepable([]byte(body), false)
	if diff := cmp.Diff(want, string(kept)); diff != "" || !whole {
		t.Errorf("kept, whole is %t (-want +got):\n%s", whole, diff)
	}
}

func TestMentions(t *testing.T) {
	for text, want := range map[string]int{
		"":                                 0,
		"zero_retentio":                    0,
		"zero_retention":                   1,
		"ZeroRetention, zero-retention":    2,
		"zero\nretention":                  0,
		"zerozero_retention":               1,
		"zero_retenzero retention":         1,
		`zero\u005fretention`:              1,
		`\\\u007aero\\\\\\u005Fretention\`: 1,
		`zero\u00e9retention`:              0,
		`zero\u`:                           0,
		`zero\u12g4retention`:              0,
		"zero\xffretention":                0,
		"zéro_retention":                   0,
	} {
		if got := mentions([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// FuzzKeepable: what is kept is the message itself, and then no flag in it may mean yes, or a short JSON
// object that is kept as it is.
func FuzzKeepable(f *testing.F) {
	for _, body := range exampleLogs(f) {
		f.Add(body)
		f.Add(body[:len(body)/2])
	}
	f.Add([]byte(`{"id":"\"","zero_retention":1}`))
	f.Add([]byte(`{"zero_retention":true,"id":"a"`))
	f.Add([]byte(`["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"k"}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		kept, whole := Keepable(body, false)
		if _, pointer, err := ParsePointer(body); pointer && err == nil {
			return
		}
		if whole != bytes.Equal(kept, body) {
			t.Fatalf("kept %q, whole is %t", kept, whole)
		}
		if whole {
			if log, err := Decode(body); err == nil && log.ZeroRetention {
				t.Fatal("a zero-retention log was kept as it came")
			}
			return
		}
		if !json.Valid(kept) || len(kept) > 1000 {
			t.Fatalf("kept %d bytes, %q", len(kept), kept)
		}
		if again, whole := Keepable(kept, false); !whole || !bytes.Equal(kept, again) {
			t.Fatalf("of the note %q is kept %q", kept, again)
		}
	})
}
