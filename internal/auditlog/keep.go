package auditlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
)

// zeroRetention finds the field in any text, also where a producer has put JSON into a string.
var zeroRetention = regexp.MustCompile(`"zero_retention\\*"[ \t\r\n]*:[ \t\r\n]*`)

// longestKept bounds what is kept of one field.
const longestKept = 200

// Keepable gives what may be kept of a message that is no valid log: the message as it came, unless it asks for zero retention anywhere. Such a
// message may hold job data in any place, because the rule that it breaks may be about the place; so only the fields that name the log are kept.
func Keepable(body []byte) []byte {
	e, err := open(body)
	asks := err == nil && e.zeroRetention != nil && string(e.zeroRetention) != "false"
	for _, at := range zeroRetention.FindAllIndex(body, -1) {
		asks = asks || !bytes.HasPrefix(body[at[1]:], []byte("false"))
	}
	if !asks {
		return body
	}
	kept := []byte{'{'}
	for _, f := range []struct {
		name  string
		value json.RawMessage
	}{{"id", e.id}, {"workspace_id", e.workspaceID}, {"type", e.logType}, {"occurred_at", e.occurredAt}, {"zero_retention", e.zeroRetention}} {
		if err != nil || len(f.value) == 0 || len(f.value) > longestKept || f.value[0] == '{' || f.value[0] == '[' {
			continue
		}
		kept = fmt.Appendf(kept, "%q:%s,", f.name, f.value)
	}
	return fmt.Appendf(kept, `"withheld":"the message has %d bytes and asks for zero retention; the producer must send it again"}`, len(body))
}
