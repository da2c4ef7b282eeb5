package document

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// timeLayouts are the forms of RFC 3339, and those in which files and databases leave out the zone, the seconds or the
// time of day. Parse takes fractions of a second with all of them.
var timeLayouts = [...]string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly}

// secondsMax is the first number that means milliseconds: as seconds it would be the year 5138.
const secondsMax = 1e11

// millisMax is the last millisecond since 1970 whose nanoseconds fit into 64 bits, of the year 2262: a later time would be
// another one on its way to the log.
const millisMax = math.MaxInt64 / int64(time.Millisecond)

// Time returns the time that a value says, if it says one between 1970 and 2262: text as RFC 3339 writes it, also with a space
// between date and time and without a zone, which then is the given one; or a number of seconds or milliseconds since
// 1970.
func Time(raw []byte, zone *time.Location) (time.Time, bool) {
	switch KindOf(raw) {
	case KindString:
		text, err := Text(raw)
		if err != nil {
			return time.Time{}, false
		}
		return timeOfText(text, zone)
	case KindNumber:
		return timeOfNumber(string(raw))
	}
	return time.Time{}, false
}

func timeOfText(text string, zone *time.Location) (time.Time, bool) {
	if len(text) > len(time.DateOnly) && text[len(time.DateOnly)] == ' ' {
		text = strings.Replace(text, " ", "T", 1)
	}
	for _, layout := range timeLayouts {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, t.UnixMilli() >= 0 && t.UnixMilli() <= millisMax
		}
	}
	return time.Time{}, false
}

func timeOfNumber(literal string) (time.Time, bool) {
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil || f < 0 {
		return time.Time{}, false
	}
	if f < secondsMax {
		f *= 1e3
	}
	return time.UnixMilli(int64(min(f, float64(millisMax)))), f <= float64(millisMax)
}
