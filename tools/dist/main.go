// Command dist archives what a release carries of the functions, and lists the checksums of all that it carries:
//
//	go run ./tools/dist build dist    # dist/<function>.zip of each build/<function>/bootstrap, and dist/SHA256SUMS
//
// The same files give the same archives, whenever and wherever.
package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// sums is the name of the list of checksums, in the form of sha256sum.
const sums = "SHA256SUMS"

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: dist BUILD DIST")
		os.Exit(2)
	}
	if err := dist(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

func dist(build, to string) error {
	functions, err := filepath.Glob(filepath.Join(build, "*", "bootstrap"))
	if err != nil {
		return err
	}
	if len(functions) == 0 {
		return fmt.Errorf("%s holds no compiled functions: run `make build` first", build)
	}
	for _, path := range functions {
		program, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		archive, err := archived(program)
		if err != nil {
			return err
		}
		name := filepath.Base(filepath.Dir(path)) + ".zip"
		if err := os.WriteFile(filepath.Join(to, name), archive, 0o644); err != nil {
			return err
		}
	}
	list, err := checksums(to)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, sums), list, 0o644)
}

// archived is a function's program as Lambda takes it: executable, under the name that its runtime starts
// (https://docs.aws.amazon.com/lambda/latest/dg/golang-package.html). Its time is
// the earliest of the format, so that it depends on nothing else.
func archived(program []byte) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	header.SetMode(0o755)
	w, err := z.CreateHeader(header)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// checksums lists every file of a directory but the list itself, by name.
func checksums(dir string) ([]byte, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, f := range files {
		if f.Name() == sums {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(text), f.Name())
	}
	return b.Bytes(), nil
}
