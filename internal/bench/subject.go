package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/internal/topology"
)

// subject is a topology that is measured: topic to topic, with bolts in between.
type subject struct {
	bolts    string // YAML of the bolts, the last one named "last"; empty for none
	more     string // further resources
	spouts   string // YAML of a further spout
	format   string
	delivery api.Delivery
	commit   time.Duration
	services component.Services
	// components are what the bolts need beside the usual ones.
	components []component.Definition
}

const subjectText = `apiVersion: ravenswood.dev/v1alpha1
kind: Topology
metadata: {name: NAME}
spec:
  delivery: DELIVERY
  commitInterval: COMMIT
  spouts:
    in: {topic: {name: INPUT, format: FORMAT}}
SPOUTSBOLTS  sinks:
    out: {from: LAST, topic: {name: OUTPUT}}
`

// text is the resource file.
func (s subject) text(name, in, out string) string {
	last, bolts := "in", ""
	if s.bolts != "" {
		last, bolts = "last", "  bolts:\n    "+strings.ReplaceAll(strings.TrimSpace(s.bolts), "\n", "\n    ")+"\n"
	}
	spouts := ""
	if s.spouts != "" {
		spouts = "    " + s.spouts + "\n"
	}
	topics := ""
	for _, topic := range []string{in, out} {
		topics += fmt.Sprintf("apiVersion: %s\nkind: Topic\nmetadata: {name: %s}\nspec: {partitions: %d}\n---\n", api.Version, topic, partitions)
	}
	return topics + s.more + strings.NewReplacer("NAME", name, "DELIVERY", string(s.delivery), "COMMIT", s.commit.String(),
		"INPUT", in, "FORMAT", s.format, "SPOUTS", spouts, "BOLTS", bolts, "LAST", last, "OUTPUT", out).Replace(subjectText)
}

// outcome is what one round of a subject has shown.
type outcome struct {
	way    course
	status engine.Status
}

// run takes records from in to out in a topology of its own, and removes what it made.
func (c *cluster) run(ctx context.Context, s subject, in string, records int64) (o outcome, err error) {
	name := unique("subject")
	out := name + "-out"
	_, p, err := plan(s.text(name, in, out), c.dir, s.components...)
	if err != nil {
		return o, err
	}
	if err := c.prepare(ctx, p); err != nil {
		return o, err
	}
	state := filepath.Join(c.dir, name)
	e, err := engine.New(p, engine.Env{Kafka: c.cfg, ID: "bench", Services: s.services, StateDir: state, Log: c.cfg.Log})
	if err != nil {
		return o, err
	}
	defer func() { _ = os.RemoveAll(state) }() // the cluster's folder goes in the end anyway
	o, err = follow(ctx, e, records)
	if err != nil {
		return o, err
	}
	if s.spouts == "" && o.status.Out != records || o.status.Dead != 0 {
		return o, fmt.Errorf("run topology %q: %d records out and %d dead letters of %d records in", name, o.status.Out, o.status.Dead, records)
	}
	return o, c.drop(ctx, ownTopics(p)...)
}

// ownTopics lists the topics that a run has made: all but those it has read from outside.
func ownTopics(p *topology.Plan) (names []string) {
	given := make(map[string]bool)
	for _, in := range p.Inputs {
		given[in.Topic] = !in.Repartition && in.Name != ""
	}
	for _, t := range p.Topics {
		if !given[t.Name] {
			names = append(names, t.Name)
		}
	}
	return names
}

// follow runs an engine until it has committed the records, and watches its way.
func follow(ctx context.Context, e *engine.Engine, records int64) (o outcome, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	o.way.reach(0)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return o, fmt.Errorf("run topology: it stopped after %d of %d records: %w", e.Status().In, records, err)
		case <-tick.C:
		}
		o.status = e.Status()
		o.way.reach(o.status.In)
		if o.status.In >= records {
			cancel()
			return o, <-done
		}
	}
}
