package sink

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/directory"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// FieldError says why settings or credentials cannot work: which field, and the rule that it breaks. It quotes no value of a credential.
type FieldError struct {
	Field string
	Rule  string
}

// Error gives a sentence such as "settings.url: must be an https URL".
func (e *FieldError) Error() string { return e.Field + ": " + e.Rule }

// invalid makes a FieldError.
func invalid(field, rule string, a ...any) error {
	return &FieldError{Field: field, Rule: fmt.Sprintf(rule, a...)}
}

// environment is what a kind is built with, besides its settings and credentials.
type environment struct {
	network Network
	account Account
	now     func() time.Time
	// said knows what a receiver must not be quoted with: build fills it from the credentials.
	said discretion
	// open, if set, counts open connections.
	open *atomic.Int64
	// room is where requests take their memory from, for the workspace owner.
	room  *Room
	owner string
	// saving is true when an admin saves the destination. Rules whose breach has a harmless fallback when logs are sent are errors then.
	saving bool
}

// Validate says whether a destination can work with these settings and credentials, as far as that can be known without connecting. The error
// is a *FieldError, for the admin who saves the destination.
func Validate(d directory.Destination, credentials json.RawMessage, n Network) error {
	if err := checkNames("settings", d.Settings); err != nil {
		return err
	}
	if err := checkNames("credentials", credentials); err != nil {
		return err
	}
	_, err := build(d, credentials, environment{network: n, now: time.Now, saving: true})
	return err
}

// kindField is the field of a FieldError about a destination's kind.
const kindField = "kind"

// configInvalid is what a FieldError becomes when it shows only as logs are to be sent.
func configInvalid(err error) error {
	if f, ok := errors.AsType[*FieldError](err); ok {
		if f.Field == kindField {
			return &failure.Error{Code: failure.ConfigUnknownKind, Detail: f.Error(), Err: err}
		}
		return &failure.Error{Code: failure.ConfigInvalid, Detail: f.Error(), Err: err}
	}
	return err
}

// build is the one place that knows every kind. The error is a *FieldError, or a *failure.Error for settings of which the
// catalogue has a code of its own. Nothing connects before the first Send.
func build(d directory.Destination, credentials json.RawMessage, env environment) (delivery.Sink, error) {
	env.said = newDiscretion(credentials)
	switch d.Kind {
	case directory.HTTP:
		return newHTTP(d.Settings, credentials, env)
	case directory.S3:
		return newS3(d, credentials, env)
	case directory.AzureMonitor:
		return newAzureMonitor(d.Settings, credentials, env)
	case directory.AzureBlob:
		return newAzureBlob(d.Settings, credentials, env)
	case directory.GCS:
		return newGCS(d.Settings, credentials, env)
	default:
		return nil, invalid(kindField, "this version does not know the kind %q", d.Kind)
	}
}

// decode reads a JSON object strictly: a key that into does not have is refused by its name. field is "settings" or "credentials". Nothing at
// all, or null, is an empty object.
func decode(field string, raw json.RawMessage, into any) error {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	if raw[0] != '{' {
		return invalid(field, "must be a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return undecodable(field, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return invalid(field, "must be one JSON object and nothing after it")
	}
	return nil
}

// unknownKey finds the name in the one error of encoding/json that has no type.
var unknownKey = regexp.MustCompile(`^json: unknown field "(.*)"$`)

// undecodable names the field of a decoding error without quoting its value, which may be a credential.
func undecodable(field string, err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		for name := range strings.SplitSeq(wrong.Field, ".") {
			if name != "" && strings.ToLower(name) == name { // the others are names of embedded Go types
				field += "." + name
			}
		}
		return invalid(field, "must be %s, not %s", article(wrong.Type.Kind().String()), article(wrong.Value))
	}
	if name := unknownKey.FindStringSubmatch(err.Error()); name != nil {
		return invalid(field+"."+name[1], "is not known for this kind of destination")
	}
	if inner, ok := errors.AsType[*FieldError](err); ok {
		return inner
	}
	return invalid(field, "is not valid JSON")
}

// article puts a type's name into words.
func article(kind string) string {
	switch kind {
	case "bool":
		return "true or false"
	case "slice", "array":
		return "a list"
	case "map", "struct", "object":
		return "an object"
	case "int", "int64", "uint", "uint64":
		return "a whole number"
	}
	return "a " + kind
}

// Secret is a credential that shows itself nowhere: not in messages, log lines or JSON.
type Secret string

const redacted = "[redacted]"

// Reveal gives the credential itself, for the one place that sends it or signs with it.
func (s Secret) Reveal() string { return string(s) }

// String hides the credential.
func (s Secret) String() string { return redacted }

// GoString hides the credential from %#v.
func (s Secret) GoString() string { return redacted }

// Format hides the credential from every verb, also from those that do not ask for String.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalJSON hides the credential.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText hides the credential from encoders other than JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue hides the credential from log lines.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
