package auditlog

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// masked payloads: CANARY is data of a job, MASK stands for the notice.
func TestZeroRetention(t *testing.T) {
	for name, c := range map[string]struct{ payload, want string }{
		"lines":                   {`{"lines":[{"n":1,"input":"CANARY","output":{"x":"CANARY"},"mask_data":false}]}`, `{"lines":[{"n":1,"mask_data":false}]}`},
		"lines in lines":          {`{"lines":[{"n":1,"lines":[{"input":["CANARY"],"n":2}],"output":"CANARY"}]}`, `{"lines":[{"n":1,"lines":[{"n":2}]}]}`},
		"lines far below":         {`{"a":[{"b":{"lines":[{"input":1,"n":2}]}}]}`, `{"a":[{"b":{"lines":[{"n":2}]}}]}`},
		"lines as an object":      {`{"lines":{"1":{"input":"CANARY","n":1},"output":"CANARY"}}`, `{"lines":{"1":{"n":1}}}`},
		"lines that were cut":     {`{"lines":"Log lines exceed size limit"}`, `{"lines":"Log lines exceed size limit"}`},
		"arrays in arrays":        {`{"lines":[[[{"input":"CANARY","n":1}],{"output":"CANARY"}]]}`, `{"lines":[[[{"n":1}],{}]]}`},
		"below another member":    {`{"lines":[{"retry":{"details":[{"input":"CANARY","at":7}]}}]}`, `{"lines":[{"retry":{"details":[{"at":7}]}}]}`},
		"beside lines":            {`{"lines":[{"input":"CANARY"}],"input":"CANARY","job":{"output":"CANARY","n":1}}`, `{"lines":[{}],"job":{"n":1}}`},
		"without lines":           {`{"input":"CANARY","steps":[{"output":"CANARY","n":1}]}`, `{"steps":[{"n":1}]}`},
		"repeated names":          {`{"lines":[{"input":"CANARY","n":1,"input":"CANARY"}],"lines":[{"output":"CANARY"}]}`, `{"lines":[{"n":1}],"lines":[{}]}`},
		"escaped names":           {`{"\u006cines":[{"\u0069nput":"CANARY","outp\u0075t":"CANARY","n":1}]}`, `{"\u006cines":[{"n":1}]}`},
		"other case":              {`{"Lines":[{"Input":"CANARY","OUTPUT":"CANARY","n":1}]}`, `{"Lines":[{"n":1}]}`},
		"a letter of other case":  {`{"line\u017f":["CANARY"]}`, `{"line\u017f":["MASK"]}`},
		"spaces around names":     {`{" lines":["CANARY",{"input ":"CANARY"}]}`, `{" lines":["MASK",{}]}`},
		"other names":             {`{"lines":[{"inputs":"kept","output_count":1,"put":2}]}`, `{"lines":[{"inputs":"kept","output_count":1,"put":2}]}`},
		"nothing":                 {`{}`, `{}`},
		"white space":             {"{ \"lines\" : [ {\r\n \"input\" : \"CANARY\" , \"n\" : 1 } ] }", `{"lines":[{"n":1}]}`},
		"numbers as they are":     {`{"lines":[{"n":1.50e+02,"id":12345678901234567890}]}`, `{"lines":[{"n":1.50e+02,"id":12345678901234567890}]}`},
		"text as it is":           {`{"lines":[{"n":"\u00e9\ud800 <&>\/"}]}`, `{"lines":[{"n":"\u00e9\ud800 <&>\/"}]}`},
		"escaped names kept":      {`{"lines":[{"\u006e":1}]}`, `{"lines":[{"\u006e":1}]}`},
		"lines as text":           {`{"lines":"[{\"input\":\"CANARY\"}]","n":1}`, `{"lines":"MASK","n":1}`},
		"lines as any text":       {`{"lines":"CANARY"}`, `{"lines":"MASK"}`},
		"lines as a number":       {`{"lines":4711,"Lines":true,"LINES":null}`, `{"lines":null,"Lines":null,"LINES":null}`},
		"text for a line":         {`{"lines":["{\"n\":\"CANARY\"}",{"n":1},["CANARY",7]]}`, `{"lines":["MASK",{"n":1},["MASK",null]]}`},
		"text in a line's list":   {`{"lines":[{"line_stat":{"total":2,"details":["CANARY",{"name":"http","x":["CANARY"]},[80,65]]}}]}`, `{"lines":[{"line_stat":{"total":2,"details":["MASK",{"name":"http","x":["MASK"]},[null,null]]}}]}`},
		"text in a line":          {`{"lines":[{"adapter_name":"clinic","raw":"{\"lines\":[{\"output\":\"CANARY\"}]}"}]}`, `{"lines":[{"adapter_name":"clinic","raw":"MASK"}]}`},
		"text in an object":       {`{"lines":{"1":"{\"input\":\"CANARY\"}","2":"kept"}}`, `{"lines":{"1":"MASK","2":"kept"}}`},
		"the job as text":         {`{"job":"{\"lines\":[{\"INPUT\":\"CANARY\"}]}"}`, `{"job":"MASK"}`},
		"lines of text in text":   {`{"job":"{\"lines\":[\"CANARY\"]}"}`, `{"job":"MASK"}`},
		"text in text in text":    {`{"a":"\"{\\\"\\u0069nput\\\":\\\"CANARY\\\"}\""}`, `{"a":"MASK"}`},
		"text in a text's member": {`{"a":" {\"b\":\"{\\\"output\\\":1}\"}"}`, `{"a":"MASK"}`},
		"JSON lines in a text":    {`{"a":"{\"b\":1}\n{\"\\u0069nput\":\"CANARY\"}"}`, `{"a":"MASK"}`},
		"a text that breaks off":  {`{"a":"[{\"outp\\u0075t\":\"CANARY"}`, `{"a":"MASK"}`},
		"single quotes":           {`{"a":"{'input': 'CANARY'}"}`, `{"a":"MASK"}`},
		"Ruby":                    {`{"a":"{:Output=>\"CANARY\"}"}`, `{"a":"MASK"}`},
		"YAML":                    {`{"a":"lines:\n- input: CANARY"}`, `{"a":"MASK"}`},
		"XML":                     {`{"a":"<input type=\"text\">CANARY</input>"}`, `{"a":"MASK"}`},
		"a form":                  {`{"a":"n=1&output=CANARY"}`, `{"a":"MASK"}`},
		"JSON without data":       {`{"a":"{\"b\":[1]}","b":"[PROD] Sync","c":"\"","d":"{"}`, `{"a":"{\"b\":[1]}","b":"[PROD] Sync","c":"\"","d":"{"}`},
		"words":                   {`{"a":"input and output","b":"input","c":"no input, no output","d":"put:"}`, `{"a":"input and output","b":"input","c":"no input, no output","d":"put:"}`},
		"an error":                {`{"error":"no order CANARY","error_type":"NotFound","is_poll_error":false,"lines":[{"error":{"message":"CANARY","code":7,"cause":null}}]}`, `{"error":"MASK","error_type":"NotFound","is_poll_error":false,"lines":[{"error":{"message":"MASK","code":null,"cause":null}}]}`},
		"no error":                {`{"error":null,"report":{},"Error":[]}`, `{"error":null,"report":{},"Error":[]}`},
		"a report":                {`{"report":{"order":"CANARY","total":17.5,"lines":{"a":["CANARY"]},"paid":true,"error":"CANARY"},"title":"kept"}`, `{"report":{"order":"MASK","total":null,"lines":{"a":["MASK"]},"paid":null,"error":"MASK"},"title":"kept"}`},
	} {
		t.Run(name, func(t *testing.T) {
			log := decoded(t, message(c.payload, true))
			doc, err := Prepare(log)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.ReplaceAll(c.want, "MASK", MaskNotice)
			if diff := cmp.Diff(document(log, []byte(want)), doc); diff != "" {
				t.Errorf("document (-want +got):\n%s", diff)
			}
			if bytes.Contains(doc.JSON, []byte("CANARY")) {
				t.Error("data of the job is still there")
			}
			without, err := Prepare(decoded(t, message(c.payload, false)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Count(c.payload, "CANARY"), strings.Count(string(without.JSON), "CANARY")); diff != "" {
				t.Errorf("without zero retention, canaries (-sent +kept):\n%s", diff)
			}
		})
	}
}

// A flag is a yes unless it is absent, or once, as the contract writes it, and false.
func TestZeroRetentionFlag(t *testing.T) {
	for name, c := range map[string]struct {
		fields, payload string
		want            bool
	}{
		"absent":                     {``, `{}`, false},
		"false":                      {`"zero_retention":false,`, `{}`, false},
		"true":                       {`"zero_retention":true,`, `{}`, true},
		"escaped":                    {`"zero\u005fretention":true,`, `{}`, true},
		"escaped, false":             {`"zero\u005fretention":false,`, `{}`, false},
		"true, then false":           {`"zero_retention":true,"zero_retention":false,`, `{}`, true},
		"false, then true":           {`"zero_retention":false,"zero_retention":true,`, `{}`, true},
		"false twice":                {`"zero_retention":false,"zero_retention":false,`, `{}`, true},
		"another type, then false":   {`"zero_retention":"no","zero_retention":false,`, `{}`, true},
		"other case":                 {`"Zero_Retention":true,`, `{}`, true},
		"other case, false":          {`"ZERO_RETENTION":false,`, `{}`, true},
		"other case, another type":   {`"Zero_retention":"true",`, `{}`, true},
		"other case beside false":    {`"zero_retention":false,"ZERO_RETENTION":false,`, `{}`, true},
		"camel case":                 {`"zeroRetention":true,`, `{}`, true},
		"dashes":                     {`"zero-retention":true,`, `{}`, true},
		"another name":               {`"zero_retention_until":true,"no_zero_retention":true,"zero_attention":true,`, `{}`, false},
		"in the payload":             {``, `{"a":1,"zero_retention":true}`, true},
		"in the payload, escaped":    {``, `{"z\u0065roRetention":"yes"}`, true},
		"in the payload, false":      {``, `{"zero_retention":false,"Zero_Retention":null}`, false},
		"in the payload, true once":  {``, `{"zero_retention":true,"zero_retention":false}`, true},
		"in the payload, said false": {`"zero_retention":false,`, `{"zero_retention":true}`, true},
		"far below":                  {``, `{"settings":{"zero_retention":true}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			body := `{"id":"a","workspace_id":"b","type":"c","occurred_at":"2026-11-02T09:30:00Z",` + c.fields + `"payload":` + c.payload + `}`
			log := decoded(t, []byte(body))
			want := Log{ID: "a", WorkspaceID: "b", Type: "c", OccurredAt: "2026-11-02T09:30:00Z", ZeroRetention: c.want, Payload: []byte(c.payload)}
			if diff := cmp.Diff(want, log); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
			if _, whole := Keepable([]byte(body), true); c.want && whole {
				t.Error("it would be kept as it came if it were rejected")
			}
		})
	}
}
