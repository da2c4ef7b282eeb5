package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/topology"
)

// running is one topology in this process.
type running struct {
	plan   *topology.Plan
	engine *engine.Engine

	mu  sync.Mutex
	err error // why it stopped by itself
}

func (r *running) status() engine.Status { return r.engine.Status() }

func (r *running) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *running) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// openTopologies prepares every plan to run.
func openTopologies(plans []*topology.Plan, env engine.Env, data string) ([]*running, error) {
	var all []*running
	for _, p := range plans {
		own := env
		own.StateDir = stateDir(data, p.Name)
		e, err := engine.New(p, own)
		if err != nil {
			return nil, fmt.Errorf("open topology %q: %w", p.Name, err)
		}
		all = append(all, &running{plan: p, engine: e})
	}
	return all, nil
}

// runTopologies works until ctx is done. A topology that fails leaves the others running; the engine has logged why, the
// status shows it, and failures tells. When none is left there is nothing to wait for.
func runTopologies(ctx context.Context, all []*running) error {
	var group sync.WaitGroup
	for _, r := range all {
		group.Go(func() {
			if err := r.engine.Run(ctx); err != nil {
				r.fail(advised(fmt.Errorf("run topology %q: %w", r.plan.Name, err)))
			}
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return failures(all)
}

func failures(all []*running) error {
	var errs []error
	for _, r := range all {
		errs = append(errs, r.failed())
	}
	return errors.Join(errs...)
}

// drainBound is how long the topologies may take to stop: the longest bound of them, and time to commit.
func drainBound(plans []*topology.Plan) time.Duration {
	bound := time.Duration(0)
	for _, p := range plans {
		bound = max(bound, p.Drain)
	}
	return bound + 10*time.Second
}

// applyTopics makes and changes topics as the diff says. A conflict stops it before anything is done.
func applyTopics(ctx context.Context, cfg kafka.Config, changes topology.Changes) error {
	var problems []error
	for _, c := range changes.Conflicts() {
		problems = append(problems, advise(errors.New(c.Message), "%s", c.Hint))
	}
	for _, c := range changes.Foreign() {
		problems = append(problems, advise(&topology.ForeignError{Store: c.Name, Message: c.Message, Hint: c.Hint}, "%s", c.Hint))
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	admin, err := kafka.NewAdmin(cfg)
	if err != nil {
		return err
	}
	defer admin.Close()
	created, err := admin.EnsureTopics(ctx, wishes(changes.Topics))
	if err != nil {
		return err
	}
	if len(created) > 0 {
		cfg.Log.Info("made topics", "topics", created)
	}
	return alterTopics(ctx, admin, changes.Topics, cfg.Log)
}

func wishes(changes []topology.TopicChange) []kafka.TopicWish {
	var all []kafka.TopicWish
	for _, c := range changes {
		if c.Action == topology.ActionCreate {
			all = append(all, kafka.TopicWish{Name: c.Name, Partitions: c.Partitions, Replicas: c.Spec.Replicas, Config: topology.TopicConfig(c.Spec)})
		}
	}
	return all
}

func alterTopics(ctx context.Context, admin *kafka.Admin, changes []topology.TopicChange, log *slog.Logger) error {
	for _, c := range changes {
		if c.Action != topology.ActionChange {
			continue
		}
		settings := map[string]string{}
		for _, s := range c.Config {
			settings[s.Key] = s.To
		}
		if err := admin.AlterConfigs(ctx, c.Name, settings); err != nil {
			return err
		}
		log.Info("changed a topic's settings to those of its file", "topic", c.Name, "settings", settings)
	}
	return nil
}

// checkCluster makes sure that the cluster is there and can keep what the topologies promise.
func checkCluster(ctx context.Context, cfg kafka.Config, plans []*topology.Plan) error {
	cluster, err := kafka.Check(ctx, cfg)
	if err != nil || cluster.TransactionsV2 {
		return err
	}
	for _, p := range plans {
		if p.Delivery == api.ExactlyOnce {
			return advise(fmt.Errorf("run topology %q exactly-once: the cluster (Kafka %s) lacks transaction.version 2", p.Name, cluster.Version),
				"use Kafka 4.0 or newer, or set `delivery: at-least-once`")
		}
	}
	return nil
}
