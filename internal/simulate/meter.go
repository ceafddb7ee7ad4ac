package simulate

import (
	"sync"
	"time"
)

// Purpose is what a call is made for.
type Purpose int

// The purposes, in the order of a log's life.
const (
	IngestQueue Purpose = iota // receive and delete accepted messages
	Invocations                // of deliver
	Lookups                    // read workspaces and destinations
	Caching                    // write deliveries that failed or wait, and their index entries
	Hints                      // send hints
	RetryQueue                 // receive and delete hints
	Loading                    // read the deliveries that hints lead to
	Retrying                   // write deliveries that failed again
	Removing                   // delete deliveries that arrived
	Remembering                // look for receipts of logs, and keep new ones
	GivingUp                   // replace deliveries by their failed events
	HealthMarks                // read and change the health of destinations, count their attempts
	Minutes                    // what runs each minute whatever happens: due shards, progress, attention
	Backlogs                   // list backlogs for probes and drains
	Schedules                  // one-time schedules of the policy that uses them
	purposes
)

// String names the purpose.
func (p Purpose) String() string {
	return [...]string{
		"take from the ingest queue", "invoke deliver", "look up destinations", "cache", "send hints", "take hints", "load", "retry", "remove",
		"remember", "give up", "health", "each minute", "list backlogs", "schedules",
	}[p]
}

// Count is what was used for one purpose. Read units are counted in halves, because an eventually consistent read costs half a unit.
type Count struct {
	SQS       int `json:"sqs_requests,omitempty"`
	Dynamo    int `json:"dynamodb_calls,omitempty"`
	Writes    int `json:"write_units,omitempty"`
	HalfReads int `json:"half_read_units,omitempty"`
	Lambda    int `json:"invocations,omitempty"`
	// Runtime is the memory of the functions in megabytes times their duration in milliseconds.
	Runtime   int `json:"megabyte_milliseconds,omitempty"`
	Scheduler int `json:"schedules,omitempty"`
	// Items is how many deliveries, hints or messages these calls were for.
	Items int `json:"items,omitempty"`
}

func (c *Count) add(o Count) {
	c.SQS += o.SQS
	c.Dynamo += o.Dynamo
	c.Writes += o.Writes
	c.HalfReads += o.HalfReads
	c.Lambda += o.Lambda
	c.Runtime += o.Runtime
	c.Scheduler += o.Scheduler
	c.Items += o.Items
}

// List prices in US dollars, us-east-1, on demand, arm64.
const (
	priceSQS       = 0.40 / 1e6
	priceInvoke    = 0.20 / 1e6
	priceGBSecond  = 0.0000133334
	priceWrite     = 0.625 / 1e6
	priceRead      = 0.125 / 1e6
	priceSchedule  = 1.00 / 1e6
	mbMillisAGBSec = 1024 * 1000
)

// Dollars is what the count costs at list price.
func (c Count) Dollars() float64 {
	return float64(c.SQS)*priceSQS + float64(c.Lambda)*priceInvoke + float64(c.Runtime)/mbMillisAGBSec*priceGBSecond +
		float64(c.Writes)*priceWrite + float64(c.HalfReads)/2*priceRead + float64(c.Scheduler)*priceSchedule
}

// Counts is what a run used, by purpose.
type Counts [purposes]Count

// Total is the sum over all purposes.
func (c Counts) Total() Count {
	var sum Count
	for _, one := range c {
		sum.add(one)
	}
	return sum
}

// Named gives the counts by the purposes' names, without the empty ones.
func (c Counts) Named() map[string]Count {
	named := make(map[string]Count)
	for p, one := range c {
		if one != (Count{}) {
			named[Purpose(p).String()] = one
		}
	}
	return named
}

// Meter counts. It is safe for concurrent use.
type Meter struct {
	late func(Count) // is told of each count, if set

	mu     sync.Mutex
	counts Counts
}

// wait has calls take their time that are counted elsewhere.
func (m *Meter) wait(c Count) {
	if m.late != nil {
		m.late(c)
	}
}

func (m *Meter) add(p Purpose, c Count) {
	m.wait(c)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[p].add(c)
}

// Counts gives the counts so far.
func (m *Meter) Counts() Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts
}

// How the adapters and the stack use the services, see internal/aws and infra.
const (
	writesACall    = 25  // BatchWriteItem
	readsACall     = 100 // BatchGetItem
	sqsACall       = 10  // SendMessageBatch, and the poller's receives and deletes
	writeUnit      = 1024
	readUnit       = 4096
	writeShards    = 8 // partitions of a destination's deliveries, each listed by a query of its own
	deliverMB      = 512
	requeueMB      = 1769
	outgoingWrites = 2 // what is to be told stands in the table and the index attention
	recordWrites   = 3 // a destination's record stands in the table, the index owner and, while it fails, the index attention
	writtenShards  = 2 // counters of what was written
)

// times is how many calls of at most size items n items take.
func times(n, size int) int { return (n + size - 1) / size }

// runtime is the price basis of a function that ran for d. Lambda bills whole milliseconds.
func runtime(mb int, d time.Duration) int {
	return mb * int((d+time.Millisecond-1)/time.Millisecond)
}
