package simulate

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// Scenario is a situation whose calls are counted.
type Scenario struct {
	Name   string
	Config Config
	// Per is a thousand of what: accepted logs, or those of dead destinations.
	Affected bool
}

// Scenarios are what PrintCalls shows. The busy ones have ten destinations, so that each execution environment knows them all.
func Scenarios() []Scenario {
	busy := Config{Rate: 400, Destinations: 10, Span: 5 * time.Minute, Seed: 1, Most: 1e6}
	quiet := Config{Rate: 20, Destinations: 1000, Span: time.Hour, Seed: 1, Most: 1e6}
	deduped := busy
	deduped.Dedupe = true
	flaky := busy
	flaky.Flaky = 0.2
	unwanted := quiet
	unwanted.Unwanted = true
	down := Config{Rate: 20, Destinations: 10, Span: 2 * time.Hour, Dead: 0.1, Outage: time.Hour, Timeout: 10 * time.Second, Seed: 1, Most: 1e6}
	return []Scenario{
		{Name: "healthy, few destinations with many logs", Config: busy},
		{Name: "healthy, many destinations with few logs", Config: quiet},
		{Name: "one attempt in five answered with a 503", Config: flaky},
		{Name: "one of ten destinations down for an hour, per 1,000 of its logs", Config: down, Affected: true},
		{Name: "many destinations, and logs that none of them wants", Config: unwanted},
		{Name: "healthy, few destinations with many logs, with dedupe", Config: deduped},
	}
}

// PrintCalls counts the calls of every scenario and prints them for each thousand logs.
func PrintCalls(ctx context.Context, out io.Writer) error {
	for _, s := range Scenarios() {
		r, err := s.count(ctx)
		if err != nil {
			return err
		}
		if err := r.print(out, s); err != nil {
			return err
		}
	}
	return nil
}

// Calls is what a scenario used: all of it, and for how many logs.
type Calls struct {
	Counts Counts
	Logs   int
}

// count runs a scenario. Of one with dead destinations it leaves out what the same traffic costs without an outage.
func (s Scenario) count(ctx context.Context) (Calls, error) {
	reports, err := Run(ctx, s.Config, []Policy{Health}, func(Policy, float64) {})
	if err != nil {
		return Calls{}, err
	}
	c := Calls{reports[0].Counts, reports[0].Logs}
	if !s.Affected {
		return c, nil
	}
	s.Config.Outage = 0
	quiet, err := Run(ctx, s.Config, []Policy{Health}, func(Policy, float64) {})
	if err != nil {
		return Calls{}, err
	}
	for p, q := range quiet[0].Counts {
		c.Counts[p].subtract(q)
	}
	c.Logs = reports[0].Affected
	return c, nil
}

func (c *Count) subtract(o Count) {
	c.add(Count{-o.SQS, -o.Dynamo, -o.Writes, -o.HalfReads, -o.Lambda, -o.Runtime, -o.Scheduler, -o.Items})
}

func (c Calls) print(out io.Writer, s Scenario) error {
	fmt.Fprintf(out, "\n%s (%d logs)\n\n", s.Name, c.Logs)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "per 1,000 logs\titems\tinvocations\tSQS requests\tDynamoDB calls\twrite units\tread units\tdollars a million\t")
	line := func(name string, o Count) {
		per := func(n float64) string { return fmt.Sprintf("%.2f", n*1000/float64(max(1, c.Logs))) }
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.4f\t\n", name, per(float64(o.Items)), per(float64(o.Lambda)), per(float64(o.SQS)), per(float64(o.Dynamo)),
			per(float64(o.Writes)), per(float64(o.HalfReads)/2), o.Dollars()*1e6/float64(max(1, c.Logs)))
	}
	for p, one := range c.Counts {
		if one != (Count{}) {
			line(Purpose(p).String(), one)
		}
	}
	total := c.Counts.Total()
	total.Items = c.Logs
	line("all", total)
	return table.Flush()
}
