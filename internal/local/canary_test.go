package local_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/sink"
)

const (
	canary = "CANARY-4b1d" // stands in job data only
	token  = "TOKEN-77aa"  // the destination's credential
)

// TestCanary sends a zero-retention log with a canary in every place where job data can stand, through a
// failure, the cache, a retry and an end, and looks for it everywhere: in requests, in the cache, in failed
// events, in the payload bucket, on the queue of rejected messages, in log lines and in mails. The credential
// must stand in no place but the request.
func TestCanary(t *testing.T) {
	var mu sync.Mutex
	var requests bytes.Buffer
	answer := http.StatusForbidden
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(&requests, "%s %v %s\n", r.RequestURI, r.Header, body)
		w.WriteHeader(answer)
		fmt.Fprintf(w, "refused: %s", body) // receivers echo what they dislike
	}))
	defer server.Close()

	w := local.NewWorld(time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), nil)
	w.SetSinks(&sink.Factory{Vault: w.Vault, Records: w.Directory, Network: local.Network(), Now: time.Now})
	var lines bytes.Buffer
	w.Journal.Next = delivery.NewLines(&lines, "auditrelay")
	settings, _ := json.Marshal(map[string]string{"url": server.URL + "/logs"})
	err := w.Apply(t.Context(), local.Directory{
		Workspaces: []directory.Workspace{{ID: "acme", Kind: directory.Standalone, Admins: []string{"ada@acme.example"}}},
		Destinations: []directory.Destination{{ID: "siem", WorkspaceID: "acme", Kind: directory.HTTP, Settings: settings, State: directory.Connected,
			Health: directory.Health{State: directory.Healthy}, Version: 1}},
		Credentials: map[string]json.RawMessage{"siem": json.RawMessage(`{"bearer":"` + token + `","query":"key=` + token + `","path":"` + token + `"}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	data := fmt.Sprintf(`"input":{"a":%[1]q},"output":[%[1]q],"in\u0070ut":%[1]q,"OUTPUT":%[1]q,"error":%[1]q,"raw":"{\"input\":\"%[1]s\"}"`, canary)
	line := `{"recipe_line_number":1,` + data + `,"lines":[{` + data + `},[{` + data + `}]]}`
	log := func(id string) string {
		return `{"id":"` + id + `","workspace_id":"acme","type":"job_details","occurred_at":"2026-11-02T08:59:58Z","Zero_Retention":true,` +
			`"payload":{"id":"j-1","report":{"lines":{"first":` + line + `},"order":"` + canary + `"},"lines":[` + line + `,` + line + `,"` + canary + `"]}}`
	}
	send := func(id string) {
		w.Send([]byte(log(id)))
		large := "payloads/" + id
		w.Payloads.Put(large, []byte(log(id+"-large")))
		w.Send(fmt.Appendf(nil, `["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":%q,"s3Key":%q}]`, local.PayloadBucket, large))
		w.Payloads.Put(large+"-bad", []byte("["+log(id)+"]"))
		w.Send(fmt.Appendf(nil, `["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":%q,"s3Key":"%s-bad"}]`, local.PayloadBucket, large))
		for _, bad := range []string{log("an id " + canary), log(id)[:len(log(id))-1], "[" + log(id) + "]", strings.ReplaceAll(log(id), `"`, `'`)} {
			w.Send([]byte(bad))
		}
	}
	search := func(moment string, cacheHasSome bool) {
		t.Helper()
		var places strings.Builder
		for _, d := range w.Cache.All() {
			fmt.Fprintf(&places, "%+v %s\n", d, d.Document.JSON)
		}
		if (places.Len() > 0) != cacheHasSome {
			t.Errorf("%s: the cache holds %d deliveries", moment, w.Cache.Len())
		}
		fmt.Fprintf(&places, "%+v\n%s\n%+v\n", w.Cache.FailedEvents(), lines.String(), w.Journal.Entries())
		for _, r := range w.Rejected.All() {
			fmt.Fprintf(&places, "%s %s\n", r.Reason, r.Body)
		}
		if left := w.Payloads.Keys(); len(left) > 0 {
			t.Errorf("%s: the payload bucket holds %v", moment, left)
		}
		mails, err := json.Marshal(w.Mail.All())
		if err != nil {
			t.Fatal(err)
		}
		places.Write(mails)
		if strings.Contains(places.String(), canary) {
			t.Errorf("%s: job data of a zero-retention log stands in a store, a log line or a mail", moment)
		}
		if strings.Contains(places.String(), token) {
			t.Errorf("%s: a credential stands in a store, a log line or a mail", moment)
		}
		mu.Lock()
		defer mu.Unlock()
		if strings.Contains(requests.String(), canary) {
			t.Errorf("%s: job data of a zero-retention log was sent", moment)
		}
	}
	advance := func(d time.Duration) {
		t.Helper()
		if err := w.Advance(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}

	send("delivered-later")
	advance(time.Hour)
	search("while it waits", true)
	mu.Lock()
	answer = http.StatusOK
	mu.Unlock()
	advance(24 * time.Hour)
	search("when it was delivered", false)
	mu.Lock()
	answer = http.StatusForbidden
	mu.Unlock()
	send("given-up")
	advance(8 * 24 * time.Hour)
	search("when it was given up", false)

	if l := w.Journal.Ledger(); l.Delivered != 2 || l.Failed != 2 || l.Rejected != 10 {
		t.Errorf("the story did not happen as told: %+v", l)
	}
	if len(w.Mail.All()) == 0 || !strings.Contains(requests.String(), token) || !strings.Contains(requests.String(), "recipe_line_number") {
		t.Error("there was nothing to search: no mail, no credential or no line in the requests")
	}
}
