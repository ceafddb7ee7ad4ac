package local_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/local"
)

// aliasesOf begins with one sequence and has n further ones, each of ten aliases of the one before.
func aliasesOf(n int) string {
	var b strings.Builder
	b.WriteString("x0: &x0 [a,a,a,a,a,a,a,a,a,a]\n")
	for i := range n {
		fmt.Fprintf(&b, "x%d: &x%[1]d [%s]\n", i+1,
			strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*x%d,", i), 10), ","))
	}
	return b.String()
}

// mergesOf has n mappings that merge the one before twice.
func mergesOf(n int) string {
	b := "x0: &x0 {k: v}\n"
	for i := range n {
		b += fmt.Sprintf("x%d: &x%[1]d {<<: [*x%[2]d, *x%[2]d]}\n", i+1, i)
	}
	return b
}

// indented has one key a line, each in the one before.
func indented(n int, key string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + key + "\n")
	}
	return b.String()
}

func manyKeys(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

const (
	deep    = "sequences and mappings may stand in each other at most 64 deep"
	aliased = "aliases may stand for at most 8388608 bytes together"
	keys    = "a mapping may have at most 1000 keys"
	many    = "a YAML file may have at most 1500000 colons, commas, brackets and the like"
)

// TestYAMLIsBounded reads what would take gigabytes or minutes, in every form that YAML has for it, and what
// is just within.
func TestYAMLIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		source string
		line   int
		rule   string
	}{
		"aliases of aliases": {aliasesOf(9), 6, aliased},
		"few of them":        {aliasesOf(3), 0, ""},
		"merges of merges":   {mergesOf(40), 17, aliased},
		"one large text": {"a: &a " + strings.Repeat("x",
			1<<20) + "\nb: [*a,*a,*a,*a,\n*a,*a,*a,*a]", 3, aliased},
		"an alias in itself": {"a: &a\n  - b\n  - [*a]", 3,
			"an alias may not stand in what it is an alias of"},
		"an alias of the one before": {"a: &a x\nb: &a [*a]", 2,
			"an alias may not stand in what it is an alias of"},
		"aliases as keys": {"a: &a " + strings.Repeat("x", 1<<20) + "\n" + manyKeys(10,
			"m%d: {*a : 1}\n"), 9, aliased},

		"brackets":          {"workspaces: " + strings.Repeat("[", 100_000), 1, deep},
		"brackets that end": {"a:\n  " + strings.Repeat("[", 64) + strings.Repeat("]", 64), 2, deep},
		"as many as may be": {"a:\n  " + strings.Repeat("[", 63) + strings.Repeat("]", 63), 0, ""},
		"braces":            {strings.Repeat("{a: ", 100_000), 1, deep},
		"JSON":              {strings.Repeat(`{"a":[`, 40) + strings.Repeat(`]}`, 40), 1, deep},
		"dashes":            {"a:\n" + strings.Repeat("- ", 100_000) + "x", 2, deep},
		"question marks":    {strings.Repeat("? ", 100_000) + "x", 1, deep},
		"colons":            {"a" + strings.Repeat(": a", 100_000), 1, deep},
		"anchors":           {strings.Repeat("&a ", 100_000) + "x", 1, deep},
		"tags":              {"x: " + strings.Repeat("!!str ", 100_000) + "x", 1, deep},
		"indented keys":     {indented(1000, "a:"), 65, deep},
		"indented dashes":   {indented(1000, "-"), 65, deep},
		"keys and dashes":   {indented(60, "a:") + strings.Repeat(" ", 60) + "- [[[[[x]]]]]", 61, deep},
		"deep, then flat again": {strings.Repeat(indented(50, "a:")+strings.Repeat(" ", 50)+"b\n---\n", 20),
			0, ""},

		"keys in a block":   {manyKeys(100_000, "k%d: v\n"), 1001, keys},
		"keys in brackets":  {"a: {" + manyKeys(2000, "k%d: v, ") + "}", 1, keys},
		"keys further in":   {"a:\n  b:\n" + manyKeys(2000, "   \"k%d\": v\n"), 1003, keys},
		"as many as may":    {manyKeys(1000, "k%d: {a: 1}\n"), 0, ""},
		"keys in many maps": {"a:\n" + manyKeys(2000, "- k%d: v\n  l: w\n"), 0, ""},

		"many values":      {"[" + strings.Repeat("a,", 3_000_000) + "]", 0, many},
		"many texts":       {strings.Repeat(`""`, 3_000_000), 0, many},
		"many dashes":      {strings.Repeat("-\n", 3_000_000), 0, many},
		"a very large one": {strings.Repeat("x", 8<<20+1), 0, "a YAML file may have at most 8388608 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			tree, err := local.ParseYAML([]byte(c.source))
			var got local.BoundError
			if bound, ok := errors.AsType[*local.BoundError](err); ok {
				got = *bound
			}
			if diff := cmp.Diff(local.BoundError{Line: c.line, Rule: c.rule}, got); diff != "" {
				t.Errorf("the error %v (-want +got):\n%s", err, diff)
			}
			if c.rule == "" && err != nil {
				t.Fatalf("it is not read: %v", err)
			}
			if c.rule == "" {
				var v any
				if err := yaml.NodeToValue(tree.Docs[0].Body, &v); err != nil {
					t.Errorf("it is not decoded: %v", err)
				}
			}
			runtime.ReadMemStats(&after)
			if bytes := after.TotalAlloc - before.TotalAlloc; bytes > 200<<20 {
				t.Errorf("it took %d MiB", bytes>>20)
			}
		})
	}
}

func TestYAMLFilesAreReadToTheirBound(t *testing.T) {
	file := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(file, bytes.Repeat([]byte("# x\n"), 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func() error{
		"a file":         func() error { _, err := local.ReadYAML(file, nil); return err },
		"standard input": func() error { _, err := local.ReadYAML("-", endless{}); return err },
		"a configuration": func() error {
			_, err := local.ReadFile(file, local.Network())
			return err
		},
	} {
		if err := read(); err == nil || !strings.Contains(err.Error(),
			"a YAML file may have at most 8388608 bytes") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// endless is a pipe whose other end never stops.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func FuzzYAML(f *testing.F) {
	f.Add("a: &a [b, {c: *a}]\n? - x\n: |\n  text\n--- !!map\nk: 'v' # c")
	f.Add("- - ? a\n  - &x !t y\n- *x")
	f.Add(sampleFile)
	f.Fuzz(func(t *testing.T, source string) {
		tree, err := local.ParseYAML([]byte(source))
		if err != nil || len(tree.Docs) == 0 || tree.Docs[0].Body == nil {
			return
		}
		var v any
		_ = yaml.NodeToValue(tree.Docs[0].Body, &v)
	})
}
