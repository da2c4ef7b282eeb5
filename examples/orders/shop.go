package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/stream"
	"ravenswood.dev/stream/tables"
)

// shop runs the services, each with a folder of its own, all against one broker. They could as well run in processes of
// their own: they know each other's topics only, and mail the address of the view.
type shop struct {
	dir      string
	brokers  []string // of a cluster; none: the first service brings the embedded broker
	provider charger
	office   sender
	step     time.Duration // of shipping
	log      *slog.Logger

	view    view
	at      []string   // the brokers, while services run
	running []*service // in the order in which they were started
}

// service is one topology at work.
type service struct {
	name   string
	admin  string // address of its admin API
	client *tables.Client
	stop   context.CancelFunc
	done   chan error
}

// The services, in the order in which they are started. The first one brings the broker.
func services() []string {
	return []string{"confirmation", "validation", "payment", "shipping", "order-view", "mail"}
}

func (s *shop) topology(name string) *stream.Topology {
	switch name {
	case "validation":
		return validation()
	case "payment":
		return payment(s.provider)
	case "confirmation":
		return confirmation()
	case "shipping":
		return shipping(s.step)
	case "mail":
		return mail(&s.view, s.office)
	default:
		t, _ := orderView()
		return t
	}
}

// open starts all services.
func (s *shop) open(ctx context.Context) error {
	s.at = s.brokers
	for _, name := range services() {
		if err := s.start(ctx, name); err != nil {
			return errors.Join(err, s.close())
		}
	}
	return nil
}

// close stops all services, the one with the broker last.
func (s *shop) close() error {
	var errs []error
	for len(s.running) > 0 {
		errs = append(errs, s.halt(s.running[len(s.running)-1].name))
	}
	return errors.Join(errs...)
}

// start starts a service and returns when it works.
func (s *shop) start(ctx context.Context, name string) error {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	v := &service{name: name, stop: stop, done: make(chan error, 1)}
	ready := make(chan stream.Running, 1)
	own := stream.Options{
		Brokers: s.at, Dir: filepath.Join(s.dir, name), ID: name, AdminAddr: "127.0.0.1:0", Log: s.log,
		CommitInterval: 50 * time.Millisecond, DrainTimeout: time.Second,
		Ready: func(r stream.Running) { ready <- r },
	}
	t := s.topology(name)
	go func() { v.done <- t.Run(ctx, own) }()
	select {
	case r := <-ready:
		s.started(v, r)
		return nil
	case err := <-v.done:
		stop()
		return fmt.Errorf("start service %q: %w", name, err)
	}
}

func (s *shop) started(v *service, r stream.Running) {
	s.running = append(s.running, v)
	v.admin, v.client = r.Admin(), tables.NewClient(tables.Options{}, r.Admin())
	if len(s.at) == 0 {
		s.at = r.Brokers()
	}
	if v.name == "order-view" {
		s.view.client.Store(v.client)
	}
}

// halt stops a service that runs. What it cannot finish within its DrainTimeout it leaves to its next life.
func (s *shop) halt(name string) error {
	v := s.service(name)
	s.running = slices.DeleteFunc(s.running, func(other *service) bool { return other == v })
	v.stop()
	return <-v.done
}

// service is one that runs.
func (s *shop) service(name string) *service {
	return s.running[slices.IndexFunc(s.running, func(v *service) bool { return v.name == name })]
}

// lose throws away all that there is of the view: its stores, their changelog, and how far it has read. The service must not
// run.
func (s *shop) lose(ctx context.Context) error {
	const name, group, changelog = "order-view", "raven.order-view", "order-view.orders.changelog"
	if err := os.RemoveAll(filepath.Join(s.dir, name)); err != nil {
		return err
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(s.at...))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if _, err := admin.DeleteGroup(ctx, group); err != nil {
		return fmt.Errorf("delete group %q: %w", group, err)
	}
	if _, err := admin.DeleteTopic(ctx, changelog); err != nil {
		return fmt.Errorf("delete topic %q: %w", changelog, err)
	}
	return awaitGone(ctx, admin, changelog)
}

// awaitGone returns when a topic is not known any more: Apache Kafka promises a deletion first and does it afterwards, and a
// view that is started in between would find its old changelog.
func awaitGone(ctx context.Context, admin *kadm.Client, topic string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		topics, err := admin.ListTopics(ctx, topic)
		if err == nil && !topics.Has(topic) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the end of topic %q: %w", topic, errors.Join(ctx.Err(), err))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// patience is how long a question waits for what was written before it.
const patience = 20 * time.Second

// view asks the table of orders, wherever it is served.
type view struct{ client atomic.Pointer[tables.Client] }

var _ viewer = (*view)(nil)

func (v *view) orders() tables.Typed[string, OrderView] {
	return tables.Of(v.client.Load().Table("order-view", "orders"), stream.String(), stream.JSON[OrderView]())
}

func (v *view) order(ctx context.Context, id string, after tables.Token) (OrderView, error) {
	e, err := v.orders().Get(ctx, id, tables.Ask{After: after, Wait: patience})
	return e.Value, err
}

// all is the whole table.
func (v *view) all(ctx context.Context) (map[string]OrderView, error) {
	all := map[string]OrderView{}
	for e, err := range v.orders().All(ctx, tables.Range{}) {
		if err != nil {
			return nil, err
		}
		all[e.Key] = e.Value
	}
	return all, nil
}

// becomes returns when the table is as wanted.
func (v *view) becomes(ctx context.Context, want map[string]OrderView) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		got, err := v.all(ctx)
		if err == nil && maps.Equal(got, want) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the view: it has %v, want %v: %w", got, want, errors.Join(ctx.Err(), err))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// place sends an order and returns when the view has it: who looks at their orders now finds it there.
func (v *view) place(ctx context.Context, id string, o OrderRequested) (OrderView, error) {
	value, err := json.Marshal(o)
	if err != nil {
		return OrderView{}, err
	}
	token, err := v.client.Load().Produce(ctx, orderRequested.Name(), tables.Record{Key: []byte(id), Value: value})
	if err != nil {
		return OrderView{}, err
	}
	return v.order(ctx, id, token)
}

// buy says how many pieces of a product were ever bought, and returns when validation knows it.
func (s *shop) buy(ctx context.Context, product string, pieces int64) error {
	value, err := stock.Value().Encode(nil, pieces)
	if err != nil {
		return err
	}
	client := s.service("validation").client
	token, err := client.Produce(ctx, stock.Name(), tables.Record{Key: []byte(product), Value: value})
	if err != nil {
		return err
	}
	_, err = client.Table("validation", "stock-table").Get(ctx, []byte(product), tables.Ask{After: token, Wait: patience})
	return err
}
