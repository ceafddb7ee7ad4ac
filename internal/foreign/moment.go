package foreign

import (
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"time"
)

// What is wrong with a time, as it goes on from the name of its field.
var (
	errNoTime = errors.New("is no time: an RFC 3339 one, or seconds, milliseconds, microseconds or nanoseconds since 1970")
	errNoZone = errors.New("is a time without a zone; --time-zone says which it is, such as UTC or Europe/Berlin")
	errEpoch  = errors.New("is a number that is no time between 1973 and 2200")
)

// moment reads a time that is a JSON string or a number.
func (f Form) moment(raw json.RawMessage) (time.Time, error) {
	s := string(raw)
	if raw[0] == '"' {
		var err error
		if s, err = text(raw); err != nil {
			return time.Time{}, errNoTime
		}
		s = strings.TrimSpace(s)
	}
	if strings.Trim(s, "0123456789.eE+-") == "" && strings.LastIndexByte(s, '-') <= 0 {
		return f.number(s)
	}
	return f.calendar(strings.ToUpper(s))
}

// compact is a calendar time in fourteen digits. As milliseconds it would be a time after the year 2286.
const compact = "20060102150405"

// number reads a time that was written as a number: since 1970, in the unit that its size tells.
func (f Form) number(s string) (time.Time, error) {
	whole, _, _ := strings.Cut(s, ".")
	if len(whole) == len(compact) && strings.Trim(whole, "0123456789") == "" && whole[0] <= '2' {
		return f.in(compact, s)
	}
	number, ok := new(big.Rat).SetString(s)                // it refuses exponents over a million
	if !ok || number.Cmp(new(big.Rat).SetInt64(1e8)) < 0 { // such as a year, or a date in eight digits
		return time.Time{}, errEpoch
	}
	// Of the times that are taken seconds have 9 or 10 digits, milliseconds 12 or 13, microseconds 15 or 16,
	// nanoseconds 18 or 19.
	nanoseconds := int64(time.Second)
	for _, unit := range []int64{1e11, 1e14, 1e17} {
		if number.Cmp(new(big.Rat).SetInt64(unit)) >= 0 {
			nanoseconds /= 1000
		}
	}
	number.Mul(number, new(big.Rat).SetInt64(nanoseconds))
	since := new(big.Int).Quo(number.Num(), number.Denom())
	at := time.Unix(0, since.Int64()).UTC()
	if !since.IsInt64() || at.Year() >= 2200 {
		return time.Time{}, errEpoch
	}
	return at, nil
}

// calendar reads a time of day and year, in capital letters: as RFC 3339 has it, with an offset without a
// colon or minutes, with a blank in place of T and before the offset, without an offset; without separators;
// and as in HTTP.
func (f Form) calendar(s string) (time.Time, error) {
	for _, zone := range []string{"UTC", "GMT"} {
		if local, ok := strings.CutSuffix(s, zone); ok {
			s = strings.TrimSpace(local) + "Z"
		}
	}
	layouts := []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "20060102T150405", "Mon, 2 Jan 2006 15:04:05"}
	if f.MonthFirst {
		layouts = append(layouts, "1/2/2006 15:04:05", "1/2/2006 3:04:05 PM")
	}
	for _, layout := range layouts {
		for _, zone := range []string{"Z07:00", "Z0700", "Z07", " Z07:00", " Z0700"} {
			if at, err := time.Parse(layout+zone, s); err == nil {
				return at, nil
			}
		}
		if at, err := f.in(layout, s); err == nil || errors.Is(err, errNoZone) {
			return at, err
		}
	}
	return time.Time{}, errNoTime
}

// in reads a time that names no zone.
func (f Form) in(layout, s string) (time.Time, error) {
	zone := f.Zone
	if zone == nil {
		zone = time.UTC
	}
	at, err := time.ParseInLocation(layout, s, zone)
	switch {
	case err != nil:
		return time.Time{}, errNoTime
	case f.Zone == nil:
		return time.Time{}, errNoZone
	}
	return at, nil
}

// ParseZone reads a time zone: a name of the IANA database, or an offset such as +05:30.
func ParseZone(name string) (*time.Location, error) {
	for _, layout := range []string{"-07:00", "-0700", "-07"} {
		if at, err := time.Parse(layout, name); err == nil {
			_, seconds := at.Zone()
			return time.FixedZone("", seconds), nil
		}
	}
	if zone, err := time.LoadLocation(name); err == nil && name != "" {
		return zone, nil
	}
	return nil, errors.New("--time-zone must be a zone's name, such as UTC or Europe/Berlin, or an offset, such as +05:30")
}
