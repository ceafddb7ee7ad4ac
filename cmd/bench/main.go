// Command bench measures the processor time that the functions take for 1,000 logs, against baselines of the same run. The programs are the ones
// that are deployed, behind Lambda's Runtime API; queues, tables and receivers are played by this process, whose own time does not count.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() {
	role := flag.String("role", "", "be this baseline; for the bench itself")
	rounds := flag.Int("rounds", 5, "how often each variant runs, in turn with the others")
	logs := flag.Int("logs", 10_000, "logs a run")
	write := flag.String("write", "", "put the table into this page, between its marks")
	flag.Parse()
	var err error
	if *role != "" {
		err = baseline(*role)
	} else {
		err = compare(context.Background(), *rounds, *logs, *write)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func compare(ctx context.Context, rounds, logs int, page string) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for name, source := range map[string]string{"deliver": "./functions/deliver", "requeue": "./functions/requeue", "expire": "./functions/expire", "bench": "./cmd/bench"} {
		//nolint:gosec // programs of this repository
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "lambda.norpc", "-o", filepath.Join(dir, name), source)
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	b := &bench{dir: dir, logs: logs}
	samples := make(map[string][]sample)
	for round := range rounds {
		for _, v := range variants() {
			one, err := b.run(ctx, v)
			if err != nil {
				return err
			}
			samples[v.name] = append(samples[v.name], one)
			fmt.Fprintf(os.Stderr, "round %d  %-60s %.4f CPU-s, %.0f MB, %.0f a second\n", round+1, v.name, one.cpu, one.memory, one.rate)
		}
	}
	show(os.Stdout, samples)
	if page == "" {
		return nil
	}
	return replace(page, table(samples, rounds, logs))
}

// median gives a variant's middle values, and the span of its processor times.
func median(list []sample) (middle sample, least, most float64) {
	var cpu, memory, rate []float64
	for _, s := range list {
		cpu, memory, rate = append(cpu, s.cpu), append(memory, s.memory), append(rate, s.rate)
	}
	slices.Sort(cpu)
	slices.Sort(memory)
	slices.Sort(rate)
	return sample{cpu[len(cpu)/2], memory[len(memory)/2], rate[len(rate)/2]}, cpu[0], cpu[len(cpu)-1]
}

func show(out io.Writer, samples map[string][]sample) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\tCPU-s / 1,000\tleast–most\t× bare POST\tpeak MB\ta second")
	bare, _, _ := median(samples[namePost])
	for _, v := range variants() {
		m, least, most := median(samples[v.name])
		fmt.Fprintf(w, "%s\t%.4f\t%.4f–%.4f\t%.2f\t%.0f\t%.0f\n", v.name, m.cpu, least, most, m.cpu/bare.cpu, m.memory, m.rate)
	}
	_ = w.Flush() // the same as any line on standard output
}

// The marks in the page between which the table stands.
const (
	openMark  = "<!-- bench -->\n"
	closeMark = "<!-- /bench -->\n"
)

func table(samples map[string][]sample, rounds, logs int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Medians of %d rounds in turn, %d logs of 1.5 KiB each, events of %d messages, services that answer in %d to %d ms; %s, %d processors, %s/%s.\n\n",
		rounds, logs, batchSize, shortest.Milliseconds(), longest.Milliseconds(), runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	b.WriteString("| program and work | CPU-s / 1,000 | least–most | × bare POST | peak MB | a second |\n|---|---|---|---|---|---|\n")
	bare, _, _ := median(samples[namePost])
	for _, v := range variants() {
		m, least, most := median(samples[v.name])
		fmt.Fprintf(&b, "| %s | %.3f | %.3f–%.3f | %.2f | %.0f | %.0f |\n", v.name, m.cpu, least, most, m.cpu/bare.cpu, m.memory, m.rate)
	}
	return b.String()
}

func replace(page, text string) error {
	old, err := os.ReadFile(page)
	if err != nil {
		return fmt.Errorf("read the page: %w", err)
	}
	before, rest, ok := strings.Cut(string(old), openMark)
	_, after, ok2 := strings.Cut(rest, closeMark)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for the table: it must hold %q and %q", page, strings.TrimSpace(openMark), strings.TrimSpace(closeMark))
	}
	//nolint:gosec // the page that the person names
	if err := os.WriteFile(page, []byte(before+openMark+text+closeMark+after), 0o600); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}
