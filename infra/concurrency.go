package infra

import "fmt"

// How many runs at once Lambda has for an account and region, and lets a queue ask for. Each queue asks for no more than
// its share, and the shares leave some to what is not handed out from a queue: the minute's run of requeue, admin,
// expire and disconnect. So a burst of logs starves none of them.
const (
	// youngAccount is what a new account has at least; AWS raises it as it is used, or on demand
	// (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
	youngAccount = 10
	// keptUnreserved is what Lambda keeps for functions without a reservation
	// (https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionConcurrency.html).
	keptUnreserved = 100
	// leastOfQueue and mostOfQueue bound what one queue may ask for
	// (https://docs.aws.amazon.com/lambda/latest/api/API_ScalingConfig.html).
	leastOfQueue = 2
	mostOfQueue  = 1000
	// mostOfDeliver bounds deliver where nothing is reserved for it. A quarter of what it has is for retries, so that a
	// great outage leaves room for fresh logs.
	mostOfDeliver = 200
	retryShare    = 4
	// leastReserved leaves each of deliver's two queues leastOfQueue, and mostReserved asks for mostOfQueue for fresh logs.
	leastReserved = retryShare * leastOfQueue
	mostReserved  = (retryShare*mostOfQueue + 1) / (retryShare - 1)
	// mostOfDrain is how many destinations' pages are sent at the same time.
	mostOfDrain = 10
	// fewRuns is an account in which a shard of the stream has one run at a time.
	fewRuns = 100
	// ofNotices keeps mails few at a time: SES takes 14 a second of a young account, and one of one in its sandbox.
	ofNotices = leastOfQueue
)

// shares are how many runs at once each queue may ask for, and each shard of the stream, whose records of one item stay in
// their order all the same.
type shares struct{ ingest, retry, drain, notices, stream int }

// account is how many runs at once the account has, as far as the settings say. Whoever reserves some has kept
// keptUnreserved beside them.
func (s Props) account() int {
	switch {
	case s.AccountConcurrency > 0:
		return s.AccountConcurrency
	case s.ReservedConcurrency > 0:
		return s.ReservedConcurrency + keptUnreserved
	}
	return youngAccount
}

// shares divides what the account has.
func (s Props) shares() shares {
	shared := s.account() - s.ReservedConcurrency
	drain := min(max(shared/20, leastOfQueue), mostOfDrain)
	deliver := s.ReservedConcurrency
	if deliver == 0 {
		others := max(shared/10, 2)
		deliver = min(shared-drain-ofNotices-others, mostOfDeliver)
	}
	retry := max(deliver/retryShare, leastOfQueue)
	stream := 2
	if s.account() < fewRuns {
		stream = 1
	}
	return shares{ingest: deliver - retry, retry: retry, drain: drain, notices: ofNotices, stream: stream}
}

// reservation reads what is set aside for deliver, and holds it against what the account has.
func (r *reader) reservation(key string, account int) int {
	n := r.count(key, leastReserved, mostReserved, fmt.Sprintf(
		"a quarter is for retries, and Lambda lets one queue ask for %d to %d runs at once", leastOfQueue, mostOfQueue))
	if n > 0 && account > 0 && n > account-keptUnreserved {
		r.refuse(key, fmt.Sprint(n), fmt.Sprintf("at most accountConcurrency less %d, here %d, since Lambda keeps %d of an account's runs at once unreserved; "+
			"or leave it out, or ask AWS for more (Service Quotas, AWS Lambda, Concurrent executions)", keptUnreserved, max(account-keptUnreserved, 0), keptUnreserved))
	}
	return n
}
