package infra

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
)

// template is a synthesized stack as CloudFormation reads it.
type template struct {
	Parameters map[string]any
	Resources  map[string]resource
	Outputs    map[string]map[string]any
}

type resource struct {
	Type                string
	Properties          map[string]any
	DeletionPolicy      string
	UpdateReplacePolicy string
}

// synthesize makes the stack's template. Each call starts work in a Node process: share its answer.
func synthesize(t *testing.T, s Props) template {
	t.Helper()
	return templateOf(t, stackOf(t, s, cdkContext(t)))
}

func templateOf(t *testing.T, stack awscdk.Stack) template {
	t.Helper()
	text, err := json.Marshal(assertions.Template_FromStack(stack, nil).ToJSON())
	if err != nil {
		t.Fatal(err)
	}
	var tmpl template
	if err := json.Unmarshal(text, &tmpl); err != nil {
		t.Fatal(err)
	}
	return tmpl
}

// stackOf makes the stack with empty files for functions, so that nothing need be compiled.
func stackOf(t *testing.T, s Props, context *map[string]any) awscdk.Stack {
	t.Helper()
	s.Build = buildOf(t)
	return newStack(awscdk.NewApp(&awscdk.AppProps{Context: context, AnalyticsReporting: jsii.Bool(false), StackTraces: jsii.Bool(false)}), s.stackName(), s).Stack
}

// buildOf is a directory of compiled functions that are empty.
func buildOf(t *testing.T) string {
	t.Helper()
	build := t.TempDir()
	for _, name := range functionNames() {
		dir := filepath.Join(build, name)
		if err := os.Mkdir(dir, 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "bootstrap"), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return build
}

// cdkContext is what the CDK command line would hand to the app, since its flags shape the template.
func cdkContext(t *testing.T) *map[string]any {
	t.Helper()
	text, err := os.ReadFile("../cdk.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Context map[string]any }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return &file.Context
}

func defaults(t *testing.T) Props {
	t.Helper()
	s, err := readSettings(*cdkContext(t), false)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ids gives the logical ids of every resource of a type, sorted.
func (t template) ids(kind string) []string {
	var ids []string
	for id, r := range t.Resources {
		if r.Type == kind {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// one gives the resource of a type whose logical id is the construct's id and CDK's eight hexadecimal digits.
func (t template) one(tb testing.TB, kind, construct string) resource {
	tb.Helper()
	return t.Resources[t.id(tb, kind, construct)]
}

func (t template) id(tb testing.TB, kind, construct string) string {
	tb.Helper()
	for _, id := range t.ids(kind) {
		if len(id) == len(construct)+8 && strings.HasPrefix(id, construct) {
			return id
		}
	}
	tb.Fatalf("the template has no %s %s, only %v", kind, construct, t.ids(kind))
	return ""
}

// at follows keys into a resource's properties.
func (r resource) at(keys ...string) any {
	var v any = r.Properties
	for _, k := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[k]
	}
	return v
}

// refs gives the logical ids that a value refers to.
func refs(v any) []string {
	found := make(map[string]bool)
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			if id, ok := v["Ref"].(string); ok {
				found[id] = true
			}
			if get, ok := v["Fn::GetAtt"].([]any); ok {
				found[get[0].(string)] = true
			}
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(v)
	return slices.Sorted(maps.Keys(found))
}

// list gives a JSON value that may stand alone or in an array, as an array.
func list(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}

// compact is a value as one line of JSON, with joined strings put together and references in braces, so that a test can show an ARN as a person reads it.
func compact(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		words := make([]string, len(v))
		for i, x := range v {
			words[i] = strconv.Quote(compact(x))
		}
		return "[" + strings.Join(words, ",") + "]"
	}
	m, _ := v.(map[string]any)
	if id, ok := m["Ref"].(string); ok {
		return "{" + plain(id) + "}"
	}
	if get, ok := m["Fn::GetAtt"].([]any); ok {
		return "{" + plain(get[0].(string)) + "." + get[1].(string) + "}"
	}
	if find, ok := m["Fn::FindInMap"].([]any); ok {
		return "{" + find[len(find)-1].(string) + "}"
	}
	if join, ok := m["Fn::Join"].([]any); ok {
		var parts []string
		for _, p := range join[1].([]any) {
			parts = append(parts, compact(p))
		}
		return strings.Join(parts, join[0].(string))
	}
	text, _ := json.Marshal(m)
	return string(text)
}

// plain is a logical id without CDK's hash.
func plain(id string) string {
	if strings.HasPrefix(id, "AWS::") || len(id) <= 8 {
		return id
	}
	return id[:len(id)-8]
}
