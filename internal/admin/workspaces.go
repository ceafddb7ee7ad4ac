package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// WorkspacePath names a workspace.
type WorkspacePath struct {
	ID string `path:"id" minLength:"1" maxLength:"128" pattern:"^[A-Za-z0-9._-]+$" patternDescription:"1 to 128 of A-Z a-z 0-9 . _ -" doc:"The workspace's id, as logs name it."`
}

// WorkspaceInput is a workspace as it is put.
type WorkspaceInput struct {
	ID              string                  `json:"id,omitempty" doc:"May repeat the id of the path."`
	Name            string                  `json:"name,omitempty" maxLength:"200" pattern:"^[^\\x00-\\x1f\\x7f]*$" patternDescription:"text of one line" doc:"The account's name; mails show it."`
	Kind            directory.WorkspaceKind `json:"kind" enum:"standalone,embedded_partner,embedded_customer,ahq_admin,ahq_managed"`
	ParentID        string                  `json:"parent_id,omitempty" maxLength:"128" doc:"The partner or AHQ admin workspace whose shared destinations serve this one."`
	Admins          []string                `json:"admins,omitempty" maxItems:"100" nullable:"true" doc:"Mail addresses."`
	ErrorRecipients []string                `json:"error_recipients,omitempty" maxItems:"100" nullable:"true" doc:"Mail addresses that get the same mails as the admins."`
	ExternalID      string                  `json:"external_id,omitempty" doc:"May repeat what GET answers. It is made by this system and cannot be chosen."`
}

// Workspace is a workspace as it is answered.
type Workspace struct {
	ID              string                  `json:"id"`
	Name            string                  `json:"name"`
	Kind            directory.WorkspaceKind `json:"kind"`
	ParentID        string                  `json:"parent_id,omitempty"`
	Admins          []string                `json:"admins"`
	ErrorRecipients []string                `json:"error_recipients"`
	ExternalID      string                  `json:"external_id" doc:"What the trust policies of roles for the workspace's S3 destinations must demand as sts:ExternalId. It is random, made with the workspace, and never changes."`
}

type workspaceAnswer struct {
	Status int
	ETag   string `header:"ETag"`
	Body   Workspace
}

func answerWorkspace(status int, w directory.Workspace) *workspaceAnswer {
	return &workspaceAnswer{Status: status, ETag: workspaceTag(w), Body: viewWorkspace(w)}
}

func workspaceTag(w directory.Workspace) string {
	return fmt.Sprintf(`"%s.%d"`, w.Incarnation, w.Revision)
}

func viewWorkspace(w directory.Workspace) Workspace {
	return Workspace{ID: w.ID, Name: w.Name, Kind: w.Kind, ParentID: w.ParentID, Admins: some(w.Admins), ErrorRecipients: some(w.ErrorRecipients), ExternalID: w.ExternalID}
}

// some makes an empty list of none, so that it is [] in JSON.
func some(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// WorkspacePage is a page of workspaces.
type WorkspacePage struct {
	Items []Workspace `json:"items" nullable:"false"`
	Next  *string     `json:"next" doc:"Where the next page begins, or null."`
}

func (a *API) workspaceRoutes(api huma.API) {
	huma.Register(api, huma.Operation{OperationID: "list-workspaces", Method: http.MethodGet, Path: "/v1/workspaces", Summary: "List workspaces by id",
		Tags: []string{"workspaces"}, Errors: []int{http.StatusUnprocessableEntity},
		Description: "With their names, kinds and mail addresses, in pages."}, a.listWorkspaces)
	huma.Register(api, huma.Operation{OperationID: "get-workspace", Method: http.MethodGet, Path: "/v1/workspaces/{id}", Summary: "Get a workspace",
		Tags: []string{"workspaces"}, Errors: []int{http.StatusNotFound},
		Description: "With the external id that the roles of its S3 destinations must demand."}, a.getWorkspace)
	huma.Register(api, huma.Operation{OperationID: "put-workspace", Method: http.MethodPut, Path: "/v1/workspaces/{id}", Summary: "Create or replace a workspace",
		Tags: []string{"workspaces"}, MaxBodyBytes: maxBody, Errors: []int{http.StatusBadRequest, http.StatusPreconditionFailed, http.StatusRequestEntityTooLarge},
		Description: "It may be repeated. What GET answered may be put back as it came."}, a.putWorkspace)
	huma.Register(api, huma.Operation{OperationID: "delete-workspace", Method: http.MethodDelete, Path: "/v1/workspaces/{id}",
		Summary: "Delete a workspace that has no destinations and no children", DefaultStatus: http.StatusNoContent,
		Tags: []string{"workspaces"}, Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed},
		Description: "Logs of it that are still sent are counted as unrouted."}, a.deleteWorkspace)
}

func (a *API) listWorkspaces(ctx context.Context, in *struct{ Paging }) (*struct{ Body WorkspacePage }, error) {
	after, err := in.after()
	if err != nil {
		return nil, err
	}
	found, err := a.Listing.WorkspacesAfter(ctx, after, in.Limit+1)
	if err != nil {
		return nil, a.internal(ctx, err)
	}
	page, next := cut(found, func(w directory.Workspace) string { return w.ID }, in.Limit)
	out := &struct{ Body WorkspacePage }{WorkspacePage{Items: make([]Workspace, len(page)), Next: next}}
	for i, w := range page {
		out.Body.Items[i] = viewWorkspace(w)
	}
	return out, nil
}

func (a *API) getWorkspace(ctx context.Context, in *WorkspacePath) (*workspaceAnswer, error) {
	w, err := a.Workspaces.CurrentWorkspace(ctx, in.ID)
	if errors.Is(err, directory.ErrNotFound) {
		return nil, noWorkspace(in.ID)
	}
	if err != nil {
		return nil, a.internal(ctx, fmt.Errorf("look up workspace %s: %w", in.ID, err))
	}
	return answerWorkspace(http.StatusOK, w), nil
}

// owned gives the destinations of a workspace, as of now: what owns one is not deleted.
func (a *API) owned(ctx context.Context, id string) ([]directory.Destination, error) {
	_, own, err := a.Workspaces.WorkspaceSince(ctx, id, a.Now())
	if errors.Is(err, directory.ErrNotFound) {
		return nil, noWorkspace(id)
	}
	if err != nil {
		return nil, a.internal(ctx, fmt.Errorf("look up workspace %s: %w", id, err))
	}
	return own, nil
}

func (a *API) putWorkspace(ctx context.Context, in *struct {
	WorkspacePath
	Conditions
	Body WorkspaceInput
}) (*workspaceAnswer, error) {
	if in.Body.ID != "" && in.Body.ID != in.ID {
		return nil, invalidField("body.id", "must be the id of the path, or be left out")
	}
	w := directory.Workspace{
		ID: in.ID, Name: in.Body.Name, Kind: in.Body.Kind, ParentID: in.Body.ParentID, Admins: in.Body.Admins, ErrorRecipients: in.Body.ErrorRecipients,
		ExternalID: in.Body.ExternalID,
	}
	if err := a.checkWorkspace(ctx, w); err != nil {
		return nil, err
	}
	for range writesAtMost {
		answer, err := a.replaceWorkspace(ctx, w, in.Conditions)
		if errors.Is(err, directory.ErrChanged) {
			continue
		}
		return answer, err
	}
	return nil, changedMeanwhile()
}

// replaceWorkspace stores a workspace over the one that is there. The error is directory.ErrChanged if another was written meanwhile.
func (a *API) replaceWorkspace(ctx context.Context, w directory.Workspace, conditions Conditions) (*workspaceAnswer, error) {
	event, status, tag := connection.WorkspaceUpdated, http.StatusOK, ""
	before, err := a.Workspaces.CurrentWorkspace(ctx, w.ID)
	switch {
	case errors.Is(err, directory.ErrNotFound):
		event, status = connection.WorkspaceCreated, http.StatusCreated
	case err != nil:
		return nil, a.internal(ctx, fmt.Errorf("look up workspace %s: %w", w.ID, err))
	default:
		tag = workspaceTag(before)
	}
	if err := conditions.check(fmt.Sprintf("workspace %q", w.ID), tag); err != nil {
		return nil, err
	}
	if w.ExternalID, err = externalID(before.ExternalID, w.ExternalID); err != nil {
		return nil, err
	}
	if w.ExternalID == "" {
		w.ExternalID = directory.NewExternalID()
	}
	if tag != "" && reflect.DeepEqual(viewWorkspace(before), viewWorkspace(w)) {
		return answerWorkspace(http.StatusOK, before), nil
	}
	w.Incarnation, w.Revision = before.Incarnation, before.Revision
	if w.Revision == 0 {
		w.Incarnation = directory.NewIncarnation()
	}
	tell, err := a.workspaceActivity(ctx, event, w)
	if err != nil {
		return nil, err
	}
	if err := a.Workspaces.PutWorkspace(ctx, w, tell); errors.Is(err, directory.ErrChanged) {
		return nil, err
	} else if err != nil {
		return nil, a.internal(ctx, err)
	}
	a.Outbox.Tell(ctx, tell)
	w.Revision++
	return answerWorkspace(status, w), nil
}

// checkWorkspace holds the rules that the document's schema cannot say.
func (a *API) checkWorkspace(ctx context.Context, w directory.Workspace) error {
	if err := checkAddresses("body.admins", w.Admins); err != nil {
		return err
	}
	if err := checkAddresses("body.error_recipients", w.ErrorRecipients); err != nil {
		return err
	}
	switch w.ParentID {
	case "":
		return nil
	case w.ID:
		return invalidField("body.parent_id", "must be another workspace")
	}
	_, err := a.Workspaces.CurrentWorkspace(ctx, w.ParentID)
	if errors.Is(err, directory.ErrNotFound) {
		return invalidField("body.parent_id", "must be a workspace that is there; put the parent first")
	}
	if err != nil {
		return a.internal(ctx, fmt.Errorf("look up parent workspace: %w", err))
	}
	return nil
}

func checkAddresses(field string, list []string) error {
	for i, text := range list {
		if err := directory.CheckAddress(text); err != nil {
			return invalidField(fmt.Sprintf("%s[%d]", field, i), "%v", err)
		}
	}
	return nil
}

// mayGo says whether a workspace that owns these destinations may be deleted. Those that are deleted keep it too, until they are removed: the workspace
// is whose admins are told of it, and to whom they can be restored.
func mayGo(own []directory.Destination) error {
	for _, d := range own {
		if d.State != directory.Deleted {
			return problem(http.StatusConflict, "the workspace owns %d destinations, %s for one; delete them first", len(own), d.ID)
		}
	}
	if len(own) == 0 {
		return nil
	}
	return problem(http.StatusConflict, "%d deleted destinations of the workspace can still be restored, %s until %s; delete the workspace after that, or purge them: DELETE /v1/destinations/%s?purge=true",
		len(own), own[0].ID, own[0].GraceEnds().UTC().Format(time.RFC3339), own[0].ID)
}

func (a *API) deleteWorkspace(ctx context.Context, in *struct {
	WorkspacePath
	Conditions
}) (*struct{}, error) {
	w, err := a.Workspaces.CurrentWorkspace(ctx, in.ID)
	if errors.Is(err, directory.ErrNotFound) {
		return nil, noWorkspace(in.ID)
	}
	if err != nil {
		return nil, a.internal(ctx, fmt.Errorf("look up workspace %s: %w", in.ID, err))
	}
	if err := in.check(fmt.Sprintf("workspace %q", w.ID), workspaceTag(w)); err != nil {
		return nil, err
	}
	own, err := a.owned(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if err := mayGo(own); err != nil {
		return nil, err
	}
	child, err := a.Listing.Child(ctx, w.ID)
	if err != nil {
		return nil, a.internal(ctx, err)
	}
	if child != "" {
		return nil, problem(http.StatusConflict, "the workspace is the parent of %s; delete its children first, or give them another parent", child)
	}
	tell, err := a.workspaceActivity(ctx, connection.WorkspaceDeleted, w)
	if err != nil {
		return nil, err
	}
	if err := a.Workspaces.DeleteWorkspace(ctx, w, tell); errors.Is(err, directory.ErrChanged) {
		return nil, changedMeanwhile()
	} else if err != nil {
		return nil, a.internal(ctx, err)
	}
	a.Outbox.Tell(ctx, tell)
	return nil, nil
}
