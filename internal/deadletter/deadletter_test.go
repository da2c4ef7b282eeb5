package deadletter_test

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/deadletter"
	"ravenswood.dev/internal/record"
)

func cause(partition int32, offset int64) deadletter.Cause {
	at := time.UnixMilli(1_700_000_000_000).UTC()
	source := record.Origin{Topic: "in/put", Partition: partition, Offset: offset}
	return deadletter.Cause{
		Topology: "orders", Input: "clicks", Bolt: "users", Class: "permanent", Err: "call service \"users\": answered 404",
		Attempts: 3, First: at, Last: at.Add(time.Second), Origin: source, Source: source, OriginalTime: at.Add(-time.Hour),
	}
}

func TestRecordKeepsTheRecordAndParseReadsTheCause(t *testing.T) {
	cases := []struct {
		name       string
		key, value []byte
		headers    []kgo.RecordHeader
	}{
		{"plain", []byte("k"), []byte(`{"a":1}`), []kgo.RecordHeader{{Key: "h", Value: []byte("v")}, {Key: "h", Value: nil}}},
		{"binary", []byte{0, 255, 10}, []byte{0xff, 0xfe, 0}, []kgo.RecordHeader{{Key: "", Value: []byte{0}}}},
		{"no key", nil, []byte("v"), nil},
		{"empty key and value", []byte{}, []byte{}, nil},
		{"tombstone", []byte("k"), nil, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			want := cause(3, 42)
			r := deadletter.Record("dead", 3, c.key, c.value, c.headers, want)
			if r.Topic != "dead" || r.Partition != 3 || !r.Timestamp.Equal(want.Last) {
				t.Fatalf("record is %+v", r)
			}
			got, err := deadletter.Parse(r)
			if err != nil || got.Cause != want {
				t.Fatalf("got  %+v, %v\nwant %+v", got.Cause, err, want)
			}
			if !bytes.Equal(got.Key, c.key) || (got.Key == nil) != (c.key == nil) || !bytes.Equal(got.Value, c.value) || (got.Value == nil) != (c.value == nil) {
				t.Fatalf("key %q, value %q", got.Key, got.Value)
			}
			if len(got.Headers) != len(c.headers) || got.ID() != "in/put/3/42@users" {
				t.Fatalf("headers %v, id %s", got.Headers, got.ID())
			}
		})
	}
}

func TestRecordBoundsTheErrorText(t *testing.T) {
	c := cause(0, 0)
	c.Err = strings.Repeat("ü", 5000)
	got, err := deadletter.Parse(deadletter.Record("dead", 0, nil, nil, nil, c))
	if err != nil || len(got.Err) > 4100 || !utf8.ValidString(got.Err) || !strings.HasSuffix(got.Err, "…") {
		t.Fatalf("%d bytes, %v", len(got.Err), err)
	}
}

// TestRecordOfARecordThatDiedBefore: the first death's headers give way to the second's.
func TestRecordOfARecordThatDiedBefore(t *testing.T) {
	first := deadletter.Record("dead", 0, nil, nil, []kgo.RecordHeader{{Key: "own", Value: []byte("v")}}, cause(0, 1))
	second, err := deadletter.Parse(deadletter.Record("dead", 0, nil, nil, first.Headers, cause(0, 2)))
	if err != nil || second.Source.Offset != 2 || len(second.Headers) != 1 {
		t.Fatalf("got %+v, %v", second, err)
	}
}

func TestParseRefusesWhatIsNoDeadLetter(t *testing.T) {
	good := deadletter.Record("dead", 0, nil, []byte("v"), nil, cause(0, 1))
	change := func(key, value string) []kgo.RecordHeader {
		headers := append([]kgo.RecordHeader(nil), good.Headers...)
		for i := range headers {
			if headers[i].Key == key {
				headers[i].Value = []byte(value)
			}
		}
		return headers
	}
	cases := []struct {
		name    string
		headers []kgo.RecordHeader
		want    string
	}{
		{"no headers", nil, "raven-dead-topology"},
		{"attempts are no number", change("raven-dead-attempts", "many"), "raven-dead-attempts"},
		{"source is no coordinate", change("raven-dead-source", "here"), "raven-dead-source"},
		{"time is no time", change("raven-dead-first", "12"), "raven-dead-first"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := deadletter.Parse(&kgo.Record{Topic: "dead", Offset: 7, Headers: c.headers})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "dead/0/7") {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("raven-dead-source", []byte("a/0/1"))
	f.Add("raven-dead-time", []byte("2024-01-01T00:00:00Z"))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		r := deadletter.Record("dead", 0, nil, nil, nil, cause(0, 1))
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: key, Value: value})
		_, _ = deadletter.Parse(r)
	})
}
