package node

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kversion"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

func TestCompare(t *testing.T) {
	of := func(ids ...string) tally {
		c := tally{}
		for _, id := range ids {
			c.add(id)
		}
		return c
	}
	cases := []struct {
		name             string
		sent, dead, have tally
		want             SinkAudit
	}{
		{"nothing", of(), of(), of(), SinkAudit{}},
		{"all there", of("a", "b"), of(), of("b", "a"), SinkAudit{Events: 2}},
		{"one lost", of("a", "b"), of(), of("a"), SinkAudit{Events: 1, Lost: 1}},
		{"one twice", of("a", "b"), of(), of("a", "b", "b"), SinkAudit{Events: 2, Duplicated: 1}},
		{"sent twice, there twice", of("a", "a"), of(), of("a", "a"), SinkAudit{Events: 1}},
		{"sent twice, there once", of("a", "a"), of(), of("a"), SinkAudit{Events: 1, Lost: 1}},
		{"a dead letter is not lost", of("a", "b"), of("b"), of("a"), SinkAudit{Events: 1}},
		{"a replayed dead letter is not twice", of("a"), of("a"), of("a"), SinkAudit{Events: 1}},
		{"one that was never sent", of("a"), of(), of("a", "x"), SinkAudit{Events: 2, Unknown: 1}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := compare(c.sent, c.dead, c.have); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// source gives one record at a time, then waits.
type source struct{ left int }

func (s *source) Open(context.Context, []byte) error { return nil }
func (s *source) Close() error                       { return nil }
func (s *source) Next(ctx context.Context, _ int) (component.Batch, error) {
	if s.left == 0 {
		<-ctx.Done()
		return component.Batch{}, ctx.Err()
	}
	s.left--
	return component.Batch{Records: []*record.Record{{}}}, nil
}

// TestGateQuietsSpouts: a closed gate looks like a source that has nothing to say; only the end of the engine's own
// context ends the wait.
func TestGateQuietsSpouts(t *testing.T) {
	for name, left := range map[string]int{"that are busy": 2, "that wait": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate, closeGate := context.WithCancel(t.Context())
				p := &topology.Plan{Feeds: []topology.Feed{{Component: component.Definition{
					NewSpout: func(any, component.Env) (component.Spout, error) { return &source{left: left}, nil },
				}}}}
				s, err := gated(gate, p).Feeds[0].Component.NewSpout(nil, component.Env{})
				if err != nil {
					t.Fatal(err)
				}
				if b, err := s.Next(t.Context(), 1); err != nil || len(b.Records) != 1 {
					t.Fatalf("an open gate: got %v, %v", b, err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				var got error
				done := make(chan struct{})
				if left == 2 {
					closeGate()
				}
				go func() { _, got = s.Next(ctx, 1); close(done) }()
				synctest.Wait()
				closeGate()
				synctest.Wait()
				select {
				case <-done:
					t.Fatalf("a closed gate said %v", got)
				default:
				}
				cancel()
				<-done
				if !errors.Is(got, context.Canceled) || errors.Is(got, io.EOF) {
					t.Errorf("got %v", got)
				}
			})
		})
	}
}

func TestWhereaboutsBelongToWhoWroteThem(t *testing.T) {
	data := t.TempDir()
	if err := WriteWhereabouts(data, Whereabouts{PID: 1, Brokers: []string{"127.0.0.1:9"}, Admin: "127.0.0.1:8"}); err != nil {
		t.Fatal(err)
	}
	if err := RemoveWhereabouts(data); err != nil {
		t.Fatal(err)
	}
	if w := ReadWhereabouts(data); w.Admin != "127.0.0.1:8" {
		t.Errorf("another process's file was removed: %+v", w)
	}
	if w := ReadWhereabouts(t.TempDir()); w.Admin != "" || w.Brokers != nil {
		t.Errorf("an empty folder: got %+v", w)
	}
}

// TestClusterTooOldForExactlyOnce: a broker from before Kafka 4.0 can run at-least-once only, and is told so before
// anything starts.
func TestClusterTooOldForExactlyOnce(t *testing.T) {
	old, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.MaxVersions(kversion.V3_6_0()))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	cfg := kafka.Config{Brokers: old.ListenAddrs(), Log: slog.New(slog.DiscardHandler)}
	once := &topology.Plan{Name: "payments", Delivery: api.ExactlyOnce}
	err = checkCluster(t.Context(), cfg, []*topology.Plan{{Name: "logs", Delivery: api.AtLeastOnce}, once})
	advice, ok := errors.AsType[*AdvisedError](err)
	if !ok || !strings.Contains(err.Error(), `run topology "payments" exactly-once`) || !strings.Contains(advice.Advice, "delivery: at-least-once") {
		t.Errorf("got %v", err)
	}
	once.Delivery = api.AtLeastOnce
	if err := checkCluster(t.Context(), cfg, []*topology.Plan{once}); err != nil {
		t.Errorf("at-least-once: got %v", err)
	}
}
