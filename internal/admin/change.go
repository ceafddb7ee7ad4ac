package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
	"github.com/auditrelay/auditrelay/internal/sink"
	"github.com/auditrelay/auditrelay/internal/vault"
)

// writesAtMost bounds how often a change is made anew because the destination's health changed meanwhile.
const writesAtMost = 5

// check holds a write to its preconditions. What names the record, current is its ETag, empty if it is not there.
func (c Conditions) check(what, current string) error {
	switch {
	case c.IfNoneMatch == "*" && current != "":
		return problem(http.StatusPreconditionFailed, "the %s is there already; leave out If-None-Match to replace it", what)
	case c.IfMatch == "" || c.IfMatch == "*" && current != "":
		return nil
	case current == "":
		return problem(http.StatusPreconditionFailed, "the %s is not there, so it has no ETag; leave out If-Match to create it", what)
	}
	for tag := range strings.SplitSeq(c.IfMatch, ",") {
		if strings.TrimSpace(tag) == current {
			return nil
		}
	}
	return changedMeanwhile()
}

// change is an admin's change of a destination.
type change struct {
	id         string
	conditions Conditions
	// create says that a destination which is not there is made.
	create bool
	// apply makes the new destination of the one before, which is zero if there is none.
	apply func(before directory.Destination) (directory.Destination, error)
	// credentials are the new ones, or nil to leave them.
	credentials *json.RawMessage
	verify      bool
	// externalID is what the request says that it is, or empty.
	externalID string
}

// change reads, checks and writes: settings and credentials together, in one write that has one winner. If we die right
// after it, the admin has no answer and repeats the change.
func (a *API) change(ctx context.Context, c change) (*destinationAnswer, error) {
	verified, meant := false, "" // the incarnation of the record that was there first
	for try := range writesAtMost {
		before, deleted, err := a.current(ctx, c)
		if err != nil {
			return nil, err
		}
		exists := before.ID != ""
		if try == 0 {
			meant = before.Incarnation
		}
		if before.Incarnation != meant {
			return nil, changedMeanwhile()
		}
		after, err := c.apply(before)
		if err != nil {
			return nil, err
		}
		if after, err = a.withExternalID(ctx, after, c.externalID); err != nil {
			return nil, err
		}
		if exists && c.credentials == nil && same(before, after) {
			return answerDestination(http.StatusOK, before), nil
		}
		if !exists {
			after.Incarnation = directory.NewIncarnation()
			if after.Draining, err = a.inherits(ctx, after); err != nil {
				return nil, err
			}
		}
		if err := a.check(ctx, c, before, after, &verified); err != nil {
			return nil, err
		}
		if c.credentials != nil {
			if after.Credentials, err = a.Vault.Seal(ctx, after, *c.credentials); err != nil {
				return nil, a.internal(ctx, err)
			}
		}
		fields := changedFields(before, after, c.credentials != nil)
		if mayMend(fields) {
			after.Health = after.Health.SetUpAnew(a.Now())
		}
		if !exists {
			if after, err = directory.Transition(after, directory.Connect, a.Now()); err != nil {
				return nil, a.transitionError(ctx, c.id, err)
			}
		}
		after.Version++
		status, event := http.StatusOK, connection.DestinationUpdated
		if !exists {
			status, event = http.StatusCreated, connection.DestinationCreated
		}
		tell, err := a.destinationActivity(ctx, event, after, fields...)
		if err != nil {
			return nil, err
		}
		if err := a.makeRoom(ctx, deleted); err != nil {
			return nil, err
		}
		tells, err := a.cutOffs(ctx, after, fields)
		if err != nil {
			return nil, err
		}
		tells = append([]directory.Outgoing{tell}, tells...)
		stored, err := a.Destinations.PutDestination(ctx, after, tells...)
		if errors.Is(err, directory.ErrChanged) {
			continue
		}
		if err != nil {
			return nil, a.internal(ctx, err)
		}
		for _, tell := range tells {
			a.Outbox.Tell(ctx, tell)
		}
		if mayMend(fields) {
			a.nudge(ctx, stored)
		}
		return answerDestination(status, stored), nil
	}
	return nil, changedMeanwhile()
}

// current is the record to be changed; zero if there is none and one is to be made. To whoever makes one, a deleted one is not there; it is answered
// beside, to be removed.
func (a *API) current(ctx context.Context, c change) (d, deleted directory.Destination, err error) {
	d, err = a.Destinations.CurrentDestination(ctx, c.id)
	missing := c.create && errors.Is(err, directory.ErrNotFound)
	if err != nil && !missing {
		return d, deleted, a.destinationError(ctx, c.id, err)
	}
	if d.State == directory.Deleted {
		if !c.create {
			return d, deleted, a.wasDeleted(d)
		}
		d, deleted = directory.Destination{}, d
	}
	tag := ""
	if d.ID != "" {
		tag = etag(d)
	}
	return d, deleted, c.conditions.check(fmt.Sprintf("destination %q", c.id), tag)
}

// check holds the rules that the document's schema cannot say, and tries the destination if that is wanted. Before is
// zero for one that is made.
func (a *API) check(ctx context.Context, c change, before, d directory.Destination, verified *bool) error {
	if before.ID == "" {
		_, own, err := a.Workspaces.WorkspaceSince(ctx, d.WorkspaceID, a.Now())
		if errors.Is(err, directory.ErrNotFound) {
			return invalidField("body.workspace_id", "must be a workspace that is there; put the workspace first")
		}
		if err != nil {
			return a.internal(ctx, fmt.Errorf("look up workspace %s: %w", d.WorkspaceID, err))
		}
		others := slices.DeleteFunc(own, func(o directory.Destination) bool { return o.ID == d.ID }) // deleted, and about to be removed
		if len(others) >= directory.MostDestinations {
			return invalidField("body.workspace_id", "owns %d destinations, the most that a workspace may, those among them that can still be restored; delete one first, and purge it", len(others))
		}
	}
	if err := checkSizes(d, c.credentials); err != nil {
		return err
	}
	credentials, err := a.credentials(ctx, c, before, d)
	if err != nil {
		return err
	}
	if err := sink.Validate(d, credentials, a.Network); err != nil {
		return settingsError(err)
	}
	if !c.verify || *verified {
		return nil
	}
	*verified = true
	return a.verify(ctx, d, credentials)
}

// credentials gives those that the destination has after the change. Stored ones never follow a change of where they are
// sent: whoever may change the address could have them sent to itself.
func (a *API) credentials(ctx context.Context, c change, before, after directory.Destination) (json.RawMessage, error) {
	if c.credentials != nil {
		return *c.credentials, nil
	}
	if len(before.Credentials) == 0 {
		return json.RawMessage("{}"), nil
	}
	if moved := sink.Readdressed(before, after); len(moved) > 0 {
		return nil, invalidField("body.settings."+moved[0],
			"says where credentials are sent, and stored ones are not sent elsewhere; give the credentials in the same request")
	}
	credentials, err := a.Vault.Open(ctx, before)
	if err != nil {
		return nil, a.vaultError(ctx, err)
	}
	return credentials, nil
}

// vaultError tells credentials that do not open, which an admin can mend, from a failure of our own.
func (a *API) vaultError(ctx context.Context, err error) error {
	if f, ok := errors.AsType[*failure.Error](err); ok {
		a.Fault(about(ctx, err))
		p := problem(http.StatusUnprocessableEntity, "%s %s", failure.Find(f.Code).Description, failure.Find(f.Code).Guidance)
		p.Code, p.Guidance = f.Code, failure.Find(f.Code).Guidance
		return p
	}
	return a.internal(ctx, err)
}

// maxSettings bounds the settings of a destination, in bytes: a record of 400 KB also holds its credentials, and is read
// with every batch of logs.
const maxSettings = 64 << 10

func checkSizes(d directory.Destination, credentials *json.RawMessage) error {
	if len(d.Settings) > maxSettings {
		return invalidField("body.settings", "must have at most %d bytes", maxSettings)
	}
	if credentials != nil && len(*credentials) > vault.MaxBytes {
		return invalidField("body.credentials", "must have at most %d bytes", vault.MaxBytes)
	}
	return nil
}

// inherits says whether logs wait under a new destination's id, for one of the same owner that was deleted in the last
// seven days: the new one is drained, as one that is reconnected. While logs of another owner's wait, the id is refused.
func (a *API) inherits(ctx context.Context, d directory.Destination) (waiting bool, err error) {
	oldest, err := a.Pending.OldestPending(ctx, d.ID)
	if err != nil {
		return false, a.internal(ctx, err)
	}
	for _, p := range oldest {
		if !p.For(d) {
			return false, problem(http.StatusConflict,
				"logs still wait under the id %q for a destination of another workspace that was deleted; choose another id", d.ID)
		}
	}
	return len(oldest) > 0, nil
}

// put makes a destination of what is put in its place.
func put(before directory.Destination, id string, in DestinationInput) (directory.Destination, error) {
	if before.ID != "" {
		if err := immutable(before, in); err != nil {
			return before, err
		}
	}
	after := before
	after.ID, after.Name, after.WorkspaceID, after.Kind, after.Shared = id, in.Name, in.WorkspaceID, in.Kind, in.Shared
	after.LogTypes, after.Settings = in.LogTypes, json.RawMessage(in.Settings)
	if len(after.Settings) == 0 {
		after.Settings = json.RawMessage("{}")
	}
	return after, checkTypes(after.LogTypes)
}

// immutable refuses what a destination keeps for life: object names and the cache's keys are made of it.
func immutable(before directory.Destination, in DestinationInput) error {
	switch {
	case in.WorkspaceID != before.WorkspaceID:
		return invalidField("body.workspace_id", "cannot be changed: it is %s; create another destination", before.WorkspaceID)
	case in.Kind != before.Kind:
		return invalidField("body.kind", "cannot be changed: it is %s; create another destination", before.Kind)
	}
	return nil
}

// patch makes a destination of the one before and what is to be changed.
func patch(before directory.Destination, in DestinationPatch) (directory.Destination, error) {
	after := before
	if in.Name != nil {
		after.Name = *in.Name
	}
	if in.Shared != nil {
		after.Shared = *in.Shared
	}
	if in.LogTypes != nil {
		after.LogTypes = *in.LogTypes
	}
	if in.Settings != nil {
		merged, err := merge(before.Settings, json.RawMessage(*in.Settings))
		if err != nil {
			return before, invalidField("body.settings", "must be a JSON object")
		}
		after.Settings = merged
	}
	return after, checkTypes(after.LogTypes)
}

func checkTypes(types []string) error {
	for i, t := range types {
		if err := events.CheckType(t); err != nil {
			return invalidField(fmt.Sprintf("body.log_types[%d]", i), "%v", err)
		}
	}
	return nil
}

// merge is JSON merge patch, RFC 7396.
func merge(target, patch json.RawMessage) (json.RawMessage, error) {
	changes, ok := membersOf(patch)
	if !ok {
		return patch, nil // anything but an object replaces the target
	}
	merged, ok := membersOf(target)
	if !ok {
		merged = make(map[string]json.RawMessage)
	}
	for name, value := range changes {
		if string(bytes.TrimSpace(value)) == "null" {
			delete(merged, name)
			continue
		}
		var err error
		if merged[name], err = merge(merged[name], value); err != nil {
			return nil, err
		}
	}
	return json.Marshal(merged)
}

// membersOf reads an object; ok is false for anything else.
func membersOf(text json.RawMessage) (m map[string]json.RawMessage, ok bool) {
	err := json.Unmarshal(text, &m)
	return m, err == nil && m != nil
}

// same says whether a write would change nothing.
func same(before, after directory.Destination) bool {
	return len(changedFields(before, after, false)) == 0
}

// changedFields names what differs, settings one by one; never a value.
func changedFields(before, after directory.Destination, credentials bool) []string {
	var fields []string
	if before.Name != after.Name {
		fields = append(fields, "name")
	}
	if before.Shared != after.Shared {
		fields = append(fields, "shared")
	}
	if !slices.Equal(before.LogTypes, after.LogTypes) {
		fields = append(fields, "log_types")
	}
	if before.ID != "" && before.ExternalID != after.ExternalID {
		fields = append(fields, "external_id")
	}
	old, now := members(before.Settings), members(after.Settings)
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if old[name] != now[name] {
			fields = append(fields, "settings."+name)
		}
		delete(old, name)
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		fields = append(fields, "settings."+name)
	}
	if credentials {
		fields = append(fields, "credentials")
	}
	return fields
}

// members are an object's members as compact text with their own members in order.
func members(object json.RawMessage) map[string]string {
	var values map[string]any
	_ = json.Unmarshal(object, &values) // stored settings were checked when they were saved
	texts := make(map[string]string, len(values))
	for name, v := range values {
		text, _ := json.Marshal(v)
		texts[name] = string(text)
	}
	return texts
}
