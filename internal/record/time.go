package record

import (
	"fmt"
	"math"
	"time"
)

// timeMax is the last millisecond since 1970 whose nanoseconds fit into 64 bits. Kafka clients count in these on the way
// to the log's milliseconds, so a later time would be another one there.
const timeMax = math.MaxInt64 / int64(time.Millisecond)

// noTime is how the log says that a record has no time.
const noTime = -1

// CheckTime says whether a time can be the event time of a record. The log keeps milliseconds from 1970 on, and the one
// before for a record without time.
func CheckTime(t time.Time) error {
	if ms := t.UnixMilli(); ms >= noTime && ms <= timeMax {
		return nil
	}
	return fmt.Errorf("the time %s is not between 1970 and 2262", t.UTC().Format(time.RFC3339))
}
