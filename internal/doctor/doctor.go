// Package doctor says whether a deployment can work in an account, and whether it does. Before a deploy,
// Account holds what was seen of the account against what the stack needs. After a deploy, Canary sends
// marked logs through the deployment and watches what becomes of them. Both give findings: what was looked
// at, what was found, what to do.
package doctor

import "time"

// Status is how a check ended.
type Status string

// The statuses. Only Failing is a reason not to deploy, or says that a deployment does not work.
const (
	OK      Status = "ok"
	Warning Status = "warning"
	Failing Status = "failing"
	// Unknown is a check that could not look.
	Unknown Status = "unknown"
)

// Finding is what one check found.
type Finding struct {
	Check  string `json:"check"`
	Status Status `json:"status"`
	Found  string `json:"found"`
	// Do is what to do; empty where there is nothing.
	Do string `json:"do,omitempty"`
	// Took is how long what was watched for took to happen; 0 for a check that only looks.
	Took time.Duration `json:"-"`
	// Seconds is Took for JSON.
	Seconds float64 `json:"seconds,omitempty"`
}

// Worst is the gravest status: a failing one, else a warning or an unknown one, else OK.
func Worst(findings []Finding) Status {
	worst := OK
	for _, f := range findings {
		switch {
		case f.Status == Failing:
			return Failing
		case f.Status != OK && worst == OK:
			worst = f.Status
		}
	}
	return worst
}

func ok(check, found string) Finding { return Finding{Check: check, Status: OK, Found: found} }

func warning(check, found, do string) Finding {
	return Finding{Check: check, Status: Warning, Found: found, Do: do}
}

func failing(check, found, do string) Finding {
	return Finding{Check: check, Status: Failing, Found: found, Do: do}
}
