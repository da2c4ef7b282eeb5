package stream_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"ravenswood.dev/stream"
	"ravenswood.dev/stream/streamtest"
)

// fromOrders is a topology that begins with the topic of orders.
func fromOrders(name string) (*stream.Topology, stream.Stream[string, order]) {
	t := stream.New(name)
	return t, stream.From(t, orders)
}

// someOrders are sent by most examples.
func someOrders(d *streamtest.Driver) {
	in := streamtest.Input(d, orders)
	in.Send("o1", order{"ada", 250})
	in.Send("o2", order{"bob", 10})
	in.Send("o3", order{"ada", 90})
}

func ExampleStream_Filter() {
	t, s := fromOrders("large")
	stream.MapValues(s.Filter(func(_ string, o order) bool { return o.Cents >= 90 }), func(o order) string { return o.Customer }).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	someOrders(d)
	show(d)
	// Output:
	// o1: ada
	// o3: ada
}

// Peek looks on; ForEach ends a stream.
func ExampleStream_Peek() {
	t, s := fromOrders("watch")
	seen := 0
	s.Peek(func(stream.Record[string, order]) { seen++ }).ForEach(func(r stream.Record[string, order]) error {
		if r.Value.Cents < 50 {
			return errors.New("too small") // the record becomes a dead letter
		}
		return nil
	})

	d := streamtest.New(streamtest.Plain{}, t)
	someOrders(d)
	fmt.Println(seen, "seen,", d.DeadLetters()[0].Err)
	// Output: 3 seen, run for-each "for-each": too small
}

func ExampleMap() {
	t, s := fromOrders("names")
	stream.Map(s, func(id string, o order) (string, string) { return o.Customer, id }).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	someOrders(d)
	show(d)
	// Output:
	// ada: o1
	// bob: o2
	// ada: o3
}

// Every order gives a record for who buys and one for the treasury.
func ExampleFlatMap() {
	t, s := fromOrders("bookings")
	stream.FlatMap(s, func(id string, o order) iter.Seq2[string, string] {
		return func(yield func(string, string) bool) {
			_ = yield(o.Customer, "pays for "+id) && yield("treasury", fmt.Sprint("gets ", o.Cents))
		}
	}).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	streamtest.Input(d, orders).Send("o1", order{"ada", 250})
	show(d)
	// Output:
	// ada: pays for o1
	// treasury: gets 250
}

// Transform sees headers and event time, and emits what it likes.
func ExampleTransform() {
	t := stream.New("traced")
	in := stream.Topic("in", stream.String(), stream.String())
	stream.Transform(stream.From(t, in), func(r stream.Record[string, string], emit func(stream.Record[string, string]) error) error {
		if by, ok := r.Header("by"); ok {
			r.Value += " by " + string(by)
		}
		return emit(r.WithHeader("seen", nil))
	}).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	streamtest.Input(d, in).SendRecord(stream.Record[string, string]{Key: "k", Value: "written", Time: d.Now()}.WithHeader("by", []byte("ada")))
	for _, r := range streamtest.Output(d, messages).Records() {
		fmt.Println(r.Value, len(r.Headers), "headers")
	}
	// Output: written by ada 2 headers
}

func ExampleMapValues() {
	t, s := fromOrders("cents")
	stream.MapValues(s, func(o order) string { return fmt.Sprintf("%d.%02d", o.Cents/100, o.Cents%100) }).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	streamtest.Input(d, orders).Send("o1", order{"ada", 250})
	streamtest.Input(d, orders).Delete("o1") // stays a deletion, without a call
	show(d)
	// Output:
	// o1: 2.50
	// o1: gone
}

// What cannot be mapped becomes a dead letter; the others go on.
func ExampleTryMapValues() {
	t := stream.New("numbers")
	in := stream.Topic("in", stream.String(), stream.String())
	doubled := stream.TryMapValues(stream.From(t, in), func(_, v string) (int, error) {
		n, err := strconv.Atoi(v)
		return 2 * n, err
	})
	stream.MapValues(doubled, strconv.Itoa).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	streamtest.Input(d, in).Send("a", "x")
	streamtest.Input(d, in).Send("a", "21")
	show(d)
	fmt.Println(d.DeadLetters()[0].Err)
	// Output:
	// a: 42
	// run map-values "map-values": strconv.Atoi: parsing "x": invalid syntax
}

func ExampleFlatMapValues() {
	t := stream.New("words")
	lines := stream.Topic("lines", stream.String(), stream.String())
	stream.FlatMapValues(stream.From(t, lines), strings.FieldsSeq).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	streamtest.Input(d, lines).Send("1", "to be")
	show(d)
	// Output:
	// 1: to
	// 1: be
}

// What follows a Rekey and needs all records of a key gets them through an internal topic.
func ExampleRekey() {
	t, s := fromOrders("by-customer")
	byCustomer := stream.Rekey(s, func(_ string, o order) string { return o.Customer })
	spent := stream.MapValues(byCustomer, func(o order) int64 { return o.Cents }).GroupByKey().
		Reduce(func(so, next int64) int64 { return so + next }, stream.Named("spent"))

	d := streamtest.New(streamtest.Plain{}, t, streamtest.Partitions(4))
	someOrders(d)
	fmt.Println(streamtest.Entries(d, spent))
	// Output: map[ada:340 bob:10]
}

// The event time is what the record says, and not when it was written.
func ExampleStream_Timed() {
	t := stream.New("days")
	in := stream.Topic("in", stream.String(), stream.String())
	stream.From(t, in).Timed(func(r stream.Record[string, string]) time.Time {
		at, _ := time.Parse(time.DateOnly, r.Value) // the zero time makes a dead letter
		return at
	}).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	streamtest.Input(d, in).Send("a", "2024-05-01")
	fmt.Println(streamtest.Output(d, messages).Records()[0].Time.UTC())
	// Output: 2024-05-01 00:00:00 +0000 UTC
}

func ExampleStream_Merge() {
	t := stream.New("all")
	old := stream.Topic("old", stream.String(), stream.String())
	new := stream.Topic("new", stream.String(), stream.String())
	stream.From(t, old).Merge(stream.From(t, new)).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	streamtest.Input(d, old).Send("a", "1")
	streamtest.Input(d, new).Send("a", "2")
	show(d)
	// Output:
	// a: 1
	// a: 2
}

// Through a topic of one's own: others see what passes there, and may add to it.
func ExampleStream_Through() {
	t := stream.New("moderated")
	drafts := stream.Topic("drafts", stream.String(), stream.String())
	approved := stream.Topic("approved", stream.String(), stream.String())
	stream.From(t, drafts).Filter(func(_, v string) bool { return v != "spam" }).Through(approved).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	streamtest.Input(d, drafts).Send("a", "spam")
	streamtest.Input(d, drafts).Send("b", "hello")
	streamtest.Input(d, approved).Send("c", "from somebody else")
	show(d)
	// Output:
	// b: hello
	// c: from somebody else
}

// Work in more tasks than the input has partitions.
func ExampleStream_Repartition() {
	t, s := fromOrders("wide")
	stream.MapValues(s.Repartition(16), func(o order) string { return o.Customer }).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	streamtest.Input(d, orders).Send("o1", order{"ada", 250})
	show(d)
	// Output: o1: ada
}

// A type of one's own gets its codec once, for the stream or, with Use, for the topology.
func ExampleStream_WithCodecs() {
	type total struct{ Cents int64 }
	t, s := fromOrders("totals")
	totals := stream.Map(s, func(_ string, o order) (string, total) { return o.Customer, total{o.Cents} }).WithCodecs(nil, stream.JSON[total]())
	sums := totals.GroupByKey().Reduce(func(so, next total) total { return total{so.Cents + next.Cents} }, stream.Named("sums"))

	d := streamtest.New(streamtest.Plain{}, t)
	someOrders(d)
	fmt.Println(streamtest.Entries(d, sums))
	// Output: map[ada:{340} bob:{10}]
}

// Call may wait: it asks for many keys at once, and again where it fails.
func ExampleCall() {
	t, s := fromOrders("charge")
	stream.Call(s, func(_ context.Context, r stream.Record[string, order]) (string, error) {
		if !slices.Contains([]string{"ada", "bob"}, r.Value.Customer) {
			return "", stream.Permanent(errors.New("no such customer")) // trying again would not help
		}
		return fmt.Sprintf("%d charged, receipt %s", r.Value.Cents, r.Key), nil
	}).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	streamtest.Input(d, orders).Send("o1", order{"ada", 250})
	streamtest.Input(d, orders).Send("o2", order{"eve", 1})
	show(d)
	fmt.Println(len(d.DeadLetters()), "dead letter")
	// Output:
	// o1: 250 charged, receipt o1
	// 1 dead letter
}
