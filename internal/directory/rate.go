package directory

import (
	"bytes"
	"encoding/json"
)

// Rate is how many logs a second the destination takes at most, as its settings say; 0 for any number.
func (d Destination) Rate() int {
	if !bytes.Contains(d.Settings, []byte(`"rate"`)) {
		return 0 // as a rule; it is asked for each batch
	}
	var s struct {
		Rate int `json:"rate"`
	}
	if json.Unmarshal(d.Settings, &s) != nil {
		return 0 // such settings are refused by the sink
	}
	return max(0, s.Rate)
}
