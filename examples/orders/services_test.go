package main

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ravenswood.dev/stream"
	"ravenswood.dev/stream/streamtest"
	"ravenswood.dev/stream/tables"
)

// lamps is an order of so many of them.
func lamps(customer string, n int64) OrderRequested {
	return OrderRequested{Customer: customer, Product: "lamp", Pieces: n, Cents: 4900 * n}
}

// values are the values of a topic by key; a second one of a key fails the test.
func values[E any](t *testing.T, d *streamtest.Driver, topic stream.TopicOf[string, E]) map[string]E {
	t.Helper()
	all := map[string]E{}
	for _, r := range streamtest.Output(d, topic).Records() {
		if _, twice := all[r.Key]; twice {
			t.Errorf("topic %q: two events of %q", topic.Name(), r.Key)
		}
		all[r.Key] = r.Value
	}
	return all
}

func check[K comparable, V comparable](t *testing.T, what string, got, want map[K]V) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestValidationPutsAsideWhatIsThereAndTakesBackWhatIsNotPaid(t *testing.T) {
	d := streamtest.New(t, validation(), streamtest.Partitions(partitions))
	streamtest.Input(d, stock).Send("lamp", 3)
	orders := streamtest.Input(d, orderRequested)
	orders.Send("o-1", lamps("Ada", 2))
	orders.Send("o-1", lamps("Ada", 2)) // the same again is the same
	d.Restart()                         // what was put aside outlives that
	orders.Send("o-1", lamps("Ada", 2))
	orders.Send("o-2", lamps("Eve", 2))
	orders.Send("o-3", lamps("Eve", -5))
	streamtest.Input(d, paymentProcessed).Send("o-1", OrderPaymentProcessed{OrderRequested: lamps("Ada", 2), Declined: "no money"})
	orders.Send("o-4", lamps("Bob", 3))
	check(t, "validated", values(t, d, orderValidated), map[string]OrderValidated{
		"o-1": {OrderRequested: lamps("Ada", 2)},
		"o-2": {lamps("Eve", 2), "only 1 in stock"},
		"o-3": {lamps("Eve", -5), "it asks for nothing"},
		"o-4": {OrderRequested: lamps("Bob", 3)},
	})
}

// TestNobodySellsMoreThanThereIs tells random stories to validation.
func TestNobodySellsMoreThanThereIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := streamtest.New(streamtest.Plain{}, validation(), streamtest.Partitions(partitions))
		defer d.Close()
		have := rapid.Int64Range(0, 10).Draw(t, "stock")
		streamtest.Input(d, stock).Send("lamp", have)
		ids := rapid.SliceOf(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"})).Draw(t, "ids")
		for _, id := range ids {
			streamtest.Input(d, orderRequested).Send(id, lamps("Ada", rapid.Int64Range(-1, 6).Draw(t, "pieces")))
			if rapid.IntRange(0, 4).Draw(t, "restart") == 0 {
				d.Restart()
			}
		}
		sold, seen := int64(0), map[string]bool{}
		for _, r := range streamtest.Output(d, orderValidated).Records() {
			if seen[r.Key] {
				t.Fatalf("order %q was decided twice", r.Key)
			}
			if seen[r.Key] = true; r.Value.Refused == "" {
				sold += r.Value.Pieces
			}
		}
		if sold > have {
			t.Fatalf("sold %d of %d", sold, have)
		}
	})
}

// till is a provider without a network.
type till struct{ asked map[string]int64 }

func (c *till) charge(_ context.Context, key, customer string, cents int64) (string, error) {
	if customer == "Mallory" {
		return "", &declinedError{"no money"}
	}
	c.asked[key] += cents
	return "c-" + key, nil
}

func TestPaymentChargesForWhatIsPossibleAndKeepsATable(t *testing.T) {
	asked := &till{map[string]int64{}}
	d := streamtest.New(t, payment(asked), streamtest.Partitions(partitions))
	in := streamtest.Input(d, orderValidated)
	in.Send("o-1", OrderValidated{OrderRequested: lamps("Ada", 2)})
	in.Send("o-2", OrderValidated{lamps("Eve", 9), "only 1 in stock"})
	in.Send("o-3", OrderValidated{OrderRequested: lamps("Mallory", 1)})
	check(t, "charged", asked.asked, map[string]int64{"o-1": 9800})
	check(t, "told", values(t, d, paymentProcessed), map[string]OrderPaymentProcessed{
		"o-1": {OrderRequested: lamps("Ada", 2), Charge: "c-o-1"},
		"o-3": {OrderRequested: lamps("Mallory", 1), Declined: "no money"},
	})
}

func TestAnOrderIsConfirmedOnceWhenItIsPossibleAndPaidInAnyOrder(t *testing.T) {
	for _, c := range []struct {
		name      string
		paidFirst bool
		refused   string
		declined  string
		want      map[string]OrderConfirmed
	}{
		{name: "validated first", want: map[string]OrderConfirmed{"o": {lamps("Ada", 1), "c"}}},
		{name: "paid first", paidFirst: true, want: map[string]OrderConfirmed{"o": {lamps("Ada", 1), "c"}}},
		{name: "refused", refused: "no", want: map[string]OrderConfirmed{}},
		{name: "declined", declined: "no", want: map[string]OrderConfirmed{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := streamtest.New(t, confirmation(), streamtest.Partitions(partitions))
			steps := []func(){
				func() { streamtest.Input(d, orderValidated).Send("o", OrderValidated{lamps("Ada", 1), c.refused}) },
				func() {
					streamtest.Input(d, paymentProcessed).Send("o", OrderPaymentProcessed{lamps("Ada", 1), "c", c.declined})
				},
			}
			if c.paidFirst {
				steps[0], steps[1] = steps[1], steps[0]
			}
			steps[0]()
			d.Restart()
			steps[1]()
			check(t, "confirmed", values(t, d, orderConfirmed), c.want)
		})
	}
}

func TestAParcelMovesWithTheClockAndIsDeliveredOnce(t *testing.T) {
	d := streamtest.New(t, shipping(time.Hour), streamtest.Partitions(partitions))
	streamtest.Input(d, orderConfirmed).Send("o", OrderConfirmed{OrderRequested: lamps("Ada", 1)})
	d.Advance(time.Hour)
	d.Restart() // a parcel under way stays that
	for range 5 {
		d.Advance(time.Hour)
	}
	var states []State
	for _, p := range streamtest.Output(d, orderShipping).Values() {
		states = append(states, p.State)
	}
	if len(states) != 2 || states[0] != Packed || states[1] != OnTheWay {
		t.Errorf("shipping: %q, want packed, on the way", states)
	}
	check(t, "delivered", values(t, d, orderDelivered), map[string]OrderDelivered{"o": {"Ada"}})
}

// late is a view that does not know the newest until it is asked with its token.
type late struct{ asked tables.Token }

func (v *late) order(_ context.Context, _ string, after tables.Token) (OrderView, error) {
	v.asked = after
	if after.IsZero() {
		return OrderView{}, errors.New("asked without a token")
	}
	return OrderView{OrderRequested: lamps("Ada", 1), Status: StatusDelivered}, nil
}

type office struct{ texts map[string]string }

func (o *office) send(_ context.Context, key, _, text string) (string, error) {
	o.texts[key] = text
	return "l-" + key, nil
}

func TestMailAsksTheViewWithTheEventItKnows(t *testing.T) {
	v, o := &late{}, &office{map[string]string{}}
	d := streamtest.New(t, mail(v, o))
	streamtest.Input(d, orderDelivered).Send("o-1", OrderDelivered{"Ada"})
	streamtest.Input(d, orderDelivered).Send("o-2", OrderDelivered{"Ada"})
	if got, want := v.asked.String(), "order-delivered/0@1"; got != want {
		t.Errorf("asked with %q, want %q", got, want)
	}
	const text = "Dear Ada, your 1 × lamp: delivered."
	check(t, "letters", o.texts, map[string]string{"o-1": text, "o-2": text})
	check(t, "told", values(t, d, orderMailed), map[string]OrderMailed{"o-1": {"l-o-1", text}, "o-2": {"l-o-2", text}})
}

// TestTheViewIsTheSameInWhateverOrderEventsCome is why it can be built again.
func TestTheViewIsTheSameInWhateverOrderEventsCome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		topology, table := orderView()
		d := streamtest.New(streamtest.Plain{}, topology)
		defer d.Close()
		o := lamps("Ada", 1)
		events := []func(){
			func() { streamtest.Input(d, orderRequested).Send("o", o) },
			func() { streamtest.Input(d, orderValidated).Send("o", OrderValidated{OrderRequested: o}) },
			func() {
				streamtest.Input(d, paymentProcessed).Send("o", OrderPaymentProcessed{OrderRequested: o, Charge: "c"})
			},
			func() { streamtest.Input(d, orderConfirmed).Send("o", OrderConfirmed{o, "c"}) },
			func() { // one topic: its own order stays
				streamtest.Input(d, orderShipping).Send("o", OrderShipping{"Ada", Packed})
				streamtest.Input(d, orderShipping).Send("o", OrderShipping{"Ada", OnTheWay})
			},
			func() { streamtest.Input(d, orderDelivered).Send("o", OrderDelivered{"Ada"}) },
			func() { streamtest.Input(d, orderMailed).Send("o", OrderMailed{"l", "text"}) },
		}
		for _, send := range rapid.Permutation(events).Draw(t, "order") {
			send()
		}
		want := OrderView{OrderRequested: o, Status: StatusDelivered, Charge: "c", Parcel: Arrived, Letter: "text"}
		if got := streamtest.Entries(d, table)["o"]; got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}
