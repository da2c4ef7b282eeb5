package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ravenswood.dev/stream"
	"ravenswood.dev/stream/tables"
)

// wish is an order on its way to the stock of its product, or back from there.
type wish struct {
	ID    string         `json:"id"`
	Order OrderRequested `json:"order"`
	Back  bool           `json:"back,omitempty"`
}

// validation decides whether there is enough in stock, and puts aside what was ordered. It has two tables: the orders it
// has seen, by which a customer may send one twice, and what is put aside, by product. When a payment is declined the
// pieces go back.
func validation() *stream.Topology {
	t := stream.New("validation")
	stream.Use(t, stream.JSON[wish]())
	wanted := stream.Map(once(t), func(id string, o OrderRequested) (string, wish) { return o.Product, wish{ID: id, Order: o} })
	declined := stream.From(t, paymentProcessed).Filter(func(_ string, p OrderPaymentProcessed) bool { return p.Declined != "" })
	returned := stream.Map(declined, func(id string, p OrderPaymentProcessed) (string, wish) {
		return p.Product, wish{ID: id, Order: p.OrderRequested, Back: true}
	})
	decide(t, wanted.Merge(returned)).To(orderValidated)
	return t
}

// once lets each order through once.
func once(t *stream.Topology) stream.Stream[string, OrderRequested] {
	seen := stream.NewStore("seen", stream.String(), stream.JSON[OrderRequested]())
	return stream.Process(stream.From(t, orderRequested), func(c *stream.Context[string, OrderRequested]) func(stream.Record[string, OrderRequested]) error {
		known := seen.In(c)
		return func(r stream.Record[string, OrderRequested]) error {
			if _, twice := known.Get(r.Key); !twice {
				known.Put(r.Key, r.Value)
				c.Emit(r.Key, r.Value)
			}
			return nil
		}
	}, stream.Uses(seen), stream.KeepsKeys(), stream.Named("once"), stream.WithValue(orderRequested.Value()))
}

// decide compares wishes with the stock of their product, in the order in which they came.
func decide(t *stream.Topology, wishes stream.Stream[string, wish]) stream.Stream[string, OrderValidated] {
	bought := stream.TableOf(t, stock)
	aside := stream.NewStore("aside", stream.String(), stream.Int64())
	return stream.Process(wishes, func(c *stream.Context[string, OrderValidated]) func(stream.Record[string, wish]) error {
		bought, aside := bought.In(c), aside.In(c)
		return func(r stream.Record[string, wish]) error {
			w := r.Value
			have, _ := bought.Get(r.Key)
			gone, _ := aside.Get(r.Key)
			switch {
			case w.Back:
				aside.Put(r.Key, gone-w.Order.Pieces)
			case w.Order.Pieces <= 0 || w.Order.Cents <= 0:
				c.Emit(w.ID, OrderValidated{w.Order, "it asks for nothing"})
			case gone+w.Order.Pieces > have:
				c.Emit(w.ID, OrderValidated{w.Order, fmt.Sprintf("only %d in stock", have-gone)})
			default:
				aside.Put(r.Key, gone+w.Order.Pieces)
				c.Emit(w.ID, OrderValidated{OrderRequested: w.Order})
			}
			return nil
		}
	}, stream.Uses(aside, bought), stream.Named("decide"), stream.WithValue(orderValidated.Value()))
}

// payment charges for orders that can be fulfilled. The call goes out of the log, so it is made again after a crash that came
// before the commit: the order's id is the key by which the provider charges once.
func payment(provider charger) *stream.Topology {
	t := stream.New("payment")
	possible := stream.From(t, orderValidated).Filter(func(_ string, v OrderValidated) bool { return v.Refused == "" })
	paid := stream.Call(possible, func(ctx context.Context, r stream.Record[string, OrderValidated]) (OrderPaymentProcessed, error) {
		charge, err := provider.charge(ctx, r.Key, r.Value.Customer, r.Value.Cents)
		if refused, ok := errors.AsType[*declinedError](err); ok {
			return OrderPaymentProcessed{OrderRequested: r.Value.OrderRequested, Declined: refused.reason}, nil
		}
		return OrderPaymentProcessed{OrderRequested: r.Value.OrderRequested, Charge: charge}, err
	}, stream.Named("charge"), stream.WithValue(paymentProcessed.Value()))
	paid.ToTable(stream.Named("payments"))
	paid.To(paymentProcessed)
	return t
}

// charger takes money, once for each key, whatever happens.
type charger interface {
	charge(ctx context.Context, key, customer string, cents int64) (number string, err error)
}

// confirmation brings together what two services say of an order: it is possible, and it is paid.
func confirmation() *stream.Topology {
	t := stream.New("confirmation")
	possible := stream.TableOf(t, orderValidated).Filter(func(_ string, v OrderValidated) bool { return v.Refused == "" })
	paid := stream.TableOf(t, paymentProcessed).Filter(func(_ string, p OrderPaymentProcessed) bool { return p.Declined == "" })
	confirmed := stream.JoinTables(possible, paid, func(v OrderValidated, p OrderPaymentProcessed) OrderConfirmed {
		return OrderConfirmed{v.OrderRequested, p.Charge}
	}, stream.WithValue(orderConfirmed.Value()))
	confirmed.Kept(stream.Named("confirmed")).To(orderConfirmed)
	return t
}

// shipping moves parcels on, one state with each step of the clock.
func shipping(step time.Duration) *stream.Topology {
	t := stream.New("shipping")
	parcels := stream.NewStore("parcels", stream.String(), orderShipping.Value()) // those under way
	moved := stream.Process(stream.From(t, orderConfirmed), func(c *stream.Context[string, OrderShipping]) func(stream.Record[string, OrderConfirmed]) error {
		underWay := parcels.In(c)
		c.Every(step, func(time.Time) error {
			for id, p := range underWay.All() {
				p.State = p.State.next()
				if underWay.Put(id, p); p.State == Arrived {
					underWay.Delete(id)
				}
				c.Emit(id, p)
			}
			return nil
		})
		return func(r stream.Record[string, OrderConfirmed]) error {
			p := OrderShipping{r.Value.Customer, Packed}
			underWay.Put(r.Key, p)
			c.Emit(r.Key, p)
			return nil
		}
	}, stream.Uses(parcels), stream.KeepsKeys(), stream.Named("move"), stream.WithValue(orderShipping.Value()))
	moved.ToTable(stream.Named("shipments"))
	ways := moved.Branch(func(_ string, p OrderShipping) bool { return p.State == Arrived })
	delivered := func(p OrderShipping) OrderDelivered { return OrderDelivered{p.Customer} }
	stream.MapValues(ways[0], delivered, stream.WithValue(orderDelivered.Value())).To(orderDelivered)
	ways[1].To(orderShipping)
	return t
}

// mail tells customers that their order was delivered. What it writes it reads from the view, so it waits until the view
// has what it knows already: the event itself is the token.
func mail(view viewer, office sender) *stream.Topology {
	t := stream.New("mail")
	sent := stream.Call(stream.From(t, orderDelivered), func(ctx context.Context, r stream.Record[string, OrderDelivered]) (OrderMailed, error) {
		order, err := view.order(ctx, r.Key, tables.NewToken(tables.Coordinate(r.Origin)))
		if err != nil {
			return OrderMailed{}, stream.Outage(err)
		}
		text := fmt.Sprintf("Dear %s, your %d × %s: %s.", order.Customer, order.Pieces, order.Product, order.Status)
		letter, err := office.send(ctx, r.Key, order.Customer, text)
		return OrderMailed{letter, text}, err
	}, stream.Named("send"), stream.WithValue(orderMailed.Value()))
	sent.ToTable(stream.Named("mails"))
	sent.To(orderMailed)
	return t
}

// viewer asks the view for an order, as it is once it shows what a token names.
type viewer interface {
	order(ctx context.Context, id string, after tables.Token) (OrderView, error)
}

// sender sends letters, each key's once.
type sender interface {
	send(ctx context.Context, key, to, text string) (number string, err error)
}
