package dynamotest

import "strings"

// Deliveries is the table of that name as infra/tables.go makes it.
func Deliveries() Schema {
	return Schema{
		Name: "deliveries", Partition: "pk", Sort: "sk", TTL: "ttl", Streams: followed,
		Indexes: []Index{{Name: "due", Partition: "ds", Sort: "du", Includes: []string{"rd"}}},
	}
}

// Directory is the table of that name as infra/tables.go makes it.
func Directory() Schema {
	return Schema{
		Name: "directory", Partition: "pk", TTL: "ttl",
		Indexes: []Index{
			{Name: "owner", Partition: "workspace_id", Sort: "pk"},
			{Name: "attention", Partition: "attention", Sort: "pk"},
			{Name: "listed", Partition: "listed", Sort: "pk", Includes: []string{"parent_id"}},
		},
	}
}

// followed are the changes that the filters of expire's event source let through, see infra/triggers.go: failed events that are recorded, deliveries that
// TTL removed, and items that named a document outside the table.
func followed(c Change) bool {
	switch pk := Text(either(c.After, c.Before), "pk"); {
	case c.Before == nil:
		return strings.HasPrefix(pk, "F#")
	case c.After == nil && c.ByTTL && strings.HasPrefix(pk, "D#"):
		return true
	}
	return c.Before["o"] != nil
}
