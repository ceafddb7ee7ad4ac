//go:build e2e

package e2e

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// deployment is the stack of a template, running on emulators.
type deployment struct {
	*values
	servers   servers
	gateway   *gateway
	functions map[string]*function // by the name of their program
	running   sync.WaitGroup
}

// deploy makes everything that the template says. prefix stands before every name, so that deployments do not meet. Nothing runs before start.
func deploy(t *testing.T, s servers, tmpl *template, bootstraps map[string]string, prefix string) *deployment {
	t.Helper()
	v := &values{template: tmpl, prefix: prefix, queues: make(map[string]string), keys: make(map[string]string)}
	d := &deployment{values: v, servers: s, functions: make(map[string]*function)}
	s.create(t, v)
	d.gateway = openGateway(t, v, s.backends())
	for _, id := range v.all("AWS::Lambda::Function") {
		f := openFunction(t, v, d.gateway, id, bootstraps[id])
		if d.functions[f.name] != nil {
			t.Fatalf("two functions run the program %s", f.name)
		}
		d.functions[f.name] = f
	}
	return d
}

// start starts event sources and rules; they end with the test.
func (d *deployment) start(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(func() {
		stop()
		d.running.Wait()
		if t.Failed() {
			for name, f := range d.functions {
				t.Logf("%s wrote:\n%s", name, f.output)
			}
		}
	})
	d.startSources(ctx, t)
	d.startRules(ctx, t)
}

// healthy fails the test for whatever a deployment may not show, however the stories went.
func (d *deployment) healthy(t *testing.T) {
	t.Helper()
	t.Logf("the stories used these grants:\n%s", strings.Join(d.gateway.used(), "\n"))
	for _, refusal := range d.gateway.refused() {
		t.Errorf("refused: %s", refusal)
	}
	for name, f := range d.functions {
		for _, failure := range f.failed() {
			t.Errorf("%s: %s", name, failure)
		}
		for _, fault := range f.output.of("relay.fault") {
			t.Errorf("%s: fault: %v", name, fault["reason"])
		}
	}
}

func (d *deployment) byName(name string) *function {
	for _, f := range d.functions {
		if d.name(f.id) == name || f.arn == name {
			return f
		}
	}
	return nil
}

func (d *deployment) byARN(arn string) *function { return d.byName(arn) }

// producer is an account that may do what the template's policy for producers allows.
func (d *deployment) producer(t *testing.T) aws.Config {
	t.Helper()
	for _, id := range d.all("AWS::IAM::ManagedPolicy") {
		if !strings.HasPrefix(id, "Producer") {
			continue
		}
		var policy struct{ PolicyDocument any }
		if err := properties(d.values, id, &policy); err != nil {
			t.Fatal(err)
		}
		may, err := document(policy.PolicyDocument)
		if err != nil {
			t.Fatal(err)
		}
		return aws.Config{
			Region: region, BaseEndpoint: &d.gateway.endpoint, HTTPClient: awshttp.NewBuildableClient(),
			Credentials: credentials.NewStaticCredentialsProvider(d.gateway.admit("producer", may), "secret", ""),
		}
	}
	t.Fatal("the template has no policy for producers")
	return aws.Config{}
}

// output is what the stack tells those who deploy it.
func (d *deployment) output(t *testing.T, name string) string {
	t.Helper()
	o, ok := d.Outputs[name]
	if !ok {
		t.Fatalf("the template has no output %s", name)
	}
	value, err := d.resolve(o.Value)
	if err != nil {
		t.Fatal(err)
	}
	text, ok := value.(string)
	if !ok {
		t.Fatalf("the output %s is %v", name, value)
	}
	return text
}

// queue gives the URL of the queue of that construct.
func (d *deployment) queue(t *testing.T, construct string) string {
	t.Helper()
	return d.text(d.ref(d.construct(t, "AWS::SQS::Queue", construct)))
}

func (d *deployment) table(t *testing.T, construct string) string {
	t.Helper()
	return d.name(d.construct(t, "AWS::DynamoDB::Table", construct))
}
