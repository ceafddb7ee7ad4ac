package main

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestDist holds what a release carries of the functions, and that it is the same whenever it is made.
func TestDist(t *testing.T) {
	made := func(at time.Time) string {
		build, to := t.TempDir(), t.TempDir()
		for _, name := range []string{"deliver", "admin"} {
			path := filepath.Join(build, name, "bootstrap")
			if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte("program of "+name), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(to, "auditrelay-linux-amd64"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second finds the list of the first
			if err := dist(build, to); err != nil {
				t.Fatal(err)
			}
		}
		return to
	}
	read := func(dir string) string {
		text, err := os.ReadFile(filepath.Join(dir, sums))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	to := made(time.Unix(1, 0))
	if diff := cmp.Diff(read(to), read(made(time.Unix(1e9, 0)))); diff != "" {
		t.Errorf("the same files at another time (-first +second):\n%s", diff)
	}
	var names []string
	for line := range strings.Lines(read(to)) {
		names = append(names, strings.Fields(line)[1])
	}
	if diff := cmp.Diff([]string{"admin.zip", "auditrelay-linux-amd64", "deliver.zip"}, names); diff != "" {
		t.Errorf("what has a checksum (-want +got):\n%s", diff)
	}
	archive, err := zip.OpenReader(filepath.Join(to, "deliver.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	got := map[string]string{}
	for _, f := range archive.File {
		got[f.Name] = f.Mode().String()
	}
	if diff := cmp.Diff(map[string]string{"bootstrap": "-rwxr-xr-x"}, got); diff != "" {
		t.Errorf("the archive (-want +got):\n%s", diff)
	}
}

func TestDistWithoutFunctions(t *testing.T) {
	if err := dist(t.TempDir(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("no compiled functions: %v", err)
	}
}
