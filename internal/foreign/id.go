package foreign

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/auditrelay/auditrelay/events"
)

// id names an event in the first way all of whose fields it has.
func (f Form) id(fields map[string]json.RawMessage, event []byte) (string, error) {
	for _, way := range f.ID {
		parts, ok, err := idParts(fields, way, event)
		if err != nil {
			return "", err
		}
		if ok {
			return idOf(parts), nil
		}
	}
	var names []string
	for _, way := range f.ID {
		names = append(names, way...)
	}
	return "", missing(names, "--id-field")
}

// idParts reads the fields of one way; ok is false where one is not there or empty.
func idParts(fields map[string]json.RawMessage, way []string, event []byte) (parts []string, ok bool, err error) {
	for _, name := range way {
		if name == SHA256 {
			sum := sha256.Sum256(event)
			if len(way) == 1 {
				return []string{hex.EncodeToString(sum[:])}, true, nil
			}
			parts = append(parts, shortHash(sum))
			continue
		}
		raw := find(fields, name)
		if raw == nil {
			return nil, false, nil
		}
		part := string(raw)
		if !wholeNumber(raw) {
			if part, err = text(raw); err != nil {
				return nil, false, fmt.Errorf("the field %q (--id-field) is neither a string nor a whole number", name)
			}
		}
		if part == "" {
			return nil, false, nil
		}
		parts = append(parts, part)
	}
	return parts, len(parts) > 0, nil
}

// shortHash is half of a hash, which is enough beside other parts of a name: 128 bits.
func shortHash(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:sha256.Size/2]) }

// idOf joins parts by dots. Where that breaks the rule of ids, or could be the name of other parts too,
// characters that break it become underscores, and a hash of the parts is added: two events never share an id
// that they do not share in their own system.
func idOf(parts []string) string {
	id := strings.Join(parts, ".")
	if events.CheckID("id", id) == nil && (len(parts) == 1 || strings.Count(id, ".") == len(parts)-1) {
		return id
	}
	hash := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(hash, "%d:%s", len(p), p)
	}
	tail := "-" + shortHash([sha256.Size]byte(hash.Sum(nil)))
	clean := strings.Map(func(r rune) rune {
		if events.CheckID("id", string(r)) == nil {
			return r
		}
		return '_'
	}, id)
	return clean[:min(len(clean), events.MaxIDLength-len(tail))] + tail
}
