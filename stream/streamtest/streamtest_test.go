package streamtest_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/stream"
	"ravenswood.dev/stream/streamtest"
)

// spy is a T that remembers; Fatalf panics as a test's would end its goroutine.
type spy struct {
	errors   []string
	cleanups []func()
}

func (s *spy) Helper()                      {}
func (s *spy) Errorf(f string, args ...any) { s.errors = append(s.errors, fmt.Sprintf(f, args...)) }
func (s *spy) Fatalf(f string, args ...any) { s.Errorf(f, args...); panic(s) }
func (s *spy) Cleanup(f func())             { s.cleanups = append(s.cleanups, f) }

// end runs the cleanups and returns what was reported; a Fatalf of f ends it early.
func (s *spy) end(f func()) []string {
	func() {
		defer func() {
			if p := recover(); p != nil && p != any(s) {
				panic(p)
			}
		}()
		f()
	}()
	for _, c := range slices.Backward(s.cleanups) {
		c()
	}
	return s.errors
}

var (
	in  = stream.Topic("in", stream.String(), stream.String())
	out = stream.Topic("out", stream.String(), stream.String())
)

// picky refuses the value "bad".
func picky() *stream.Topology {
	t := stream.New("t")
	stream.TryMapValues(stream.From(t, in), func(_, v string) (string, error) {
		if v == "bad" {
			return "", errors.New("refused")
		}
		return v, nil
	}).To(out)
	return t
}

func TestADeadLetterNobodyAsksForFailsTheTest(t *testing.T) {
	for _, c := range []struct {
		name string
		test func(d *streamtest.Driver)
		want string
	}{
		{"nothing refused", func(d *streamtest.Driver) { streamtest.Input(d, in).Send("a", "x") }, ""},
		{"overlooked", func(d *streamtest.Driver) { streamtest.Input(d, in).Send("a", "bad") }, "1 records became dead letters"},
		{"asked for", func(d *streamtest.Driver) {
			streamtest.Input(d, in).Send("a", "bad")
			d.DeadLetters()
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &spy{}
			got := strings.Join(s.end(func() { c.test(streamtest.New(s, picky())) }), "; ")
			if !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
				t.Errorf("reported %q, want %q", got, c.want)
			}
		})
	}
}

func TestAWrongTopologyEndsTheTest(t *testing.T) {
	s := &spy{}
	got := s.end(func() { streamtest.New(s, stream.New("empty")) })
	if len(got) != 1 || !strings.Contains(got[0], "there is nothing in it") {
		t.Errorf("reported %q", got)
	}
}

func TestALookIntoATableThatIsKeptNowhereEndsTheTest(t *testing.T) {
	topo := stream.New("t")
	a := stream.TableOf(topo, in)
	joined := stream.JoinTables(a, stream.TableOf(topo, out), func(l, r string) string { return l + r })
	joined.To(stream.Topic("joined", stream.String(), stream.String()))
	s := &spy{}
	got := s.end(func() { streamtest.Entries(streamtest.New(s, topo), joined) })
	if len(got) != 1 || !strings.Contains(got[0], "needs Kept") {
		t.Errorf("reported %q", got)
	}
}

func TestRecordsGoToTheirPartitions(t *testing.T) {
	topo := stream.New("t")
	seen := map[string]map[int]bool{}
	stream.Process(stream.From(topo, in), func(c *stream.Context[string, string]) func(stream.Record[string, string]) error {
		return func(r stream.Record[string, string]) error {
			if seen[r.Key] == nil {
				seen[r.Key] = map[int]bool{}
			}
			seen[r.Key][c.Partition()] = true
			return nil
		}
	})
	d := streamtest.New(t, topo, streamtest.Partitions(4))
	rows := streamtest.Input(d, in)
	for i := range 40 {
		rows.Send(fmt.Sprint(i%10), "x")
		rows.SendRaw(nil, []byte("keyless"))
	}
	partitions := map[int]bool{}
	for key, at := range seen {
		if key != "" && len(at) != 1 {
			t.Errorf("key %s was seen in partitions %v", key, at)
		}
		for n := range at {
			partitions[n] = true
		}
	}
	if len(partitions) != 4 || len(seen[""]) != 4 {
		t.Errorf("partitions %v, keyless %v; want all four", partitions, seen[""])
	}
}

func TestTheClockIsTheTests(t *testing.T) {
	begin := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	topo := stream.New("t")
	var called []time.Time
	stream.Process(stream.From(topo, in), func(c *stream.Context[string, string]) func(stream.Record[string, string]) error {
		c.Every(time.Minute, func(now time.Time) error {
			called = append(called, now)
			return nil
		})
		return func(r stream.Record[string, string]) error { c.Emit(r.Key, r.Value); return nil }
	}).To(out)
	d := streamtest.New(t, topo, streamtest.Begin(begin))
	d.Advance(59 * time.Second)
	d.Advance(time.Second)
	d.Advance(time.Hour)
	if want := []time.Time{begin.Add(time.Minute), begin.Add(time.Hour + time.Minute)}; !slices.EqualFunc(called, want, time.Time.Equal) {
		t.Errorf("called at %v, want %v", called, want)
	}
	streamtest.Input(d, in).Send("a", "x")
	if got := streamtest.Output(d, out).Records()[0].Time; !got.Equal(d.Now()) {
		t.Errorf("the record's time is %v, want the clock's %v", got, d.Now())
	}
}

func TestOutputsAreReadOnceAndInOrder(t *testing.T) {
	d := streamtest.New(t, picky(), streamtest.Partitions(3))
	got := streamtest.Output(d, out)
	for _, key := range []string{"a", "b", "c"} {
		streamtest.Input(d, in).Send(key, key)
	}
	if v := got.Values(); !slices.Equal(v, []string{"a", "b", "c"}) || got.Values() != nil {
		t.Errorf("values %v", v)
	}
	if all := streamtest.Output(d, out).Records(); len(all) != 3 {
		t.Errorf("another reader gets %d records, want all 3", len(all))
	}
}
