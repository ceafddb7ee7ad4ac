package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// Object is a JSON object whose members the destination's kind defines.
type Object json.RawMessage

// Schema implements huma.SchemaProvider.
func (Object) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}
}

// MarshalJSON gives the object as it is.
func (o Object) MarshalJSON() ([]byte, error) {
	if len(o) == 0 {
		return []byte("{}"), nil
	}
	return o, nil
}

// UnmarshalJSON keeps the object as it is.
func (o *Object) UnmarshalJSON(text []byte) error {
	*o = append((*o)[:0], text...)
	return nil
}

// DestinationPath names a destination.
type DestinationPath struct {
	ID string `path:"id" minLength:"1" maxLength:"128" pattern:"^[A-Za-z0-9._-]+$" patternDescription:"1 to 128 of A-Z a-z 0-9 . _ -"`
}

// Conditions are the preconditions of a write.
type Conditions struct {
	IfMatch     string `header:"If-Match" maxLength:"200" doc:"Write only if the record still has this ETag, else 412."`
	IfNoneMatch string `header:"If-None-Match" maxLength:"200" doc:"With *: create only, else 412."`
}

// Verification says whether a save tries the destination first.
type Verification struct {
	Verify Choice `query:"verify" doc:"Send a marked test log first, and refuse with 422 and the catalogue's code if the destination does not take it. The same as verify in the body; false in either place skips it."`
}

// Choice is a truth value of the query that is true unless it is given. The framework's own defaults stand in
// for a false too.
type Choice struct {
	Value bool
	given bool
}

// Schema implements huma.SchemaProvider.
func (Choice) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeBoolean, Default: true}
}

// Receiver implements huma.ParamWrapper.
func (c *Choice) Receiver() reflect.Value { return reflect.ValueOf(c).Elem().Field(0) }

// OnParamSet implements huma.ParamReactor.
func (c *Choice) OnParamSet(given bool, _ any) { c.given = given }

func (c Choice) no() bool { return c.given && !c.Value }

// DestinationInput is a destination as it is put. What GET answers besides is taken and ignored, so that it can be put back as it came.
type DestinationInput struct {
	ID          string         `json:"id,omitempty" doc:"May repeat the id of the path."`
	Name        string         `json:"name,omitempty" maxLength:"200" pattern:"^[^\\x00-\\x1f\\x7f]*$" patternDescription:"text of one line" doc:"The resource name; mails show it."`
	WorkspaceID string         `json:"workspace_id" minLength:"1" maxLength:"128" doc:"The workspace that owns the destination. It cannot be changed."`
	Kind        directory.Kind `json:"kind" enum:"s3,http,azure_monitor,azure_blob,gcs" doc:"It cannot be changed."`
	Shared      bool           `json:"shared,omitempty" doc:"Also serve the owner's child workspaces that have no destination of their own."`
	LogTypes    []string       `json:"log_types,omitempty" maxItems:"50" nullable:"true" doc:"The types that are wanted; none means all."`
	Settings    Object         `json:"settings,omitempty" doc:"The kind's own, see docs/destinations."`
	Credentials *Object        `json:"credentials,omitempty" doc:"Write-only. Left out, those that are stored stay; {} removes them."`
	Verify      *bool          `json:"verify,omitempty" doc:"Default true: send a marked test log first, and refuse with 422 if the destination does not take it."`

	State      any `json:"state,omitempty" doc:"Ignored; see disconnect and reconnect."`
	Generation any `json:"generation,omitempty" doc:"Ignored."`
	StateSince any `json:"state_since,omitempty" doc:"Ignored."`
	Health     any `json:"health,omitempty" doc:"Ignored."`
	Draining   any `json:"draining,omitempty" doc:"Ignored."`
	Version    any `json:"version,omitempty" doc:"Ignored; see If-Match."`

	ExternalID  string `json:"external_id,omitempty" doc:"May repeat what GET answers. It is the workspace's and cannot be chosen."`
	Incarnation any    `json:"incarnation,omitempty" doc:"Ignored."`
	GraceEndsAt any    `json:"grace_ends_at,omitempty" doc:"Ignored."`
	Warnings    any    `json:"warnings,omitempty" doc:"Ignored."`
}

// DestinationPatch is what is to be changed; what is left out stays.
type DestinationPatch struct {
	Name        *string   `json:"name,omitempty" maxLength:"200" pattern:"^[^\\x00-\\x1f\\x7f]*$" patternDescription:"text of one line"`
	Shared      *bool     `json:"shared,omitempty"`
	LogTypes    *[]string `json:"log_types,omitempty" maxItems:"50" doc:"Replaced as a whole."`
	Settings    *Object   `json:"settings,omitempty" doc:"A JSON merge patch (RFC 7396): members given are set, null removes one."`
	Credentials *Object   `json:"credentials,omitempty" doc:"Write-only. Replaced as a whole."`
	Verify      *bool     `json:"verify,omitempty" doc:"Default true: send a marked test log first, and refuse with 422 if the destination does not take it."`
}

// Destination is a destination as it is answered: without credentials.
type Destination struct {
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	WorkspaceID string          `json:"workspace_id"`
	Kind        directory.Kind  `json:"kind"`
	Shared      bool            `json:"shared"`
	LogTypes    []string        `json:"log_types" doc:"Empty means all."`
	Settings    Object          `json:"settings"`
	State       directory.State `json:"state" enum:"connected,disconnected,disabled,deleted"`
	StateSince  time.Time       `json:"state_since"`
	GraceEndsAt *time.Time      `json:"grace_ends_at" doc:"When a disconnected destination is disabled, and a deleted one removed; null in other states."`
	Generation  int             `json:"generation" doc:"Grows with every disconnect, disable, reconnect, deletion and restore."`
	Health      Health          `json:"health"`
	Warnings    []Warning       `json:"warnings,omitempty" doc:"What was stored as it was asked for, and may not be what was meant; left out if there is nothing."`
	Draining    bool            `json:"draining" doc:"The backlog is being sent at once."`
	Version     int             `json:"version" doc:"Grows with every change of the settings."`
	ExternalID  string          `json:"external_id,omitempty" doc:"The workspace's: what the trust policy of the role must demand as sts:ExternalId. S3 only."`
	Incarnation string          `json:"incarnation" doc:"Tells this record from others that have had its id, or will."`
}

// Health says whether deliveries get through.
type Health struct {
	State directory.HealthState `json:"state" enum:"healthy,failing"`
	Since *time.Time            `json:"since" doc:"When it began to fail; null while healthy."`
	Code  failure.Code          `json:"code" doc:"Why it fails, see docs/errors.md; empty while healthy."`
	// Answer is what the service itself said.
	Answer string `json:"answer,omitempty" doc:"What the service answered, in short, where the code is a general one: its status, and its own error code if that is one that it documents."`
	// TakenAt is not kept for each log, see directory.Health.
	TakenAt *time.Time `json:"taken_at" doc:"When it last took a log, as far as that is written down: with a change of its health, and each hour while it refuses some. Null if it is not known."`
	Refused *Refusals  `json:"refused" doc:"What it refused while it takes others, or did not take while it failed, and may still wait; null if there is nothing. The backlog counts it."`
}

// Refusals are logs that a destination did not take.
type Refusals struct {
	Since  time.Time    `json:"since" doc:"When the first was refused, or when the destination was set up anew after that."`
	Code   failure.Code `json:"code" doc:"Why the first was refused, see docs/errors.md."`
	Answer string       `json:"answer,omitempty" doc:"What the service answered, as above."`
}

// Warning is something that is no error and may be a mistake.
type Warning struct {
	Field   string `json:"field" doc:"Such as log_types[1]."`
	Code    string `json:"code" enum:"log_type_misspelt,log_type_not_published" doc:"Later versions may add codes."`
	Message string `json:"message"`
}

// warningsOf are what an admin who looks at the destination may want to correct.
func warningsOf(d directory.Destination) (list []Warning) {
	for _, odd := range d.OddTypes() {
		w := Warning{Field: fmt.Sprintf("log_types[%d]", odd.Place)}
		if odd.Near != "" {
			w.Code, w.Message = "log_type_misspelt", fmt.Sprintf("%q is not a published log type; did you mean %q?", odd.Type, odd.Near)
		} else {
			w.Code, w.Message = "log_type_not_published", fmt.Sprintf("%q is not a published log type (%s); only logs that a producer sends with this very type come to the destination", odd.Type,
				strings.Join(directory.PublishedTypes(), ", "))
		}
		list = append(list, w)
	}
	return list
}

func viewDestination(d directory.Destination) Destination {
	v := Destination{
		ID: d.ID, Name: d.Name, WorkspaceID: d.WorkspaceID, Kind: d.Kind, Shared: d.Shared, LogTypes: some(d.LogTypes), Settings: Object(d.Settings),
		State: d.State, StateSince: d.StateSince, Generation: d.Generation, Health: Health{State: d.Health.State, Code: d.Health.Code, Answer: d.Health.Answer},
		Draining: d.Draining, Version: d.Version, ExternalID: d.ExternalID, Incarnation: d.Incarnation,
	}
	v.Warnings = warningsOf(d)
	if v.Health.State == "" {
		v.Health.State = directory.Healthy
	}
	if !d.Health.Since.IsZero() {
		v.Health.Since = &d.Health.Since
	}
	if ends := d.GraceEnds(); d.InGrace() {
		v.GraceEndsAt = &ends
	}
	if !d.Health.TakenAt.IsZero() {
		v.Health.TakenAt = &d.Health.TakenAt
	}
	if r := d.Health.Refused; d.Health.Refuses() {
		v.Health.Refused = &Refusals{Since: r.Since, Code: r.Code, Answer: r.Answer}
	}
	return v
}

// etag changes with an admin's change and with every transition of the connection, not with the health, which changes by
// itself. One of a record that was deleted fits no other, whatever its counters.
func etag(d directory.Destination) string {
	return fmt.Sprintf(`"%s.%d.%d"`, d.Incarnation, d.Version, d.Generation)
}

type destinationAnswer struct {
	Status int
	ETag   string `header:"ETag"`
	Body   Destination
}

func answerDestination(status int, d directory.Destination) *destinationAnswer {
	return &destinationAnswer{Status: status, ETag: etag(d), Body: viewDestination(d)}
}

// DestinationPage is a page of destinations.
type DestinationPage struct {
	Items []Destination `json:"items" nullable:"false"`
	Next  *string       `json:"next" doc:"Where the next page begins, or null."`
}

func (a *API) destinationRoutes(api huma.API) {
	tags := []string{"destinations"}
	huma.Register(api, huma.Operation{OperationID: "list-destinations", Method: http.MethodGet, Path: "/v1/destinations", Summary: "List destinations by id",
		Tags: tags, Errors: []int{http.StatusNotFound, http.StatusUnprocessableEntity},
		Description: "Without their credentials, in pages. With workspace_id, those that this workspace owns. Deleted ones are among them until they are removed, see state and grace_ends_at."}, a.listDestinations)
	huma.Register(api, huma.Operation{OperationID: "get-destination", Method: http.MethodGet, Path: "/v1/destinations/{id}", Summary: "Get a destination",
		Tags: tags, Errors: []int{http.StatusNotFound},
		Description: "Without its credentials, which are never shown."}, a.getDestination)
	huma.Register(api, huma.Operation{OperationID: "put-destination", Method: http.MethodPut, Path: "/v1/destinations/{id}",
		Summary: "Create or replace a destination", Tags: tags, MaxBodyBytes: maxBody,
		Description: "A destination that is created under the id of one that was deleted gets the logs that still wait for that one, if the same workspace owned it; the id of another workspace's answers 409 as long as logs wait. " +
			"If that one could still be restored, it is removed first.",
		Errors: []int{http.StatusBadRequest, http.StatusConflict, http.StatusPreconditionFailed, http.StatusRequestEntityTooLarge}}, a.putDestination)
	huma.Register(api, huma.Operation{OperationID: "patch-destination", Method: http.MethodPatch, Path: "/v1/destinations/{id}",
		Summary: "Change parts of a destination", Tags: tags, MaxBodyBytes: maxBody,
		Errors:      []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusRequestEntityTooLarge},
		Description: "Settings are merged (RFC 7396), the rest is replaced. The destination must take a test log first, unless verify is false."}, a.patchDestination)
}

func (a *API) listDestinations(ctx context.Context, in *struct {
	Paging
	WorkspaceID string `query:"workspace_id" maxLength:"128" doc:"Only those that this workspace owns."`
}) (*struct{ Body DestinationPage }, error) {
	after, err := in.after()
	if err != nil {
		return nil, err
	}
	found, err := a.destinations(ctx, in.WorkspaceID, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	page, next := cut(found, func(d directory.Destination) string { return d.ID }, in.Limit)
	out := &struct{ Body DestinationPage }{DestinationPage{Items: make([]Destination, len(page)), Next: next}}
	for i, d := range page {
		out.Body.Items[i] = viewDestination(d)
	}
	return out, nil
}

// destinations gives up to limit destinations by id, from behind one on, of all or of one workspace.
func (a *API) destinations(ctx context.Context, workspaceID, after string, limit int) ([]directory.Destination, error) {
	if workspaceID == "" {
		found, err := a.Listing.DestinationsAfter(ctx, after, limit)
		if err != nil {
			return nil, a.internal(ctx, err)
		}
		return found, nil
	}
	own, err := a.owned(ctx, workspaceID)
	if err != nil {
		return nil, err
	}
	own = slices.DeleteFunc(own, func(d directory.Destination) bool { return d.ID <= after })
	slices.SortFunc(own, func(x, y directory.Destination) int { return cmp.Compare(x.ID, y.ID) })
	return own[:min(limit, len(own))], nil
}

func (a *API) getDestination(ctx context.Context, in *DestinationPath) (*destinationAnswer, error) {
	d, err := a.Destinations.CurrentDestination(ctx, in.ID)
	if err != nil {
		return nil, a.destinationError(ctx, in.ID, err)
	}
	return answerDestination(http.StatusOK, d), nil
}

func (a *API) putDestination(ctx context.Context, in *struct {
	DestinationPath
	Conditions
	Verification
	Body DestinationInput
}) (*destinationAnswer, error) {
	if in.Body.ID != "" && in.Body.ID != in.ID {
		return nil, invalidField("body.id", "must be the id of the path, or be left out")
	}
	return a.change(ctx, change{
		id: in.ID, conditions: in.Conditions, create: true,
		apply:       func(before directory.Destination) (directory.Destination, error) { return put(before, in.ID, in.Body) },
		credentials: (*json.RawMessage)(in.Body.Credentials), verify: in.wanted(in.Body.Verify), externalID: in.Body.ExternalID,
	})
}

func (a *API) patchDestination(ctx context.Context, in *struct {
	DestinationPath
	Conditions
	Verification
	Body DestinationPatch
}) (*destinationAnswer, error) {
	return a.change(ctx, change{
		id: in.ID, conditions: in.Conditions,
		apply:       func(before directory.Destination) (directory.Destination, error) { return patch(before, in.Body) },
		credentials: (*json.RawMessage)(in.Body.Credentials), verify: in.wanted(in.Body.Verify),
	})
}

// wanted says whether to verify: yes, unless the query or the body says no.
func (v Verification) wanted(body *bool) bool { return !v.Verify.no() && (body == nil || *body) }
