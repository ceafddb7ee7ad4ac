package admin

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/auditrelay/auditrelay/events"
	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
)

// Paging is what every list takes.
type Paging struct {
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many items a page has at most."`
	Next  string `query:"next" maxLength:"600" doc:"Where to go on: the value of next that the page before gave."`
}

func badCursor() *Problem {
	p := problem(http.StatusUnprocessableEntity, "query.next must be the value of next that the page before gave, for the same list")
	p.Errors = []FieldProblem{{Field: "query.next", Rule: "must be the value of next that the page before gave"}}
	return p
}

// encodeCursor makes a page's next of parts that hold no newline.
func encodeCursor(parts ...string) *string {
	c := base64.RawURLEncoding.EncodeToString([]byte(strings.Join(parts, "\n")))
	return &c
}

// decodeCursor is its reverse for n parts; ok is false for anything else.
func decodeCursor(cursor string, n int) (parts []string, ok bool) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return nil, false
	}
	parts = strings.Split(string(text), "\n")
	return parts, len(parts) == n
}

// keyCursor points behind a delivery or a failed event.
func keyCursor(k delivery.Key) *string {
	return encodeCursor(k.DestinationID, strconv.FormatInt(k.AcceptedAt.UnixMilli(), 10), k.WorkspaceID, k.LogID, k.Hash)
}

// latestAcceptance bounds the time in a cursor: 13 digits of milliseconds.
const latestAcceptance = 9_999_999_999_999

// parseKeyCursor reads a cursor; an empty one is the zero key.
func parseKeyCursor(cursor string) (delivery.Key, error) {
	if cursor == "" {
		return delivery.Key{}, nil
	}
	parts, ok := decodeCursor(cursor, 5)
	if !ok || !auditlog.IsHash(parts[4]) && parts[4] != "" {
		return delivery.Key{}, badCursor()
	}
	ms, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || ms < 0 || ms > latestAcceptance {
		return delivery.Key{}, badCursor()
	}
	for _, id := range []string{parts[0], parts[2], parts[3]} {
		if events.CheckID("id", id) != nil {
			return delivery.Key{}, badCursor()
		}
	}
	return delivery.Key{DestinationID: parts[0], WorkspaceID: parts[2], LogID: parts[3], AcceptedAt: time.UnixMilli(ms).UTC(), Hash: parts[4]}, nil
}

// after is the id behind which a list by id goes on, "" for the first page.
func (p Paging) after() (string, error) {
	if p.Next == "" {
		return "", nil
	}
	parts, ok := decodeCursor(p.Next, 1)
	if !ok || events.CheckID("id", parts[0]) != nil {
		return "", badCursor()
	}
	return parts[0], nil
}

// cut makes a page of what was found by id, one more than the page takes if there are more.
func cut[T any](found []T, id func(T) string, limit int) (page []T, next *string) {
	if len(found) <= limit {
		return found, nil
	}
	return found[:limit], encodeCursor(id(found[limit-1]))
}
