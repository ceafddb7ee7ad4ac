package delivery

import (
	"testing"
	"time"
)

// TestPatience holds how long the queue ingest hands out what is never settled: what is left open, for as long as a log
// may live; what ends the process, so that it is a dead letter days before SQS drops it, two weeks after it was sent.
func TestPatience(t *testing.T) {
	if life := time.Duration(IngestReceives) * IngestAgain; life < Lifetime {
		t.Errorf("a message comes back for %v, and its log may live for %v", life, Lifetime)
	}
	var killer time.Duration
	for receives := 1; receives <= IngestReceives; receives++ {
		if receives <= trusted {
			killer += IngestAgain
			continue
		}
		hidden := hiddenFor(receives)
		if hidden <= IngestAgain {
			t.Fatalf("what was handed out %d times shows up again with its neighbours, after %v", receives, hidden)
		}
		killer += hidden
	}
	if killer < Lifetime || killer > 12*24*time.Hour {
		t.Errorf("what ends the process is a dead letter after %v, want between %v and twelve days", killer, Lifetime)
	}
	if hiddenFor(suspectLong) < 9*IngestAgain {
		t.Error("its neighbours do not outlive nine of them")
	}
}
