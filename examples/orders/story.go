package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"ravenswood.dev/stream/tables"
)

// story is what happens in the shop, and what is written about it.
type story struct {
	shop             *shop
	provider, office *counter
	began            time.Time
	charged          chan struct{}        // closed when the provider has charged for the order that crashes
	seen             map[string]OrderView // by who followed the view to the end

	mu  sync.Mutex
	out io.Writer // GUARDED_BY(mu)
}

// The orders, and what happens to them.
const (
	fine     = "o-1" // is sent twice
	crashing = "o-2" // its charge is made, and the service that wanted it dies before it hears of that
	tooMuch  = "o-3" // there is not enough in stock
	unpaid   = "o-4" // the customer has no money
)

func newStory(s *shop, provider, office *counter, out io.Writer) *story {
	t := &story{shop: s, provider: provider, office: office, out: out, began: time.Now(), charged: make(chan struct{})}
	provider.refuse = func(a asked) string {
		if a.Customer == "Mallory" {
			return "no money"
		}
		return ""
	}
	provider.delay = func(ctx context.Context, key string, times int) {
		if key == crashing && times == 1 {
			close(t.charged)
			<-ctx.Done() // the answer never goes out
		}
	}
	return t
}

func (t *story) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "%5.1fs  %s\n", time.Since(t.began).Seconds(), fmt.Sprintf(format, args...))
}

// tell runs the story to its end.
func (t *story) tell(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := t.alone(ctx); err != nil {
		return err
	}
	t.say("at work: %s", strings.Join(services(), ", "))
	ended := make(chan error, 1)
	go func() { ended <- t.follow(ctx) }()
	err := inOrder(ctx, t.orders, t.crash)
	if err != nil {
		cancel()
	}
	if err := errors.Join(err, <-ended); err != nil {
		return err
	}
	return inOrder(ctx, t.count, t.rebuild)
}

// alone refuses a cluster on which the story was told before: its orders would be done before they are asked for.
func (t *story) alone(ctx context.Context) error {
	there, err := t.shop.view.all(ctx)
	if err == nil && len(there) > 0 {
		err = fmt.Errorf("tell the story: there are %d orders of an earlier one; it needs a cluster without", len(there))
	}
	return err
}

// inOrder takes steps until one fails.
func inOrder(ctx context.Context, steps ...func(context.Context) error) error {
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// orders fills the stock and sends the orders.
func (t *story) orders(ctx context.Context) error {
	for product, pieces := range map[string]int64{"lamp": 3, "chair": 10} {
		if err := t.shop.buy(ctx, product, pieces); err != nil {
			return err
		}
	}
	t.say("in stock: 3 lamps, 10 chairs")
	for _, o := range []struct {
		id string
		OrderRequested
	}{
		{fine, OrderRequested{"Ada", "lamp", 2, 9800}},
		{fine, OrderRequested{"Ada", "lamp", 2, 9800}},
		{crashing, OrderRequested{"Bob", "chair", 4, 31600}},
		{tooMuch, OrderRequested{"Eve", "lamp", 9, 44100}},
		{unpaid, OrderRequested{"Mallory", "lamp", 1, 4900}},
	} {
		v, err := t.shop.view.place(ctx, o.id, o.OrderRequested)
		if err != nil {
			return err
		}
		t.say("%s  %s orders %d × %s; when the call returns the view says: %s", o.id, o.Customer, o.Pieces, o.Product, v.Status)
	}
	return nil
}

// crash stops the payment service when it has made a charge and does not know.
func (t *story) crash(ctx context.Context) error {
	select {
	case <-t.charged:
	case <-ctx.Done():
		return ctx.Err()
	}
	t.say("%s  the provider has charged, its answer is lost, and the payment service goes down", crashing)
	if err := t.shop.halt("payment"); err != nil {
		return err
	}
	t.say("     the payment service starts again")
	return t.shop.start(ctx, "payment")
}

// follow tells what the view says of the orders, until all have come to their end.
func (t *story) follow(ctx context.Context) error {
	last := map[string]OrderView{}
	defer func() { t.seen = last }()
	for e, err := range t.shop.view.orders().Watch(ctx, tables.Watch{Current: true}) {
		if err != nil {
			return err
		}
		if what := news(last[e.Key], e.Value); what != "" {
			t.say("%s      %s", e.Key, what)
		}
		last[e.Key] = e.Value
		if last[fine].ended() && last[crashing].ended() && last[tooMuch].ended() && last[unpaid].ended() {
			return nil
		}
	}
	return ctx.Err()
}

// news is what is new of an order, in words.
func news(was, v OrderView) string {
	switch {
	case v.Letter != was.Letter:
		return "e-mail: " + v.Letter
	case v.Status == StatusShipping && v.Parcel != was.Parcel:
		return "shipping: " + string(v.Parcel)
	case v.Status == was.Status, v.Status == StatusRequested:
		return ""
	case v.Status == StatusRefused:
		return "refused: " + v.Refused
	case v.Status == StatusDeclined:
		return "payment declined: " + v.Declined
	case v.Status == StatusPaid:
		return "paid, " + v.Charge
	}
	return string(v.Status)
}

// count asks those outside how often they did what.
func (t *story) count(context.Context) error {
	asked, charged := t.provider.seen()
	_, letters := t.office.seen()
	t.say("what provider and post office count:")
	for _, id := range slices.Sorted(maps.Keys(asked)) {
		t.say("%s  asked %s, charged %s, e-mailed %s", id, times(asked[id]), times(charged[id]), times(letters[id]))
	}
	if charged[fine] != 1 || charged[crashing] != 1 || len(charged) != 2 || !maps.Equal(charged, letters) {
		return errors.New("count: an order was not charged and told of exactly once")
	}
	return nil
}

func times(n int) string {
	switch n {
	case 0:
		return "never"
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}

// rebuild loses the view and lets the log make it again.
func (t *story) rebuild(ctx context.Context) error {
	if err := t.shop.halt("order-view"); err != nil {
		return err
	}
	if err := t.shop.lose(ctx); err != nil {
		return err
	}
	t.say("the view is lost: its folder, its changelog, and how far it had read")
	if err := t.shop.start(ctx, "order-view"); err != nil {
		return err
	}
	if err := t.shop.view.becomes(ctx, t.seen); err != nil {
		return err
	}
	t.say("built again from the log it is the same: %d orders", len(t.seen))
	return nil
}
