// Package simulate runs the core on the ports in memory and in virtual time, for what no one machine can hold: thousands of destinations, days of
// outage. It sets policies of retrying side by side, and counts the calls that the adapters would make.
//
// What is real: the package delivery, all of it, and the sizes of the items that package dynamo would write. What is played: Lambda's pollers
// (batches, windows, concurrency, execution environments that remember the directory), the destinations' answers, the services' of 4 to 20 ms, SQS's
// delays, the minute, which takes no time. What is left out: SQS's fair queues, throttling, faults of AWS. A run depends on nothing but its configuration.
package simulate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// Config says what is simulated.
type Config struct {
	// Rate is logs a second over all destinations, Destinations how many there are, Span how long logs come.
	Rate         float64       `json:"rate"`
	Destinations int           `json:"destinations"`
	Span         time.Duration `json:"span_ns"`
	// Dead is the share of destinations that are down for Outage, an hour after the start. An attempt at them fails after Timeout; at once if it
	// is 0.
	Dead    float64       `json:"dead"`
	Outage  time.Duration `json:"outage_ns"`
	Timeout time.Duration `json:"timeout_ns"`
	// Concurrency is how many invocations of deliver may run at once, a quarter of them for retries; 0 is the stack's default.
	Concurrency int `json:"concurrency,omitempty"`
	// Flaky is the share of all other attempts that get a 503.
	Flaky float64 `json:"flaky,omitempty"`
	// Dedupe has logs known that are sent again within a day.
	Dedupe bool `json:"dedupe,omitempty"`
	// Unwanted has no destination want the logs that come.
	Unwanted bool   `json:"unwanted,omitempty"`
	Seed     uint64 `json:"seed"`
	// Most bounds the logs that are simulated. A larger system is scaled down: fewer destinations, each with its own traffic, and less
	// concurrency in proportion.
	Most int `json:"most"`

	concurrency float64 // share of the stack's that is simulated
}

// Report is what one policy's run showed. Numbers are of the simulated part; Scale times them is the whole.
type Report struct {
	Policy       Policy  `json:"policy"`
	Scale        float64 `json:"scale"`
	Destinations int     `json:"destinations"`
	Logs         int     `json:"logs"`
	Delivered    int     `json:"delivered"`
	GivenUp      int     `json:"given_up"`
	Lost         int     `json:"lost"`
	Duplicates   int     `json:"duplicates"`
	// Affected are logs accepted for a dead destination during the outage.
	Affected            int     `json:"affected_logs"`
	Attempts            int     `json:"attempts"`
	AttemptsPerLog      float64 `json:"attempts_per_log"`
	AttemptsOnDead      int     `json:"attempts_on_dead"`
	AttemptsPerAffected float64 `json:"attempts_per_affected_log"`
	Held                int     `json:"held"`
	// Backlog is how many logs were open over time, and BacklogMost the most.
	Backlog     []Point `json:"backlog"`
	BacklogMost int     `json:"backlog_most"`
	// Drain is how long after the outage the last of its logs arrived.
	Drain        time.Duration    `json:"drain_ns"`
	BystanderP50 time.Duration    `json:"bystander_p50_ns"`
	BystanderP99 time.Duration    `json:"bystander_p99_ns"`
	Counts       Counts           `json:"-"`
	Calls        map[string]Count `json:"calls"`
	// Dollars is the price of the simulated part at list prices, and PerMillion of a million of its logs.
	Dollars    float64 `json:"dollars"`
	PerMillion float64 `json:"dollars_per_million_logs"`
}

// Progress is told how far the run of a policy has come, from 0 to 1. It is called from several goroutines.
type Progress func(p Policy, done float64)

// Run simulates policies, two at a time, and answers in their order.
func Run(ctx context.Context, c Config, policies []Policy, progress Progress) ([]Report, error) {
	scaled, scale, err := c.scaled()
	if err != nil {
		return nil, err
	}
	logs, err := newSamples(c.Seed)
	if err != nil {
		return nil, err
	}
	reports := make([]Report, len(policies))
	errs := make([]error, len(policies))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 2)
	for i, p := range policies {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			w := newWorld(scaled, p, logs)
			if err := w.run(ctx, func(done float64) { progress(p, done) }); err != nil {
				errs[i] = fmt.Errorf("simulate %s: %w", p, err)
				return
			}
			reports[i] = w.report(scale)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return reports, nil
}

// scaled is the configuration of at most Most logs, and by how much it is smaller.
func (c Config) scaled() (Config, float64, error) {
	if c.Rate <= 0 || c.Destinations < 1 || c.Span < time.Minute || c.Dead < 0 || c.Dead > 1 || c.Most < 1 || c.Concurrency < 0 || c.Flaky < 0 || c.Flaky >= 1 {
		return c, 0, fmt.Errorf("rate, destinations and the number of logs must be positive, shares from 0 to 1, and the time a minute or more")
	}
	c.concurrency = 1
	expected := c.Rate * c.Span.Seconds()
	if expected <= float64(c.Most) {
		return c, 1, nil
	}
	whole, dead := c.Destinations, c.deadOnes()
	c.Destinations = int(float64(whole) * float64(c.Most) / expected)
	if c.Destinations < 1 || (dead > 0 && c.Outage > 0 && float64(c.Destinations)*c.Dead < 1) {
		return c, 0, fmt.Errorf("%.0f logs are too many, and %d destinations too few to leave some out: take a shorter time, a lower rate, or allow more logs",
			expected, whole)
	}
	scale := float64(whole) / float64(c.Destinations)
	c.Rate /= scale
	c.concurrency = 1 / scale
	return c, scale, nil
}

// deadOnes is how many destinations are down in the outage.
func (c Config) deadOnes() int {
	if c.Dead == 0 {
		return 0
	}
	return max(1, int(math.Round(c.Dead*float64(c.Destinations))))
}

// share is the simulated part of a concurrency.
func (c Config) share(of int) int { return max(2, int(math.Round(float64(of)*c.concurrency))) }

func (w *world) report(scale float64) Report {
	t := &w.tally
	counts := w.meter.Counts()
	r := Report{
		Policy: w.policy, Scale: scale, Destinations: w.Destinations, Logs: t.logs, Delivered: t.done, GivenUp: t.lostCauses,
		Lost: t.logs - t.done - t.lostCauses, Duplicates: t.duplicates, Affected: t.affected, Attempts: t.attempts, AttemptsOnDead: t.onDead, Held: t.held,
		AttemptsPerLog: float64(t.attempts) / float64(max(1, t.logs)), Backlog: t.backlog, BacklogMost: t.most,
		BystanderP50: t.bystanders.quantile(0.50), BystanderP99: t.bystanders.quantile(0.99),
		Counts: counts, Calls: counts.Named(), Dollars: counts.Total().Dollars(),
	}
	if t.affected > 0 {
		r.AttemptsPerAffected = float64(t.onDead) / float64(t.affected)
		r.Drain = max(0, t.drained.Sub(w.up))
	}
	r.PerMillion = r.Dollars / float64(max(1, t.logs)) * 1e6
	return r
}
