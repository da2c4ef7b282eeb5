package kafka

import (
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// headerTime carries the event time of a record whose timestamp is the time at which it was written, in milliseconds.
const headerTime = "raven-time"

// Stamp gives a record the time at which it is written as its timestamp, and keeps its event time in a header.
//
// Brokers delete by timestamp. Events of years ago, written to a topic of ours that keeps a week, would be gone before
// they are read; the state of a window of years ago would be gone while the window is open.
func Stamp(r *kgo.Record, event, now time.Time) {
	Unstamp(r)
	r.Timestamp = now
	r.Headers = append(r.Headers, kgo.RecordHeader{Key: headerTime, Value: strconv.AppendInt(nil, event.UnixMilli(), 10)})
}

// How far from now an event time may be to be the timestamp of a record of ours. Topics keep records for some days at
// least, but brokers take times of at most one hour ahead (message.timestamp.after.max.ms), and their clocks are not ours.
const (
	nearBehind = time.Hour
	nearAhead  = 10 * time.Minute
)

// SetTime makes the event time of a record its timestamp, unless that is far from now: then it is as with Stamp. A topic of
// ours takes any event time so.
func SetTime(r *kgo.Record, event, now time.Time) {
	if event.Before(now.Add(-nearBehind)) || event.After(now.Add(nearAhead)) {
		Stamp(r, event, now)
		return
	}
	Unstamp(r)
	r.Timestamp = event
}

// EventTime is the event time of a record: what Stamp kept, else its timestamp.
func EventTime(r *kgo.Record) time.Time {
	if i := stamped(r); i >= 0 {
		if ms, err := strconv.ParseInt(string(r.Headers[i].Value), 10, 64); err == nil {
			return time.UnixMilli(ms)
		}
	}
	return r.Timestamp
}

// Unstamp is EventTime, and takes the header off.
func Unstamp(r *kgo.Record) time.Time {
	at := EventTime(r)
	if i := stamped(r); i >= 0 {
		r.Headers = slices.Delete(slices.Clone(r.Headers), i, i+1)
	}
	return at
}

func stamped(r *kgo.Record) int {
	for i := len(r.Headers) - 1; i >= 0; i-- {
		if r.Headers[i].Key == headerTime {
			return i
		}
	}
	return -1
}
