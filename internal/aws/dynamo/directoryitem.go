package dynamo

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// The directory's kinds of items and its index. The attributes have the names of the records' JSON, times are in milliseconds.
const (
	workspacePrefix   = "W#"
	destinationPrefix = "D#"
	ownerIndex        = "owner"
	attentionIndex    = "attention"
)

// attentionShards spreads the index of the destinations that need attention over partitions, by their ids: a partition takes 1,000 writes a second,
// and an outage of everything changes all destinations at once.
const attentionShards = 16

// shardOf is the key of an id's partition, of an index that is spread over so many.
func shardOf(id string, shards uint32) string {
	h := fnv.New32a()
	h.Write([]byte(id))
	return strconv.Itoa(int(h.Sum32() % shards))
}

func directoryKey(prefix, id string) item { return item{attrPK: text(prefix + id)} }

func (i item) id() string { return i.text(attrPK)[len(workspacePrefix):] }

func (i item) setText(name, s string) {
	if s != "" {
		i[name] = text(s)
	}
}

func (i item) setTexts(name string, list []string) {
	if len(list) == 0 {
		return
	}
	values := make([]types.AttributeValue, len(list))
	for j, s := range list {
		values[j] = text(s)
	}
	i[name] = &types.AttributeValueMemberL{Value: values}
}

func (i item) texts(name string) []string {
	l, ok := i[name].(*types.AttributeValueMemberL)
	if !ok {
		return nil
	}
	var list []string
	for _, v := range l.Value {
		if s, ok := v.(*types.AttributeValueMemberS); ok {
			list = append(list, s.Value)
		}
	}
	return list
}

func (i item) truth(name string) bool {
	b, ok := i[name].(*types.AttributeValueMemberBOOL)
	return ok && b.Value
}

func workspaceItem(w directory.Workspace) item {
	i := directoryKey(workspacePrefix, w.ID)
	i[attrListed] = text(listedWorkspaces)
	i["workspace_id"] = text(w.ID)
	i["incarnation"] = text(w.Incarnation)
	i["revision"] = number(w.Revision)
	i.setText("name", w.Name)
	i.setText("kind", string(w.Kind))
	i.setText("parent_id", w.ParentID)
	i.setTexts("admins", w.Admins)
	i.setTexts("error_recipients", w.ErrorRecipients)
	i.setText("external_id", w.ExternalID)
	return i
}

func parseWorkspace(i item) (directory.Workspace, error) {
	revision, err := i.number("revision")
	if err != nil {
		return directory.Workspace{}, fmt.Errorf("workspace %s: %w", i.id(), err)
	}
	return directory.Workspace{
		ID:              i.id(),
		Name:            i.text("name"),
		Kind:            directory.WorkspaceKind(i.text("kind")),
		ParentID:        i.text("parent_id"),
		Admins:          i.texts("admins"),
		ErrorRecipients: i.texts("error_recipients"),
		ExternalID:      i.text("external_id"),
		Incarnation:     i.text("incarnation"),
		Revision:        int(revision),
	}, nil
}

func destinationItem(d directory.Destination) item {
	i := directoryKey(destinationPrefix, d.ID)
	i[attrListed] = text(listedDestinations)
	i["workspace_id"] = text(d.WorkspaceID)
	i["incarnation"] = text(d.Incarnation)
	i["shared"] = &types.AttributeValueMemberBOOL{Value: d.Shared}
	i["version"] = number(d.Version)
	i["revision"] = number(d.Revision)
	i["generation"] = number(d.Generation)
	i["state_since"] = number(millis(d.StateSince))
	i["health_since"] = number(millis(d.Health.Since))
	i["health_until"] = number(millis(d.Health.Until))
	i["health_asked_at"] = number(millis(d.Health.AskedAt))
	i["health_taken_at"] = number(millis(d.Health.TakenAt))
	if r := d.Health.Refused; d.Health.Refuses() {
		i["refused_since"] = number(millis(r.Since))
		i["refused_logs"] = number(r.Logs)
		i.setText("refused_code", string(r.Code))
		i.setText("refused_answer", r.Answer)
	}
	i["opened_at"] = number(millis(d.OpenedAt))
	i.setText("name", d.Name)
	i.setText("kind", string(d.Kind))
	i.setText("state", string(d.State))
	i.setText("health", string(d.Health.State))
	i.setText("health_code", string(d.Health.Code))
	i.setText("health_answer", d.Health.Answer)
	i.setText("settings", string(d.Settings))
	i.setText("external_id", d.ExternalID)
	i.setTexts("log_types", d.LogTypes)
	if len(d.Credentials) > 0 {
		i["credentials"] = &types.AttributeValueMemberB{Value: d.Credentials}
	}
	i.setText("farewell", d.Farewell)
	i.mark("draining", d.Draining)
	i.mark("last_look", d.LastLook)
	if d.NeedsAttention() {
		i["attention"] = text(shardOf(d.ID, attentionShards)) // the key of a sparse index
	}
	return i
}

func parseDestination(i item) (directory.Destination, error) {
	var version, revision, generation, stateSince, healthSince, healthUntil, askedAt, takenAt, refusedSince, refusedLogs, openedAt int64
	err := i.numbers(map[string]*int64{
		"version": &version, "revision": &revision, "generation": &generation, "state_since": &stateSince, "health_since": &healthSince,
		"health_until": &healthUntil, "health_asked_at": &askedAt, "health_taken_at": &takenAt, "refused_since": &refusedSince,
		"refused_logs": &refusedLogs, "opened_at": &openedAt,
	})
	if err != nil {
		return directory.Destination{}, fmt.Errorf("destination %s: %w", i.id(), err)
	}
	d := directory.Destination{
		ID:          i.id(),
		Name:        i.text("name"),
		WorkspaceID: i.text("workspace_id"),
		Kind:        directory.Kind(i.text("kind")),
		Shared:      i.truth("shared"),
		LogTypes:    i.texts("log_types"),
		ExternalID:  i.text("external_id"),
		State:       directory.State(i.text("state")),
		Generation:  int(generation),
		StateSince:  fromMillis(stateSince),
		Health: directory.Health{
			State:   directory.HealthState(i.text("health")),
			Since:   fromMillis(healthSince),
			Code:    failure.Code(i.text("health_code")),
			Answer:  i.text("health_answer"),
			Until:   fromMillis(healthUntil),
			AskedAt: fromMillis(askedAt),
			TakenAt: fromMillis(takenAt),
			Refused: directory.Refusals{
				Since:  fromMillis(refusedSince),
				Logs:   int(refusedLogs),
				Code:   failure.Code(i.text("refused_code")),
				Answer: i.text("refused_answer"),
			},
		},
		Farewell: i.text("farewell"),
		Draining: i.truth("draining"),
		LastLook: i.truth("last_look"),
		OpenedAt: fromMillis(openedAt),
		Version:  int(version),
		Revision: int(revision),
	}
	d.Incarnation = i.text("incarnation")
	if b, ok := i["credentials"].(*types.AttributeValueMemberB); ok {
		d.Credentials = b.Value
	}
	if s := i.text("settings"); s != "" {
		d.Settings = json.RawMessage(s)
	}
	return d, nil
}
