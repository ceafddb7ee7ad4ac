package admin

import (
	"context"
	"net/http"
	"strings"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/failure"
)

type concernKey struct{}

// concerned has errors of our own, from here on, say what they concern.
func concerned(ctx context.Context, c failure.Concern) context.Context {
	return context.WithValue(ctx, concernKey{}, c)
}

// about says of an error what its request concerns, unless the error says already what it does.
func about(ctx context.Context, err error) error {
	c, _ := ctx.Value(concernKey{}).(failure.Concern)
	if failure.ConcernOf(err) != (failure.Concern{}) {
		return err
	}
	return failure.About(c, err)
}

// concernOf is what a request names by its path and query. What is no id is left out: it would stand in our
// logs.
func concernOf(r *http.Request) failure.Concern {
	q := r.URL.Query()
	c := failure.Concern{DestinationID: q.Get("destination_id"), WorkspaceID: q.Get("workspace_id"),
		LogID: q.Get("log_id")}
	if kind, rest, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/"), "/"); ok {
		id, _, _ := strings.Cut(rest, "/")
		switch kind {
		case "destinations":
			c.DestinationID = id
		case "workspaces":
			c.WorkspaceID = id
		}
	}
	for _, id := range []*string{&c.DestinationID, &c.WorkspaceID, &c.LogID} {
		if events.CheckID("", *id) != nil {
			*id = ""
		}
	}
	return c
}
