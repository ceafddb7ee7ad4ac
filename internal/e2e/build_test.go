//go:build e2e

package e2e

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// program is what a function's asset was compiled from.
type program struct {
	pkg      string // the main package
	settings map[string]string
	asset    string // the bootstrap's file
}

// programOf reads it out of the asset, so that a function that was given another's code is noticed.
func programOf(tmpl *template, id string) (program, error) {
	r := tmpl.Resources[id]
	asset, ok := r.Metadata["aws:asset:path"].(string)
	if !ok {
		return program{}, fmt.Errorf("%s has no asset", id)
	}
	file := filepath.Join(tmpl.dir, asset, "bootstrap")
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return program{}, fmt.Errorf("read the asset of %s: %w", id, err)
	}
	p := program{pkg: info.Path, settings: make(map[string]string), asset: file}
	for _, s := range info.Settings {
		p.settings[s.Key] = s.Value
	}
	architectures, ok := r.Properties["Architectures"].([]any)
	if !ok || len(architectures) != 1 || p.settings["GOOS"] != "linux" || p.settings["GOARCH"] != architectures[0] {
		return program{}, fmt.Errorf("the asset of %s is for %s %s, the function for linux %v", id, p.settings["GOOS"], p.settings["GOARCH"], r.Properties["Architectures"])
	}
	return p, nil
}

// compile gives, for each function by its logical id, a bootstrap that runs here: the asset's own, or one of the same package with the same flags.
func compile(t *testing.T, tmpl *template) map[string]string {
	t.Helper()
	files := make(map[string]string)
	dir := t.TempDir()
	args := []string{"build", "-trimpath", "-buildvcs=false", "-o", dir + "/"}
	for _, id := range tmpl.all("AWS::Lambda::Function") {
		p, err := programOf(tmpl, id)
		if err != nil {
			t.Fatal(err)
		}
		if p.settings["GOARCH"] == runtime.GOARCH {
			files[id] = p.asset
			continue
		}
		if len(files) == 0 {
			args = append(args, "-tags="+p.settings["-tags"], "-ldflags="+p.settings["-ldflags"])
		}
		args = append(args, p.pkg)
		files[id] = filepath.Join(dir, filepath.Base(p.pkg))
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("compile the functions for this machine: %v\n%s", err, out)
	}
	return files
}
