package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMutationsAreCurrent holds that each mutation still finds the one place that it breaks.
func TestMutationsAreCurrent(t *testing.T) {
	for _, m := range mutations() {
		text, err := os.ReadFile(filepath.Join("..", "..", m.file))
		if err != nil {
			t.Errorf("%s: %v", m.what, err)
			continue
		}
		if n := strings.Count(string(text), m.old); n != 1 {
			t.Errorf("%s: %s says this %d times:\n%s", m.what, m.file, n, m.old)
		}
	}
}
