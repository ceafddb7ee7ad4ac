package sink

// paceSettings bound how much comes to a destination at a time. They are embedded in each kind's own.
type paceSettings struct {
	// Rate is how many logs a second the destination takes, over ten seconds and over all instances of deliver together; 0 for any number. Package
	// delivery holds it, see directory.Destination.Rate.
	Rate int `json:"rate"`
	// Concurrency is how many requests one instance of deliver makes at the same time; 0 for the kind's default.
	Concurrency int `json:"concurrency"`
}

const (
	mostRate        = 100_000
	mostConcurrency = 32
)

// check gives the number of requests at the same time.
func (p paceSettings) check(concurrency int) (int, error) {
	if p.Rate < 0 || p.Rate > mostRate {
		return 0, invalid("settings.rate", "must be 1 to %d logs a second, or 0 for any number", mostRate)
	}
	if p.Concurrency != 0 {
		concurrency = p.Concurrency
	}
	if concurrency < 1 || concurrency > mostConcurrency {
		return 0, invalid("settings.concurrency", "must be 1 to %d", mostConcurrency)
	}
	return concurrency, nil
}
