package infra

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// testWaits holds what the product promises of messages that come back: for how long each queue hands out what is never
// settled, whichever of its numbers ends it, and that what is given up then becomes a dead letter, of which an alarm
// tells, before SQS drops it for its age. Docs take their figures from the table that this makes of the template.
func testWaits(t *testing.T, tmpl template) {
	promised := map[string]time.Duration{
		"Ingest":   delivery.Lifetime,           // a log comes back by itself for as long as it may live
		"Notices":  24*time.Hour + 72*time.Hour, // a day in SES's sandbox, and what SES waits for DNS records
		"Drain":    12 * time.Hour,
		"Retry":    30 * time.Minute, // requeue sends every lost hint again
		"Rejected": 24 * time.Hour,   // no function reads it; each look of a person counts
	}
	of := func(q resource, property string) time.Duration {
		v, _ := q.at(property).(float64)
		return time.Duration(v) * time.Second
	}
	table := "| queue | handed out again | for as long as | then a dead letter, kept after it was sent |\n|---|---|---|---|\n"
	for _, id := range tmpl.ids("AWS::SQS::Queue") {
		q := tmpl.Resources[id]
		receives, _ := q.at("RedrivePolicy", "maxReceiveCount").(float64)
		if receives == 0 {
			continue
		}
		name := plain(id)
		life, kept := of(q, "VisibilityTimeout")*time.Duration(receives), of(q, "MessageRetentionPeriod")
		dead := tmpl.one(t, "AWS::SQS::Queue", name+"DeadLetters")
		switch promise := promised[name]; {
		case promise == 0:
			t.Errorf("%s: say how long what is never settled comes back", name)
		case life < promise:
			t.Errorf("%s hands a message out %v times every %v, so for %v, and promises %v", name, receives, of(q, "VisibilityTimeout"), life, promise)
		}
		if receives > 1000 { // SQS Developer Guide, "Configuring a dead-letter queue"
			t.Errorf("%s hands a message out %v times, and SQS knows no more than 1,000", name, receives)
		}
		if kept <= life {
			t.Errorf("%s drops a message after %v, before it has been handed out for %v", name, kept, life)
		}
		if name != "Rejected" {
			table += fmt.Sprintf("| `%s` | every %s, %.0f times | %s | %s |\n", strings.ToLower(name), spelt(of(q, "VisibilityTimeout")), receives, spelt(life),
				spelt(of(dead, "MessageRetentionPeriod")))
		}
	}
	if got := ingestSpec(); got.visibility() != delivery.IngestAgain || got.receives() != delivery.IngestReceives {
		t.Errorf("ingest hands out every %v, %d times, and deliver reckons with %v, %d times", got.visibility(), got.receives(), delivery.IngestAgain, delivery.IngestReceives)
	}
	testTable(t, "../docs/runbook.md", "queues", table)
	testTable(t, "../docs/deploy.md", "shares", tableOfShares())
}

// spelt puts a duration as docs do.
func spelt(d time.Duration) string {
	for _, unit := range []struct {
		name string
		is   time.Duration
	}{{"day", day}, {"hour", time.Hour}, {"minute", time.Minute}} {
		switch n := d.Truncate(unit.is / 10); {
		case n == unit.is:
			return "1 " + unit.name
		case n > unit.is:
			return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/float64(unit.is)), ".0") + " " + unit.name + "s"
		}
	}
	return d.String()
}

// testTable holds a table of a page equal to what is said of the template; -update writes it. It stands between two
// comments that begin with its name.
func testTable(t *testing.T, path, name, table string) {
	t.Helper()
	begin, end := "<!-- "+name+", made by `make docs` -->\n", "<!-- end of "+name+" -->\n"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), begin)
	was, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no place for the table of %s", path, name)
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+table+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(table, was); diff != "" {
		t.Errorf("the table of %s in %s is stale, run `make docs` (-template +page):\n%s", name, path, diff)
	}
}

func tableOfShares() string {
	table := "| `accountConcurrency` | `ingest` | `retry` | `drain` | `notices` | left |\n|---|---|---|---|---|---|\n"
	for _, account := range []int{youngAccount, 100, 1000} {
		s := Props{AccountConcurrency: account}.shares()
		table += fmt.Sprintf("| %d | %d | %d | %d | %d | %d |\n", account, s.ingest, s.retry, s.drain, s.notices, account-s.ingest-s.retry-s.drain-s.notices)
	}
	return table
}

// TestShares holds that no account is asked for more runs at once than it has, that what is not handed out from a queue
// keeps some, and that each number is one that Lambda takes.
func TestShares(t *testing.T) {
	for _, test := range []struct {
		account, reserved int
		want              shares
	}{
		{0, 0, shares{2, 2, 2, 2, 1}},
		{10, 0, shares{2, 2, 2, 2, 1}},
		{20, 0, shares{11, 3, 2, 2, 1}},
		{100, 0, shares{63, 20, 5, 2, 2}},
		{1000, 0, shares{150, 50, 10, 2, 2}},
		{0, 8, shares{6, 2, 5, 2, 2}},
		{0, 40, shares{30, 10, 5, 2, 2}},
		{1000, 400, shares{300, 100, 10, 2, 2}},
		{5000, 1333, shares{1000, 333, 10, 2, 2}},
	} {
		if got := (Props{AccountConcurrency: test.account, ReservedConcurrency: test.reserved}).shares(); got != test.want {
			t.Errorf("of %d, %d reserved: %+v, want %+v", test.account, test.reserved, got, test.want)
		}
	}
	for account := 10; account <= 5000; account++ {
		for _, reserved := range []int{0, 8, 9, 99, 400, 1333} {
			if reserved > 0 && reserved > account-100 {
				continue
			}
			got := Props{AccountConcurrency: account, ReservedConcurrency: reserved}.shares()
			shared := got.drain + got.notices
			if reserved == 0 {
				shared += got.ingest + got.retry
			} else if got.ingest+got.retry > reserved {
				t.Fatalf("of %d reserved, deliver's queues ask for %+v", reserved, got)
			}
			if left := account - reserved - shared; left < got.stream+1 { // a shard of the stream, and the minute's run
				t.Fatalf("of %d, %d reserved: %+v leaves %d", account, reserved, got, left)
			}
			for _, n := range []int{got.ingest, got.retry, got.drain, got.notices} {
				if n < 2 || n > 1000 { // Lambda API Reference, ScalingConfig
					t.Fatalf("of %d, %d reserved: %+v asks for what Lambda refuses", account, reserved, got)
				}
			}
		}
	}
}
