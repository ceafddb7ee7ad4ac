package sink

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/sink/sinktest"
)

// A secret in a setting is refused when it is saved, with the name of the credential that takes it, and not repeated.
func TestSecretsInSettingsAreRefused(t *testing.T) {
	const hidden = "hidden-4d1e"
	const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJoaWRkZW4tNGQxZSJ9.c2ln"
	pem := "-----BEGIN EC PRIVATE KEY-----\n" + hidden + "\n-----END EC PRIVATE KEY-----\n"
	type refused struct{ field, takes string }
	header := func(name, value string) map[string]any {
		return map[string]any{"url": "https://logs.example.com/in", "headers": map[string]string{"X-Source": "audit", name: value}}
	}
	headers := func(name string) refused { return refused{"settings.headers." + name, "credentials.headers"} }
	url := func(u string) map[string]any { return map[string]any{"url": strings.Replace(u, "HIDDEN", hidden, 1)} }
	query := refused{"settings.url", "credentials.query"}
	path := refused{"settings.url", "credentials.path"}
	type row struct {
		kind     directory.Kind
		settings map[string]any
		want     refused
	}
	var rows []row
	for _, name := range []string{
		"X-API-Key", "x-api-key", "API-KEY", "Apikey", "DD-API-KEY", "dd-api-key", "X-Auth-Token", "X-Access-Token", "X-Token", "Token", "X-Vault-Token",
		"Private-Token", "X-GitLab-Token", "X-Amz-Security-Token", "X-Insert-Key", "X-License-Key", "Api-Key", "X-Honeycomb-Team", "X-SF-Token",
		"Lightstep-Access-Token", "Ocp-Apim-Subscription-Key", "x-functions-key", "aeg-sas-key", "aeg-sas-token", "X-Goog-Api-Key", "X-Webhook-Access-Key",
		"X-Seq-ApiKey", "Fastly-Key", "X-Auth-Key", "CF-Access-Client-Secret", "X-Shopify-Access-Token", "X-Client-Secret", "X-Password", "X-Secret",
		"X-Signature", "X-Hub-Signature-256", "Cookie", "X-Session", "X-Credential", "X-Authorization", "X-AUTH", "X_API_KEY", "XApiKey", "x-logtoken",
		"X-Shared-Key", "X-Rollbar-Access-Token", "X-Amz-Credential", "PRIVATE-TOKEN", "Circle-Token", "X-JWT",
	} {
		rows = append(rows, row{directory.HTTP, header(name, hidden), headers(name)})
	}
	for _, value := range []string{"Bearer " + hidden, "bearer " + hidden, "Basic aGlkZGVu" + hidden, "Token " + hidden, "ApiKey " + hidden, "Splunk " + hidden,
		"SharedKey acme:" + hidden, "GenieKey " + hidden, jwt} {
		rows = append(rows, row{directory.HTTP, header("X-Plain", value), headers("X-Plain")})
	}
	for _, u := range []string{
		"https://prod-03.westus.logic.azure.com:443/workflows/c4ed/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=HIDDEN",
		"https://x.1.environment.api.powerplatform.com/powerautomate/automations/direct/workflows/7/triggers/manual/paths/invoke?api-version=1&sp=%2Frun&sv=1.0&sig=HIDDEN",
		"https://acme.blob.core.windows.net/c?sv=2024&sr=c&sig=HIDDEN",
		"https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=HIDDEN",
		"https://b.s3.amazonaws.com/k?X-Amz-Credential=HIDDEN", "https://b.s3.amazonaws.com/k?x-amz-security-token=HIDDEN",
		"https://b.s3.amazonaws.com/k?AWSAccessKeyId=HIDDEN", "https://storage.googleapis.com/b/k?X-Goog-Signature=HIDDEN",
		"https://acme.azurewebsites.net/api/logs?code=HIDDEN", "https://chat.googleapis.com/v1/spaces/A/messages?key=HIDDEN&token=x",
		"https://logs.example.com/in?token=HIDDEN", "https://logs.example.com/in?TOKEN=HIDDEN", "https://logs.example.com/in?access_token=HIDDEN",
		"https://logs.example.com/in?api_key=HIDDEN", "https://logs.example.com/in?apikey=HIDDEN", "https://logs.example.com/in?apiKey=HIDDEN",
		"https://logs.example.com/in?dd-api-key=HIDDEN", "https://logs.example.com/in?hapikey=HIDDEN", "https://logs.example.com/in?key=HIDDEN",
		"https://logs.example.com/in?auth=HIDDEN", "https://logs.example.com/in?authToken=HIDDEN", "https://logs.example.com/in?secret=HIDDEN",
		"https://logs.example.com/in?client_secret=HIDDEN", "https://logs.example.com/in?password=HIDDEN", "https://logs.example.com/in?pwd=HIDDEN",
		"https://logs.example.com/in?signature=HIDDEN", "https://logs.example.com/in?hmac=HIDDEN", "https://logs.example.com/in?subscription-key=HIDDEN",
		"https://logs.example.com/in?a=1;token=HIDDEN", "https://logs.example.com/in?%74oken=HIDDEN", "https://logs.example.com/in?x=%zz&token=HIDDEN",
		"https://logs.example.com/in?x=" + jwt + "&y=HIDDEN",
	} {
		rows = append(rows, row{directory.HTTP, url(u), query})
	}
	for _, u := range []string{
		"https://hooks.slack.com/services/T000/B000/HIDDEN", "https://HOOKS.slack.com/workflows/T000/A000/1/HIDDEN",
		"https://acme.webhook.office.com/webhookb2/1@2/IncomingWebhook/HIDDEN/3", "https://outlook.office.com/webhook/1@2/IncomingWebhook/HIDDEN/3",
		"https://discord.com/api/webhooks/1/HIDDEN", "https://logs-01.loggly.com/bulk/HIDDEN/tag/bulk/", "https://logs-01.loggly.com/inputs/HIDDEN",
		"https://endpoint4.collection.sumologic.com/receiver/v1/http/HIDDEN", "https://events.pagerduty.com/integration/HIDDEN/enqueue",
		"https://hooks.zapier.com/hooks/catch/1/HIDDEN",
	} {
		rows = append(rows, row{directory.HTTP, url(u), path})
	}
	entra := map[string]any{"tenant_id": testTenant, "client_id": testClient}
	azure := func(more map[string]any) map[string]any {
		all := map[string]any{"endpoint": "https://a.ingest.monitor.azure.com", "rule_id": testRule, "stream": "Custom-A_CL", "container": "audit"}
		for name, value := range entra {
			all[name] = value
		}
		for name, value := range more {
			all[name] = value
		}
		return all
	}
	monitor := func(more map[string]any) map[string]any {
		all := azure(more)
		delete(all, "container")
		return all
	}
	rows = append(rows,
		row{directory.HTTP, header("Authorization", hidden), refused{"settings.headers.Authorization", "credentials.bearer, basic, token, oauth or headers"}},
		row{directory.HTTP, header("authorization", hidden), refused{"settings.headers.authorization", "credentials.bearer, basic, token, oauth or headers"}},
		row{directory.HTTP, url("https://user:HIDDEN@logs.example.com"), refused{"settings.url", "credentials.basic"}},
		row{directory.HTTP, url("https://HIDDEN@logs.example.com"), refused{"settings.url", "credentials.basic"}},
		row{directory.HTTP, map[string]any{"url": "https://logs.example.com", "ca": pem}, refused{"settings.ca", "credentials.client_key"}},
		row{directory.HTTP, map[string]any{"url": "https://logs.example.com", "oauth": map[string]any{"token_url": "https://idp.example.com/token?client_secret=" + hidden}},
			refused{"settings.oauth.token_url", "credentials.oauth"}},
		row{directory.HTTP, map[string]any{"url": "https://logs.example.com", "oauth": map[string]any{"token_url": "https://id:" + hidden + "@idp.example.com/token"}},
			refused{"settings.oauth.token_url", "credentials.oauth"}},
		row{directory.HTTP, map[string]any{"url": "https://e.collection.sumologic.com/receiver/v1/http/" + hidden, "preset": "sumo_logic"},
			refused{"settings.url", "credentials.token"}},
		row{directory.S3, map[string]any{"bucket": "audit-logs", "endpoint": "https://AKIA:" + hidden + "@s3.example.com"},
			refused{"settings.endpoint", "credentials.access_key_id and secret_access_key"}},
		row{directory.S3, map[string]any{"bucket": "audit-logs", "endpoint": "https://s3.example.com?X-Amz-Signature=" + hidden},
			refused{"settings.endpoint", "credentials.access_key_id and secret_access_key"}},
		row{directory.AzureBlob, map[string]any{"account": "acme", "container": "audit", "endpoint": "https://acme.blob.core.windows.net?sig=" + hidden},
			refused{"settings.endpoint", "credentials.sas"}},
		row{directory.AzureBlob, map[string]any{"account": "acme", "container": "audit", "endpoint": "https://acme:" + hidden + "@blob.example.com"},
			refused{"settings.endpoint", "credentials.account_key, sas or client_secret"}},
		row{directory.AzureMonitor, monitor(map[string]any{"endpoint": "https://a:" + hidden + "@ingest.monitor.azure.com"}),
			refused{"settings.endpoint", "credentials.client_secret"}},
		row{directory.AzureMonitor, monitor(map[string]any{"authority_host": "https://login.microsoftonline.com?client_secret=" + hidden}),
			refused{"settings.authority_host", "credentials.client_secret"}},
		row{directory.GCS, map[string]any{"bucket": "audit-logs", "endpoint": "https://a:" + hidden + "@storage.googleapis.com"},
			refused{"settings.endpoint", "credentials.service_account"}},
	)
	for _, r := range rows {
		credentials := map[string]any{}
		switch r.kind {
		case directory.AzureMonitor:
			credentials["client_secret"] = "s"
		case directory.HTTP:
			if r.settings["oauth"] != nil {
				credentials["oauth"] = map[string]string{"client_id": "c", "client_secret": "s"}
			}
			if r.settings["preset"] != nil {
				credentials["token"] = "t"
			}
		}
		err := Validate(directory.Destination{Kind: r.kind, Settings: asJSON(t, r.settings)}, asJSON(t, credentials), Network{})
		f, ok := errors.AsType[*FieldError](err)
		if !ok || f.Field != r.want.field || !strings.Contains(f.Rule, r.want.takes) {
			t.Errorf("%s %s: got %v, want %s and that %s takes it", r.kind, asJSON(t, r.settings), err, r.want.field, r.want.takes)
		}
		if err != nil && (strings.Contains(err.Error(), hidden) || strings.Contains(err.Error(), jwt)) {
			t.Errorf("the error repeats the secret: %v", err)
		}
	}
}

// What is no secret stays a setting, and what was stored before it was refused goes on being sent.
func TestSettingsThatAreNoSecrets(t *testing.T) {
	for _, settings := range []map[string]any{
		{"url": "https://logs.example.com/in?api-version=2016-06-01&sp=%2Frun&sv=1.0&source=audit&partition-key=a"},
		{"url": "https://hooks.slack.com/services"}, {"url": "https://hooks.slack.com/services/"}, {"url": "https://slack.example.com/services/a/b"},
		{"url": "https://notloggly.com/inputs/x"},
		{"url": "https://logs.example.com", "headers": map[string]string{"X-Scope-OrgID": "acme", "X-Sumo-Category": "audit", "X-Tenant": "1",
			"X-Splunk-Request-Channel": "0f5e8d6a-0000-4000-8000-000000000000", "X-Partition-Key": "a", "Content-Type": "text/plain", "X-Monkey": "b",
			"Accept": "application/json", "X-Design": "basic grey"}},
	} {
		if err := Validate(directory.Destination{Kind: directory.HTTP, Settings: asJSON(t, settings)}, nil, Network{}); err != nil {
			t.Errorf("%v: %v", settings, err)
		}
	}
	stored := map[string]any{"url": "https://logs.example.com/in?sig=x", "headers": map[string]string{"X-Api-Key": "k", "x-api-key": "l"}}
	if _, err := build(directory.Destination{Kind: directory.HTTP, Settings: asJSON(t, stored)}, nil, environment{}); err != nil {
		t.Errorf("what is stored already: %v", err)
	}
}

// The secret parts of a URL are sent as they were given, and shown nowhere.
func TestSecretPartsOfAURL(t *testing.T) {
	for _, c := range []struct {
		url, query, path, want string
	}{
		{"/in", "sp=%2Frun&sv=1.0&sig=a-_b%2Bc", "", "/in?sp=%2Frun&sv=1.0&sig=a-_b%2Bc"},
		{"/in?api-version=1", "?sig=x", "", "/in?api-version=1&sig=x"},
		{"/services", "", "T0/B0/x", "/services/T0/B0/x"},
		{"/services/", "", "/T0/B0/x", "/services/T0/B0/x"},
		{"", "", "x%2Fy/z", "/x%2Fy/z"},
		{"/a%2Fb", "", "c", "/a%2Fb/c"},
		{"/bulk?x=1", "y=2", "tok/tag/bulk/", "/bulk/tok/tag/bulk/?x=1&y=2"},
	} {
		var got string
		server := serve(t, func(w http.ResponseWriter, r *http.Request) {
			got = r.RequestURI
			w.WriteHeader(http.StatusForbidden)
		})
		s, err := build(directory.Destination{Kind: directory.HTTP, Settings: asJSON(t, map[string]string{"url": server.URL + c.url})},
			asJSON(t, map[string]string{"query": c.query, "path": c.path}), localEnvironment())
		if err != nil {
			t.Errorf("%v: %v", c, err)
			continue
		}
		err = s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err
		if diff := cmp.Diff([]string{c.want, "http.forbidden: HTTP 403"}, []string{got, failure.Of(err).Error()}); diff != "" {
			t.Errorf("request and failure (-want +got):\n%s", diff)
		}
		server.Close()
		if below := failure.Of(s.Send(t.Context(), sinktest.Logs(1, 10))[0].Err).Error(); below != "net.refused: connection refused" {
			t.Errorf("%v: got %s", c, below)
		}
	}
}

func TestSecretPartsOfAURLThatAreRefused(t *testing.T) {
	for _, c := range []struct{ settings, credentials, want string }{
		{`{"url":"https://h.example/in?a=1"}`, `{"query":"a=hidden"}`, "credentials.query: must have no parameter that settings.url has too"},
		{`{"url":"https://h.example/in"}`, `{"query":"?"}`, "credentials.query: must be a query"},
		{`{"url":"https://h.example/in"}`, `{"query":"a=hidden b"}`, "credentials.query: must be a query"},
		{`{"url":"https://h.example/in"}`, `{"query":"a=hidden#b"}`, "credentials.query: must be a query"},
		{`{"url":"https://h.example/in"}`, `{"query":"a=hidden;b=c"}`, "credentials.query: must be a query"},
		{`{"url":"https://h.example/in"}`, `{"query":"a=%zzhidden"}`, "credentials.query: must be a query"},
		{`{"url":"https://h.example/in"}`, `{"path":"hidden?a=b"}`, "credentials.path: must be what follows"},
		{`{"url":"https://h.example/in"}`, `{"path":"hidden#a"}`, "credentials.path: must be what follows"},
		{`{"url":"https://h.example/in"}`, `{"path":"hidden/../x"}`, "credentials.path: must be what follows"},
		{`{"url":"https://h.example/in"}`, `{"path":"hidden/%2e%2e/x"}`, "credentials.path: must be what follows"},
		{`{"url":"https://h.example/in"}`, `{"path":"hid den"}`, "credentials.path: must be what follows"},
		{`{"url":"https://h.example/in"}`, `{"path":"hidden%zz"}`, "credentials.path: must be what follows"},
		{`{"url":"https://h.example","preset":"datadog"}`, `{"token":"t","path":"hidden"}`, "credentials.path: belongs to no preset"},
		{`{"url":"https://h.example/in"}`, `{"bearer":"t","headers":{"authorization":"GenieKey hidden"}}`, "credentials: must hold only one of"},
		{`{"url":"https://h.example/in","headers":{"x-a":"1","X-A":"2"}}`, `{}`, "settings.headers.x-a: is there twice"},
		{`{"url":"https://h.example/in","headers":{"x-a":"1"}}`, `{"headers":{"X-A":"hidden"}}`, "credentials.headers.X-A: is there twice"},
		{`{"url":"https://h.example/in"}`, `{"headers":{"x-a":"hidden","X-A":"hidden"}}`, "credentials.headers.x-a: is there twice"},
	} {
		err := Validate(directory.Destination{Kind: directory.HTTP, Settings: []byte(c.settings)}, []byte(c.credentials), Network{})
		if _, ok := errors.AsType[*FieldError](err); !ok || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s %s: got %v, want %s", c.settings, c.credentials, err, c.want)
		}
	}
}

// A scheme of authentication that has no field of its own is a secret header.
func TestAuthorizationOfAnotherScheme(t *testing.T) {
	var got string
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header.Get("Authorization") })
	s, err := build(directory.Destination{Kind: directory.HTTP, Settings: asJSON(t, map[string]string{"url": server.URL})},
		[]byte(`{"headers":{"authorization":"GenieKey 1-2-3"}}`), localEnvironment())
	if err != nil {
		t.Fatal(err)
	}
	if r := s.Send(t.Context(), sinktest.Logs(1, 10)); r[0].Err != nil || got != "GenieKey 1-2-3" {
		t.Errorf("Authorization %q, %v", got, r[0].Err)
	}
}
