package simulate

import (
	"context"

	"github.com/auditrelay/auditrelay/internal/delivery"
)

// receipts count what receipts cost. It remembers none: no log is sent again here.
type receipts struct {
	meter *Meter
	// looked and kept are those of the invocation at hand. Here each destination's logs are taken by themselves, while deliver takes a batch together.
	looked, kept int
}

// Look implements delivery.Receipts: half a read unit for each log, a hundred a call.
func (r *receipts) Look(_ context.Context, logs []delivery.Content) (map[delivery.Content]delivery.Receipt, error) {
	r.looked += len(logs)
	r.meter.add(Remembering, Count{HalfReads: len(logs)})
	return map[delivery.Content]delivery.Receipt{}, nil
}

// Keep implements delivery.Receipts: a write unit for each log, 25 a call.
func (r *receipts) Keep(_ context.Context, rs []delivery.Receipt) error {
	r.kept += len(rs)
	r.meter.add(Remembering, Count{Writes: len(rs), Items: len(rs)})
	return nil
}

// flush counts the calls of an invocation.
func (r *receipts) flush() {
	r.meter.add(Remembering, Count{Dynamo: times(r.looked, readsACall) + times(r.kept, writesACall)})
	r.looked, r.kept = 0, 0
}
