package sink

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// checkNames refuses what encoding/json takes and people do not mean: a name that stands twice, of which the last
// counts, and a name in other capitals, which counts as the setting that it resembles. The names of headers are the
// admin's own. field is "settings" or "credentials".
func checkNames(field string, raw json.RawMessage) error {
	in := jsontext.NewDecoder(bytes.NewReader(raw), jsontext.AllowInvalidUTF8(true))
	token, err := in.ReadToken()
	for ; err == nil; token, err = in.ReadToken() {
		if kind, n := in.StackIndex(in.StackDepth()); kind != '{' || n%2 == 0 {
			continue
		}
		name := token.String()
		within := in.StackPointer().Parent()
		if within != "/headers" && strings.ToLower(name) != name {
			return invalid(fieldAt(field, within, name), "is not known for this kind of destination; names have small letters")
		}
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return invalid(fieldAt(field, in.StackPointer(), ""), "is there twice, and only one can count")
	}
	return nil // what is no JSON is refused where it is decoded
}

// fieldAt writes where something stands as fields are written: settings.oauth.token_url.
func fieldAt(field string, at jsontext.Pointer, name string) string {
	for part := range at.Tokens() {
		field += "." + part
	}
	if name != "" {
		field += "." + name
	}
	return field
}
