package delivery

// Why is why an attempt was made, or a log held.
type Why string

// The reasons for attempts.
const (
	// WhyFresh: the log's first attempt, because it came.
	WhyFresh Why = "fresh"
	// WhyRetry: an attempt before has failed, and the time for another had come.
	WhyRetry Why = "retry"
	// WhyProbe: the destination fails, and one of the oldest logs was to find out whether it still does.
	WhyProbe Why = "probe"
	// WhyTurn: the destination fails, and the parked log had one of its turns.
	WhyTurn Why = "turn"
	// WhyDrain: the destination takes logs again, or takes more now, and the backlog is sent.
	WhyDrain Why = "drain"
	// WhyRedrive: a person asked for it.
	WhyRedrive Why = "redrive"
	// WhyTest: it was a marked test log, no customer's. It is in no count of logs.
	WhyTest Why = "test"
)

// turn says whether a hint gives a parked delivery one of its turns: if the destination does not take it, it stays parked.
func (h Hint) turn() bool { return h.Why == WhyTurn }

// why is why a hint leads to an attempt at a log that was tried so many times before.
func (h Hint) why(attempts int) Why {
	switch {
	case h.Why != "":
		return h.Why
	case h.Drain: // of a deployment's version before hints said why
		return WhyDrain
	case attempts == 0:
		return WhyFresh
	}
	return WhyRetry
}
