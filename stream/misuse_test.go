package stream_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/stream"
	"ravenswood.dev/stream/streamtest"
)

// told is a streamtest.T that keeps what ends the test.
type told struct {
	streamtest.Plain
	says string
}

func (o *told) Fatalf(format string, args ...any) {
	o.says = fmt.Sprintf(format, args...)
	panic(o)
}

// ends says what ends a test.
func ends(f func(t streamtest.T)) string {
	o := new(told)
	defer func() { _ = recover() }()
	func() {
		defer func() {
			if p := recover(); p != nil && p != any(o) {
				o.says = fmt.Sprint(p)
			}
		}()
		f(o)
	}()
	return o.says
}

type texting = func(*stream.Context[string, string]) func(stream.Record[string, string]) error

func TestAProcessorThatCannotWorkDoesNotStart(t *testing.T) {
	mine := stream.NewStore("mine", stream.String(), stream.String())
	idle := func(stream.Record[string, string]) error { return nil }
	for _, c := range []struct {
		name, says string
		open       texting
	}{
		{"no function", `open process "p": it returned no function`, func(*stream.Context[string, string]) func(stream.Record[string, string]) error { return nil }},
		{"a store that is not declared", `open store "mine": no processor has declared it; add the option Uses`, func(c *stream.Context[string, string]) func(stream.Record[string, string]) error {
			mine.In(c)
			return idle
		}},
		{"an interval that is none", `the interval 0s is not positive`, func(c *stream.Context[string, string]) func(stream.Record[string, string]) error {
			c.Every(0, func(time.Time) error { return nil })
			return idle
		}},
		{"nothing to call", `call nothing every 1s: the function is nil`, func(c *stream.Context[string, string]) func(stream.Record[string, string]) error {
			c.EveryStreamTime(time.Second, nil)
			return idle
		}},
		{"a panic", `panic: no`, func(*stream.Context[string, string]) func(stream.Record[string, string]) error { panic("no") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			topo := stream.New("t")
			stream.Process(stream.From(topo, text("in")), c.open, stream.Named("p"))
			if got := ends(func(t streamtest.T) { streamtest.New(t, topo) }); !strings.Contains(got, c.says) {
				t.Errorf("it says %q, want %q", got, c.says)
			}
		})
	}
}

func TestARecordWithoutATimeHasThatOfTheOneAtWork(t *testing.T) {
	eachWay(t, time.Time{}, func(t *testing.T, d *streamtest.Driver) {
		got := streamtest.Output(d, text("out")).Records()
		want(t, "records", shown(got), "a=x")
		if r := got[0]; !r.Time.Equal(at(7)) {
			t.Errorf("its time is %s, want %s", r.Time, at(7))
		}
	})
}

func TestATimeThatNoRecordCanHaveIsADeadLetter(t *testing.T) {
	eachWay(t, time.Unix(-1, 0), func(t *testing.T, d *streamtest.Driver) {
		want(t, "records", shown(streamtest.Output(d, text("out")).Records()), "")
		if dead := d.DeadLetters(); len(dead) != 1 || !strings.Contains(dead[0].Err.Error(), "1970") {
			t.Errorf("dead letters %+v", dead)
		}
	})
}

// eachWay lets each operator that emits whole records give one of a time.
func eachWay(t *testing.T, when time.Time, look func(t *testing.T, d *streamtest.Driver)) {
	type R = stream.Record[string, string]
	for name, write := range map[string]func(s texts) texts{
		"transform": func(s texts) texts {
			return stream.Transform(s, func(r R, emit func(R) error) error { return emit(R{Key: r.Key, Value: r.Value, Time: when}) })
		},
		"process": func(s texts) texts {
			return stream.Process(s, func(c *stream.Context[string, string]) func(R) error {
				return func(r R) error {
					c.EmitRecord(R{Key: r.Key, Value: r.Value, Time: when})
					return nil
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			topo := stream.New("t")
			write(stream.From(topo, text("in"))).To(text("out"))
			d := streamtest.New(t, topo)
			send(streamtest.Input(d, text("in")), "a=x@7")
			look(t, d)
		})
	}
}

func TestWhatIsWrittenAfterTheCheckIsTold(t *testing.T) {
	for name, write := range map[string]func(topo *stream.Topology, s texts){
		"an operator":           func(_ *stream.Topology, s texts) { s.Branch() },
		"one more for the sink": func(_ *stream.Topology, s texts) { s.To(text("out")) },
	} {
		t.Run(name, func(t *testing.T) {
			topo := stream.New("t")
			s := stream.From(topo, text("in"))
			s.To(text("out"))
			if err := topo.Check(); err != nil {
				t.Fatal(err)
			}
			write(topo, s)
			says(t, topo.Check(), "write all of it before the first Check, Plan or Run")
		})
	}
}

func TestATestThatNamesAnotherTopicEnds(t *testing.T) {
	topo := stream.New("t")
	stream.From(topo, text("in")).To(text("out"))
	want(t, "input", ends(func(t streamtest.T) {
		d := streamtest.New(t, topo)
		streamtest.Input(d, text("inn"))
	}), `write topic "inn": topology "t" does not read it`)
	want(t, "output", ends(func(t streamtest.T) {
		d := streamtest.New(t, topo)
		streamtest.Output(d, text("uot"))
	}), `read topic "uot": topology "t" does not write it`)
	streamtest.Output(streamtest.New(t, topo), text("in")) // what a test has written it may read
}
