package connection

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// Outgoing is the activity as it is told: a user_activity log of the owner workspace and, where events/bus.go has a type for it, an event.
func (a Activity) Outgoing() (directory.Outgoing, error) {
	a.At = a.At.UTC().Truncate(time.Millisecond)
	log, err := a.Log()
	if err != nil {
		return directory.Outgoing{}, err
	}
	out := directory.Outgoing{ID: log.ID, At: a.At, Log: &log}
	if e, ok := a.Announcement(); ok {
		out.Event = &e
	}
	return out, nil
}

// ID names the activity's log. It is made of what was done, by whom and when, so that the same activity has the same id however often it is told.
func (a Activity) ID() string {
	h := sha256.New()
	record, version := a.Destination.Identity(), a.Destination.Version
	if a.Destination.ID == "" {
		record, version = directory.Identity("", a.Workspace.Incarnation), a.Workspace.Revision
	}
	fmt.Fprintf(h, "%s\x00%s\x00%s\x00%d\x00%d\x00%d\x00%s\x00%s", a.Event, a.Workspace.ID, record,
		a.Destination.Generation, version, a.At.UnixMilli(), a.By.Identity, a.Test)
	if a.Child != "" {
		fmt.Fprintf(h, "\x00%s\x00%s", a.Child, strings.Join(a.LogTypes, " "))
	}
	return directory.ActivityPrefix + hex.EncodeToString(h.Sum(nil)[:16])
}

// payload is the form of a user_activity log.
type payload struct {
	Event     Event     `json:"event"`
	Timestamp time.Time `json:"timestamp"`
	User      person    `json:"user"`
	Workspace person    `json:"workspace"`
	Resource  resource  `json:"resource"`
	Details   details   `json:"details"`
}

type person struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
}

type resource struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Name string `json:"name"`
}

type details struct {
	Request  request  `json:"request"`
	Activity activity `json:"activity"`
}

type request struct {
	IPAddress string `json:"ip_address"`
	UserAgent string `json:"user_agent"`
}

type activity struct {
	Kind       directory.Kind  `json:"kind,omitempty"`
	State      directory.State `json:"state,omitempty"`
	Generation int             `json:"generation,omitzero"`
	Version    int             `json:"version,omitzero"`
	Fields     []string        `json:"fields,omitempty"`
	Test       string          `json:"test_log_id,omitempty"`
	Hosts      []string        `json:"hosts,omitempty"`
	Child      string          `json:"child_workspace_id,omitempty"`
	LogTypes   []string        `json:"log_types,omitempty"`
}

// Log is the activity as a user_activity log of its workspace.
func (a Activity) Log() (events.Log, error) {
	w, d := a.Workspace, a.Destination
	p := payload{
		Event:     a.Event,
		Timestamp: a.At.UTC(),
		User:      a.By.person(),
		Workspace: person{ID: w.ID, Name: w.Name},
		Resource:  resource{Type: "workspace", ID: w.ID, Name: w.Name},
		Details: details{
			Request:  request{IPAddress: a.By.IPAddress, UserAgent: a.By.UserAgent},
			Activity: activity{Kind: d.Kind, State: d.State, Generation: d.Generation, Version: d.Version, Fields: a.Fields, Test: a.Test, Hosts: a.Hosts, Child: a.Child, LogTypes: a.LogTypes},
		},
	}
	if len(w.Admins) > 0 {
		p.Workspace.Email = w.Admins[0]
	}
	if d.ID != "" {
		p.Resource = resource{Type: "destination", ID: d.ID, Name: d.Name}
	}
	text, err := json.Marshal(p)
	if err != nil {
		return events.Log{}, fmt.Errorf("write the log of the activity %s: %w", a.Event, err)
	}
	return events.Log{ID: a.ID(), WorkspaceID: w.ID, Type: events.UserActivity, OccurredAt: a.At.UTC(), Payload: text}, nil
}

// person reads the name out of an ARN such as arn:aws:sts::111122223333:assumed-role/platform-admin/maria@acme.example.
func (c Caller) person() person {
	p := person{ID: c.Identity, Name: c.Identity[strings.LastIndexByte(c.Identity, '/')+1:]}
	if strings.Contains(p.Name, "@") {
		p.Email = p.Name
	}
	return p
}

// Announcement is the activity as an event on the bus; ok is false for an activity that is none.
func (a Activity) Announcement() (_ events.Announcement, ok bool) {
	d := a.Destination
	name := events.DestinationName{DestinationID: d.ID, DestinationName: d.Name, WorkspaceID: d.WorkspaceID, Kind: string(d.Kind)}
	e := events.Announcement{At: a.At.UTC()}
	changed := func(change string) {
		e.DetailType = events.DestinationChanged
		e.Detail = events.DestinationChangedDetail{DestinationName: name, Change: change, Fields: a.Fields, Version: d.Version, ChangedAt: e.At, By: a.By.Identity}
	}
	switch a.Event {
	case DestinationCreated:
		changed("created")
	case DestinationUpdated:
		changed("updated")
	case DestinationDeleted:
		changed("deleted")
	case DestinationRestored:
		changed("restored")
	case DestinationRemoved:
		changed("removed")
	case DestinationDisconnected:
		e.DetailType = events.DestinationDisconnected
		e.Detail = events.DestinationDisconnectedDetail{DestinationName: name, Generation: d.Generation, DisconnectedAt: e.At, DisablesAt: d.GraceEnds(), By: a.By.Identity}
	case DestinationDisabled:
		e.DetailType = events.DestinationDisabled
		e.Detail = events.DestinationDisabledDetail{DestinationName: name, Generation: d.Generation, DisconnectedAt: a.Since.UTC(), DisabledAt: e.At}
	case DestinationReconnected:
		e.DetailType = events.DestinationReconnected
		e.Detail = events.DestinationReconnectedDetail{DestinationName: name, Generation: d.Generation, ReconnectedAt: e.At, By: a.By.Identity}
	default:
		return events.Announcement{}, false
	}
	return e, true
}
