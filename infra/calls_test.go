package infra

import (
	"debug/elf"
	"debug/gosym"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/auditrelay/auditrelay/internal/aws/authorization"
)

// TestCallsAreGranted compiles the functions and reads which operations of AWS's clients are in them: the
// linker leaves out methods that nothing calls. Each role must allow the actions of its function's
// operations, and but for those no more than what AWS's services need.
func TestCallsAreGranted(t *testing.T) {
	tmpl := synthesize(t, defaults(t))
	dir := t.TempDir()
	args := []string{"build", "-tags", "lambda.norpc", "-o", dir} // net/rpc looks methods up by name
	for _, name := range functionNames() {
		args = append(args, "../functions/"+name)
	}
	build := exec.CommandContext(t.Context(), "go", args...)
	build.Env = append(build.Environ(), "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	for _, name := range functionNames() {
		// notify renders templates, which look methods up by name, so the linker keeps all of them. The
		// end-to-end tests see its calls.
		if name == "notify" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			operations := operationsIn(t, filepath.Join(dir, name))
			if len(operations) < 4 || len(operations) > 40 {
				t.Fatalf("it has %d operations: the linker left out none, or all", len(operations))
			}
			may := grantsOf(t, tmpl, capital(name))
			needed := make(map[string]bool)
			for _, o := range operations {
				actions, known := authorization.Needs(o.client, o.name)
				if !known {
					t.Errorf("it calls %s of %s, which the table of calls does not have", o.name, o.client)
				}
				for _, action := range actions {
					needed[action] = true
					if may[action] == nil && !inCustomersRole(o) {
						t.Errorf("it calls %s of %s, which needs %s, and its role has none", o.name, o.client, action)
					}
				}
			}
			for _, n := range needsOf(t, tmpl) {
				if n.role == capital(name) {
					needed[n.action] = true
				}
			}
			for action := range may {
				if !needed[action] && !strings.HasPrefix(action, "kms:") && !strings.HasPrefix(action, "Deny ") {
					t.Errorf("its role has %s, and nothing in it needs that", action)
				}
			}
		})
	}
}

// inCustomersRole says that a call is made to customers' buckets, in the role that the customer made for
// them. deliver makes one of them to our own bucket too, which its end-to-end test sees.
func inCustomersRole(o operation) bool {
	return o.client == "s3" && (o.name == "PutObject" || o.name == "GetBucketLocation")
}

// operation is a method of a client of AWS's SDK.
type operation struct{ client, name string }

// operationsIn reads them from the table of functions that every Go program carries.
func operationsIn(t *testing.T, program string) []operation {
	t.Helper()
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines, err := file.Section(".gopclntab").Data()
	if err != nil {
		t.Fatal(err)
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(lines, file.Section(".text").Addr))
	if err != nil {
		t.Fatal(err)
	}
	method := regexp.MustCompile(`^github\.com/aws/aws-sdk-go-v2/service/(\w+)\.\(\*Client\)\.([A-Z]\w+)$`)
	var found []operation
	for _, f := range table.Funcs {
		if m := method.FindStringSubmatch(f.Name); len(m) > 2 && m[2] != "Options" {
			found = append(found, operation{m[1], m[2]})
		}
	}
	slices.SortFunc(found, func(a, b operation) int { return strings.Compare(a.client+a.name, b.client+b.name) })
	return found
}
