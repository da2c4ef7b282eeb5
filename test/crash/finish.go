package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/test/proof"
)

const endPatience = 60 * time.Second

// awaitEnd waits until both groups have worked off what they read, the workers the input and the deliveries the topic
// before the database, and every event is in the database.
func (h *harness) awaitEnd(ctx context.Context) error {
	admin, err := kafka.NewAdmin(h.cfg)
	if err != nil {
		return err
	}
	defer admin.Close()
	proof.Say("%d sent; waiting for the rest to come out", h.result.Sent)
	deadline := time.Now().Add(endPatience)
	for {
		in, err1 := lag(ctx, admin, topicIn, groupIn)
		stored, err2 := lag(ctx, admin, topicStored, groupStored)
		events := countEvents(ctx, h.database)
		err := errors.Join(err1, err2)
		if err == nil && in == 0 && stored == 0 && events >= h.result.Sent {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("wait for the end: after %s there are %d records to read, %d to store, and %d of %d events in the database (%w)",
				endPatience, in, stored, events, h.result.Sent, err)
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lag is how many offsets a group has before it.
func lag(ctx context.Context, admin *kafka.Admin, topic, group string) (lag int64, err error) {
	ends, err := admin.EndOffsets(ctx, topic)
	if err != nil {
		return 0, err
	}
	done, err := admin.CommittedOffsets(ctx, group)
	if err != nil {
		return 0, err
	}
	for p, end := range ends {
		lag += end - done[p].Offset
	}
	return lag, nil
}

// check reads both outputs and judges them.
func (h *harness) check(ctx context.Context) error {
	topic, err := readTopic(ctx, h.cfg, h.result.Sent)
	if err != nil {
		return err
	}
	stored, err := readDatabase(ctx, h.database, h.result.Sent)
	if err != nil {
		return err
	}
	r := &h.result
	r.InTopic, r.InSQLite, r.Same = topic.rows, stored.rows, same(topic, stored)
	r.Lost = topic.lost() + stored.lost()
	r.Duplicated = topic.duplicated + stored.duplicated
	r.Order = topic.disordered + stored.disordered
	r.Foreign = topic.foreign + stored.foreign
	if !r.Negative || r.Lost > 0 {
		r.Findings = append(topic.firsts, stored.firsts...)
	}
	proof.Say("%s: %d kills, %d sent, lost %d, duplicated %d, out of order %d", h.delivery, r.Kills, r.Sent, r.Lost, r.Duplicated, r.Order)
	return nil
}
