package directory

import (
	"strings"
	"testing"
)

func TestExternalIDsAreRandom(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		id := NewExternalID()
		if CheckExternalID(id) != nil || seen[id] {
			t.Fatalf("%q is no external id, or was made twice", id)
		}
		seen[id] = true
	}
}

func TestCheckExternalID(t *testing.T) {
	for text, ok := range map[string]bool{
		"": false, "x": false, "xy": true, "AZaz09_+=,.@:/-": true, "a b": false, "a\nb": false, "ä7": false,
		strings.Repeat("x", 1000): true, strings.Repeat("x", 1001): false,
	} {
		if err := CheckExternalID(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
