package connection_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/directory"
)

func disconnected() connection.Activity {
	return connection.Activity{
		Event: connection.DestinationDisconnected, At: monday, By: maria,
		Workspace: directory.Workspace{ID: "acme", Name: "Acme Corp", Admins: []string{"ada@acme.example"}},
		Destination: directory.Destination{
			ID: "siem", Name: "Acme SIEM", WorkspaceID: "acme", Kind: directory.HTTP, State: directory.Disconnected, StateSince: monday, Generation: 2, Version: 1,
			Settings: json.RawMessage(`{"url":"https://siem.acme.example/?token=secret"}`),
		},
	}
}

func TestActivityLog(t *testing.T) {
	log, err := disconnected().Log()
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Validate(); err != nil {
		t.Error(err)
	}
	text, err := json.Marshal(log)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := auditlog.Decode(text); err != nil {
		t.Error(err)
	}
	want := `{"event":"destination_disconnected","timestamp":"2026-11-02T09:00:00Z",` +
		`"user":{"id":"arn:aws:sts::111122223333:assumed-role/platform-admin/maria@acme.example","name":"maria@acme.example","email":"maria@acme.example"},` +
		`"workspace":{"id":"acme","name":"Acme Corp","email":"ada@acme.example"},"resource":{"type":"destination","id":"siem","name":"Acme SIEM"},` +
		`"details":{"request":{"ip_address":"203.0.113.24","user_agent":"auditrelay/1.0"},` +
		`"activity":{"kind":"http","state":"disconnected","generation":2,"version":1}}}`
	if diff := cmp.Diff(want, string(log.Payload)); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
}

// TestActivityID is the same for the same activity, and another for any other.
func TestActivityID(t *testing.T) {
	ids := make(map[string]int)
	for i, change := range []func(*connection.Activity){
		func(*connection.Activity) {},
		func(a *connection.Activity) { a.Event = connection.DestinationReconnected },
		func(a *connection.Activity) { a.At = monday.Add(time.Millisecond) },
		func(a *connection.Activity) { a.Workspace.ID = "acme-2" },
		func(a *connection.Activity) { a.Destination.ID = "siem-2" },
		func(a *connection.Activity) { a.Destination.Generation++ },
		func(a *connection.Activity) { a.Destination.Version++ },
		func(a *connection.Activity) { a.By = connection.System() },
		func(a *connection.Activity) { a.Destination = directory.Destination{} },
		func(a *connection.Activity) { a.Destination, a.Workspace.Revision = directory.Destination{}, 7 },
	} {
		a := disconnected()
		change(&a)
		if first, ok := ids[a.ID()]; ok {
			t.Errorf("activities %d and %d have one id", first, i)
		}
		ids[a.ID()] = i
	}
	again := disconnected()
	again.By.IPAddress, again.Fields = "203.0.113.25", []string{"name"}
	if _, ok := ids[again.ID()]; !ok {
		t.Error("the same activity has another id")
	}
}

// TestAnnouncements holds every activity against the schema of the bus.
func TestAnnouncements(t *testing.T) {
	schema := busSchema(t)
	for event, want := range map[connection.Event]string{
		connection.DestinationCreated: events.DestinationChanged, connection.DestinationUpdated: events.DestinationChanged,
		connection.DestinationDeleted: events.DestinationChanged, connection.DestinationDisconnected: events.DestinationDisconnected,
		connection.DestinationDisabled: events.DestinationDisabled, connection.DestinationReconnected: events.DestinationReconnected,
		connection.DestinationTested: "", connection.DeliveriesRedriven: "", connection.WorkspaceCreated: "", connection.WorkspaceDeleted: "",
	} {
		a := disconnected()
		a.Event, a.Since, a.Fields = event, monday.Add(-8*time.Hour), []string{"settings.url"}
		got, ok := a.Announcement()
		if got.DetailType != want || ok != (want != "") {
			t.Errorf("%s is announced as %q (%v), want %q", event, got.DetailType, ok, want)
			continue
		}
		if !ok {
			continue
		}
		text, err := json.Marshal(map[string]any{"source": events.Source, "detail-type": got.DetailType, "detail": got.Detail})
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %v", event, err)
		}
	}
}

func busSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := fs.ReadFile(events.Schemas(), "bus.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("bus.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("bus.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}
