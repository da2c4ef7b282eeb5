package engine_test

import (
	"context"
	"net"
	"testing"
	"time"

	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/topology"
)

// A broker that goes away while a topology begins is waited for, as it is later: else the process would stay up, or end, without
// the topology, depending on the moment.
func TestATopologyThatBeginsWaitsForItsCluster(t *testing.T) {
	opts := broker.Options{Dir: t.TempDir(), Listener: broker.Listener{Addr: "127.0.0.1:0"}}
	b, err := broker.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, cfg: kafka.Config{Brokers: []string{b.Addr()}}}
	opts.Listener.Addr = b.Addr()
	p := plan()
	p.Topics = append(p.Topics, topology.Topic{Name: "rates"})
	p.Topics[len(p.Topics)-1].Spec.Partitions = 1
	p.Globals = []topology.Global{{Name: "rates", Topic: "rates", Store: store.Spec{Name: "rates"}}}
	r.ensure(p)
	r.send(10, 2)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}

	dead, tried := nobody(t, opts.Listener.Addr)
	e, err := engine.New(p, engine.Env{Kafka: r.cfg, ID: "a", StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	for range 5 { // several connections make one attempt
		select {
		case <-tried:
		case err := <-ended:
			t.Fatalf("it ended: %v", err)
		case <-time.After(20 * time.Second):
			t.Fatal("it does not try again")
		}
	}
	dead()
	if b, err = broker.Start(t.Context(), opts); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	r.audit(r.awaitOut("out", 10), 10)
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("stop: %v", err)
	}
}

// nobody listens where the broker was and ends every connection at once, as a proxy does that has nobody behind it. It tells
// of each, and ends by the function.
func nobody(t *testing.T, addr string) (end func(), tried <-chan struct{}) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	all := make(chan struct{}, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
			select {
			case all <- struct{}{}:
			default:
			}
		}
	}()
	return func() { _ = l.Close() }, all
}

// Who is stopped while it waits ends in order.
func TestATopologyThatWaitsForItsClusterCanBeStopped(t *testing.T) {
	e, err := engine.New(plan(), engine.Env{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:1"}}, ID: "a", StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := e.Run(ctx); err != nil || e.Status().State != "stopped" {
		t.Errorf("it ended %s, with %v", e.Status().State, err)
	}
}
