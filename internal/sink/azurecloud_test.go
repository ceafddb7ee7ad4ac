package sink

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

// azureWorld is all of Azure: every host of it leads to the test's server, which writes down what it was asked for.
type azureWorld struct {
	asked []string
	// knows is the audience that the authority knows; any if it is empty.
	knows string
}

func (w *azureWorld) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token") {
		w.asked = append(w.asked, "token "+r.Host+" "+r.FormValue("scope"))
		rw.Header().Set("Content-Type", "application/json")
		if w.knows != "" && !strings.HasPrefix(r.FormValue("scope"), w.knows) {
			rw.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(rw, `{"error":"invalid_resource","error_codes":[500011]}`)
			return
		}
		_, _ = io.WriteString(rw, `{"token_type":"Bearer","expires_in":3599,"access_token":"t"}`)
		return
	}
	w.asked = append(w.asked, "log "+r.Host)
	if r.Method == http.MethodPut {
		rw.WriteHeader(http.StatusCreated)
		return
	}
	if strings.HasPrefix(r.URL.Path, collectorPath) {
		return
	}
	rw.WriteHeader(http.StatusNoContent)
}

// send sends a log by a sink whose connections all lead to w, and gives what was asked for.
func (w *azureWorld) send(t *testing.T, kind directory.Kind, settings, credentials map[string]string) []string {
	t.Helper()
	server := httptest.NewTLSServer(w)
	defer server.Close()
	env := localEnvironment()
	env.network.connections = new(connections)
	s, err := build(directory.Destination{ID: "d-1", Kind: kind, Settings: asJSON(t, settings)}, asJSON(t, credentials), env)
	if err != nil {
		t.Fatal(err)
	}
	for _, transport := range env.network.connections.transports {
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // the server is the test's own
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		}
	}
	for range 2 {
		if err := s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err; err != nil {
			t.Errorf("%v: %v", settings, err)
		}
	}
	return slices.Compact(w.asked)
}

// The hosts and the audience of every cloud, by whatever says which cloud it is.
func TestAzureClouds(t *testing.T) {
	const (
		public, government, china = "https://monitor.azure.com//.default", "https://monitor.azure.us//.default", "https://monitor.azure.cn//.default"
		storage                   = "https://storage.azure.com/.default"
	)
	monitor := func(change map[string]string) map[string]string {
		s := map[string]string{"rule_id": testRule, "stream": "Custom-A_CL", "tenant_id": testTenant, "client_id": testClient}
		for name, value := range change {
			s[name] = value
		}
		return s
	}
	blob := func(change map[string]string) map[string]string {
		s := map[string]string{"account": "acme", "container": "audit", "tenant_id": testTenant, "client_id": testClient}
		for name, value := range change {
			s[name] = value
		}
		return s
	}
	legacy := func(change map[string]string) map[string]string {
		s := map[string]string{"api": "legacy", "workspace_id": testWorkspace, "log_type": "Audit"}
		for name, value := range change {
			s[name] = value
		}
		return s
	}
	for _, c := range []struct {
		name     string
		kind     directory.Kind
		settings map[string]string
		token    string
		log      string
	}{
		{"public, by the endpoint", directory.AzureMonitor, monitor(map[string]string{"endpoint": "https://a.westeurope-1.ingest.monitor.azure.com"}),
			"login.microsoftonline.com " + public, "a.westeurope-1.ingest.monitor.azure.com"},
		{"government, by the endpoint", directory.AzureMonitor, monitor(map[string]string{"endpoint": "https://a.usgovvirginia-1.ingest.monitor.azure.us"}),
			"login.microsoftonline.us " + government, "a.usgovvirginia-1.ingest.monitor.azure.us"},
		{"China, by the endpoint", directory.AzureMonitor, monitor(map[string]string{"endpoint": "https://a.chinaeast2-1.ingest.monitor.azure.cn"}),
			"login.chinacloudapi.cn " + china, "a.chinaeast2-1.ingest.monitor.azure.cn"},
		{"in capitals", directory.AzureMonitor, monitor(map[string]string{"endpoint": "https://A.Ingest.Monitor.Azure.US."}),
			"login.microsoftonline.us " + government, "A.Ingest.Monitor.Azure.US."},
		{"government, by the authority", directory.AzureMonitor, monitor(map[string]string{"endpoint": "https://logs.acme.example", "authority_host": "https://login.microsoftonline.us"}),
			"login.microsoftonline.us " + government, "logs.acme.example"},
		{"China, by the authority", directory.AzureMonitor, monitor(map[string]string{"endpoint": "https://logs.acme.example", "authority_host": "https://login.chinacloudapi.cn/"}),
			"login.chinacloudapi.cn " + china, "logs.acme.example"},
		{"China, by its other authority", directory.AzureMonitor, monitor(map[string]string{"endpoint": "https://logs.acme.example", "authority_host": "https://login.partner.microsoftonline.cn"}),
			"login.partner.microsoftonline.cn " + china, "logs.acme.example"},
		{"government, by the setting", directory.AzureMonitor, monitor(map[string]string{"endpoint": "https://logs.acme.example", "cloud": "us_government"}),
			"login.microsoftonline.us " + government, "logs.acme.example"},
		{"China, by the setting, with an authority of one's own", directory.AzureMonitor,
			monitor(map[string]string{"endpoint": "https://logs.acme.example", "cloud": "china", "authority_host": "https://login.acme.example"}),
			"login.acme.example " + china, "logs.acme.example"},
		{"nothing says which", directory.AzureMonitor, monitor(map[string]string{"endpoint": "https://logs.acme.example"}),
			"login.microsoftonline.com " + public, "logs.acme.example"},
		{"a host that only ends like one", directory.AzureMonitor, monitor(map[string]string{"endpoint": "https://logs.notazure.us"}),
			"login.microsoftonline.com " + public, "logs.notazure.us"},

		{"blobs, public", directory.AzureBlob, blob(nil), "login.microsoftonline.com " + storage, "acme.blob.core.windows.net"},
		{"blobs, government, by the setting", directory.AzureBlob, blob(map[string]string{"cloud": "us_government"}),
			"login.microsoftonline.us " + storage, "acme.blob.core.usgovcloudapi.net"},
		{"blobs, government, by the authority", directory.AzureBlob, blob(map[string]string{"authority_host": "https://login.microsoftonline.us"}),
			"login.microsoftonline.us " + storage, "acme.blob.core.usgovcloudapi.net"},
		{"blobs, China, by the endpoint", directory.AzureBlob, blob(map[string]string{"endpoint": "https://acme.blob.core.chinacloudapi.cn"}),
			"login.chinacloudapi.cn " + storage, "acme.blob.core.chinacloudapi.cn"},
		{"blobs, China, by the setting", directory.AzureBlob, blob(map[string]string{"cloud": "china"}),
			"login.chinacloudapi.cn " + storage, "acme.blob.core.chinacloudapi.cn"},

		{"legacy, public", directory.AzureMonitor, legacy(nil), "", testWorkspace + ".ods.opinsights.azure.com"},
		{"legacy, government", directory.AzureMonitor, legacy(map[string]string{"cloud": "us_government"}), "", testWorkspace + ".ods.opinsights.azure.us"},
		{"legacy, China", directory.AzureMonitor, legacy(map[string]string{"cloud": "china"}), "", testWorkspace + ".ods.opinsights.azure.cn"},
	} {
		t.Run(c.name, func(t *testing.T) {
			credentials := map[string]string{"client_secret": "s"}
			want := []string{"token " + c.token, "log " + c.log}
			if c.token == "" {
				credentials, want = map[string]string{"shared_key": testSharedKey}, want[1:]
			}
			got := new(azureWorld).send(t, c.kind, c.settings, credentials)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			err := Validate(directory.Destination{ID: "d-1", Kind: c.kind, Settings: asJSON(t, c.settings)}, asJSON(t, credentials), Network{})
			if err != nil {
				t.Errorf("saving: %v", err)
			}
		})
	}
}

// Where nothing says which cloud it is, the authority's answer does: an authority knows the audience of its own cloud alone.
func TestAzureCloudByTheAuthoritysAnswer(t *testing.T) {
	settings := map[string]string{
		"rule_id": testRule, "stream": "Custom-A_CL", "tenant_id": testTenant, "client_id": testClient,
		"endpoint": "https://logs.acme.example", "authority_host": "https://login.acme.example",
	}
	asked := func(domain string) string {
		return fmt.Sprintf("token login.acme.example https://monitor.azure.%s//.default", domain)
	}
	for _, c := range []struct {
		knows string
		want  []string
	}{
		{"https://monitor.azure.com", []string{asked("com"), "log logs.acme.example"}},
		{"https://monitor.azure.us", []string{asked("com"), asked("us"), "log logs.acme.example"}},
		{"https://monitor.azure.cn", []string{asked("com"), asked("us"), asked("cn"), "log logs.acme.example"}},
	} {
		w := azureWorld{knows: c.knows}
		if diff := cmp.Diff(c.want, w.send(t, directory.AzureMonitor, settings, map[string]string{"client_secret": "s"})); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", c.knows, diff)
		}
	}
}

func TestAzureSettingsOfTwoClouds(t *testing.T) {
	for _, c := range []struct{ endpoint, authority, cloud, want string }{
		{"https://a.ingest.monitor.azure.us", "https://login.microsoftonline.com", "", "settings.authority_host: is of public Azure, and the other settings are of Azure Government"},
		{"https://a.ingest.monitor.azure.com", "https://login.chinacloudapi.cn", "", "settings.authority_host: is of Azure China, and the other settings are of public Azure"},
		{"https://a.ingest.monitor.azure.com", "", "china", "settings.endpoint: is of public Azure, and the other settings are of Azure China"},
		{"https://a.ingest.monitor.azure.com", "", "germany", "settings.cloud: must be public, us_government or china"},
	} {
		settings := asJSON(t, map[string]string{"rule_id": testRule, "stream": "Custom-A_CL", "tenant_id": testTenant, "client_id": testClient,
			"endpoint": c.endpoint, "authority_host": c.authority, "cloud": c.cloud})
		err := Validate(directory.Destination{Kind: directory.AzureMonitor, Settings: settings}, json.RawMessage(`{"client_secret":"s"}`), Network{})
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
		// One that is stored goes on: its token may come from a cloud that trusts the other.
		if _, err := build(directory.Destination{Kind: directory.AzureMonitor, Settings: settings}, json.RawMessage(`{"client_secret":"s"}`), environment{now: time.Now}); (err != nil) != (c.cloud == "germany") {
			t.Errorf("when sending: %v", err)
		}
	}
}
