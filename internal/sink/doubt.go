package sink

import (
	"sync"

	"github.com/auditrelay/auditrelay/internal/auditlog"
	"github.com/auditrelay/auditrelay/internal/delivery"
	"github.com/auditrelay/auditrelay/internal/failure"
)

// doubt remembers, from one Send to the next, whether a receiver has ever taken a log. One that has not, and has refused manyRefused different
// logs, refuses whatever comes: then the failure is hopeless, a code that concerns the connection, and not that of each log. Without it, a receiver
// that answers 400 to everything would count as healthy, nobody would be told, and every log would be given up after its seven days. Once a log was
// taken, refusals are the logs' own for as long as the sink lives.
type doubt struct {
	hopeless failure.Code

	mu      sync.Mutex
	taken   bool
	refused map[string]struct{} // by identity, at most manyRefused
}

// judge corrects the results of one Send.
func (d *doubt) judge(logs []auditlog.Document, results []delivery.Result) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, r := range results {
		if r.Err == nil {
			d.taken, d.refused = true, nil
		}
		if d.taken {
			return
		}
		if unexplained(r.Err) && len(d.refused) < manyRefused {
			if d.refused == nil {
				d.refused = make(map[string]struct{}, manyRefused)
			}
			d.refused[logs[i].Identity()] = struct{}{}
		}
	}
	if len(d.refused) < manyRefused {
		return
	}
	for i, r := range results {
		if unexplained(r.Err) {
			results[i].Err = hopelessly(d.hopeless, r.Err)
		}
	}
}

// unexplained says whether a log was refused and not for its size, which says enough.
func unexplained(err error) bool {
	switch failure.Of(err).Code {
	case failure.HTTPLogTooLarge, failure.AzureMonitorLogTooLarge:
		return false
	}
	return ofLog(err)
}

// hopelessly is the failure of a log that was refused as all others were.
func hopelessly(code failure.Code, err error) error {
	return &failure.Error{Code: code, Detail: failure.Of(err).Detail + " for each of the logs tried", Err: err}
}
