package legible_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/legible"
)

// TestHidden goes by the kinds of what a reader does not see, each with the first and the last of a range
// where there is one.
func TestHidden(t *testing.T) {
	for name, c := range map[string]struct {
		chars  string
		hidden bool
	}{
		"C0 controls":                 {"\x00\x07\x08\x1b\x1f\t\n\r\v\f", true},
		"delete":                      {"\x7f", true},
		"C1 controls":                 {"\u0080\u0085\u009b\u009d\u009f", true},
		"embeddings and overrides":    {"\u202a\u202b\u202c\u202d\u202e", true},
		"isolates":                    {"\u2066\u2067\u2068\u2069", true},
		"marks of direction":          {"\u200e\u200f\u061c", true},
		"without width":               {"\u200b\u200c\u200d\u2060\u2061\u2064\ufeff\u180e\u034f", true},
		"soft hyphen":                 {"\u00ad", true},
		"fillers that show nothing":   {"\u115f\u1160\u3164\uffa0\u17b4\u17b5", true},
		"lines and paragraphs":        {"\u2028\u2029", true},
		"annotations":                 {"\ufff9\ufffa\ufffb", true},
		"variation selectors":         {"\ufe00\ufe0f\U000e0100\U000e01ef\u180b", true},
		"tags":                        {"\U000e0001\U000e0020\U000e007f", true},
		"musical and shorthand marks": {"\U0001d173\U0001d17a\U0001bca0", true},
		"private use":                 {"\ue000\uf8ff\U000f0000", true},
		"nothing at all":              {"\ufdd0\uffff\u0378", true},
		"letters":                     {"aZéßжשع日한ไ", false},
		"digits and signs":            {"09+-*/<>&\"'`€©°", false},
		"spaces":                      {" \u00a0\u3000", false},
		"accents and vowel signs":     {"\u0301\u093f\u0e34", false},
		"pictures":                    {"😀🏳", false},
		"what stands for no UTF-8":    {"\ufffd", false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range c.chars {
				if got := legible.Hidden(r); got != c.hidden {
					t.Errorf("%U: hidden %v, want %v", r, got, c.hidden)
				}
			}
		})
	}
}

func TestForms(t *testing.T) {
	for name, c := range map[string]struct{ in, text, cell, line string }{
		"plain":               {"Acme SIEM", "Acme SIEM", "Acme SIEM", "Acme SIEM"},
		"nothing":             {"", "", "", ""},
		"a terminal's colour": {"a\x1b[31mb", "a·[31mb", "a·[31mb", "a[31mb"},
		"a terminal's link":   {"\x1b]8;;x\x07c", "·]8;;x·c", "·]8;;x·c", "]8;;xc"},
		"its short form":      {"a\u009b2Jb", "a·2Jb", "a·2Jb", "a2Jb"},
		"turned around":       {"\u202egnp.exe", "·gnp.exe", "·gnp.exe", "gnp.exe"},
		"lines":               {"a\nb\r\nc\u2028d", "a\nb·\nc·d", "a·b··c·d", "a b c d"},
		"many spaces": {" a \t\u00a0\u3000 b ", " a \t\u00a0\u3000 b ", " a ·\u00a0\u3000 b ",
			"a b"},
		"no UTF-8": {"a\x9bb\xff", "a\ufffdb\ufffd", "a\ufffdb\ufffd", "a\ufffdb\ufffd"},
		"a surrogate on its own": {"\xed\xa0\x80", "\ufffd\ufffd\ufffd", "\ufffd\ufffd\ufffd",
			"\ufffd\ufffd\ufffd"},
		"only what is not seen":   {"\u200b\u2060", "··", "··", ""},
		"accents are left alone":  {"e\u0301 שלום", "e\u0301 שלום", "e\u0301 שלום", "e\u0301 שלום"},
		"a picture of three":      {"👩\u200d🚀", "👩·🚀", "👩·🚀", "👩🚀"},
		"brackets are no control": {"[31m", "[31m", "[31m", "[31m"},
	} {
		t.Run(name, func(t *testing.T) {
			got := [3]string{legible.Text(c.in), legible.Cell(c.in), legible.Line(c.in)}
			if diff := cmp.Diff([3]string{c.text, c.cell, c.line}, got); diff != "" {
				t.Errorf("text, cell and line (-want +got):\n%s", diff)
			}
		})
	}
}

func TestShort(t *testing.T) {
	for _, c := range []struct {
		in   string
		most int
		want string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"日本語", 3, "日本語"}, {"日本語で", 3, "日本…"}, {"", 1, ""}, {"ab", 1,
			"…"},
	} {
		if got := legible.Short(c.in, c.most); got != c.want {
			t.Errorf("%q at %d: %q, want %q", c.in, c.most, got, c.want)
		}
	}
}

// TestJSONSaysTheSame writes hostile strings as Go does, and as a producer may have sent them.
func TestJSONSaysTheSame(t *testing.T) {
	const hostile = "a\x1b[2J\u009b31m\u202e\u200b\u2028\ufeff\U000e0041é😀\x7f\"\\"
	written, err := json.MarshalIndent(map[string]any{hostile: []string{hostile}}, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"as Go writes it":             string(written),
		"with the characters as such": "{\r\n\t\"a\u009b\": \"\u202e\U000e0041\"}\n",
	} {
		t.Run(name, func(t *testing.T) {
			got := legible.JSON([]byte(text))
			var was, is any
			if err := json.Unmarshal([]byte(text), &was); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(got, &is); err != nil {
				t.Fatalf("%q is no JSON: %v", got, err)
			}
			if diff := cmp.Diff(was, is); diff != "" {
				t.Errorf("it means something else (-want +got):\n%s", diff)
			}
			nothingHidden(t, string(got), "\n\t")
		})
	}
	if got, want := string(legible.JSON([]byte("\"a\x9bb\""))), "\"a\ufffdb\""; got != want {
		t.Errorf("what is no UTF-8: %q, want %q", got, want)
	}
}

func TestJSONWriter(t *testing.T) {
	const line = "{\"reason\":\"\u009b\u202e\"}\n"
	var out bytes.Buffer
	n, err := legible.JSONWriter{To: &out}.Write([]byte(line))
	if diff := cmp.Diff([]any{len(line), nil, `{"reason":"\u009b\u202e"}` + "\n"},
		[]any{n, err, out.String()}); diff != "" {
		t.Errorf("length, error and text (-want +got):\n%s", diff)
	}
	r, w := io.Pipe()
	_ = r.Close()
	if n, err := (legible.JSONWriter{To: w}).Write([]byte(line)); n != 0 || err == nil {
		t.Errorf("a closed pipe takes %d bytes, %v", n, err)
	}
}

func nothingHidden(t *testing.T, s, besides string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Errorf("%q is no UTF-8", s)
	}
	for _, c := range s {
		if legible.Hidden(c) && !strings.ContainsRune(besides, c) {
			t.Errorf("%q holds %U", s, c)
		}
	}
}

func FuzzForms(f *testing.F) {
	f.Add("https://evil.example/\x1b[2J\u202e“x” \\\\a\\b 1.2.3.4 a@b.c")
	f.Add("\xff\u2028 www.EVIL.example mailto:x")
	f.Fuzz(func(t *testing.T, s string) {
		nothingHidden(t, legible.Text(s), "\n\t")
		nothingHidden(t, legible.Cell(s), "")
		nothingHidden(t, legible.Line(s), "")
		if utf8.RuneCountInString(legible.Cell(s)) != utf8.RuneCountInString(s) {
			t.Errorf("the cell of %q has another width", s)
		}
		name := legible.Name(s, 60)
		nothingHidden(t, name, "")
		odd := func(c rune) bool { return c == '"' || c != ' ' && unicode.IsSpace(c) }
		if n := utf8.RuneCountInString(name); n > 60 || strings.ContainsFunc(name, odd) {
			t.Errorf("the name of %q is %q", s, name)
		}
		if found := links(name); len(found) > 0 {
			t.Errorf("a mail program makes links of %q: %q", name, found)
		}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := legible.JSON(text); !json.Valid(got) || bytes.ContainsFunc(got, legible.Hidden) {
			t.Errorf("the JSON of %q is %q", s, got)
		}
	})
}
