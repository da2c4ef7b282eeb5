package stream_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/stream"
	"ravenswood.dev/stream/streamtest"
)

// The topics of the tests: text by text, numbers by text.
func text(name string) stream.TopicOf[string, string] {
	return stream.Topic(name, stream.String(), stream.String())
}

func numbers(name string) stream.TopicOf[string, int64] {
	return stream.Topic(name, stream.String(), stream.Int64())
}

// at is a time so many seconds into the test.
func at(seconds float64) time.Time {
	return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
}

// shown writes records as "key=value", a deleted one as "key=-".
func shown[K, V any](records []stream.Record[K, V]) string {
	var all []string
	for _, r := range records {
		if r.Deleted {
			all = append(all, fmt.Sprintf("%v=-", r.Key))
			continue
		}
		all = append(all, fmt.Sprintf("%v=%v", r.Key, r.Value))
	}
	return strings.Join(all, " ")
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// drive runs a topology of one input and one output over a row of "key=value", "key=-" and "key=value@seconds".
func drive(t *testing.T, rows string, write func(topo *stream.Topology, in stream.Stream[string, string]) stream.Stream[string, string]) string {
	t.Helper()
	topo := stream.New("t")
	in, out := text("in"), text("out")
	write(topo, stream.From(topo, in)).To(out)
	d := streamtest.New(t, topo)
	send(streamtest.Input(d, in), rows)
	return shown(streamtest.Output(d, out).Records())
}

func send(in *streamtest.In[string, string], rows string) {
	for row := range strings.FieldsSeq(rows) {
		row, seconds, timed := strings.Cut(row, "@")
		key, value, _ := strings.Cut(row, "=")
		var when []time.Time
		if timed {
			var s float64
			fmt.Sscan(seconds, &s)
			when = append(when, at(s))
		}
		if value == "-" {
			in.Delete(key, when...)
			continue
		}
		in.Send(key, value, when...)
	}
}

// fiveOperators is the one bolt of five operators without state.
func fiveOperators(b *testing.B) component.Bolt {
	topo := stream.New("t")
	s := stream.From(topo, text("in")).Filter(func(_, v string) bool { return v != "" })
	s = stream.MapValues(s, func(v string) string { return v[1:] }).Peek(func(stream.Record[string, string]) {})
	s = stream.MapValues(s.Filter(func(k, _ string) bool { return k != "" }), func(v string) string { return v + "!" })
	s.To(text("out"))
	plan, err := topo.Plan()
	if err != nil {
		b.Fatal(err)
	}
	bolt, err := plan.Bolts[0].Component.NewBolt(plan.Bolts[0].Config, component.Env{})
	if err != nil {
		b.Fatal(err)
	}
	return bolt
}
