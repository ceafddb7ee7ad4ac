package handler

import (
	"runtime/debug"

	"github.com/auditrelay/auditrelay/internal/sink"
)

const (
	// collectAt is the growth of memory, in percent, after which garbage is collected. A batch leaves little behind, and at Go's default of 100 a sixth of
	// the function's time goes into collecting it.
	collectAt = 400
	// usableShare is the part of a function's memory from which on collecting goes before growing; the rest is for what the collector does not see.
	usableShare = 0.75
	// requestShare is the part that requests under way may take. The rest of the usable part is for the batch and its documents, and for what is
	// written to the cache.
	requestShare = 0.25
)

// requestRoom is how many bytes requests may take of a function's memory in MB.
func requestRoom(mb int) int64 { return max(sink.LeastRoom, int64(requestShare*float64(mb<<20))) }

// UseMemory has the collector use the memory that the function has, in MB, since it is paid for whether it is used or not.
func UseMemory(mb int) {
	debug.SetGCPercent(collectAt)
	if mb > 0 {
		debug.SetMemoryLimit(int64(usableShare * float64(mb<<20)))
	}
}
