package admin

import (
	"context"
	"fmt"
	"net/http"

	"github.com/auditrelay/auditrelay/internal/connection"
	"github.com/auditrelay/auditrelay/internal/directory"
)

// record writes down a change that was made. If that fails, the client is told that the change stands.
func (a *API) record(ctx context.Context, activity connection.Activity) error {
	activity.At, activity.By = a.Now(), callerFrom(ctx)
	if err := a.Audit.Record(ctx, activity); err != nil {
		a.Fault(fmt.Errorf("record %s in the activity audit: %w", activity.Event, err))
		return problem(http.StatusInternalServerError, "the change was made, but not written into the activity audit; the operator finds the reason in the function's log")
	}
	return nil
}

func workspaceActivity(event connection.Event, w directory.Workspace) connection.Activity {
	return connection.Activity{Event: event, Workspace: w}
}

func destinationActivity(event connection.Event, d directory.Destination, fields ...string) connection.Activity {
	return connection.Activity{Event: event, Workspace: directory.Workspace{ID: d.WorkspaceID}, Destination: d, Fields: fields}
}
