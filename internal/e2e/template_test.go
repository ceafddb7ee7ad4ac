//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// template is a synthesized stack, and all that a deployment knows of it.
type template struct {
	Resources map[string]resource
	Outputs   map[string]struct{ Value any }
	// dir is the cloud assembly that it stands in.
	dir string
}

type resource struct {
	Type       string
	Properties map[string]any
	Metadata   map[string]any
}

// readTemplate reads the one template of a cloud assembly. Each call gives a copy of its own.
func readTemplate(t *testing.T, dir string) *template {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.template.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%s must hold one template and holds %v: run make e2e, which synthesizes it", dir, files)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &template{dir: dir}
	if err := json.Unmarshal(text, tmpl); err != nil {
		t.Fatalf("%s: %v", files[0], err)
	}
	return tmpl
}

// all gives the logical ids of a type's resources, sorted.
func (t *template) all(kind string) []string {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(t.Resources)) {
		if t.Resources[id].Type == kind {
			ids = append(ids, id)
		}
	}
	return ids
}

// construct gives the logical id of a construct's resource: the construct's id and eight characters of CDK's.
func (t *template) construct(tb testing.TB, kind, construct string) string {
	tb.Helper()
	for _, id := range t.all(kind) {
		if strings.HasPrefix(id, construct) && len(id) == len(construct)+8 {
			return id
		}
	}
	tb.Fatalf("the template has no %s %s", kind, construct)
	return ""
}

// The account that the stack is deployed to: fauxqs's.
const (
	account = "000000000000"
	region  = "eu-central-1"
	suffix  = "amazonaws.com"
)

// values resolves what a template leaves open, as CloudFormation does. Names and ARNs are made of logical ids, so all but the queues'
// URLs are known before anything is made. It panics with a *unresolved on what it does not know, which the callers of resolve get as an error.
type values struct {
	*template
	// prefix stands before every name, so that several deployments share the emulators.
	prefix string
	// queues are the URLs of the queues that are made, by logical id.
	queues map[string]string
	// keys are the ARNs of the keys that are made, by logical id: the service chooses them.
	keys map[string]string
}

type unresolved struct{ what string }

func (u *unresolved) Error() string { return "the template host cannot resolve " + u.what }

// resolve gives the value of an expression with all its references replaced.
func (v *values) resolve(expression any) (value any, err error) {
	defer func() {
		switch failed := recover().(type) {
		case nil:
		case *unresolved:
			err = failed
		default:
			panic(failed)
		}
	}()
	return v.eval(expression), nil
}

func (v *values) eval(expression any) any {
	switch e := expression.(type) {
	case []any:
		list := make([]any, len(e))
		for i, item := range e {
			list[i] = v.eval(item)
		}
		return list
	case map[string]any:
		if len(e) == 1 {
			for function, argument := range e {
				if function == "Ref" || strings.HasPrefix(function, "Fn::") {
					return v.call(function, argument)
				}
			}
		}
		m := make(map[string]any, len(e))
		for key, item := range e {
			m[key] = v.eval(item)
		}
		return m
	default:
		return e
	}
}

func (v *values) call(function string, argument any) any {
	switch function {
	case "Ref":
		return v.ref(v.text(argument))
	case "Fn::GetAtt":
		if pair, ok := argument.([]any); ok && len(pair) == 2 {
			return v.attribute(v.text(pair[0]), v.text(pair[1]))
		}
	case "Fn::Join":
		if pair, ok := argument.([]any); ok && len(pair) == 2 {
			var words []string
			for _, w := range v.list(v.eval(pair[1])) {
				words = append(words, v.text(w))
			}
			return strings.Join(words, v.text(pair[0]))
		}
	case "Fn::Select":
		if pair, ok := argument.([]any); ok && len(pair) == 2 {
			return v.list(v.eval(pair[1]))[v.index(pair[0])]
		}
	case "Fn::Split":
		if pair, ok := argument.([]any); ok && len(pair) == 2 {
			var list []any
			for word := range strings.SplitSeq(v.text(v.eval(pair[1])), v.text(pair[0])) {
				list = append(list, word)
			}
			return list
		}
	case "Fn::Sub":
		if text, ok := argument.(string); ok {
			return v.substitute(text)
		}
	}
	panic(&unresolved{fmt.Sprintf("%s of %v", function, argument)})
}

func (v *values) substitute(text string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		if id, attribute, ok := strings.Cut(name, "."); ok {
			out.WriteString(v.text(v.attribute(id, attribute)))
		} else {
			out.WriteString(v.text(v.ref(name)))
		}
		text = after
	}
}

func (v *values) text(a any) string {
	s, ok := a.(string)
	if !ok {
		panic(&unresolved{fmt.Sprintf("%v, which must be a text", a)})
	}
	return s
}

func (v *values) list(a any) []any {
	l, ok := a.([]any)
	if !ok {
		panic(&unresolved{fmt.Sprintf("%v, which must be a list", a)})
	}
	return l
}

func (v *values) index(a any) int {
	switch n := a.(type) {
	case float64:
		return int(n)
	case string:
		var i int
		if _, err := fmt.Sscanf(n, "%d", &i); err == nil {
			return i
		}
	}
	panic(&unresolved{fmt.Sprintf("%v, which must be an index", a)})
}
