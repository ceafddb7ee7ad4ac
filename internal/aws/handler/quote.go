package handler

import (
	"log"
	"os"

	"github.com/auditrelay/auditrelay/internal/sink"
)

// QuoteNobody keeps what receivers say out of package log, and so out of the function's log group. Functions that send
// logs call it before they do anything else.
func QuoteNobody() { log.SetOutput(sink.Unquoted(os.Stderr)) }
