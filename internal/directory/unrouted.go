package directory

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// Unrouted are logs of one workspace that no destination asks for.
type Unrouted struct {
	WorkspaceID string `json:"workspace_id"`
	Name        string `json:"name,omitempty"`
	// OwnerID is the workspace that is told, once for all of its children: of a partner with thousands one stands for the others.
	OwnerID string `json:"owner_id"`
	// Logs is how many there were at the least.
	Logs int `json:"logs"`
	// LogTypes are their types, in order; Others says that there are more than are named.
	LogTypes []string `json:"log_types"`
	Others   bool     `json:"others,omitempty"`
	// Asked stands for the types that the destinations ask for: a mail about other ones is another mail.
	Asked string `json:"asked"`
}

// unroutedTypes is how many types are named at most.
const unroutedTypes = 20

// Add counts a log of a type.
func (u *Unrouted) Add(logType string) {
	u.Logs++
	i, named := slices.BinarySearch(u.LogTypes, logType)
	switch {
	case named:
	case len(u.LogTypes) >= unroutedTypes:
		u.Others = true
	default:
		u.LogTypes = slices.Insert(u.LogTypes, i, logType)
	}
}

// Served gives the destination whose owner is to be told of logs that nobody asks for, and what stands for the types that are asked for. It is the first
// by id of the workspace's own that are connected or, if it owns none, of its parent's shared ones. Without one, ok is false: the workspace never asked to
// have its logs streamed, or wants none at present.
func Served(own, parents []Destination) (d Destination, asked string, ok bool) {
	serving := own
	if len(own) == 0 {
		serving = pick(parents, func(d Destination) bool { return d.Shared })
	}
	connected := pick(serving, func(d Destination) bool { return d.State == Connected })
	if len(connected) == 0 {
		return Destination{}, "", false
	}
	var types []string
	for _, d := range serving {
		types = append(types, d.LogTypes...)
	}
	slices.Sort(types)
	sum := sha256.Sum256([]byte(strings.Join(slices.Compact(types), "\n")))
	first := slices.MinFunc(connected, func(a, b Destination) int { return cmp.Compare(a.ID, b.ID) })
	return first, hex.EncodeToString(sum[:8]), true
}
