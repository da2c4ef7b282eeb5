package stream_test

import (
	"fmt"
	"time"

	"ravenswood.dev/stream"
	"ravenswood.dev/stream/streamtest"
)

// names is a table's topic: who somebody is.
var names = stream.Topic("names", stream.String(), stream.String()).Compacted()

func optional(v *string) string {
	if v == nil {
		return "?"
	}
	return *v
}

func ExampleTableOf() {
	t := stream.New("people")
	table := stream.TableOf(t, names)

	d := streamtest.New(streamtest.Plain{}, t)
	in := streamtest.Input(d, names)
	in.Send("1", "Ada")
	in.Send("2", "Bob")
	in.Send("1", "Ada L.")
	in.Delete("2")
	fmt.Println(streamtest.Entries(d, table))
	// Output: map[1:Ada L.]
}

// A table of what a stream said last, and the stream of a table's changes.
func ExampleStream_ToTable() {
	t, s := fromOrders("last")
	byCustomer := stream.Map(s, func(id string, o order) (string, string) { return o.Customer, id })
	byCustomer.ToTable(stream.Named("last-order")).Changes().To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	someOrders(d)
	show(d)
	// Output:
	// ada: o1
	// bob: o2
	// ada: o3
}

// A part of a table with other values takes no room. Kept makes a table of its own of it, which can be asked for.
func ExampleTable_Kept() {
	t := stream.New("britons")
	britons := stream.TableOf(t, customers).Filter(func(_ string, c customer) bool { return c.Country == "GB" })
	kept := stream.MapTable(britons, func(_ string, c customer) string { return c.Name }).Kept(stream.Named("britons"))

	d := streamtest.New(streamtest.Plain{}, t)
	in := streamtest.Input(d, customers)
	in.Send("c1", customer{"Ada", "GB"})
	in.Send("c2", customer{"Bob", "GB"})
	in.Send("c3", customer{"Eve", "FR"})
	in.Send("c2", customer{"Bob", "FR"}) // moves out
	fmt.Println(streamtest.Entries(d, kept))
	// Output: map[c1:Ada]
}

// At most one change of a key per hour of stream time: the last one.
func ExampleTable_Calm() {
	t := stream.New("calm")
	stream.TableOf(t, names).Calm(time.Hour).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	in := streamtest.Input(d, names)
	for i, v := range []string{"A", "Ad", "Ada"} {
		in.Send("1", v, d.Now().Add(time.Duration(i)*time.Minute))
	}
	in.Send("2", "Bob", d.Now().Add(2*time.Hour))
	show(d)
	// Output: 1: Ada
}

func ExampleLeftJoin() {
	t, s := fromOrders("greet")
	byCustomer := stream.Rekey(s, func(_ string, o order) string { return o.Customer })
	stream.LeftJoin(byCustomer, stream.TableOf(t, names), func(o order, name *string) string {
		return fmt.Sprint(optional(name), " pays ", o.Cents)
	}).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	streamtest.Input(d, names).Send("ada", "Ada")
	someOrders(d)
	show(d)
	// Output:
	// ada: Ada pays 250
	// bob: ? pays 10
	// ada: Ada pays 90
}

func ExampleJoinGlobal() {
	t, s := fromOrders("greet")
	stream.JoinGlobal(s, stream.GlobalOf(t, names), func(_ string, o order) string { return o.Customer },
		func(o order, name string) string { return fmt.Sprint(name, " pays ", o.Cents) }).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	streamtest.Input(d, names).Send("ada", "Ada")
	someOrders(d)
	show(d)
	// Output:
	// o1: Ada pays 250
	// o3: Ada pays 90
}

// sides runs a join of two tables over one story.
func sides(join func(left, right stream.Table[string, string]) stream.Table[string, string]) {
	left, right := stream.Topic("left", stream.String(), stream.String()), stream.Topic("right", stream.String(), stream.String())
	t := stream.New("sides")
	join(stream.TableOf(t, left), stream.TableOf(t, right)).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	streamtest.Input(d, left).Send("k", "a")
	streamtest.Input(d, right).Send("k", "1")
	streamtest.Input(d, left).Delete("k")
	show(d)
}

func ExampleJoinTables() {
	sides(func(left, right stream.Table[string, string]) stream.Table[string, string] {
		return stream.JoinTables(left, right, func(l, r string) string { return l + r })
	})
	// Output:
	// k: a1
	// k: gone
}

func ExampleLeftJoinTables() {
	sides(func(left, right stream.Table[string, string]) stream.Table[string, string] {
		return stream.LeftJoinTables(left, right, func(l string, r *string) string { return l + optional(r) })
	})
	// Output:
	// k: a?
	// k: a1
	// k: gone
}

func ExampleOuterJoinTables() {
	sides(func(left, right stream.Table[string, string]) stream.Table[string, string] {
		return stream.OuterJoinTables(left, right, func(l, r *string) string { return optional(l) + optional(r) })
	})
	// Output:
	// k: a?
	// k: a1
	// k: ?1
}

func ExampleLeftJoinForeign() {
	t := stream.New("invoices")
	stream.LeftJoinForeign(stream.TableOf(t, orders), stream.TableOf(t, names),
		func(_ string, o order) string { return o.Customer },
		func(o order, name *string) string { return fmt.Sprint(o.Cents, " to ", optional(name)) },
		stream.Named("invoices")).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	streamtest.Input(d, orders).Send("o1", order{"ada", 250})
	streamtest.Input(d, names).Send("ada", "Ada")
	show(d)
	// Output:
	// o1: 250 to ?
	// o1: 250 to Ada
}

// meet runs a join of two streams, within a minute, over one story: a and 1 meet, b and 2 are alone.
func meet(join func(left, right stream.Stream[string, string]) stream.Stream[string, string]) {
	left, right := stream.Topic("left", stream.String(), stream.String()), stream.Topic("right", stream.String(), stream.String())
	t := stream.New("meet")
	join(stream.From(t, left), stream.From(t, right)).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	at := func(seconds int) time.Time { return d.Now().Add(time.Duration(seconds) * time.Second) }
	streamtest.Input(d, left).Send("k", "a", at(0))
	streamtest.Input(d, right).Send("k", "1", at(30))
	streamtest.Input(d, left).Send("k", "b", at(300))
	streamtest.Input(d, right).Send("k", "2", at(600))
	streamtest.Input(d, left).Send("end", "", at(3600)) // time passes with records only
	show(d)
}

func ExampleJoinStreams() {
	meet(func(left, right stream.Stream[string, string]) stream.Stream[string, string] {
		return stream.JoinStreams(left, right, stream.Within(time.Minute), func(l, r string) string { return l + r })
	})
	// Output: k: a1
}

func ExampleOuterJoinStreams() {
	meet(func(left, right stream.Stream[string, string]) stream.Stream[string, string] {
		return stream.OuterJoinStreams(left, right, stream.Within(time.Minute), func(l, r *string) string { return optional(l) + optional(r) })
	})
	// Output:
	// k: a1
	// k: b?
	// k: ?2
}

// What comes too late for a join has its own way for each side.
func ExampleLateOf() {
	left, right := stream.Topic("left", stream.String(), stream.String()), stream.Topic("right", stream.String(), stream.String())
	t := stream.New("late")
	l, r := stream.From(t, left), stream.From(t, right)
	joined := stream.JoinStreams(l, r, stream.Within(time.Minute).Grace(time.Minute), func(l, r string) string { return l + r })
	joined.Merge(stream.MapValues(stream.LateOf(joined, r), func(v string) string { return v + " is late" })).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	streamtest.Input(d, left).Send("k", "a", d.Now().Add(time.Hour))
	streamtest.Input(d, right).Send("k", "1", d.Now())
	show(d)
	// Output: k: 1 is late
}

// The right one comes up to an hour after the left one, and never before it.
func ExampleSpan_After() {
	meet(func(left, right stream.Stream[string, string]) stream.Stream[string, string] {
		answers := stream.Within(0).Before(0).After(time.Hour).Grace(time.Minute)
		return stream.JoinStreams(left, right, answers, func(l, r string) string { return l + r })
	})
	// Output:
	// k: a1
	// k: a2
	// k: b2
}
