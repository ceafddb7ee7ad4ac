package simulate

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/auditrelay/auditrelay/internal/picture"
)

var update = flag.Bool("update", false, "draw docs/images/backlog.svg and docs/images/retries.svg")

// TestPlotsAreCurrent draws the plots of docs/performance.md and docs/retries.md anew. A run depends on its configuration alone, so a change of the
// table or of a policy shows here.
func TestPlotsAreCurrent(t *testing.T) {
	day := Config{Rate: 1, Destinations: 20, Dead: 0.05, Outage: 6 * time.Hour, Timeout: 10 * time.Second, Span: 7*time.Hour + 12*time.Minute, Seed: 1, Most: 1e6}
	for name, draw := range map[string]func(path string) error{
		"backlog.svg": func(path string) error { return PlotBacklog(path, simulated(t, day, Policies()...)) },
		"retries.svg": func(path string) error { return PlotRetries(path, 200) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			if err := draw(path); err != nil {
				t.Fatal(err)
			}
			svg, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := picture.Hold("../../docs/images/"+name, svg, *update); err != nil {
				t.Error(err)
			}
		})
	}
}
