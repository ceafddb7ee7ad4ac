package picture

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "draw the pictures of the documentation")

func TestConnectionPictureIsCurrent(t *testing.T) {
	if err := Hold("../../docs/images/connection.svg", wellFormed(t, Connection()), *update); err != nil {
		t.Error(err)
	}
}

func TestBenchPictureIsCurrent(t *testing.T) {
	page, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	svg, err := Bench(string(page))
	if err != nil {
		t.Fatal(err)
	}
	if err := Hold("../../docs/images/bench.svg", wellFormed(t, svg), *update); err != nil {
		t.Error(err)
	}
}

func TestEdgesAreAllThatTheDirectoryAllows(t *testing.T) {
	want := []edge{
		{"", "connect", "connected"},
		{"connected", "disconnect", "disconnected"}, {"connected", "delete", "deleted"},
		{"disconnected", "disable", "disabled"}, {"disconnected", "reconnect", "connected"}, {"disconnected", "delete", "deleted"},
		{"disabled", "reconnect", "connected"}, {"disabled", "delete", "deleted"},
		{"deleted", "restore", "connected"}, {"deleted", "remove", ""}, {"deleted", "purge", ""},
	}
	if diff := cmp.Diff(want, edges(), cmp.AllowUnexported(edge{})); diff != "" {
		t.Errorf("edges (-want +got):\n%s", diff)
	}
}

func TestHoldTellsAStalePicture(t *testing.T) {
	path := t.TempDir() + "/a.svg"
	if err := Hold(path, []byte("new"), false); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without the file: %v", err)
	}
	if err := Hold(path, []byte("old"), true); err != nil {
		t.Errorf("update: %v", err)
	}
	if err := Hold(path, []byte("new"), false); err == nil || !strings.Contains(err.Error(), "run make docs") {
		t.Errorf("another picture: %v", err)
	}
}

func wellFormed(t *testing.T, svg []byte) []byte {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(string(svg))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return svg
		} else if err != nil {
			t.Fatalf("not XML: %v", err)
		}
	}
}
