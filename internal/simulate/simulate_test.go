package simulate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// small is two hours, with one of twenty destinations dead for one of them.
func small() Config {
	return Config{Rate: 2, Destinations: 20, Span: 2 * time.Hour, Dead: 0.05, Outage: time.Hour, Timeout: 10 * time.Second, Seed: 1, Most: 1e6}
}

func simulated(t *testing.T, c Config, policies ...Policy) []Report {
	t.Helper()
	reports, err := Run(t.Context(), c, policies, func(Policy, float64) {})
	if err != nil {
		t.Fatal(err)
	}
	return reports
}

func TestNothingIsLostUnderAnyPolicy(t *testing.T) {
	for _, r := range simulated(t, small(), Policies()...) {
		if r.Delivered != r.Logs || r.Lost != 0 || r.Duplicates != 0 || r.Affected == 0 {
			t.Errorf("%s: %d of %d logs delivered, %d lost, %d twice, %d affected", r.Policy, r.Delivered, r.Logs, r.Lost, r.Duplicates, r.Affected)
		}
	}
}

func TestARunDependsOnItsConfigurationAlone(t *testing.T) {
	c := small()
	first, second := simulated(t, c, Index, Health), simulated(t, c, Index, Health)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("two runs differ (-first +second):\n%s", diff)
	}
	c.Seed++
	if other := simulated(t, c, Health); other[0].Logs == first[1].Logs {
		t.Errorf("another seed gives the same %d logs", other[0].Logs)
	}
}

func TestHealthHoldsAttemptsBackAndDrains(t *testing.T) {
	c := small()
	c.Rate = 10
	r := simulated(t, c, Index, Health)
	index, health := r[0], r[1]
	if health.AttemptsOnDead*3 > index.AttemptsOnDead || health.Held == 0 {
		t.Errorf("%d attempts at the dead destination with health, %d without", health.AttemptsOnDead, index.AttemptsOnDead)
	}
	if health.Drain > 10*time.Minute || index.Drain < 40*time.Minute {
		t.Errorf("the backlog took %v with health, %v without", health.Drain, index.Drain)
	}
	if health.Dollars >= index.Dollars {
		t.Errorf("health costs $%.4f, more than the index alone, $%.4f", health.Dollars, index.Dollars)
	}
}

// TestLogsOfDeadDestinationsEnd has an outage that outlasts the seven days of some logs.
func TestLogsOfDeadDestinationsEnd(t *testing.T) {
	c := Config{Rate: 0.005, Destinations: 2, Span: 24 * time.Hour, Dead: 0.5, Outage: 9 * 24 * time.Hour, Seed: 1, Most: 1e6}
	for _, r := range simulated(t, c, Policies()...) {
		if r.GivenUp != r.Affected || r.Delivered+r.GivenUp != r.Logs {
			t.Errorf("%s: %d given up of %d affected, %d delivered of %d", r.Policy, r.GivenUp, r.Affected, r.Delivered, r.Logs)
		}
	}
}

// TestOneInFiveRefusedCostsLittle lets no log be sent twice, though drains, probes and logs' own hints lead to the same ones.
func TestOneInFiveRefusedCostsLittle(t *testing.T) {
	r := simulated(t, Config{Rate: 50, Destinations: 20, Span: 10 * time.Minute, Flaky: 0.2, Seed: 1, Most: 1e6}, Health)[0]
	perLog := float64(r.Attempts) / float64(r.Logs)
	t.Logf("%d logs: %.3f requests a log, %d lost, %d sent twice", r.Logs, perLog, r.Lost, r.Duplicates)
	if perLog > 1.3 || r.Delivered != r.Logs || r.Duplicates != 0 {
		t.Errorf("%.3f requests a log, %d of %d delivered, %d twice", perLog, r.Delivered, r.Logs, r.Duplicates)
	}
}

// TestHangingDestinationsHurtNobody compares a run in which one destination in twenty hangs with a quiet one.
func TestHangingDestinationsHurtNobody(t *testing.T) {
	c := Config{Rate: 100, Destinations: 200, Span: 10 * time.Minute, Dead: 0.05, Outage: 8 * time.Minute, Timeout: 30 * time.Second, Seed: 1, Most: 1e6}
	hanging := simulated(t, c, Health)[0]
	c.Outage = 0
	quiet := simulated(t, c, Health)[0]
	if hanging.Lost != 0 || hanging.Duplicates != 0 || hanging.Drain > 6*time.Minute {
		t.Errorf("%d logs lost, %d sent twice, the backlog gone in %v", hanging.Lost, hanging.Duplicates, hanging.Drain)
	}
	if hanging.BystanderP99 > quiet.BystanderP99*12/10 {
		t.Errorf("bystanders' p99 is %v, in the quiet run %v: more than 20 %% above", hanging.BystanderP99, quiet.BystanderP99)
	}
}

func TestALargeSystemIsScaledDown(t *testing.T) {
	c := Config{Rate: 1000, Destinations: 5000, Span: 10 * time.Minute, Dead: 0.01, Outage: time.Minute, Seed: 1, Most: 60_000}
	r := simulated(t, c, Health)[0]
	if r.Scale != 10 || r.Destinations != 500 || r.Logs < 55_000 || r.Logs > 65_000 {
		t.Errorf("scale %v with %d destinations and %d logs, want a tenth", r.Scale, r.Destinations, r.Logs)
	}
	c.Dead = 0.0004 // two of 5,000: none would be left of 500
	if _, err := Run(t.Context(), c, []Policy{Health}, func(Policy, float64) {}); err == nil {
		t.Error("a scale that leaves no dead destination was accepted")
	}
}

func TestRetriesFollowTheTable(t *testing.T) {
	times := Retries("log-0")
	if n := len(times); n != 9 {
		t.Fatalf("%d attempts in seven days, want the first, seven of the table and the last", n)
	}
	sum := time.Duration(0)
	for i, at := range times[1:8] {
		sum += time.Minute << (2 * i)
		if deviation := float64(at-sum) / float64(sum); deviation < -0.1 || deviation > 0.1 {
			t.Errorf("attempt %d after %v, more than a tenth from the table's %v", i+2, at, sum)
		}
	}
	if times[8] != 7*24*time.Hour-time.Hour {
		t.Errorf("the last attempt is after %v", times[8])
	}
}
