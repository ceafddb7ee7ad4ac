package foreign

import (
	"encoding/json"
	"errors"
	"strings"
)

// find gives the value of a field, or nil where it is not there or null. A path leads into objects by dots:
// "request.id". A name that has dots itself is found too, and before a path is.
func find(fields map[string]json.RawMessage, path string) json.RawMessage {
	if path == "" {
		return nil
	}
	if raw := fields[path]; raw != nil && string(raw) != "null" {
		return raw
	}
	for i, c := range path {
		if c != '.' {
			continue
		}
		var inner map[string]json.RawMessage
		if outer := fields[path[:i]]; outer == nil || json.Unmarshal(outer, &inner) != nil {
			continue
		}
		if raw := find(inner, path[i+1:]); raw != nil {
			return raw
		}
	}
	return nil
}

var errNoText = errors.New("it is not a string")

// text reads a JSON string.
func text(raw json.RawMessage) (string, error) {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return "", errNoText
	}
	return s, nil
}

// wholeNumber says whether a JSON value is one, as the ids of many systems are.
func wholeNumber(raw json.RawMessage) bool {
	digits := strings.TrimPrefix(string(raw), "-")
	return digits != "" && strings.Trim(digits, "0123456789") == ""
}
