// Mutate breaks the code on purpose, one small change after the other, and runs the tests that must turn red. A change that no test notices is a gap: of
// the tests, or of the code that was changed. The working tree stays as it is: the go command reads the changed file in the place of the real one.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// mutation is a change of one file: the only place where it says old says new.
type mutation struct {
	// what is broken, in words
	what     string
	file     string
	old, new string
	// tests are the packages whose tests must notice, by default the file's own.
	tests []string
}

// outcome is what became of a mutation.
type outcome struct {
	mutation
	// state is "killed", "SURVIVED", "STALE" if the file does not say old once, or "BROKEN" if it does not compile.
	state string
	took  time.Duration
	more  string
}

func main() {
	only := flag.String("only", "", "try only mutations whose file or description has this in it")
	atOnce := flag.Int("p", runtime.GOMAXPROCS(0), "how many to try beside each other")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *only, *atOnce); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, atOnce int) error {
	folder, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	var chosen []mutation
	for _, m := range mutations() {
		if strings.Contains(m.file+" "+m.what, only) {
			chosen = append(chosen, m)
		}
	}
	counts := make(map[string]int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, max(1, atOnce))
	for i, m := range chosen {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			o := try(ctx, m, filepath.Join(folder, fmt.Sprint(i)))
			mu.Lock()
			defer mu.Unlock()
			counts[o.state]++
			fmt.Printf("%-8s %5.1f s  %s: %s\n", o.state, o.took.Seconds(), o.file, o.what)
			if o.more != "" {
				fmt.Println(o.more)
			}
		})
	}
	wg.Wait()
	fmt.Printf("%d mutations: %d killed, %d survived, %d stale, %d that do not compile\n", len(chosen), counts["killed"], counts["SURVIVED"], counts["STALE"], counts["BROKEN"])
	if counts["killed"] < len(chosen) || len(chosen) == 0 {
		return fmt.Errorf("%d of %d mutations were noticed", counts["killed"], len(chosen))
	}
	return ctx.Err()
}

// try makes a mutation in a folder of its own and runs the tests over it.
func try(ctx context.Context, m mutation, folder string) (o outcome) {
	o = outcome{mutation: m}
	text, err := os.ReadFile(m.file)
	if err != nil {
		o.state, o.more = "STALE", err.Error()
		return o
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		o.state, o.more = "STALE", fmt.Sprintf("the file says this %d times:\n%s", n, m.old)
		return o
	}
	overlay, err := write(m, strings.Replace(string(text), m.old, m.new, 1), folder)
	if err != nil {
		o.state, o.more = "BROKEN", err.Error()
		return o
	}
	tests := m.tests
	if tests == nil {
		tests = []string{"./" + filepath.Dir(m.file)}
	}
	began := time.Now()
	defer func() { o.took = time.Since(began) }()
	for _, short := range []bool{true, false} { // most are noticed by the quick ones
		args := append([]string{"test", "-overlay", overlay, "-count=1", "-failfast", "-timeout=10m", fmt.Sprintf("-short=%v", short)}, tests...)
		out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
		switch {
		case err == nil:
			o.state = "SURVIVED"
			continue
		case bytes.Contains(out, []byte("[build failed]")) || bytes.Contains(out, []byte("[setup failed]")):
			o.state, o.more = "BROKEN", string(out)
		default:
			o.state = "killed"
		}
		return o
	}
	return o
}

// write puts the changed file into the folder, and beside it what tells the go command to read it in the place of the real one.
func write(m mutation, text, folder string) (overlay string, err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	changed := filepath.Join(folder, filepath.Base(m.file))
	if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
		return "", err
	}
	real, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {real: changed}})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(folder, "overlay.json")
	return overlay, os.WriteFile(overlay, list, 0o600)
}
