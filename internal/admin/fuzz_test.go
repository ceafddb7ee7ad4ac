package admin_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzRequests sends whatever to every path: the answer is never a 5xx, and every 4xx is a problem with a sentence that quotes no credential.
func FuzzRequests(f *testing.F) {
	for _, seed := range [][5]string{
		{"GET", "/v1/workspaces", "", "", ""},
		{"PUT", "/v1/workspaces/a", `{"kind":"standalone","admins":["a@b.example"]}`, "application/json", ""},
		{"PUT", "/v1/workspaces/a", `{"kind":"standalone","parent_id":"acme","name":"<script>"}`, "text/plain", ""},
		{"PUT", "/v1/workspaces/%00", `{"kind":null}`, "application/json", ""},
		{"PUT", "/v1/destinations/b", `{"workspace_id":"acme","kind":"s3","settings":{"bucket":"b","region":"eu-west-1"},"verify":false}`, "application/json", `"1.1"`},
		{"PUT", "/v1/destinations/b?verify=false", `{"workspace_id":"acme","kind":"http","settings":{"url":"http://127.0.0.1:1"}}`, "", "*"},
		{"PUT", "/v1/destinations/b?verify=maybe", `{"workspace_id":"acme","kind":"azure_blob","settings":{}}`, "application/json", ""},
		{"PATCH", "/v1/destinations/siem?verify=false", `{"settings":{"headers":{"x":null}},"log_types":null}`, "application/json", ""},
		{"PATCH", "/v1/destinations/siem?verify=0", `{"settings":{"a":{"b":{"c":[1,{"d":null}]}}}}`, "application/json", ""},
		{"PATCH", "/v1/destinations/siem", `{"settings":null,"credentials":null,"verify":false}`, "application/json", ""},
		{"DELETE", "/v1/workspaces/acme", "", "", ""},
		{"POST", "/v1/destinations/siem/disconnect", "{}", "application/cbor", ""},
		{"POST", "/v1/destinations/siem/reconnect", `{"verify":"no"}`, "application/json", ""},
		{"GET", "/v1/deliveries?destination_id=siem&limit=1000&next=c2llbQow", "", "", ""},
		{"GET", "/v1/deliveries?destination_id=siem&next=c2llbQoxCmEKYg", "", "", ""},
		{"GET", "/v1/failed?order=newest&next=////", "", "", ""},
		{"GET", "/v1/attempts?since=0001-01-01T00:00:00Z&until=9999-12-31T23:59:59Z", "", "", ""},
		{"GET", "/v1/destinations/siem/backlog", "", "", ""},
		{"POST", "/v1/redrive", `{"code":"net.timeout","accepted_from":"2026-11-02T00:00:00Z","accepted_to":"2026-11-01T00:00:00Z"}`, "application/json", ""},
		{"POST", "/v1/redrive", `{"destination_id":"siem","next":"c2llbQo5OTk5OTk5OTk5OTk5CmEKYg"}`, "application/json", ""},
		{"OPTIONS", "*", "", "", ""},
		{"GET", "//v1/../v1/workspaces/..%2f..", "", "", ""},
		{"PUT", "/v1/workspaces/a", strings.Repeat("[", 20_000), "application/json", ""},
		{"PUT", "/v1/workspaces/a", `{"kind":"standalone","kind":{"a":1e999999}}`, "application/json; charset=utf-16", ""},
		{"PUT", "/v1/workspaces/a", "{\"kind\":\"standalone\",\"name\":\"\xff\xfe\\u0000\\ud800\"}", "application/json", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4])
	}
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, method, target, body, contentType, match string) {
		r, ok := request(method, target, body)
		if !ok {
			return // net/http would not pass it on
		}
		if strings.HasSuffix(r.URL.Path, "/test") || !strings.Contains(target+body, "verify") && r.Method != http.MethodGet {
			r.URL.RawQuery = "verify=false&" + r.URL.RawQuery // no test logs to addresses that the fuzzer makes up
		}
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("If-Match", match)
		out := httptest.NewRecorder()
		w.handler.ServeHTTP(out, r)
		if out.Code >= 500 || (out.Code >= 300 && out.Code < 400) {
			t.Fatalf("%d %s; faults %v", out.Code, out.Body, w.faults)
		}
		if out.Code < 400 {
			return
		}
		var p struct {
			Status int
			Detail string
		}
		if err := json.Unmarshal(out.Body.Bytes(), &p); err != nil || p.Status != out.Code || len(p.Detail) < 10 || strings.Contains(p.Detail, "goroutine") {
			t.Fatalf("%d %s is no problem with a sentence (%v)", out.Code, out.Body, err)
		}
	})
}

// request makes a request, unless it is one that could never arrive.
func request(method, target, body string) (r *http.Request, ok bool) {
	defer func() { ok = recover() == nil }() // httptest panics on what is no request line
	r = httptest.NewRequest(method, target, bytes.NewBufferString(body))
	r.RemoteAddr = "192.0.2.1:1234"
	return r, true
}
