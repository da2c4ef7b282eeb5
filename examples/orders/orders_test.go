package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ravenswood.dev/stream/tables"
)

// world is what outlives the services: a provider, a post office, and a folder.
type world struct {
	provider, office *counter
	places           places
}

// places is where a shop finds what it needs.
type places struct {
	Dir, Provider, Office string
	Brokers               []string // of a cluster; none: the embedded broker
}

func newWorld(t *testing.T, brokers ...string) *world {
	t.Helper()
	w := &world{provider: newCounter("charge"), office: newCounter("letter"), places: places{Dir: t.TempDir(), Brokers: brokers}}
	w.provider.refuse = func(a asked) string {
		if a.Customer == "Mallory" {
			return "no money"
		}
		return ""
	}
	w.places.Provider, w.places.Office = serve(t, w.provider), serve(t, w.office)
	return w
}

func serve(t *testing.T, c *counter) string {
	t.Helper()
	url, stop, err := c.serve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return url
}

func (p places) shop() *shop {
	return &shop{
		dir: p.Dir, brokers: p.Brokers, provider: remote{p.Provider}, office: remote{p.Office}, step: 50 * time.Millisecond,
		log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	}
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheStoryOfTheREADME(t *testing.T) { tellStory(t, newWorld(t)) }

func tellStory(t *testing.T, w *world) {
	t.Helper()
	s, ctx, out := w.places.shop(), soon(t), new(bytes.Buffer)
	must(t, s.open(ctx))
	err := newStory(s, w.provider, w.office, out).tell(ctx)
	must(t, s.close())
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, said := range []string{"o-3      refused: only 1 in stock", "o-4      payment declined", "o-2  asked twice, charged once, e-mailed once", "it is the same: 4 orders"} {
		if !strings.Contains(out.String(), said) {
			t.Errorf("the story does not say %q:\n%s", said, out)
		}
	}
}

// batch is some orders with what must become of them.
type batch struct {
	orders map[string]OrderRequested
	want   map[string]Status
}

func newBatch(name string, n int) batch {
	b := batch{map[string]OrderRequested{}, map[string]Status{}}
	for i := range n {
		id := fmt.Sprintf("%s-%02d", name, i)
		switch i % 5 {
		case 3:
			b.orders[id], b.want[id] = lamps("Mallory", 1), StatusDeclined
		case 4:
			b.orders[id], b.want[id] = lamps("Eve", 0), StatusRefused
		default:
			b.orders[id], b.want[id] = lamps("Ada", 1), StatusDelivered
		}
	}
	return b
}

// place sends all orders, each in a call of its own, and looks whether it is in the view when the call returns.
func (b batch) place(ctx context.Context, t *testing.T, v *view) {
	t.Helper()
	var calls sync.WaitGroup
	for id, o := range b.orders {
		calls.Go(func() {
			got, err := v.place(ctx, id, o)
			if err != nil || got.OrderRequested != o {
				t.Errorf("order %q: the view has %+v when the call returns: %v", id, got, err)
			}
		})
	}
	calls.Wait()
}

// ended waits until all orders in the view have come to their end, and returns the view of then.
func (b batch) ended(ctx context.Context, t *testing.T, v *view) map[string]OrderView {
	t.Helper()
	last := map[string]OrderView{}
	for e, err := range v.orders().Watch(ctx, tables.Watch{Current: true}) {
		must(t, err)
		if !e.Value.ended() {
			continue
		}
		if want := fmt.Sprintf("Dear Ada, your 1 × lamp: %s.", StatusDelivered); e.Value.Status == StatusDelivered && e.Value.Letter != want {
			t.Errorf("order %q: the e-mail says %q, want %q", e.Key, e.Value.Letter, want)
		}
		if last[e.Key] = e.Value; len(last) == len(b.want) {
			break
		}
	}
	got := map[string]Status{}
	for id, v := range last {
		got[id] = v.Status
	}
	check(t, "orders", got, b.want)
	return last
}

// counted compares what those outside did: each good order is charged and told of once, no other one is.
func (w *world) counted(t *testing.T, b batch) {
	t.Helper()
	want := map[string]int{}
	for id, s := range b.want {
		if s == StatusDelivered {
			want[id] = 1
		}
	}
	_, charged := w.provider.seen()
	_, letters := w.office.seen()
	check(t, "charges", charged, want)
	check(t, "e-mails", letters, want)
}

func (b batch) and(other batch) batch {
	all := batch{maps.Clone(b.orders), maps.Clone(b.want)}
	maps.Copy(all.orders, other.orders)
	maps.Copy(all.want, other.want)
	return all
}

// TestEverythingStopsAndStartsInTheMiddle stops all services and the broker while orders are at every step of their way,
// and at the end loses the view.
func TestEverythingStopsAndStartsInTheMiddle(t *testing.T) { stopInTheMiddle(t, newWorld(t)) }

func stopInTheMiddle(t *testing.T, w *world) {
	t.Helper()
	s, ctx := w.places.shop(), soon(t)
	must(t, s.open(ctx))
	must(t, s.buy(ctx, "lamp", 1000))
	all := newBatch("a", 20)
	all.place(ctx, t, &s.view)
	must(t, s.close())
	must(t, s.open(ctx))
	more := newBatch("b", 20)
	more.place(ctx, t, &s.view)
	must(t, s.close())
	must(t, s.open(ctx))
	all = all.and(more)
	before := all.ended(ctx, t, &s.view)
	w.counted(t, all)

	must(t, s.halt("order-view"))
	must(t, s.lose(ctx))
	must(t, s.start(ctx, "order-view"))
	must(t, s.view.becomes(ctx, before))
	last := newBatch("c", 5) // the new view takes part in life
	last.place(ctx, t, &s.view)
	all.and(last).ended(ctx, t, &s.view)
	w.counted(t, all.and(last))
	must(t, s.close())
}

// TestAKillBetweenChargeAndCommitChargesOnce kills the process of all services, the embedded broker included, with a signal that it cannot
// catch, when the provider has made the charge and the log does not know; then again when a letter has been sent.
func TestAKillBetweenChargeAndCommitChargesOnce(t *testing.T) { killBetween(t, newWorld(t)) }

func killBetween(t *testing.T, w *world) {
	t.Helper()
	p, ctx := w.process(t), soon(t)
	deaths := make(chan string, 2)
	die := func(ctx context.Context, key string, times int) {
		if key == "a-00" && times == 1 {
			p.kill()
			deaths <- key
			<-ctx.Done()
		}
	}
	w.provider.delay, w.office.delay = die, die
	b := newBatch("a", 10)
	v := p.start(ctx, t)
	others := batch{orders: maps.Clone(b.orders)}
	delete(others.orders, "a-00")
	others.place(ctx, t, v)
	_, _ = v.place(ctx, "a-00", b.orders["a-00"]) // whoever is asked may die before the answer
	for range 2 {
		select {
		case <-deaths:
		case <-ctx.Done():
			t.Fatal("nobody died in time")
		}
		v = p.start(ctx, t)
	}
	b.ended(ctx, t, v)
	w.counted(t, b)
	asked, _ := w.provider.seen()
	if asked["a-00"] != 2 {
		t.Errorf("the provider was asked %d times for the order at which the process was killed, want 2", asked["a-00"])
	}
	p.kill()
}

// process is a process of all services.
type process struct {
	places string // in JSON
	mu     sync.Mutex
	cmd    *exec.Cmd // GUARDED_BY(mu)
}

const childPlaces = "ORDERS_TEST_PLACES"

func (w *world) process(t *testing.T) *process {
	t.Helper()
	raw, err := json.Marshal(w.places)
	must(t, err)
	p := &process{places: string(raw)}
	t.Cleanup(p.kill)
	return p
}

// start starts the process and returns its view when all its services work.
func (p *process) start(ctx context.Context, t *testing.T) *view {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd = exec.CommandContext(ctx, os.Args[0])
	p.cmd.Env = append(os.Environ(), childPlaces+"="+p.places)
	p.cmd.Stderr = t.Output()
	out, err := p.cmd.StdoutPipe()
	must(t, err)
	must(t, p.cmd.Start())
	var address string
	if _, err := fmt.Fscanln(out, &address); err != nil {
		t.Fatalf("the process does not tell where its view is: %v", err)
	}
	v := new(view)
	v.client.Store(tables.NewClient(tables.Options{}, address))
	return v
}

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait() // it was killed: that is what it says
		p.cmd = nil
	}
}

// TestMain lets the test program be the services.
func TestMain(m *testing.M) {
	if raw := os.Getenv(childPlaces); raw != "" {
		if err := child(raw); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func child(raw string) error {
	var p places
	if err := json.Unmarshal([]byte(raw), &p); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s := p.shop()
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := s.buy(ctx, "lamp", 1000); err != nil {
		return err
	}
	fmt.Println(s.service("order-view").admin)
	<-ctx.Done()
	return s.close()
}
