package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/auditrelay/auditrelay/internal/admin"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/local"
	"github.com/auditrelay/auditrelay/internal/sink"
)

// step is one change of a plan.
type step struct {
	Action string   `json:"action"` // create or update
	What   string   `json:"what"`   // workspace or destination
	ID     string   `json:"id"`
	Fields []string `json:"fields,omitempty"`

	path string
	body any
	// planned is the destination that the update was planned for.
	planned admin.Destination
}

// plan is what makes the API agree with a file.
type plan struct {
	Steps     []step `json:"steps"`
	Unchanged int    `json:"unchanged"`
}

// newPlan compares a file with what is there. Workspaces come before destinations, and parents before children. Credentials cannot be compared;
// they are sent with new destinations, with those whose address changes, since stored ones are not sent elsewhere, and with
// all if credentials is true.
func newPlan(file local.Directory, workspaces []admin.Workspace, destinations []admin.Destination, credentials bool) (plan, error) {
	p := plan{Steps: []step{}}
	there := make(map[string]admin.Workspace)
	for _, w := range workspaces {
		there[w.ID] = w
	}
	for _, w := range parentsFirst(file.Workspaces) {
		old, ok := there[w.ID]
		p.add(step{What: "workspace", ID: w.ID, Fields: workspaceFields(old, w), path: "/v1/workspaces/" + w.ID, body: admin.WorkspaceInput{
			Name: w.Name, Kind: w.Kind, ParentID: w.ParentID, Admins: w.Admins, ErrorRecipients: w.ErrorRecipients, ExternalID: w.ExternalID,
		}}, ok)
	}
	known := make(map[string]admin.Destination)
	for _, d := range destinations {
		if d.State != directory.Deleted { // its id is free
			known[d.ID] = d
		}
	}
	for _, d := range file.Destinations {
		old, ok := known[d.ID]
		if ok && (old.Kind != d.Kind || old.WorkspaceID != d.WorkspaceID) {
			return p, fmt.Errorf("destination %s is of kind %s and belongs to workspace %s; neither can be changed: give the one in the file another id, or delete the old one",
				d.ID, old.Kind, old.WorkspaceID)
		}
		fields := destinationFields(old, d)
		body := admin.DestinationInput{
			Name: d.Name, WorkspaceID: d.WorkspaceID, Kind: d.Kind, Shared: d.Shared, LogTypes: d.LogTypes, Settings: admin.Object(d.Settings),
		}
		if !ok || credentials || readdressed(old, d) {
			secret := admin.Object(file.Credentials[d.ID])
			body.Credentials = &secret
			if ok {
				fields = append(fields, "credentials")
			}
		}
		p.add(step{What: "destination", ID: d.ID, Fields: fields, path: destinationPath(d.ID), body: body, planned: old}, ok)
	}
	return p, nil
}

// readdressed says whether the file sends a destination's credentials elsewhere.
func readdressed(old admin.Destination, d directory.Destination) bool {
	return len(sink.Readdressed(directory.Destination{Kind: old.Kind, Settings: json.RawMessage(old.Settings)}, d)) > 0
}

func (p *plan) add(s step, exists bool) {
	switch {
	case !exists:
		s.Action, s.Fields = "create", nil
	case len(s.Fields) > 0:
		s.Action = "update"
	default:
		p.Unchanged++
		return
	}
	p.Steps = append(p.Steps, s)
}

// parentsFirst orders workspaces so that none comes before its parent. Cycles are left to the API, which refuses them.
func parentsFirst(list []directory.Workspace) []directory.Workspace {
	var ordered []directory.Workspace
	placed := make(map[string]bool)
	for len(ordered) < len(list) {
		before := len(ordered)
		for _, w := range list {
			inFile := slices.ContainsFunc(list, func(o directory.Workspace) bool { return o.ID == w.ParentID })
			if !placed[w.ID] && (w.ParentID == "" || placed[w.ParentID] || !inFile) {
				placed[w.ID] = true
				ordered = append(ordered, w)
			}
		}
		if len(ordered) == before {
			return append(ordered, slices.DeleteFunc(slices.Clone(list), func(w directory.Workspace) bool { return placed[w.ID] })...)
		}
	}
	return ordered
}

func workspaceFields(old admin.Workspace, w directory.Workspace) []string {
	return differing(
		comparison{"name", old.Name == w.Name},
		comparison{"kind", old.Kind == w.Kind},
		comparison{"parent_id", old.ParentID == w.ParentID},
		comparison{"admins", slices.Equal(old.Admins, w.Admins)},
		comparison{"error_recipients", slices.Equal(old.ErrorRecipients, w.ErrorRecipients)},
		comparison{"external_id", w.ExternalID == "" || w.ExternalID == old.ExternalID},
	)
}

func destinationFields(old admin.Destination, d directory.Destination) []string {
	fields := []comparison{
		{"name", old.Name == d.Name},
		{"shared", old.Shared == d.Shared},
		{"log_types", slices.Equal(old.LogTypes, d.LogTypes)},
	}
	was, is := members(old.Settings), members(admin.Object(d.Settings))
	names := make(map[string]bool)
	for _, m := range []map[string]any{was, is} {
		for name := range m {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		fields = append(fields, comparison{"settings." + name, reflect.DeepEqual(was[name], is[name])})
	}
	return differing(fields...)
}

type comparison struct {
	name string
	same bool
}

func differing(fields ...comparison) []string {
	var names []string
	for _, f := range fields {
		if !f.same {
			names = append(names, f.name)
		}
	}
	return names
}

func members(o admin.Object) map[string]any {
	var m map[string]any
	_ = json.Unmarshal(o, &m) // an object, by both sides' checks
	return m
}
