//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsscheduler "github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/aws/scheduler"
	"github.com/auditrelay/auditrelay/internal/doctor"
)

// canary lets the canary of auditrelay doctor through the compiled functions. Its ports are the deployment's
// own, but for the receiver, since no emulator checks signatures, and for the log groups, into which nothing
// is written here.
func canary(t *testing.T, d *deployment) {
	p := &patient{t: t, d: d}
	c := doctor.Canary{
		API: p, Ingest: p, Receiver: p, Traces: p, Now: time.Now, ID: "doctor-e2e",
		Wait: func(_ context.Context, d time.Duration) { <-time.After(d) },
		Tell: func(f doctor.Finding) { t.Logf("%-8s %-8s %s (%.1f s)", f.Status, f.Check, f.Found, f.Seconds) },
	}
	findings := c.Run(t.Context())
	if worst := doctor.Worst(findings); worst != doctor.OK || len(findings) != 8 {
		t.Errorf("%d findings, the worst of them is %s", len(findings), worst)
	}
}

type patient struct {
	t      *testing.T
	d      *deployment
	server *httptest.Server

	mu    sync.Mutex
	takes string
	taken []string
}

// refusal is an answer of the API that is no success.
type refusal struct {
	status int
	detail string
}

func (r *refusal) Error() string  { return fmt.Sprintf("%d %s", r.status, r.detail) }
func (r *refusal) NotThere() bool { return r.status == http.StatusNotFound }

// Call implements doctor.API.
func (p *patient) Call(_ context.Context, method, path string, query url.Values, body, into any) error {
	text := ""
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		text = string(raw)
	}
	status, answer := p.d.ask(p.t, method, path, query.Encode(), text)
	if status >= http.StatusMultipleChoices {
		return &refusal{status, answer}
	}
	if path == "/v1/attempts" {
		var items []map[string]any
		for _, line := range p.d.functions["deliver"].output.of("delivery.attempted") {
			if line["log_id"] == query.Get("log_id") {
				items = append(items, line)
			}
		}
		raw, err := json.Marshal(map[string]any{"items": items})
		if err != nil {
			return err
		}
		answer = string(raw)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal([]byte(answer), into)
}

// Send implements doctor.Ingest.
func (p *patient) Send(ctx context.Context, l events.Log) error {
	message, err := l.Message()
	if err != nil {
		return err
	}
	_, err = sqs.NewFromConfig(p.d.producer(p.t)).SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: aws.String(p.d.output(p.t, "IngestQueueUrl")), MessageBody: aws.String(string(message)),
	})
	return err
}

// Open implements doctor.Receiver.
func (p *patient) Open(context.Context) error {
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		defer p.mu.Unlock()
		if string(body) != p.takes {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		p.taken = append(p.taken, string(body))
	}))
	return nil
}

// Close implements doctor.Receiver.
func (p *patient) Close(context.Context) error {
	p.server.Close()
	return nil
}

// Taking implements doctor.Receiver.
func (p *patient) Taking(_ context.Context, document []byte) (settings, credentials any, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.takes = string(document)
	return map[string]any{"url": p.server.URL, "format": "single"}, map[string]any{"bearer": "signature"}, nil
}

// Received implements doctor.Receiver.
func (p *patient) Received(context.Context) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.taken
	p.taken = nil
	return list, nil
}

// Mailed implements doctor.Traces.
func (p *patient) Mailed(context.Context, string, time.Time) (bool, error) {
	return len(p.d.mails(p.t, doctor.Simulator)) > 0, nil
}

// Timers implements doctor.Traces.
func (p *patient) Timers(ctx context.Context, destinationID, incarnation string) ([]time.Time, error) {
	groups := p.d.all("AWS::Scheduler::ScheduleGroup")
	timers := scheduler.Timers{Client: awsscheduler.NewFromConfig(p.d.servers.moto), Group: p.d.name(groups[0])}
	return timers.Due(ctx, destinationID, incarnation)
}

// TestDoctorKnowsTheStack holds what auditrelay doctor believes of the stack against the cloud assembly.
func TestDoctorKnowsTheStack(t *testing.T) {
	tmpl := readTemplate(t, assembly(t))
	for _, output := range []string{"IngestQueueUrl", "ApiUrl", "OperatorPolicyArn", "ProducerPolicyArn"} {
		if _, ok := tmpl.Outputs[output]; !ok {
			t.Errorf("the stack has no output %s", output)
		}
	}
	if n := len(tmpl.all("AWS::Scheduler::ScheduleGroup")); n != 1 {
		t.Errorf("the stack has %d groups of schedules", n)
	}
	notify := 0
	for _, id := range tmpl.all("AWS::Logs::LogGroup") {
		if name, ok := tmpl.Resources[id].Properties["LogGroupName"].(string); ok && strings.HasSuffix(name, "/notify") {
			notify++
		}
	}
	if notify != 1 {
		t.Errorf("the stack has %d log groups of notify", notify)
	}
	text, err := os.ReadFile(filepath.Join(assembly(t), "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Artifacts map[string]struct {
			Type       string
			Properties struct{ RequiresBootstrapStackVersion int }
		}
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	for name, a := range manifest.Artifacts {
		if a.Type == "aws:cloudformation:stack" && a.Properties.RequiresBootstrapStackVersion != doctor.BootstrapVersion {
			t.Errorf("%s needs version %d of the bootstrap stack", name, a.Properties.RequiresBootstrapStackVersion)
		}
	}
}
