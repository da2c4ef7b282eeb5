package chaos_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"ravenswood.dev/test/kafka/apache"
)

// target is a cluster whose brokers can be hurt, each by its number from 1. *apache.Cluster is one.
type target interface {
	Addrs() []string
	Kill(n int) error
	Restart(ctx context.Context, n int) error
	Pause(n int) error
	Resume(n int) error
}

// embedded is our own broker in a process of its own.
type embedded struct {
	dir   string
	addr  string
	child *child
}

func startEmbedded(t *testing.T) target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &embedded{dir: t.TempDir(), addr: l.Addr().String()}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.Restart(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.child.stop(); err != nil {
			t.Errorf("stop the embedded broker: %v", err)
		}
	})
	return e
}

// Addrs is part of target.
func (e *embedded) Addrs() []string { return []string{e.addr} }

// Kill is part of target.
func (e *embedded) Kill(int) error { e.child.kill(); return nil }

// Restart is part of target.
func (e *embedded) Restart(ctx context.Context, _ int) (err error) {
	e.child, err = startChild("broker", filepath.Join(e.dir, "broker.log"), envDir+"="+filepath.Join(e.dir, "data"), envBrokers+"="+e.addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_, err = e.child.await(ctx, "up")
	return err
}

// Pause is part of target.
func (e *embedded) Pause(int) error { e.child.signal(sigStop); return nil }

// Resume is part of target.
func (e *embedded) Resume(int) error { e.child.signal(sigCont); return nil }

// A broker that was killed is taken back under its number when its session has ended, and not before.
var settings = map[string]string{"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "300"}

// startApache starts Apache Kafka, or leaves the test out where that is not wanted.
func startApache(t *testing.T, brokers int) target {
	t.Helper()
	if wanted() < usual {
		t.Skip("SKIPPED, NOT TESTED: the stories on Apache Kafka take minutes (make chaos-kafka; needs Java 17 and Maven)")
	}
	apache.Possible(t)
	began := time.Now()
	c, err := apache.Start(t.Context(), apache.Options{Dir: t.TempDir(), Brokers: brokers, Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d broker(s) of Apache Kafka %s up in %s", brokers, apache.Version(), time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}
