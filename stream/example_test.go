package stream_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"ravenswood.dev/stream"
	"ravenswood.dev/stream/streamtest"
)

// The whole of a program: words of lines, counted. It keeps its counts through every restart.
func Example() {
	lines := stream.Topic("lines", stream.String(), stream.String())
	counts := stream.Topic("counts", stream.String(), stream.Int64()).Compacted()

	t := stream.New("wordcount")
	words := stream.FlatMapValues(stream.From(t, lines), strings.FieldsSeq)
	totals := stream.GroupBy(words, func(_, word string) string { return word }).Count(stream.Named("totals"))
	totals.To(counts)

	d := streamtest.New(streamtest.Plain{}, t)
	streamtest.Input(d, lines).Send("hamlet", "to be or not to be")
	for _, r := range streamtest.Output(d, counts).Records() {
		fmt.Print(r.Key, "=", r.Value, " ")
	}
	// Output: to=1 be=1 or=1 not=1 to=2 be=2
}

// Run works until its context is done.
func ExampleTopology_Run() {
	lines := stream.Topic("lines", stream.String(), stream.String())
	t := stream.New("shout")
	stream.MapValues(stream.From(t, lines), strings.ToUpper).To(stream.Topic("shouts", stream.String(), stream.String()))

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := t.Run(ctx, stream.Options{
		Brokers: []string{"kafka-1:9092"}, // leave it out to use the embedded broker
		Ready:   func(r stream.Running) { fmt.Println("running on", r.Brokers()) },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type order struct {
	Customer string
	Cents    int64
}

type customer struct{ Name, Country string }

// The topics of the examples.
var (
	orders    = stream.Topic("orders", stream.String(), stream.JSON[order]())
	customers = stream.Topic("customers", stream.String(), stream.JSON[customer]()).Compacted()
	messages  = stream.Topic("messages", stream.String(), stream.String())
)

// show prints what a topic of messages got.
func show(d *streamtest.Driver) {
	for _, r := range streamtest.Output(d, messages).Records() {
		if r.Deleted {
			fmt.Printf("%s: gone\n", r.Key)
			continue
		}
		fmt.Printf("%s: %s\n", r.Key, r.Value)
	}
}

// Orders are joined with the customers' table by the customer: the re-keyed stream goes through an internal topic by
// itself.
func ExampleJoin() {
	t := stream.New("greet")
	byCustomer := stream.Rekey(stream.From(t, orders), func(_ string, o order) string { return o.Customer })
	stream.Join(byCustomer, stream.TableOf(t, customers), func(o order, c customer) string {
		return fmt.Sprintf("%s pays %d", c.Name, o.Cents)
	}).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	streamtest.Input(d, customers).Send("c1", customer{"Ada", "GB"})
	streamtest.Input(d, orders).Send("o1", order{"c1", 250})
	streamtest.Input(d, orders).Send("o2", order{"nobody", 10})
	show(d)
	// Output: c1: Ada pays 250
}

// A global table is joined by any field of the record.
func ExampleLeftJoinGlobal() {
	t := stream.New("greet")
	stream.LeftJoinGlobal(stream.From(t, orders), stream.GlobalOf(t, customers),
		func(_ string, o order) string { return o.Customer },
		func(o order, c *customer) string {
			if c == nil {
				return "somebody pays"
			}
			return c.Name + " pays"
		}).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	streamtest.Input(d, customers).Send("c1", customer{"Ada", "GB"})
	streamtest.Input(d, orders).Send("o1", order{"c1", 250})
	streamtest.Input(d, orders).Send("o2", order{"nobody", 10})
	show(d)
	// Output:
	// o1: Ada pays
	// o2: somebody pays
}

// Every order in the table follows its customer: when the customer changes, so do the results.
func ExampleJoinForeign() {
	t := stream.New("invoices")
	stream.JoinForeign(stream.TableOf(t, orders), stream.TableOf(t, customers),
		func(_ string, o order) string { return o.Customer },
		func(o order, c customer) string { return fmt.Sprintf("%d to %s", o.Cents, c.Country) },
		stream.Named("invoices")).To(messages)

	d := streamtest.New(streamtest.Plain{}, t, streamtest.Partitions(4))
	streamtest.Input(d, orders).Send("o1", order{"c1", 250})
	streamtest.Input(d, customers).Send("c1", customer{"Ada", "GB"})
	streamtest.Input(d, customers).Send("c1", customer{"Ada", "FR"})
	streamtest.Input(d, orders).Delete("o1")
	show(d)
	// Output:
	// o1: 250 to GB
	// o1: 250 to FR
	// o1: gone
}

// A table that keeps its history answers for the time of the order, not for now.
func ExampleVersioned() {
	t := stream.New("history")
	table := stream.TableOf(t, customers, stream.Versioned(30*24*time.Hour))
	byCustomer := stream.Rekey(stream.From(t, orders), func(_ string, o order) string { return o.Customer })
	stream.Join(byCustomer, table, func(_ order, c customer) string { return c.Country }).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	day := func(n int) time.Time { return time.Date(2024, 5, n, 0, 0, 0, 0, time.UTC) }
	streamtest.Input(d, customers).Send("c1", customer{"Ada", "GB"}, day(1))
	streamtest.Input(d, customers).Send("c1", customer{"Ada", "FR"}, day(10))
	streamtest.Input(d, orders).Send("o1", order{"c1", 250}, day(5))
	streamtest.Input(d, orders).Send("o2", order{"c1", 250}, day(15))
	show(d)
	// Output:
	// c1: GB
	// c1: FR
}

// An order and its payment meet if they are no more than an hour apart; an order that was not paid in time says so.
func ExampleLeftJoinStreams() {
	payments := stream.Topic("payments", stream.String(), stream.Int64())
	t := stream.New("payments")
	stream.LeftJoinStreams(stream.From(t, orders), stream.From(t, payments), stream.Within(time.Hour), func(o order, cents *int64) string {
		if cents == nil {
			return "not paid"
		}
		return fmt.Sprintf("paid %d of %d", *cents, o.Cents)
	}).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	at := func(minutes int) time.Time { return d.Now().Add(time.Duration(minutes) * time.Minute) }
	streamtest.Input(d, orders).Send("o1", order{"c1", 250}, at(0))
	streamtest.Input(d, orders).Send("o2", order{"c1", 100}, at(1))
	streamtest.Input(d, payments).Send("o1", 250, at(5))
	streamtest.Input(d, payments).Send("o3", 1, at(180)) // time passes with records only
	show(d)
	// Output:
	// o1: paid 250 of 250
	// o2: not paid
}

// Revenue by customer and hour, given out once, when the hour and five minutes of grace are over. What comes after that
// goes its own way.
func ExampleReduceWindows() {
	t := stream.New("revenue")
	cents := stream.Map(stream.From(t, orders), func(_ string, o order) (string, int64) { return o.Customer, o.Cents })
	hours := cents.GroupByKey().Windowed(stream.Tumbling(time.Hour).Grace(5 * time.Minute))
	revenue := stream.ReduceWindows(hours, func(so, next int64) int64 { return so + next }, stream.Named("revenue"), stream.OnlyFinal())
	perHour := stream.Topic("revenue-per-hour", stream.WindowedKey(stream.String()), stream.Int64())
	revenue.To(perHour)
	stream.MapValues(hours.Late(), func(cents int64) string { return fmt.Sprintf("%d came too late", cents) }).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	at := func(minutes int) time.Time { return d.Now().Add(time.Duration(minutes) * time.Minute) }
	in := streamtest.Input(d, orders)
	in.Send("o1", order{"c1", 250}, at(10))
	in.Send("o2", order{"c1", 50}, at(62))
	in.Send("o3", order{"c1", 100}, at(59)) // behind, but within grace
	in.Send("o4", order{"c1", 1}, at(66))
	in.Send("o5", order{"c1", 7}, at(58)) // behind and too late
	for _, r := range streamtest.Output(d, perHour).Records() {
		fmt.Println(r.Key, r.Value)
	}
	show(d)
	// Output:
	// c1@2020-01-01T00:00:00Z/2020-01-01T01:00:00Z 350
	// c1: 7 came too late
}

// Two streams make one aggregate.
func ExampleCogroup() {
	type account struct{ Ordered, Paid int64 }
	payments := stream.Topic("payments", stream.String(), stream.Int64())
	t := stream.New("accounts")
	byCustomer := stream.GroupBy(stream.From(t, orders), func(_ string, o order) string { return o.Customer })
	both := stream.Cogroup(byCustomer, func(_ string, o order, a account) account { a.Ordered += o.Cents; return a })
	both = stream.And(both, stream.From(t, payments).GroupByKey(), func(_ string, cents int64, a account) account { a.Paid += cents; return a })
	accounts := both.Aggregate(stream.JSON[account](), func() account { return account{} }, stream.Named("accounts"))

	d := streamtest.New(streamtest.Plain{}, t)
	streamtest.Input(d, orders).Send("o1", order{"c1", 250})
	streamtest.Input(d, payments).Send("c1", 100)
	fmt.Println(streamtest.Entries(d, accounts))
	// Output: map[c1:{250 100}]
}

// How many customers a country has: one who moves is taken out of the one and put into the other.
func ExampleGroupTableBy() {
	t := stream.New("countries")
	perCountry := stream.GroupTableBy(stream.TableOf(t, customers), func(id string, c customer) (string, string) { return c.Country, id }).
		Count(stream.Named("per-country"))

	d := streamtest.New(streamtest.Plain{}, t)
	in := streamtest.Input(d, customers)
	in.Send("c1", customer{"Ada", "GB"})
	in.Send("c2", customer{"Bob", "GB"})
	in.Send("c1", customer{"Ada", "FR"})
	fmt.Println(streamtest.Entries(d, perCountry))
	// Output: map[FR:1 GB:1]
}

// A processor of one's own: it warns once per customer whose orders come to more than a limit, and forgets what it counted
// every day.
func ExampleProcess() {
	spent := stream.NewStore("spent", stream.String(), stream.Int64())
	t := stream.New("watch")
	byCustomer := stream.Rekey(stream.From(t, orders), func(_ string, o order) string { return o.Customer })
	stream.Process(byCustomer, func(c *stream.Context[string, string]) func(stream.Record[string, order]) error {
		sums := spent.In(c)
		c.EveryStreamTime(24*time.Hour, func(time.Time) error {
			for id := range sums.All() {
				sums.Delete(id)
			}
			return nil
		})
		return func(r stream.Record[string, order]) error {
			before, _ := sums.Get(r.Key)
			after := before + r.Value.Cents
			sums.Put(r.Key, after)
			if before <= 300 && after > 300 {
				c.Emit(r.Key, fmt.Sprintf("spent %d", after))
			}
			return nil
		}
	}, stream.Uses(spent), stream.KeepsKeys()).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	in := streamtest.Input(d, orders)
	for range 3 {
		in.Send("o", order{"c1", 160})
	}
	show(d)
	// Output: c1: spent 320
}

// What was sent twice within an hour goes through once.
func ExampleDeduplicate() {
	t := stream.New("once")
	first, _ := stream.Deduplicate(stream.From(t, messages), time.Hour, time.Hour, func(r stream.Record[string, string]) string { return r.Value })
	out := stream.Topic("once", stream.String(), stream.String())
	first.To(out)

	d := streamtest.New(streamtest.Plain{}, t)
	for _, m := range []string{"hello", "hello", "bye"} {
		streamtest.Input(d, messages).Send("a", m)
	}
	fmt.Println(streamtest.Output(d, out).Values())
	// Output: [hello bye]
}

// Orders are told apart; what fits no condition is the last branch.
func ExampleStream_Branch() {
	t := stream.New("sizes")
	sizes := stream.From(t, orders).Branch(
		func(_ string, o order) bool { return o.Cents >= 1000 },
		func(_ string, o order) bool { return o.Cents >= 100 },
	)
	for i, name := range []string{"large", "medium", "small"} {
		stream.MapValues(sizes[i], func(order) string { return name }).To(messages)
	}

	d := streamtest.New(streamtest.Plain{}, t)
	in := streamtest.Input(d, orders)
	in.Send("o1", order{Cents: 5})
	in.Send("o2", order{Cents: 5000})
	in.Send("o3", order{Cents: 500})
	show(d)
	// Output:
	// o1: small
	// o2: large
	// o3: medium
}

// What is wrong with a topology is told before it runs, all at once.
func ExampleTopology_Check() {
	t := stream.New("wrong")
	s := stream.From(t, orders)
	s.Filter(func(_ string, o order) bool { return o.Cents > 0 })
	stream.GroupBy(s, func(_ string, o order) order { return o }).Count()
	fmt.Println(strings.ReplaceAll(t.Check().Error(), "; ", "\n"))
	// Output:
	// build topology "wrong": read filter "filter": nobody takes its records (write it to a topic with To, end it with ForEach, or remove it)
	// read group-by "group-by": there is no codec for its keys of type stream_test.order, and they leave it as bytes (add stream.Use(t, codec) for the type, or the option WithKey to group-by "group-by")
}
