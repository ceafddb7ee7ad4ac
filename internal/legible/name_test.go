package legible_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/auditrelay/auditrelay/internal/legible"
)

// linked is what mail programs make links of without markup, at its widest: a scheme, a host with a top-level
// domain, an address of a mail, an IP address, a share of Windows.
var linked = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*:[^\s\]]|www[.][^\s\pP]|[\pL\pN]@[\pL\pN]|[\pL\pN-][.。．｡․﹒][\pL\p{M}]|\d+[.]\d+[.]\d+[.]\d+|\\\\`)

func links(s string) []string { return linked.FindAllString(s, -1) }

func TestNames(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"plain":                   {"Acme SIEM", "Acme SIEM"},
		"an abbreviation":         {"Acme Inc. (Berlin e. V.)", "Acme Inc. (Berlin e. V.)"},
		"a number":                {"Splunk 9.1 and 10.0.2", "Splunk 9.1 and 10.0.2"},
		"a version with a letter": {"SIEM v2.0", "SIEM v2[.]0"},
		"a time":                  {"nightly: at 3 o'clock", "nightly: at 3 o'clock"},
		"a lure": {"Your account is locked. Sign in at https://evil.example/login",
			"Your account is locked. Sign in at https[:]//evil[.]example/login"},
		"no scheme": {"see evil.example/login", "see evil[.]example/login"},
		"www":       {"WWW.Evil.Example.", "WWW[.]Evil[.]Example."},
		"another scheme": {"tel:+4930123 mailto:a@evil.example",
			"tel[:]+4930123 mailto[:]a[@]evil[.]example"},
		"an IP address": {"http://192.0.2.7/ 192.0.2.7",
			"http[:]//192[.]0[.]2[.]7/ 192[.]0[.]2[.]7"},
		"an IPv6 address":     {"https://[2001:db8::1]/", "https[:]//[2001[:]db8[:][:]1]/"},
		"a share":             {`\\evil.example\share \\\\x`, `\evil[.]example\share \x`},
		"a scheme of Windows": {`file:\\evil\x`, `file[:]\evil\x`},
		"full width": {"ｈｔｔｐｓ：／／ｅｖｉｌ．ｅｘａｍｐｌｅ a＠b｡c d。e",
			"ｈｔｔｐｓ[：]／／ｅｖｉｌ[．]ｅｘａｍｐｌｅ a[＠]b[｡]c d[。]e"},
		"a host of symbols": {"evil.ⓔⓧⓐⓜⓟⓛⓔ evil.😀", "evil[.]ⓔⓧⓐⓜⓟⓛⓔ evil[.]😀"},
		"hidden in between": {"evil\u200b.\u2060exa\u00admple ht\u200dtps:\u200b//x",
			"evil[.]example https[:]//x"},
		"split by lines":           {"evil\r\n.example\u2028Bcc: eve", "evil .example Bcc: eve"},
		"letters of other scripts": {"пример.рф 例え.テスト", "пример[.]рф 例え[.]テスト"},
		"double quotes":            {`SIEM" is gone. “Sign in” „here‟`, `SIEM' is gone. 'Sign in' 'here'`},
		"markup": {"<a href=https://evil.example>x</a>",
			"<a href=https[:]//evil[.]example>x</a>"},
		"defanged before":    {"evil[.]example", "evil[.]example"},
		"points without end": {"wait...what", "wait..[.]what"},
	} {
		t.Run(name, func(t *testing.T) {
			got := legible.Name(c.in, 200)
			if got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if found := links(got); len(found) > 0 {
				t.Errorf("a mail program makes links of %q: %q", got, found)
			}
		})
	}
	if got, want := legible.Name(strings.Repeat("a.b ", 1000), 20), "a[.]b a[.]b a[.]b a…"; got != want {
		t.Errorf("a long name is %q, want %q", got, want)
	}
}
