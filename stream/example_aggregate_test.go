package stream_test

import (
	"fmt"
	"time"

	"ravenswood.dev/stream"
	"ravenswood.dev/stream/streamtest"
)

func sum(a, b int64) int64 { return a + b }

// byCustomer groups orders, as what they cost.
func byCustomer(s stream.Stream[string, order]) stream.Grouped[string, int64] {
	return stream.Map(s, func(_ string, o order) (string, int64) { return o.Customer, o.Cents }).GroupByKey()
}

// The count of a customer who orders nothing for a week is forgotten.
func ExampleGrouped_Count() {
	t, s := fromOrders("counts")
	byCustomer(s).Count(stream.Named("counts"), stream.TTL(7*24*time.Hour)).To(stream.Topic("counts", stream.String(), stream.Int64()))

	d := streamtest.New(streamtest.Plain{}, t)
	someOrders(d)
	for _, r := range streamtest.Output(d, stream.Topic("counts", stream.String(), stream.Int64())).Records() {
		fmt.Print(r.Key, "=", r.Value, " ")
	}
	// Output: ada=1 bob=1 ada=2
}

func ExampleGrouped_Reduce() {
	t, s := fromOrders("largest")
	largest := byCustomer(s).Reduce(func(so, next int64) int64 { return max(so, next) }, stream.Named("largest"))

	d := streamtest.New(streamtest.Plain{}, t)
	someOrders(d)
	fmt.Println(streamtest.Entries(d, largest))
	// Output: map[ada:250 bob:10]
}

func ExampleAggregate() {
	type mean struct{ Orders, Cents int64 }
	t, s := fromOrders("means")
	means := stream.Aggregate(byCustomer(s), stream.JSON[mean](), func() mean { return mean{} },
		func(_ string, cents int64, so mean) mean { return mean{so.Orders + 1, so.Cents + cents} }, stream.Named("means"))

	d := streamtest.New(streamtest.Plain{}, t)
	someOrders(d)
	fmt.Println(streamtest.Entries(d, means))
	// Output: map[ada:{2 340} bob:{1 10}]
}

// The letters of all names in a country: who moves takes theirs along.
func ExampleAggregateTable() {
	t := stream.New("people")
	perCountry := stream.GroupTableBy(stream.TableOf(t, customers), func(_ string, c customer) (string, string) { return c.Country, c.Name })
	letters := stream.AggregateTable(perCountry, stream.Int64(), func() int64 { return 0 },
		func(_, name string, so int64) int64 { return so + int64(len(name)) },
		func(_, name string, so int64) int64 { return so - int64(len(name)) }, stream.Named("letters"))

	d := streamtest.New(streamtest.Plain{}, t)
	in := streamtest.Input(d, customers)
	in.Send("c1", customer{"Ada", "GB"})
	in.Send("c2", customer{"Jo", "GB"})
	in.Send("c1", customer{"Ada", "FR"})
	fmt.Println(streamtest.Entries(d, letters))
	// Output: map[FR:3 GB:2]
}

func ExampleGroupedTable_Reduce() {
	t := stream.New("totals")
	all := stream.GroupTableBy(stream.TableOf(t, orders), func(_ string, o order) (string, int64) { return o.Customer, o.Cents })
	totals := all.Reduce(sum, func(so, gone int64) int64 { return so - gone }, stream.Named("totals"))

	d := streamtest.New(streamtest.Plain{}, t)
	someOrders(d)
	streamtest.Input(d, orders).Delete("o3")
	fmt.Println(streamtest.Entries(d, totals))
	// Output: map[ada:250 bob:10]
}

// printWindows prints what a table of windows gave out.
func printWindows(d *streamtest.Driver, topic stream.TopicOf[stream.Windowed[string], int64]) {
	for _, r := range streamtest.Output(d, topic).Records() {
		if r.Deleted {
			fmt.Println(r.Key, "gone")
			continue
		}
		fmt.Println(r.Key, r.Value)
	}
}

var windows = stream.Topic("windows", stream.WindowedKey(stream.String()), stream.Int64()).Compacted()

func ExampleCountWindows() {
	t, s := fromOrders("hopping")
	hops := byCustomer(s).Windowed(stream.Hopping(time.Hour, 30*time.Minute).Grace(time.Minute))
	stream.CountWindows(hops, stream.Named("hops")).To(windows)

	d := streamtest.New(streamtest.Plain{}, t)
	in := streamtest.Input(d, orders)
	in.Send("o1", order{"ada", 1}, d.Now().Add(40*time.Minute))
	in.Send("o2", order{"ada", 1}, d.Now().Add(70*time.Minute))
	printWindows(d, windows)
	// Output:
	// ada@2020-01-01T00:00:00Z/2020-01-01T01:00:00Z 1
	// ada@2020-01-01T00:30:00Z/2020-01-01T01:30:00Z 1
	// ada@2020-01-01T00:30:00Z/2020-01-01T01:30:00Z 2
	// ada@2020-01-01T01:00:00Z/2020-01-01T02:00:00Z 1
}

// A record between two sessions makes them one.
func ExampleAggregateWindows() {
	t, s := fromOrders("sessions")
	visits := byCustomer(s).Windowed(stream.Session(10 * time.Minute).Grace(time.Hour))
	stream.AggregateWindows(visits, stream.Int64(), func() int64 { return 0 }, func(_ string, cents, so int64) int64 { return so + cents },
		stream.Merging(sum), stream.Named("visits")).To(windows)

	d := streamtest.New(streamtest.Plain{}, t)
	for i, minute := range []int{0, 15, 8} {
		streamtest.Input(d, orders).Send("o", order{"ada", int64(i + 1)}, d.Now().Add(time.Duration(minute)*time.Minute))
	}
	printWindows(d, windows)
	// Output:
	// ada@2020-01-01T00:00:00Z/2020-01-01T00:00:00Z 1
	// ada@2020-01-01T00:15:00Z/2020-01-01T00:15:00Z 2
	// ada@2020-01-01T00:00:00Z/2020-01-01T00:00:00Z gone
	// ada@2020-01-01T00:15:00Z/2020-01-01T00:15:00Z gone
	// ada@2020-01-01T00:00:00Z/2020-01-01T00:15:00Z 6
}

// The table sees every change, the topic only what is final.
func ExampleFinal() {
	t, s := fromOrders("final")
	perHour := stream.CountWindows(byCustomer(s).Windowed(stream.Tumbling(time.Hour).Grace(5*time.Minute)), stream.Named("per-hour"))
	stream.Final(perHour, stream.Named("closed")).To(windows)

	d := streamtest.New(streamtest.Plain{}, t)
	in := streamtest.Input(d, orders)
	for _, minute := range []int{0, 30, 61, 59, 70} {
		in.Send("o", order{"ada", 1}, d.Now().Add(time.Duration(minute)*time.Minute))
	}
	printWindows(d, windows)
	fmt.Println(len(streamtest.Entries(d, perHour)), "windows in the table")
	// Output:
	// ada@2020-01-01T00:00:00Z/2020-01-01T01:00:00Z 3
	// 2 windows in the table
}

// Two streams make one aggregate per day.
func ExampleCogrouped_Windowed() {
	refunds := stream.Topic("refunds", stream.String(), stream.Int64())
	t, s := fromOrders("balances")
	both := stream.Cogroup(byCustomer(s), func(_ string, cents, so int64) int64 { return so + cents })
	both = stream.And(both, stream.From(t, refunds).GroupByKey(), func(_ string, cents, so int64) int64 { return so - cents })
	both.Windowed(stream.Tumbling(24*time.Hour).Grace(time.Hour)).
		Aggregate(stream.Int64(), func() int64 { return 0 }, stream.Named("balances"), stream.OnlyFinal()).To(windows)

	d := streamtest.New(streamtest.Plain{}, t)
	someOrders(d)
	streamtest.Input(d, refunds).Send("ada", 40)
	streamtest.Input(d, refunds).Send("nobody", 0, d.Now().Add(48*time.Hour)) // the day is over
	printWindows(d, windows)
	// Output:
	// ada@2020-01-01T00:00:00Z/2020-01-02T00:00:00Z 300
	// bob@2020-01-01T00:00:00Z/2020-01-02T00:00:00Z 10
}

// A store by key and time: how many orders came in the hour before each.
func ExampleNewWindowStore() {
	recent := stream.NewWindowStore("recent", stream.String(), stream.Int64(), 2*time.Hour)
	t, s := fromOrders("recent")
	keyed := stream.Rekey(s, func(_ string, o order) string { return o.Customer })
	stream.Process(keyed, func(c *stream.Context[string, string]) func(stream.Record[string, order]) error {
		times := recent.In(c)
		return func(r stream.Record[string, order]) error {
			n := 0
			for range times.Fetch(r.Key, r.Time.Add(-time.Hour), r.Time) {
				n++
			}
			times.Put(r.Key, r.Time, r.Value.Cents)
			c.Emit(r.Key, fmt.Sprint(n, " before"))
			return nil
		}
	}, stream.Uses(recent), stream.KeepsKeys()).To(messages)

	d := streamtest.New(streamtest.Plain{}, t)
	for _, minute := range []int{0, 30, 80} {
		streamtest.Input(d, orders).Send("o", order{"ada", 1}, d.Now().Add(time.Duration(minute)*time.Minute))
	}
	show(d)
	// Output:
	// ada: 0 before
	// ada: 1 before
	// ada: 1 before
}

// Two orders are in one window exactly if they are no more than ten minutes apart.
func ExampleSliding() {
	t, s := fromOrders("sliding")
	pairs := stream.CountWindows(byCustomer(s).Windowed(stream.Sliding(10*time.Minute).Grace(time.Hour)), stream.Named("pairs"))

	d := streamtest.New(streamtest.Plain{}, t)
	for _, minute := range []int{20, 25, 40} {
		streamtest.Input(d, orders).Send("o", order{"ada", 1}, d.Now().Add(time.Duration(minute)*time.Minute))
	}
	most := int64(0)
	for _, n := range streamtest.Entries(d, pairs) {
		most = max(most, n)
	}
	fmt.Println("at most", most, "within ten minutes")
	// Output: at most 2 within ten minutes
}

// Days begin at midnight where the shop is. One on which clocks change is shorter or longer.
func ExampleWindows_Days() {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		fmt.Println(err)
		return
	}
	t, s := fromOrders("days")
	days := stream.Tumbling(24 * time.Hour).Grace(time.Hour).Days(berlin)
	stream.CountWindows(byCustomer(s).Windowed(days), stream.Named("days")).To(windows)

	d := streamtest.New(streamtest.Plain{}, t)
	streamtest.Input(d, orders).Send("o1", order{"ada", 1}, time.Date(2024, 3, 31, 12, 0, 0, 0, berlin))
	printWindows(d, windows)
	// Output: ada@2024-03-30T23:00:00Z/2024-03-31T22:00:00Z 1
}

// Hours that begin at a quarter past.
func ExampleWindows_Offset() {
	t, s := fromOrders("quarters")
	hours := stream.Tumbling(time.Hour).Grace(time.Minute).Offset(15 * time.Minute)
	stream.CountWindows(byCustomer(s).Windowed(hours), stream.Named("hours")).To(windows)

	d := streamtest.New(streamtest.Plain{}, t)
	streamtest.Input(d, orders).Send("o1", order{"ada", 1}, d.Now().Add(70*time.Minute))
	printWindows(d, windows)
	// Output: ada@2020-01-01T00:15:00Z/2020-01-01T01:15:00Z 1
}
