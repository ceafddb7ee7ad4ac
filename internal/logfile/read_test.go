package logfile

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// collect writes each value as "place→next text", what is bad in exclamation marks, and the error at the end.
func collect(values iter.Seq2[Value, error]) []string {
	var got []string
	for v, err := range values {
		text := string(v.JSON)
		switch {
		case err != nil:
			text = "END " + err.Error()
		case v.Bad != nil:
			text = "!" + v.Bad.Error()
		}
		got = append(got, v.Place.String()+"→"+v.Next.String()+" "+text)
	}
	return got
}

const (
	notJSON  = "!what stands here is not valid JSON; reading goes on with the next line"
	endsSoon = "!the value ends too early"
)

func TestDocuments(t *testing.T) {
	for name, test := range map[string]struct {
		text  string
		names []string
		want  []string
	}{
		"nothing":          {text: " \n\n"},
		"a line each":      {text: "{\"a\":1}\n\n{\"a\":2}\r\n", want: []string{`1→2 {"a":1}`, `3→4 {"a":2}`}},
		"no end of line":   {text: `{"a":1}`, want: []string{`1→1/1 {"a":1}`}},
		"an array":         {text: `[{"a":1}, {"a":2}]`, want: []string{`1/1→1/2 {"a":1}`, `1/2→1/3 {"a":2}`}},
		"an empty array":   {text: `[]`},
		"several in lines": {text: "{\"a\":1}{\"a\":2} {\"a\":3}\n{\"a\":4}\n", want: []string{`1→1/1 {"a":1}`, `1/1→1/2 {"a":2}`, `1/2→2 {"a":3}`, `2→3 {"a":4}`}},
		"pretty-printed":   {text: "{\n  \"a\": 1\n}\n{\n  \"a\": 2\n}", want: []string{"1→2 {\n  \"a\": 1\n}", "4→4/1 {\n  \"a\": 2\n}"}},
		"a pretty array":   {text: "[\n  {\"a\": 1},\n  {\n \"a\": 2}\n]\n", want: []string{`2/1→2/2 {"a": 1}`, "3/2→3/3 {\n \"a\": 2}"}},
		"records": {
			text: `{"v":[9],"Records":[{"a":1},{"a":2}],"w":{"Records":[3]}}`, names: []string{"Records"},
			want: []string{`1/1→1/2 {"a":1}`, `1/2→1/3 {"a":2}`},
		},
		"records of joined files": {
			text: `{"Records":[{"a":1}]}{"Records":[{"a":2},{"a":3}]}` + "\n" + `{"Records":[{"a":4}]}`, names: []string{"Records"},
			want: []string{`1/1→1/2 {"a":1}`, `1/2→1/3 {"a":2}`, `1/3→1/4 {"a":3}`, `2/1→2/2 {"a":4}`},
		},
		"no array under the name": {text: `{"Records":"none"}` + "\n" + `{"a":{"Records":[1]}}` + "\n", names: []string{"Records"}, want: []string{`1→2 {"Records":"none"}`, `2→3 {"a":{"Records":[1]}}`}},
		"one of two names":        {text: `{"value":[{"a":1}]}{"records":[{"a":2}]}`, names: []string{"records", "value"}, want: []string{`1/1→1/2 {"a":1}`, `1/2→1/3 {"a":2}`}},
		"a path":                  {text: `{"a":{"b":[{"c":1}],"d":[2]},"a.b":[{"c":3}]}{"a":{"b":{"c":4}}}`, names: []string{"a.b"}, want: []string{`1/1→1/2 {"c":1}`, `1/2→1/3 {"c":3}`, `1/3→1/4 {"a":{"b":{"c":4}}}`}},
		"a name with an escape":   {text: `{"\u0052ecords":[{"a":1}]}`, names: []string{"Records"}, want: []string{`1/1→1/2 {"a":1}`}},
		"no objects":              {text: "1\n\"x\"\nnull\n", want: []string{"1→2 1", `2→3 "x"`, "3→4 null"}},

		"a broken line":                 {text: "{\"a\":1}\n{\"a\":}\n{\"a\":3}\n", want: []string{`1→2 {"a":1}`, "2→3 " + notJSON, `3→4 {"a":3}`}},
		"a line cut after a value":      {text: "{\"a\":1,\n{\"a\":2}\n{\"a\":3}\n", want: []string{"1→2 " + notJSON, `2→3 {"a":2}`, `3→4 {"a":3}`}},
		"a line cut after a name":       {text: "{\"a\":\n{\"a\":2}\n{\"a\":3}\n", want: []string{"1→2 " + notJSON, `2→3 {"a":2}`, `3→4 {"a":3}`}},
		"a line cut in a string":        {text: "{\"a\":\"x\n{\"a\":2}\n", want: []string{"1→2 " + notJSON, `2→3 {"a":2}`}},
		"a line cut in an array":        {text: "{\"a\":[1,\n{\"a\":2}\n{\"a\":3}\n", want: []string{"1→2 " + notJSON, `2→3 {"a":2}`, `3→4 {"a":3}`}},
		"the last line is cut":          {text: "{\"a\":1}\n{\"a\":2", want: []string{`1→2 {"a":1}`, "2→2 " + endsSoon}},
		"text":                          {text: "# hello\n{\"a\":2}\n", want: []string{"1→2 " + notJSON, `2→3 {"a":2}`}},
		"commas in a line":              {text: ",{\"a\":1},, {\"a\":2},\ufeff,{\"a\":3}\n", want: []string{`1→1/1 {"a":1}`, `1/1→1/2 {"a":2}`, `1/2→2 {"a":3}`}},
		"commas":                        {text: "{\"a\":1},\n{\"a\":2}\n", want: []string{`1→1/1 {"a":1}`, `2→3 {"a":2}`}},
		"a record is broken":            {text: `{"Records":[{"a":1},{"a":},{"a":3}]}` + "\n" + `{"Records":[{"a":4}]}`, names: []string{"Records"}, want: []string{`1/1→1/2 {"a":1}`, "1/2→2 " + notJSON, `2/1→2/2 {"a":4}`}},
		"a document is cut":             {text: `{"Records":[{"a":1},{"a":2`, names: []string{"Records"}, want: []string{`1/1→1/2 {"a":1}`, "1/2→1 " + endsSoon}},
		"a document ends in another":    {text: `[{"a":1}}` + "\n" + `{"a":2}` + "\n", want: []string{`1/1→1/2 {"a":1}`, "1/2→2 " + notJSON, `2→3 {"a":2}`}},
		"brackets that were not opened": {text: "]\n{\"a\":2}\n", want: []string{"1→2 " + notJSON, `2→3 {"a":2}`}},
		"joined with marks":             {text: "{\"a\":1}\n\ufeff{\"a\":2}\n\ufeff[{\"a\":3}]\n", want: []string{`1→2 {"a":1}`, `2→3 {"a":2}`, `3/1→3/2 {"a":3}`}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, collect(Documents(strings.NewReader(test.text), test.names...))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			// Read byte by byte, a value is given before the end of its line is seen.
			got := collect(Documents(iotest.OneByteReader(strings.NewReader(test.text)), test.names...))
			if diff := cmp.Diff(withoutPlaces(test.want), withoutPlaces(got)); diff != "" {
				t.Errorf("byte by byte (-want +got):\n%s", diff)
			}
		})
	}
}

func withoutPlaces(values []string) []string {
	texts := make([]string, len(values))
	for i, v := range values {
		_, texts[i], _ = strings.Cut(v, " ")
	}
	return texts
}

func TestLines(t *testing.T) {
	const array = "END is a JSON array, not an object a line; --records . sends its elements"
	const pretty = "END is JSON over several lines (pretty-printed), not an object a line; --records . reads it"
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"nothing":               {text: "\n \r\n"},
		"lines":                 {text: "{\"a\":1}\r\n\n  {\"a\":2}  \n{\"a\":3}", want: []string{`1→2 {"a":1}`, `3→4 {"a":2}`, `4→5 {"a":3}`}},
		"joined with marks":     {text: "{\"a\":1}\n\ufeff{\"a\":2}\n", want: []string{`1→2 {"a":1}`, `2→3 {"a":2}`}},
		"what is no JSON":       {text: "# a\n{\"a\":", want: []string{`1→2 # a`, `2→3 {"a":`}},
		"the first is cut":      {text: "{\"a\":\n{\"a\":2}\n", want: []string{`1→2 {"a":`, `2→3 {"a":2}`}},
		"the only one is cut":   {text: "{\"a\":", want: []string{`1→2 {"a":`}},
		"an array":              {text: "\n[{\"a\":1},{\"a\":2}]\n", want: []string{"2→2 " + array}},
		"an array over lines":   {text: "[\n{\"a\":1},\n{\"a\":2}]\n", want: []string{"1→1 " + array}},
		"a pretty object":       {text: "{\n  \"a\": 1\n}\n", want: []string{"1→1 " + pretty}},
		"a broken array":        {text: "[{\"a\":\n", want: []string{"1→1 " + array}},
		"an array further on":   {text: "{\"a\":1}\n[1]\n", want: []string{`1→2 {"a":1}`, `2→3 [1]`}},
		"a pointer to a bucket": {text: `["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"payloads/k"}]`, want: []string{`1→2 ["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"payloads/k"}]`}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, collect(Lines(strings.NewReader(test.text)))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	const several = `{"a":1}`
	if got := collect(Lines(io.MultiReader(strings.NewReader(several+"\n"), iotest.ErrReader(io.ErrNoProgress)))); len(got) != 2 || !strings.HasPrefix(got[1], "2→2 END ") {
		t.Errorf("a reader that fails: %q", got)
	}
}

func TestExplain(t *testing.T) {
	for line, want := range map[string]string{
		`{"a":1}`:         "",
		`{"a":1},`:        "a comma follows the object, as in an array; --records . reads it",
		`{"a":1} {"a":2}`: "several objects stand in the line; --records . reads them",
		`{"a":1}x`:        "",
		`{"a":`:           "",
		`[1],`:            "",
		`x`:               "",
		``:                "",
	} {
		got := ""
		if err := Explain([]byte(line)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

func gzipped(t *testing.T, texts ...string) string {
	t.Helper()
	var b bytes.Buffer
	for _, text := range texts {
		w := gzip.NewWriter(&b)
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func zstandard(t *testing.T, texts ...string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var b []byte
	for _, text := range texts {
		b = w.EncodeAll([]byte(text), b)
	}
	return string(b)
}

// utf16 writes ASCII with two bytes a character.
func utf16(text string, littleEndian bool) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if littleEndian {
			b.Write([]byte{c, 0})
		} else {
			b.Write([]byte{0, c})
		}
	}
	return b.String()
}

func TestOpen(t *testing.T) {
	const line, wide = "{\"a\":1}\n", "is UTF-16 or UTF-32; it must be UTF-8: iconv -f UTF-16 -t UTF-8 FILE | auditrelay send …"
	const packed = "BZh91AY&SY\x86\x12\xd5O\x00\x00\x02Y\x80\x00\x100\x05\x10\x04 \x20\x00!\x9ah3M\x07:\xbb\x92)\xc2\x84\x840\x96\xaax"
	for name, test := range map[string]struct {
		file, want string
		layout     bool
	}{
		"empty":                        {"", "", false},
		"plain":                        {line, line, false},
		"gzip":                         {gzipped(t, line), line, false},
		"gzip files, joined":           {gzipped(t, line, line), line + line, false},
		"zstd":                         {zstandard(t, line), line, false},
		"zstd files, joined":           {zstandard(t, line, line), line + line, false},
		"a mark":                       {utf8Mark + line, line, false},
		"a mark, gzip":                 {gzipped(t, utf8Mark+line), line, false},
		"nothing but a mark":           {utf8Mark, "", false},
		"UTF-16 with a mark":           {"\xff\xfe" + utf16(line, true), wide, true},
		"UTF-16, big-endian":           {"\xfe\xff" + utf16(line, false), wide, true},
		"UTF-16 without a mark":        {utf16(line, true), wide, true},
		"UTF-16, big-endian, unmarked": {utf16(line, false), wide, true},
		"UTF-16, gzip":                 {gzipped(t, "\xff\xfe"+utf16(line, true)), wide, true},
		"UTF-32":                       {"\xff\xfe\x00\x00{\x00\x00\x00", wide, true},
		"zip":                          {"PK\x03\x04\x14\x00", "is a zip archive: unzip -p FILE | auditrelay send …", true},
		"xz":                           {"\xfd7zXZ\x00\x00", "is compressed with xz: xz -dc FILE | auditrelay send …", true},
		"parquet":                      {"PAR1\x15\x00", "is Parquet; its rows must become JSON, one object a line", true},
		"gzip's first bytes":           {"\x1f\x8b", "unpack gzip: unexpected EOF", false},
		"zstd's first bytes":           {"\x28\xb5\x2f\xfd", "unexpected EOF", false},
		"bzip2, broken":                {packed, "bzip2 data invalid: ", false},
	} {
		in, err := Open(strings.NewReader(test.file))
		if _, layout := errors.AsType[Layout](err); layout != test.layout {
			t.Errorf("%s: the error is %v", name, err)
		}
		var text []byte
		if err == nil {
			text, err = io.ReadAll(in)
		}
		got := string(text)
		if err != nil {
			got += err.Error()
		}
		if test.want == "" && got != "" || !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestBrokenCompression holds that a file which breaks off is an error after what was whole in it, and no
// end.
func TestBrokenCompression(t *testing.T) {
	var text strings.Builder
	noise := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		fmt.Fprintf(&text, "{\"n\":%d}\n", noise.Uint64())
	}
	for name, file := range map[string]string{"gzip": gzipped(t, text.String()), "zstd": zstandard(t, text.String())} {
		in, err := Open(strings.NewReader(file[:len(file)/2]))
		if err != nil {
			t.Fatal(err)
		}
		lines := collect(Lines(in))
		if in, err = Open(strings.NewReader(file[:len(file)/2])); err != nil {
			t.Fatal(err)
		}
		for way, got := range map[string][]string{"lines": lines, "documents": collect(Documents(in))} {
			last := got[len(got)-1]
			if len(got) < 1000 || !strings.HasSuffix(last, " END "+io.ErrUnexpectedEOF.Error()) {
				t.Errorf("%s, %s: the last of %d is %q", name, way, len(got), last)
			}
		}
	}
}

func TestPlaces(t *testing.T) {
	for text, want := range map[string]Place{"1": {Line: 1}, "5000": {Line: 5000}, "1/17": {Line: 1, Record: 17}} {
		got, err := ParsePlace(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "x", "1/", "1/0", "/1", "1/x", "1.5", "99999999999999999999"} {
		if got, err := ParsePlace(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// zeros is an endless stream of one byte.
type zeros byte

func (z zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(z)
	}
	return len(p), nil
}

// TestTooLong holds that a value over the limit is named, is not kept, and that reading goes on after it.
func TestTooLong(t *testing.T) {
	long := func() io.Reader {
		return io.MultiReader(strings.NewReader("{\"a\":1}\n{\"a\":\""), io.LimitReader(zeros('x'), 2*largest), strings.NewReader("\"}\n{\"a\":3}\n"))
	}
	want := []string{`1→2 {"a":1}`, "2→3 !" + errTooLong.Error(), `3→4 {"a":3}`}
	if diff := cmp.Diff(want, collect(Lines(long()))); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, collect(Documents(long()))); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
}

// TestDocumentsAreNotKept reads a document of 20 MB in one line, of which a window must be in memory and no
// more.
func TestDocumentsAreNotKept(t *testing.T) {
	record := `{"a":"` + strings.Repeat("x", 1000) + `"},`
	text := io.MultiReader(strings.NewReader(`{"Records":[`), io.LimitReader(&repeated{text: record}, int64(20_000*len(record))), strings.NewReader(`{"a":"last"}]}`))
	most, count := 0, 0
	d := &documents{window: &window{in: text, line: 1}, names: []string{"Records"}}
	d.yield = func(v Value, err error) bool {
		if err != nil || v.Bad != nil {
			t.Fatal(err, v.Bad)
		}
		most = max(most, cap(d.window.kept))
		count++
		return true
	}
	d.begin()
	if err := d.value(); err != nil {
		t.Fatal(err)
	}
	if count != 20_001 || most > 1<<20 {
		t.Errorf("%d records; %d bytes were kept at once", count, most)
	}
}

type repeated struct {
	text string
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}

// FuzzDocuments: whatever the text, reading ends, places rise, what is given is JSON as it stands in the
// text, and of an array every element is given.
func FuzzDocuments(f *testing.F) {
	for _, seed := range []string{"", "{\"a\":1}\n{\"a\":2}", `[{"a":1},[2],"3"]`, `{"Records":[1,{"Records":[2]}]}{"Records":[]}`, "{\"a\":\n\ufeff{]", "[[", "\"\\", "1,2", "nul"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var last Place
		var given []json.RawMessage
		whole := true
		for v, err := range Documents(iotest.HalfReader(bytes.NewReader(text)), "Records") {
			if err != nil {
				t.Fatalf("a text in memory cannot be read: %v", err)
			}
			if !last.Before(v.Place) {
				t.Fatalf("%v comes after %v", v.Place, last)
			}
			last = v.Place
			if v.Bad != nil {
				whole = false
				continue
			}
			if !v.Place.Before(v.Next) || !json.Valid(v.JSON) || !bytes.Contains(text, v.JSON) {
				t.Fatalf("%v→%v gives %q", v.Place, v.Next, v.JSON)
			}
			given = append(given, bytes.Clone(v.JSON))
		}
		var elements []json.RawMessage
		if json.Unmarshal(text, &elements) != nil || elements == nil {
			return
		}
		if diff := cmp.Diff(len(elements), len(given)); !whole || diff != "" {
			t.Errorf("whole: %t; elements (-want +got):\n%s", whole, diff)
		}
	})
}
