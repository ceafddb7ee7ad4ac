//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// function is one Lambda function of the template, with as many environments as run at the same time.
type function struct {
	name      string // of its program: deliver
	id        string
	arn       string
	file      string
	accessKey string
	timeout   time.Duration
	memoryMB  int
	variables map[string]string
	may       []statement
	endpoint  string
	output    *lines

	mu       sync.Mutex
	idle     []*environment
	all      []*environment
	count    int
	failures []string
}

// maxPayload is Lambda's limit for an event.
const maxPayload = 6 << 20

func openFunction(t *testing.T, v *values, g *gateway, id, file string) *function {
	t.Helper()
	p, err := programOf(v.template, id)
	if err != nil {
		t.Fatal(err)
	}
	var of struct {
		Role          string
		Timeout       int
		MemorySize    int
		Environment   struct{ Variables map[string]string }
		LoggingConfig struct{ LogGroup string }
	}
	if err := properties(v, id, &of); err != nil {
		t.Fatalf("read the function %s: %v", id, err)
	}
	may := roleOf(t, v, of.Role, "lambda.amazonaws.com")
	f := &function{
		name: p.pkg[strings.LastIndexByte(p.pkg, '/')+1:], id: id, arn: v.arn(id), file: file, endpoint: g.endpoint, output: new(lines),
		timeout: time.Duration(of.Timeout) * time.Second, memoryMB: of.MemorySize, variables: of.Environment.Variables, may: may,
	}
	f.accessKey = g.admit(f.name, may)
	for _, action := range []string{"logs:CreateLogStream", "logs:PutLogEvents"} {
		f.require(t, need{action: action, resource: arn("logs", "log-group:"+of.LoggingConfig.LogGroup+":*")})
	}
	t.Cleanup(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, e := range f.all {
			e.stop()
		}
	})
	return f
}

// roleOf gives the statements of the role with that ARN, which only that service may take.
func roleOf(t *testing.T, v *values, roleARN, service string) []statement {
	t.Helper()
	for _, id := range v.all("AWS::IAM::Role") {
		if v.arn(id) != roleARN {
			continue
		}
		var role struct {
			Policies                 []struct{ PolicyDocument any }
			ManagedPolicyArns        []string
			AssumeRolePolicyDocument struct {
				Statement []struct {
					Effect, Action string
					Principal      struct{ Service string }
				}
			}
		}
		if err := properties(v, id, &role); err != nil {
			t.Fatalf("read the role %s: %v", id, err)
		}
		trusted := role.AssumeRolePolicyDocument.Statement
		if len(trusted) != 1 || trusted[0].Effect != "Allow" || trusted[0].Action != "sts:AssumeRole" || trusted[0].Principal.Service != service {
			t.Fatalf("the role %s trusts %v, and must trust %s alone", id, trusted, service)
		}
		if len(role.ManagedPolicyArns) > 0 {
			t.Fatalf("the role %s has managed policies, whose statements are not in the template", id)
		}
		var may []statement
		for _, p := range role.Policies {
			statements, err := document(p.PolicyDocument)
			if err != nil {
				t.Fatalf("read the role %s: %v", id, err)
			}
			may = append(may, statements...)
		}
		return append(may, attached(t, v, v.name(id))...)
	}
	t.Fatalf("the template has no role %s", roleARN)
	return nil
}

// attached gives the statements of the policies that name the role themselves.
func attached(t *testing.T, v *values, role string) []statement {
	t.Helper()
	var may []statement
	for _, id := range append(v.all("AWS::IAM::Policy"), v.all("AWS::IAM::ManagedPolicy")...) {
		var policy struct {
			Roles          []string
			PolicyDocument any
		}
		if err := properties(v, id, &policy); err != nil {
			t.Fatalf("read the policy %s: %v", id, err)
		}
		if !slices.Contains(policy.Roles, role) {
			continue
		}
		statements, err := document(policy.PolicyDocument)
		if err != nil {
			t.Fatalf("read the policy %s: %v", id, err)
		}
		may = append(may, statements...)
	}
	return may
}

// require fails the test when the function's role does not allow what Lambda does in its name.
func (f *function) require(t *testing.T, n need) {
	t.Helper()
	if allowed, err := allows(f.may, n); err != nil || !allowed {
		t.Errorf("%s may not %s, which Lambda does in its name (%v)", f.name, n, err)
	}
}

// invoke runs the function once and gives its answer.
func (f *function) invoke(ctx context.Context, payload []byte) ([]byte, error) {
	if len(payload) > maxPayload {
		return nil, fmt.Errorf("invoke %s: the event has %d bytes, more than Lambda takes", f.name, len(payload))
	}
	e, id, err := f.take()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", f.name, err)
	}
	response, err := e.invoke(ctx, id, payload, f.timeout)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil || strings.HasPrefix(err.Error(), "the function failed") {
		f.idle = append(f.idle, e)
	}
	if err != nil && ctx.Err() == nil {
		f.failures = append(f.failures, err.Error())
		err = fmt.Errorf("invoke %s: %w", f.name, err)
	}
	return response, err
}

func (f *function) take() (*environment, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	id := fmt.Sprintf("%s-%d", f.name, f.count)
	if n := len(f.idle); n > 0 {
		e := f.idle[n-1]
		f.idle = f.idle[:n-1]
		return e, id, nil
	}
	e, err := startEnvironment(f.file, f.arn, f.memoryMB, f.environment(), f.output)
	if err == nil {
		f.all = append(f.all, e)
	}
	return e, id, err
}

// environment is what Lambda sets, and what the template does. AWS_ENDPOINT_URL leads to the gateway instead of AWS.
func (f *function) environment() []string {
	vars := []string{
		"AWS_REGION=" + region, "AWS_DEFAULT_REGION=" + region, "AWS_ACCESS_KEY_ID=" + f.accessKey, "AWS_SECRET_ACCESS_KEY=secret", "AWS_ENDPOINT_URL=" + f.endpoint,
		"AWS_LAMBDA_FUNCTION_NAME=" + f.id, "AWS_LAMBDA_FUNCTION_VERSION=$LATEST", fmt.Sprintf("AWS_LAMBDA_FUNCTION_MEMORY_SIZE=%d", f.memoryMB),
		"AWS_EXECUTION_ENV=AWS_Lambda_provided.al2023", "LAMBDA_TASK_ROOT=/var/task", "PATH=/usr/local/bin:/usr/bin/:/bin", "LANG=en_US.UTF-8", "TZ=:UTC",
	}
	for name, value := range f.variables {
		vars = append(vars, name+"="+value)
	}
	return vars
}

// failed lists the invocations that ended in an error.
func (f *function) failed() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.failures...)
}

// batchFailures reads a function's answer to a batch: the ids that must be handed out again. all is true when that is the whole batch.
func batchFailures(response []byte) (ids map[string]bool, all bool) {
	var answer struct {
		BatchItemFailures []struct{ ItemIdentifier string }
	}
	if len(response) > 0 && json.Unmarshal(response, &answer) != nil {
		return nil, true
	}
	ids = make(map[string]bool)
	for _, f := range answer.BatchItemFailures {
		if f.ItemIdentifier == "" {
			return nil, true
		}
		ids[f.ItemIdentifier] = true
	}
	return ids, false
}
