package cli

import (
	"fmt"
	"log/slog"
	"maps"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/kafka"
)

// A broker that is slow brings nothing for a moment, as one does that has nothing. Only of the second is the past at its end.
func TestAQuietMomentIsTheEndOfThePastOnlyIfTheLogHasNoMore(t *testing.T) {
	b, err := broker.Start(t.Context(), broker.Options{Dir: t.TempDir(), Listener: broker.Listener{Addr: "127.0.0.1:0"}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	cfg := kafka.Config{Brokers: []string{b.Addr()}, Log: slog.New(slog.DiscardHandler)}
	log, err := kafka.NewAdmin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	client, err := kgo.NewClient(append(cfg.Options(), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	admin := kadm.NewClient(client)
	if _, err := admin.CreateTopic(t.Context(), 3, 1, nil, "shown"); err != nil {
		t.Fatal(err)
	}
	for p := range int32(3) {
		for i := range 3 {
			if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "shown", Partition: p, Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	gone := kadm.Offsets{}
	gone.AddOffset("shown", 1, 3, -1)
	if _, err := admin.DeleteRecords(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	seen := &tailing{
		topic: "shown", client: client, admin: admin, log: log,
		next: map[int32]int64{0: 1, 1: 1, 2: 2}, ends: map[int32]int64{0: 3, 1: 3, 2: 2}, // unread; deleted; written after the start
	}
	if err := seen.quiet(t.Context()); err != nil || !maps.Equal(seen.ends, map[int32]int64{0: 3}) {
		t.Errorf("the past goes on in %v (%v), want only in partition 0", seen.ends, err)
	}
}
