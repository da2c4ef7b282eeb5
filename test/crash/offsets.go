package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/test/proof"
)

// keeper commits offsets of a group of its own, ever higher, and asks for them again: what was acknowledged must never
// be forgotten. It looks after the copier's group in the same way.
type keeper struct {
	cfg        kafka.Config
	group      string
	topic      string
	partitions int32
	copier     *copier
	findings   *proof.Findings

	acked     int64
	commits   atomic.Int64
	forgotten atomic.Int64
}

// run commits and asks until ctx is done.
func (k *keeper) run(ctx context.Context) error {
	client, err := kgo.NewClient(append(k.cfg.Options(), impatient())...)
	if err != nil {
		return fmt.Errorf("keep offsets: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	for next := int64(1); ctx.Err() == nil; next++ {
		k.commit(ctx, admin, next)
		k.compare(ctx, admin, next)
		proof.Sleep(ctx, 20*time.Millisecond)
	}
	return nil
}

func (k *keeper) commit(ctx context.Context, admin *kadm.Client, next int64) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	offsets := kadm.Offsets{}
	for p := range k.partitions {
		offsets.Add(kadm.Offset{Topic: k.topic, Partition: p, At: next, LeaderEpoch: -1})
	}
	answer, err := admin.CommitOffsets(ctx, k.group, offsets)
	if err == nil && answer.Error() == nil {
		k.acked = next
		k.commits.Add(1)
	}
}

func (k *keeper) compare(ctx context.Context, admin *kadm.Client, most int64) {
	copied := k.copier.committed() // before the question: what the answer must hold at least
	own := map[int32]int64{}
	for p := range k.partitions {
		own[p] = k.acked
	}
	k.expect(ctx, admin, k.group, k.topic, own, most)
	k.expect(ctx, admin, k.copier.group, k.copier.from, copied, 1<<62)
}

// expect asks for a group's offsets; an answer that does not come is no answer.
func (k *keeper) expect(ctx context.Context, admin *kadm.Client, group, topic string, least map[int32]int64, most int64) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	answer, err := admin.FetchOffsets(ctx, group)
	if err != nil || answer.Error() != nil {
		return
	}
	for p, want := range least {
		got, _ := answer.Lookup(topic, p)
		if want > 0 && (got.At < want || got.At > most) {
			k.forgotten.Add(1)
			k.findings.Note("group %s, %s/%d: offset %d, and %d was acknowledged", group, topic, p, got.At, want)
		}
	}
}

// close compares a last time, when nobody commits any more. Unlike before, an answer must come.
func (k *keeper) close(ctx context.Context) error {
	client, err := kgo.NewClient(append(k.cfg.Options(), impatient())...)
	if err != nil {
		return fmt.Errorf("read offsets: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	own, err1 := admin.FetchOffsets(ctx, k.group)
	copied, err2 := admin.FetchOffsets(ctx, k.copier.group)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("read offsets: %w", err)
	}
	if err := errors.Join(own.Error(), copied.Error()); err != nil {
		return fmt.Errorf("read offsets: %w", err)
	}
	k.compare(ctx, admin, 1<<62)
	return nil
}
