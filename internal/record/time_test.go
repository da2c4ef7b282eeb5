package record_test

import (
	"testing"
	"time"

	"ravenswood.dev/internal/record"
)

func TestTheTimeOfARecordCanBeKeptByTheLog(t *testing.T) {
	for _, c := range []struct {
		name string
		at   time.Time
		good bool
	}{
		{"now", time.Now(), true},
		{"1970", time.UnixMilli(0), true},
		{"no time of the log's", time.UnixMilli(-1), true},
		{"the last", time.Date(2262, 4, 11, 23, 47, 16, 854_000_000, time.UTC), true},
		{"after the last", time.Date(2262, 4, 11, 23, 47, 16, 855_000_000, time.UTC), false},
		{"before 1970", time.UnixMilli(-2), false},
		{"the end of four digits", time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), false},
		{"microseconds taken for milliseconds", time.UnixMilli(time.Now().UnixMicro()), false},
		{"none", time.Time{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := record.CheckTime(c.at)
			if (err == nil) != c.good {
				t.Errorf("%s: %v, want good %v", c.at, err, c.good)
			}
			if back := time.UnixMilli(c.at.UnixNano() / 1e6); c.good && !back.Equal(c.at.Truncate(time.Millisecond)) {
				t.Errorf("%s comes back from the log as %s", c.at, back)
			}
		})
	}
}
