package kafka_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
)

func TestAStampKeepsTheEventTime(t *testing.T) {
	event, now := time.UnixMilli(1291190400123), time.UnixMilli(1795000000000)
	own := []kgo.RecordHeader{{Key: "own", Value: []byte("v")}}
	for _, c := range []struct {
		name   string
		record kgo.Record
		stamp  bool
		want   time.Time
	}{
		{"stamped", kgo.Record{Headers: own}, true, event},
		{"as it was written", kgo.Record{Timestamp: event, Headers: own}, false, event},
		{"before 1970", kgo.Record{}, true, time.UnixMilli(-5)},
		{"with a header nobody can read", kgo.Record{Timestamp: now, Headers: []kgo.RecordHeader{{Key: "raven-time", Value: []byte("soon")}}}, false, now},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, headers := c.record, len(c.record.Headers)
			if c.stamp {
				kafka.Stamp(&r, c.want, now)
				if !r.Timestamp.Equal(now) {
					t.Errorf("timestamp %v", r.Timestamp)
				}
			}
			if at := kafka.EventTime(&r); !at.Equal(c.want) {
				t.Errorf("event time %v, want %v", at, c.want)
			}
			if at := kafka.Unstamp(&r); !at.Equal(c.want) || c.stamp && len(r.Headers) != headers {
				t.Errorf("event time %v, headers %v", at, r.Headers)
			}
		})
	}
}

func TestATimeThatIsFarOffIsKeptInAHeader(t *testing.T) {
	now := time.UnixMilli(1795000000000)
	for _, c := range []struct {
		name  string
		event time.Time
		far   bool
	}{
		{"now", now, false},
		{"some minutes ago", now.Add(-59 * time.Minute), false},
		{"hours ago", now.Add(-61 * time.Minute), true},
		{"some minutes ahead", now.Add(9 * time.Minute), false},
		{"nearly what a broker takes", now.Add(59 * time.Minute), true},
		{"none of the log's", time.UnixMilli(-1), true},
		{"a year of five digits", time.UnixMilli(1e15), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := kgo.Record{Headers: []kgo.RecordHeader{{Key: "raven-time", Value: []byte("1")}}} // of a topic before
			kafka.SetTime(&r, c.event, now)
			if at := kafka.EventTime(&r); !at.Equal(c.event) {
				t.Errorf("event time %v, want %v", at, c.event)
			}
			if r.Timestamp.Equal(now) != (c.far || c.event.Equal(now)) || (len(r.Headers) == 1) != c.far {
				t.Errorf("timestamp %v, headers %v", r.Timestamp, r.Headers)
			}
		})
	}
}
