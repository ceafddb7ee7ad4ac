package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/auditrelay/auditrelay/internal/simulate"
)

// simulation is what the command line says of a simulation.
type simulation struct {
	config   simulate.Config
	days     float64
	policies []string
	output   string
	plot     string
}

func simulateCommand() *cobra.Command {
	var s simulation
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Run the core in virtual time at any scale, and compare policies of retrying",
		Long: `Simulate runs the core on in-memory stores and queues in virtual time: days of traffic, thousands of destinations, some of them down for a while.
Four policies are set side by side. Numbers depend on nothing but the flags. A system of more than --most logs is scaled down, and the scale is stated.`,
		Example: `  auditrelay simulate
  auditrelay simulate --rate 10000 --destinations 50000 --dead 0.01 --outage 24h --days 2
  auditrelay simulate --dead 1 --outage 2h --timeout 0 --days 0.5 --policies health --plot backlog.svg`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	flags := cmd.Flags()
	flags.Float64Var(&s.config.Rate, "rate", 10, "logs a second, over all destinations")
	flags.IntVar(&s.config.Destinations, "destinations", 1000, "how many destinations there are")
	flags.Float64Var(&s.config.Dead, "dead", 0.01, "share of the destinations that are down during the outage, from 0 to 1")
	flags.DurationVar(&s.config.Outage, "outage", 24*time.Hour, "how long they are down, an hour after the start; 0 for a quiet run")
	flags.DurationVar(&s.config.Timeout, "timeout", 10*time.Second, "how long an attempt at them takes to fail; 0 if it is refused at once")
	flags.IntVar(&s.config.Concurrency, "concurrency", 200, "how many invocations of deliver may run at once, as by the stack's reservedConcurrency")
	flags.Float64Var(&s.config.Flaky, "flaky", 0, "share of all other attempts that are answered with a 503")
	flags.Float64Var(&s.days, "days", 2, "how long logs come")
	flags.Uint64Var(&s.config.Seed, "seed", 1, "what all chance is drawn from")
	flags.IntVar(&s.config.Most, "most", 2_000_000, "the most logs that are simulated; a larger system is scaled down")
	flags.StringSliceVar(&s.policies, "policies", []string{"hop", "schedule", "index", "health"}, "which policies are compared")
	flags.StringVarP(&s.output, "output", "o", "text", "text or json")
	flags.StringVar(&s.plot, "plot", "", "draw the backlog over time into this `file`, .svg or .png")
	cmd.AddCommand(callsCommand(), drainCommand(), retriesCommand())
	return cmd
}

func (s *simulation) run(ctx context.Context, out, status io.Writer) error {
	if s.output != "text" && s.output != "json" {
		return fmt.Errorf("-o %s: it must be text or json", s.output)
	}
	policies := make([]simulate.Policy, len(s.policies))
	for i, name := range s.policies {
		policies[i] = simulate.Policy(name)
		if policies[i].Title() == name {
			return fmt.Errorf("--policies %s: it must be of hop, schedule, index and health", name)
		}
	}
	s.config.Span = time.Duration(s.days * 24 * float64(time.Hour))
	reports, err := simulate.Run(ctx, s.config, policies, progressOn(status, len(policies)))
	if err != nil {
		return err
	}
	if s.plot != "" {
		if err := simulate.PlotBacklog(s.plot, reports); err != nil {
			return err
		}
	}
	if s.output == "json" {
		err = writeJSON(out, struct {
			Config  simulate.Config   `json:"config"`
			Reports []simulate.Report `json:"reports"`
		}{s.config, reports}, "  ")
	} else {
		err = sideBySide(out, reports)
	}
	for _, r := range reports {
		if r.Lost > 0 {
			err = errors.Join(err, fmt.Errorf("%s has lost %d logs", r.Policy.Title(), r.Lost))
		}
	}
	return err
}

// progressOn draws one bar over all policies.
func progressOn(status io.Writer, policies int) simulate.Progress {
	const steps = 1000
	if !terminal(status) {
		return func(simulate.Policy, float64) {}
	}
	bar := progressbar.NewOptions(steps*policies, progressbar.OptionSetWriter(bare(status)), progressbar.OptionSetDescription("simulating"),
		progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetPredictTime(true))
	var mu sync.Mutex
	done := make(map[simulate.Policy]float64, policies)
	return func(p simulate.Policy, part float64) {
		mu.Lock()
		defer mu.Unlock()
		done[p] = part
		sum := 0.0
		for _, d := range done {
			sum += d
		}
		_ = bar.Set(int(sum * steps)) // a terminal that cannot show it changes nothing
	}
}

// sideBySide prints a column for each policy.
func sideBySide(out io.Writer, reports []simulate.Report) error {
	first := reports[0]
	fmt.Fprintf(out, "%s logs to %s destinations were simulated", grouped(float64(first.Logs)), grouped(float64(first.Destinations)))
	if first.Scale > 1 {
		fmt.Fprintf(out, "; the whole is %.4g times as large, and so are the rows marked *", first.Scale)
	}
	fmt.Fprint(out, ".\n\n")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, value func(r simulate.Report) string) {
		fmt.Fprintf(table, "%s\t", name)
		for _, r := range reports {
			fmt.Fprintf(table, "%s\t", value(r))
		}
		fmt.Fprintln(table)
	}
	whole := func(r simulate.Report, n int) string { return grouped(float64(n) * r.Scale) }
	row("", func(r simulate.Report) string { return r.Policy.Title() })
	row("delivered *", func(r simulate.Report) string { return whole(r, r.Delivered) })
	row("given up after seven days *", func(r simulate.Report) string { return whole(r, r.GivenUp) })
	row("lost", func(r simulate.Report) string { return fmt.Sprint(r.Lost) })
	row("sent twice", func(r simulate.Report) string { return fmt.Sprint(r.Duplicates) })
	row("attempts a log", func(r simulate.Report) string { return fmt.Sprintf("%.4f", r.AttemptsPerLog) })
	row("attempts a log at the dead, during the outage", func(r simulate.Report) string { return fmt.Sprintf("%.3f", r.AttemptsPerAffected) })
	row("largest backlog *", func(r simulate.Report) string { return whole(r, r.BacklogMost) })
	row("backlog gone after the outage in", func(r simulate.Report) string { return r.Drain.Round(time.Second).String() })
	row("bystanders' median", func(r simulate.Report) string { return r.BystanderP50.String() })
	row("bystanders' p99", func(r simulate.Report) string { return r.BystanderP99.String() })
	row("invocations *", func(r simulate.Report) string { return whole(r, r.Counts.Total().Lambda) })
	row("SQS requests *", func(r simulate.Report) string { return whole(r, r.Counts.Total().SQS) })
	row("DynamoDB write units *", func(r simulate.Report) string { return whole(r, r.Counts.Total().Writes) })
	row("DynamoDB read units *", func(r simulate.Report) string { return whole(r, r.Counts.Total().HalfReads/2) })
	row("schedules *", func(r simulate.Report) string { return whole(r, r.Counts.Total().Scheduler) })
	row("dollars *", func(r simulate.Report) string { return fmt.Sprintf("%.2f", r.Dollars*r.Scale) })
	row("dollars a million logs", func(r simulate.Report) string { return fmt.Sprintf("%.4f", r.PerMillion) })
	return table.Flush()
}

// grouped is a whole number with commas between thousands.
func grouped(n float64) string {
	digits := fmt.Sprintf("%.0f", n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func callsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "calls",
		Short:   "Count calls and units for 1,000 logs, healthy and failing, and what they cost",
		Example: "  auditrelay simulate calls",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return simulate.PrintCalls(cmd.Context(), cmd.OutOrStdout())
		},
	}
}

func drainCommand() *cobra.Command {
	var logs int
	cmd := &cobra.Command{
		Use:     "drain",
		Short:   "Drain a backlog of one destination, and show its pages, calls and memory",
		Example: "  auditrelay simulate drain --logs 100000",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			progress := progressOn(cmd.ErrOrStderr(), 1)
			r, err := simulate.Drain(cmd.Context(), logs, func(done float64) { progress(simulate.Health, done) })
			if err != nil {
				return err
			}
			return r.Print(cmd.OutOrStdout())
		},
	}
	cmd.Flags().IntVar(&logs, "logs", 1_000_000, "how many logs are parked")
	return cmd
}

func retriesCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:     "retries",
		Short:   "Show when a log is tried again if its destination is down for seven days",
		Example: "  auditrelay simulate retries --plot retries.svg",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for n, at := range simulate.Retries("log-0") {
				fmt.Fprintf(cmd.OutOrStdout(), "attempt %d  %s\n", n+1, stamp(at))
			}
			if file == "" {
				return nil
			}
			return simulate.PlotRetries(file, 200)
		},
	}
	cmd.Flags().StringVar(&file, "plot", "", "draw the attempts of 200 logs into this `file`, .svg or .png")
	return cmd
}
