package sink

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/directory"
)

// TestOddSettings saves what people and forms get wrong: everything here would be taken silently by a program that
// checked less, and would fail, or do something else than is meant, only once logs are sent.
func TestOddSettings(t *testing.T) {
	const (
		in      = `"url":"https://logs.example.com/in"`
		app     = `"tenant_id":"72f988bf-86f1-41af-91ab-2d7cd011db47","client_id":"5a5c0f7e-3f0a-4c0e-9d8e-0a1b2c3d4e5f"`
		rule    = `"rule_id":"dcr-d2784248993e4127b5be12676fc436c9","stream":"Custom-A_CL"`
		dce     = `"endpoint":"https://a.westeurope-1.ingest.monitor.azure.com"`
		secret  = `{"client_secret":"s"}`
		oauth   = `{"oauth":{"client_id":"c","client_secret":"s"}}`
		keys    = `{"access_key_id":"a","secret_access_key":"b"}`
		badHost = "settings.url: must name a host that can exist"
		badPort = "settings.url: must have a port from 1 to 65535, or none"
		noURL   = "settings.url: is not a valid URL"
	)
	at := func(url string) string { return `{"url":"` + url + `"}` }
	for _, c := range []struct {
		kind                  directory.Kind
		settings, credentials string
		want                  string
	}{
		// Ports.
		{directory.HTTP, at("https://h.example:0/in"), ``, badPort},
		{directory.HTTP, at("https://h.example:99999/in"), ``, badPort},
		{directory.HTTP, at("https://h.example:65536/in"), ``, badPort},
		{directory.HTTP, at("https://h.example:000/in"), ``, badPort},
		{directory.HTTP, at("https://h.example:18446744073709551617/in"), ``, badPort},
		{directory.HTTP, at("https://h.example:/in"), ``, badPort},
		{directory.HTTP, at("https://[2001:db8::1]:0/in"), ``, badPort},
		{directory.HTTP, at("https://h.example:-1/in"), ``, noURL},
		{directory.HTTP, at("https://h.example:8O88/in"), ``, noURL},
		{directory.HTTP, at("https://h.example:443:443/in"), ``, noURL},
		{directory.HTTP, `{` + in + `,"oauth":{"token_url":"https://idp.example:0/t"}}`, oauth, "settings.oauth.token_url: must have a port"},
		{directory.S3, `{"bucket":"audit-logs","endpoint":"https://s3.example:99999"}`, keys, "settings.endpoint: must have a port"},
		{directory.AzureBlob, `{"account":"acme","container":"audit","endpoint":"https://b.example:0"}`, ``, "settings.endpoint: must have a port"},
		{directory.AzureMonitor, `{"endpoint":"https://m.example:70000",` + rule + `,` + app + `}`, secret, "settings.endpoint: must have a port"},
		{directory.AzureMonitor, `{` + dce + `,` + rule + `,` + app + `,"authority_host":"https://login.example:0"}`, secret, "settings.authority_host: must have a port"},
		{directory.GCS, `{"bucket":"audit-logs","endpoint":"https://g.example:0"}`, ``, "settings.endpoint: must have a port"},

		// Hosts.
		{directory.HTTP, at("https://<your-host>/in"), ``, badHost},
		{directory.HTTP, at("https://{tenant}.example.com/in"), ``, noURL},
		{directory.HTTP, at("https://${HOST}/in"), ``, noURL},
		{directory.HTTP, at("https://$HOST/in"), ``, badHost},
		{directory.HTTP, at("https://*.example.com/in"), ``, badHost},
		{directory.HTTP, at("https://h..example/in"), ``, badHost},
		{directory.HTTP, at("https://.example.com/in"), ``, badHost},
		{directory.HTTP, at("https://-h.example.com/in"), ``, badHost},
		{directory.HTTP, at("https://h-.example.com/in"), ``, badHost},
		{directory.HTTP, at("https://a,b.example.com/in"), ``, badHost},
		{directory.HTTP, at("https://'h.example.com'/in"), ``, badHost},
		{directory.HTTP, at("https://h.example.com;/in"), ``, badHost},
		{directory.HTTP, at("https://h.example.com!/in"), ``, badHost},
		{directory.HTTP, at("https://" + strings.Repeat("a", 64) + ".example/in"), ``, badHost},
		{directory.HTTP, at("https://" + strings.Repeat("a.", 127) + "example/in"), ``, badHost},
		{directory.HTTP, at("https://256.1.1.1/in"), ``, badHost},
		{directory.HTTP, at("https://1.2.3/in"), ``, badHost},
		{directory.HTTP, at("https://1.2.3.4.5/in"), ``, badHost},
		{directory.HTTP, at("https://2130706433/in"), ``, badHost},
		{directory.HTTP, at("https://0x7f000001/in"), ``, badHost},
		{directory.HTTP, at("https://0177.0.0.01/in"), ``, badHost},
		{directory.HTTP, at("https://[fe80::1%25eth0]/in"), ``, badHost},
		{directory.HTTP, at("https://[::1/in"), ``, noURL},
		{directory.HTTP, at("https://h.exa mple/in"), ``, noURL},
		{directory.HTTP, at("https://h%2eexample/in"), ``, noURL},

		// URLs.
		{directory.HTTP, at(" https://h.example/in"), ``, noURL},
		{directory.HTTP, at("https://h.example/in\\n"), ``, noURL},
		{directory.HTTP, at("https:/h.example/in"), ``, "settings.url: must name a host"},
		{directory.HTTP, at("https:h.example/in"), ``, "settings.url: must name a host"},
		{directory.HTTP, at("//h.example/in"), ``, "settings.url: must be an https URL"},
		{directory.HTTP, at("h.example:443/in"), ``, "settings.url: must be an https URL"},
		{directory.HTTP, at("httpss://h.example/in"), ``, "settings.url: must be an https URL"},
		{directory.HTTP, at("file:///etc/passwd"), ``, "settings.url: must be an https URL"},
		{directory.HTTP, at("https://@h.example/in"), ``, "settings.url: must hold no user name or password"},
		{directory.HTTP, `{"url":["https://h.example/in"]}`, ``, "settings.url: must be a string, not a list"},
		{directory.HTTP, `{"url":null}`, ``, "settings.url: is missing"},

		// Names.
		{directory.HTTP, `{"URL":"https://h.example/in"}`, ``, "settings.URL: is not known for this kind of destination"},
		{directory.HTTP, `{` + in + `,"Url":"https://other.example/in"}`, ``, "settings.Url: is not known"},
		{directory.HTTP, `{` + in + `,` + in + `}`, ``, "settings.url: is there twice"},
		{directory.HTTP, `{` + in + `,"oauth":{"token_url":"https://a.example","token_url":"https://b.example"}}`, oauth, "settings.oauth.token_url: is there twice"},
		{directory.HTTP, `{` + in + `,"oauth":{"Token_URL":"https://a.example"}}`, oauth, "settings.oauth.Token_URL: is not known"},
		{directory.HTTP, `{` + in + `,"headers":{"x-a":"1","x-a":"2"}}`, ``, "settings.headers.x-a: is there twice"},
		{directory.HTTP, `{` + in + `}`, `{"Bearer":"hidden"}`, "credentials.Bearer: is not known"},
		{directory.HTTP, `{` + in + `}`, `{"bearer":"hidden","bearer":"hidden"}`, "credentials.bearer: is there twice"},
		{directory.HTTP, `{` + in + `,"maxBatch":5}`, ``, "settings.maxBatch: is not known"},
		{directory.HTTP, `{` + in + `,"bucket":"x"}`, ``, "settings.bucket: is not known"},
		{directory.S3, `{"bucket":"audit-logs","Region":"us-east-1"}`, keys, "settings.Region: is not known"},

		// Headers.
		{directory.HTTP, `{` + in + `,"headers":{"x-a":"1","X-A":"2"}}`, ``, "settings.headers.x-a: is there twice"},
		{directory.HTTP, `{` + in + `,"headers":{"X-A":"1"}}`, `{"headers":{"x-a":"hidden"}}`, "credentials.headers.x-a: is there twice"},
		{directory.HTTP, `{` + in + `,"headers":{"":"1"}}`, ``, "settings.headers: must have names"},
		{directory.HTTP, `{` + in + `,"headers":{"X-A:":"1"}}`, ``, "settings.headers: must have names"},
		{directory.HTTP, `{` + in + `,"headers":{"X-Ä":"1"}}`, ``, "settings.headers: must have names"},
		{directory.HTTP, `{` + in + `,"headers":{"X-A\r\nX-B":"1"}}`, ``, "settings.headers: must have names"},
		{directory.HTTP, `{` + in + `,"headers":{"X-A":"ä"}}`, ``, "settings.headers.X-A: must be one line of printable ASCII"},
		{directory.HTTP, `{` + in + `,"headers":{"X-A":"a\u0000b"}}`, ``, "settings.headers.X-A: must be one line of printable ASCII"},
		{directory.HTTP, `{` + in + `,"headers":{"X-A":7}}`, ``, "settings.headers: must be a string"},
		{directory.HTTP, `{` + in + `,"headers":["X-A: 1"]}`, ``, "settings.headers: must be an object, not a list"},
		{directory.HTTP, `{` + in + `,"headers":{"Accept-Encoding":"gzip"}}`, ``, "settings.headers.Accept-Encoding: cannot be set"},
		{directory.HTTP, `{` + in + `,"headers":{"range":"bytes=0-1"}}`, ``, "settings.headers.range: cannot be set"},
		{directory.HTTP, `{` + in + `,"headers":{"If-None-Match":"*"}}`, ``, "settings.headers.If-None-Match: cannot be set"},
		{directory.HTTP, `{` + in + `,"headers":{"Transfer-Encoding":"chunked"}}`, ``, "settings.headers.Transfer-Encoding: cannot be set"},
		{directory.HTTP, `{` + in + `,"headers":{"Content-Encoding":"br"}}`, ``, "settings.headers.Content-Encoding: cannot be set"},
		{directory.HTTP, `{` + in + `,"headers":{"Webhook-Signature":"v1,x"}}`, ``, "settings.headers.Webhook-Signature: cannot be set"},

		// Numbers and durations.
		{directory.HTTP, `{` + in + `,"max_batch":1.5}`, ``, "settings.max_batch: must be a whole number"},
		{directory.HTTP, `{` + in + `,"max_batch":"100"}`, ``, "settings.max_batch: must be a whole number"},
		{directory.HTTP, `{` + in + `,"max_batch":1e9}`, ``, "settings.max_batch: must be"},
		{directory.HTTP, `{` + in + `,"max_batch":99999999999999999999}`, ``, "settings.max_batch: must be a whole number"},
		{directory.HTTP, `{` + in + `,"rate":-1}`, ``, "settings.rate: must be"},
		{directory.HTTP, `{` + in + `,"rate":true}`, ``, "settings.rate: must be a whole number"},
		{directory.HTTP, `{` + in + `,"concurrency":1000}`, ``, "settings.concurrency: must be 1 to 32"},
		{directory.HTTP, `{` + in + `,"timeout":10}`, ``, "settings.timeout: must be a string"},
		{directory.HTTP, `{` + in + `,"timeout":"10 s"}`, ``, "settings.timeout: must be a duration"},
		{directory.HTTP, `{` + in + `,"timeout":"-5s"}`, ``, "settings.timeout: must be a duration"},
		{directory.HTTP, `{` + in + `,"timeout":"1h"}`, ``, "settings.timeout: must be a duration"},
		{directory.HTTP, `{` + in + `,"timeout":"0"}`, ``, "settings.timeout: must be a duration"},
		{directory.HTTP, `{` + in + `,"gzip":"true"}`, ``, "settings.gzip: must be true or false"},
		{directory.HTTP, `{` + in + `,"gzip":1}`, ``, "settings.gzip: must be true or false"},

		// Forms.
		{directory.HTTP, `{` + in + `,"format":"NDJSON"}`, ``, "settings.format: must be single, ndjson or json_array"},
		{directory.HTTP, `{` + in + `,"preset":"Splunk"}`, `{"token":"hidden"}`, "settings.preset: must be"},
		{directory.HTTP, `{` + in + `,"template":"{{{log_message}}"}`, ``, "settings.template"},
		{directory.HTTP, `{` + in + `,"ca":"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"}`, ``, "settings.ca: must be one or more certificates"},
		{directory.HTTP, `{` + in + `,"oauth":{"token_url":"https://idp.example","scopes":[""]}}`, oauth, "settings.oauth.scopes: must each be"},
		{directory.HTTP, `{` + in + `,"oauth":{"token_url":"https://idp.example","scopes":["ä"]}}`, oauth, "settings.oauth.scopes: must each be"},
		{directory.HTTP, `{` + in + `,"oauth":{"token_url":"https://idp.example","scopes":"a b"}}`, oauth, "settings.oauth.scopes: must be a list"},
		{directory.HTTP, `{` + in + `}`, `{"bearer":"hid\nden"}`, "credentials.bearer: must be one line"},
		{directory.HTTP, `{` + in + `}`, `{"signing_secrets":["whsec_hidden"]}`, "credentials.signing_secrets: must each be whsec_"},
		{directory.HTTP, `{` + in + `}`, `{"signing_secrets":"whsec_hidden"}`, "credentials.signing_secrets: must be a list"},

		// Buckets, accounts, containers, tenants.
		{directory.S3, `{"bucket":"Audit-Logs","region":"us-east-1"}`, keys, "settings.bucket: must be 3 to 63"},
		{directory.S3, `{"bucket":"s3://audit-logs","region":"us-east-1"}`, keys, "settings.bucket: must be 3 to 63"},
		{directory.S3, `{"bucket":"audit-logs/prefix","region":"us-east-1"}`, keys, "settings.bucket: must be 3 to 63"},
		{directory.S3, `{"bucket":"10.0.0.1","region":"us-east-1"}`, keys, "settings.bucket: must be 3 to 63"},
		{directory.S3, `{"bucket":"audit-logs","region":"us-east-1a"}`, keys, "settings.region: must be a region's code"},
		{directory.S3, `{"bucket":"audit-logs","region":"Frankfurt"}`, keys, "settings.region: must be a region's code"},
		{directory.S3, `{"bucket":"audit-logs","region":"us-east-1","prefix":"/logs"}`, keys, "settings.prefix: must not begin with a slash"},
		{directory.S3, `{"bucket":"audit-logs","region":"us-east-1","prefix":"a/../b"}`, keys, "settings.prefix: must not"},
		{directory.S3, `{"bucket":"audit-logs","region":"us-east-1","key_template":"{id}.json"}`, keys, "settings.key_template: needs a path segment"},
		{directory.AzureBlob, `{"account":"acme","container":"$root",` + app + `}`, secret, "settings.container: must not be $root, which takes no names with a slash"},
		{directory.AzureBlob, `{"account":"acme","container":"$web",` + app + `}`, secret, "settings.container: must not be $web, whose contents everybody can read"},
		{directory.AzureBlob, `{"account":"acme","container":"$logs",` + app + `}`, secret, "settings.container: must not be"},
		{directory.AzureBlob, `{"account":"acme.blob.core.windows.net","container":"audit",` + app + `}`, secret, "settings.account: must be 3 to 24"},
		{directory.AzureBlob, `{"account":"acme","container":"Audit",` + app + `}`, secret, "settings.container: must be 3 to 63"},
		{directory.AzureMonitor, `{` + dce + `,` + rule + `,"tenant_id":"common","client_id":"5a5c0f7e-3f0a-4c0e-9d8e-0a1b2c3d4e5f"}`, secret, "settings.tenant_id: must be one tenant"},
		{directory.AzureMonitor, `{` + dce + `,` + rule + `,"tenant_id":"72f988bf-86f1-41af-91ab-2d7cd011db47","client_id":"my-app"}`, secret, "settings.client_id: must be"},
		{directory.AzureMonitor, `{` + dce + `,"rule_id":"/subscriptions/1/dataCollectionRules/audit","stream":"Custom-A_CL",` + app + `}`, secret, "settings.rule_id: must be the immutable id"},
		{directory.AzureMonitor, `{` + dce + `,` + rule + `,` + app + `,"cloud":"usgov"}`, secret, "settings.cloud: must be public, us_government or china"},
		{directory.GCS, `{"bucket":"gs://audit-logs"}`, ``, "settings.bucket: must be 3 to 63"},
		{directory.GCS, `{"bucket":"goog-audit"}`, ``, "settings.bucket: must be 3 to 63"},
		{"ftp", `{}`, ``, "kind: this version does not know"},
	} {
		d := directory.Destination{Kind: c.kind, Settings: json.RawMessage(c.settings)}
		err := Validate(d, json.RawMessage(c.credentials), Network{})
		if _, ok := errors.AsType[*FieldError](err); !ok || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s %s %s: got %v, want %s", c.kind, c.settings, c.credentials, err, c.want)
		}
		_, _ = build(d, json.RawMessage(c.credentials), environment{now: time.Now}) // what is stored must not bring the function down
	}
}

// Odd as they look, these work.
func TestOddSettingsThatWork(t *testing.T) {
	for _, url := range []string{
		"https://h.example:65535", "https://h.example:1", "https://h.example.", "https://bücher.example/in", "https://xn--bcher-kva.example",
		"https://203.0.113.7/in", "https://[2001:db8::1]:8443/in", "https://a_b.example.com", "https://_dmarc.example.com", "HTTPS://H.EXAMPLE/In",
		"https://h.example/in?source=audit", "https://h.example/a%2Fb", "https://intranet/in", "https://1a.2b.3c", "https://h.example/?", "https://h.example/#",
	} {
		err := Validate(directory.Destination{Kind: directory.HTTP, Settings: asJSON(t, map[string]string{"url": url})}, nil, Network{})
		if err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}
