package logfile

import (
	"fmt"
	"strconv"
	"strings"
)

// Place is where a value begins. Of two values in a file no two have the same place, and the later one has
// the higher.
type Place struct {
	Line int
	// Record counts from 1 within a document, or where several values stand in one line; 0 is the first value
	// of a line that is no document.
	Record int
}

// String is the place as ParsePlace reads it: "17", or "1/17" for the seventeenth record of a document that
// is line 1.
func (p Place) String() string {
	if p.Record == 0 {
		return strconv.Itoa(p.Line)
	}
	return fmt.Sprintf("%d/%d", p.Line, p.Record)
}

// Before says whether p comes before q in a file.
func (p Place) Before(q Place) bool {
	return p.Line < q.Line || p.Line == q.Line && p.Record < q.Record
}

// ParsePlace reads what String writes.
func ParsePlace(text string) (Place, error) {
	line, record, inside := strings.Cut(text, "/")
	p := Place{}
	var err error
	if p.Line, err = strconv.Atoi(line); err != nil || p.Line < 1 {
		return p, fmt.Errorf("%q is no line, such as 5000, or 1/5000 for a record of a document", text)
	}
	if inside {
		if p.Record, err = strconv.Atoi(record); err != nil || p.Record < 1 {
			return p, fmt.Errorf("%q is no record of a document, such as 1/5000", text)
		}
	}
	return p, nil
}
