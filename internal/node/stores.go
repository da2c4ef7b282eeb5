package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/topology"
)

// editTimeout is how long a process that ends in the middle of a change may hold back those who read the state topic.
const editTimeout = 10 * time.Second

// editPause keeps processes that start at once from ending one another's change for ever.
func editPause() time.Duration { return time.Duration(rand.IntN(100)+20) * time.Millisecond }

// stagePrefix begins the keys of stages in the state topic.
const stagePrefix = "stage/"

// storedStage is a stage as it was when its topology last ran, so that its stores can be emptied by who has not its files.
type storedStage struct {
	Topology string        `json:"topology"`
	Stage    string        `json:"stage"`
	Group    string        `json:"group"` // of the topology's workers
	Inputs   []storedInput `json:"inputs"`
	Replay   string        `json:"replay,omitempty"` // of a stateful stage
	Stores   []string      `json:"stores,omitempty"`
	Tables   []string      `json:"tables,omitempty"`  // names under which they can be asked
	Outputs  []string      `json:"outputs,omitempty"` // topics that records of the stage are written to, and outside sinks
	// Resetting says that a reset has begun: what is there is neither the old nor the new, and nothing may run on it.
	Resetting bool `json:"resetting,omitempty"`
}

type storedInput struct {
	Name   string `json:"name"` // of the spout, or of what stands between the stages
	Topic  string `json:"topic"`
	Latest bool   `json:"latest,omitempty"` // read from its end by who has not read it before
	Own    bool   `json:"own,omitempty"`    // written by stages of the same topology, for nobody else
}

func (s *storedStage) key() string { return stageKey(s.Topology, s.Stage) }

func stageKey(topology, stage string) string { return stagePrefix + topology + "/" + stage }

// stagesOf lists the stages of a plan that has state; no others are remembered.
func stagesOf(p *topology.Plan) []storedStage {
	if !keepsState(p) {
		return nil
	}
	var all []storedStage
	for n := range p.Stages {
		all = append(all, stageOf(p, n))
	}
	return all
}

func keepsState(p *topology.Plan) bool {
	return slices.ContainsFunc(p.Stages, func(st topology.Stage) bool { return st.Stateful })
}

func stageOf(p *topology.Plan, n int) storedStage {
	st := &p.Stages[n]
	stored := storedStage{Topology: p.Name, Stage: st.Name, Group: p.Group, Outputs: outputsOf(p, n)}
	for _, i := range st.Inputs {
		in := p.Inputs[i]
		if in.Topic != st.Replay {
			stored.Inputs = append(stored.Inputs, storedInput{Name: in.Name, Topic: in.Topic, Latest: in.Start == "latest", Own: in.Repartition})
		}
	}
	if st.Stateful {
		stored.Replay = st.Replay
	}
	for _, s := range st.Stores {
		stored.Stores = append(stored.Stores, s.Name)
	}
	for _, t := range p.Tables {
		if t.Stage == n {
			stored.Tables = append(stored.Tables, t.Name)
		}
	}
	return stored
}

// outputsOf names where the records of a stage go.
func outputsOf(p *topology.Plan, stage int) []string {
	var all []string
	add := func(targets []topology.Target) {
		for _, t := range targets {
			if !t.Sink {
				continue
			}
			s := p.Sinks[t.Index]
			if s.Internal && !s.Repartition {
				all = append(all, s.Name) // outside: what is written there is what matters
			} else {
				all = append(all, s.Topic)
			}
		}
	}
	for _, in := range p.Inputs {
		if in.Stage == stage {
			add(in.Next)
		}
	}
	for _, b := range p.Bolts {
		if b.Stage == stage {
			add(slices.Concat(b.Next...))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// claimStores makes sure that the stores of all topologies may go on with what is there, and writes down what they are
// before an engine writes the first record to a changelog.
func (n *Node) claimStores(ctx context.Context) error {
	var have map[string]int
	for _, p := range n.plans {
		if keepsState(p) && have == nil {
			var err error
			if have, err = partitionsOf(ctx, n.kafka); err != nil {
				return err
			}
		}
		c := claim{plan: p, have: have, log: n.options.Log}
		if err := c.make(ctx, n.kafka, n.state.table.All()); err != nil {
			return err
		}
	}
	return nil
}

func partitionsOf(ctx context.Context, cfg kafka.Config) (map[string]int, error) {
	admin, err := kafka.NewAdmin(cfg)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	topics, err := admin.Topics(ctx)
	have := map[string]int{}
	for name, t := range topics {
		have[name] = t.Partitions
	}
	return have, err
}

// claim is a topology's wish to go on with what is kept of it.
type claim struct {
	plan *topology.Plan
	have map[string]int // partitions by topic
	log  *slog.Logger
}

// make sees whether all is known as it is. If not, it asks again as the only one that may write, and writes.
func (c *claim) make(ctx context.Context, cfg kafka.Config, rows map[string][]byte) error {
	if keepsState(c.plan) {
		if err := topology.CheckPartitions(c.plan, c.have); err != nil {
			return err
		}
	}
	changes, err := c.changes(rows)
	if err != nil || len(changes) == 0 {
		return err
	}
	if err := editStores(ctx, cfg, c.plan.Name, c.changes); err != nil {
		return err
	}
	c.tellMissing(rows)
	return nil
}

// tellMissing warns of stores that now begin behind tables whose rows were there before. It is told once: from the next
// start on the stores are known.
func (c *claim) tellMissing(rows map[string][]byte) {
	for _, s := range topology.WithoutRows(c.plan, storesOf(rows)) {
		c.log.Warn("a new store lacks rows that are there already", "topology", s.Topology, "store", s.Name, "why", s.Message, "hint", s.Hint)
	}
}

// changes is what has to be written; a nil value deletes. It is an error if the topology must not run.
func (c *claim) changes(rows map[string][]byte) (map[string][]byte, error) {
	kept, stages, err := remembered(rows, c.plan.Name)
	if err != nil {
		return nil, err
	}
	if half := resetting(stages); len(half) > 0 {
		return nil, advise(fmt.Errorf("run topology %q: stage %q is half reset", c.plan.Name, half[0].Stage),
			"finish it: `%s`", topology.ResetCommand(c.plan.Name, half[0].Stage))
	}
	partitions := func(topic string) int { return c.have[topic] }
	if err := topology.CheckStores(c.plan, kept, partitions); err != nil {
		return nil, err
	}
	return c.differing(rows, stages, partitions)
}

func (c *claim) differing(rows map[string][]byte, stages map[string]storedStage, partitions func(string) int) (map[string][]byte, error) {
	wanted := map[string]any{}
	for key, k := range c.plan.Kept(partitions) {
		wanted[key] = k
	}
	for _, st := range stagesOf(c.plan) {
		wanted[st.key()] = st
	}
	changes := map[string][]byte{}
	for key, what := range wanted {
		value, err := json.Marshal(what)
		if err != nil {
			return nil, fmt.Errorf("write %q: %w", key, err)
		}
		if !bytes.Equal(rows[key], value) {
			changes[key] = value
		}
	}
	for key := range stages { // its inputs are another's now, or nobody's
		if wanted[key] == nil {
			changes[key] = nil
		}
	}
	return changes, nil
}

// remembered reads what is known of a topology. What cannot be read must not be overwritten: a newer program wrote it.
func remembered(rows map[string][]byte, name string) (kept map[string]topology.Kept, stages map[string]storedStage, err error) {
	kept, stages = map[string]topology.Kept{}, map[string]storedStage{}
	for key, value := range rows {
		var wrong error
		switch {
		case strings.HasPrefix(key, topology.KeptKey(name, "")):
			kept[key], wrong = topology.ParseKept(value)
		case strings.HasPrefix(key, stageKey(name, "")):
			var st storedStage
			wrong = json.Unmarshal(value, &st)
			stages[key] = st
		}
		if wrong != nil {
			err = errors.Join(err, fmt.Errorf("read %q of topic %q: %w", key, StateTopic, wrong))
		}
	}
	return kept, stages, err
}

// resetting lists the stages that a reset has begun with, those with state first: by these it is asked for.
func resetting(stages map[string]storedStage) (half []storedStage) {
	for _, state := range []bool{true, false} {
		for _, st := range sortedStages(stages) {
			if st.Resetting && (st.Replay != "") == state {
				half = append(half, st)
			}
		}
	}
	return half
}

// editStores changes what is known of a topology's stores, as the only one that does: whoever begins later ends the
// transaction of who is at it, who then looks again at what the other wrote. So of two that want different things the
// second sees the first. Edit may be called several times; no changes write nothing.
func editStores(ctx context.Context, cfg kafka.Config, name string, edit func(rows map[string][]byte) (map[string][]byte, error)) error {
	for {
		err := editOnce(ctx, cfg, name, edit)
		if !errors.Is(err, kerr.ProducerFenced) && !errors.Is(err, kerr.InvalidProducerEpoch) {
			return err
		}
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), err)
		}
		rest(ctx, editPause())
	}
}

func editOnce(ctx context.Context, cfg kafka.Config, name string, edit func(rows map[string][]byte) (map[string][]byte, error)) error {
	client, err := kgo.NewClient(append(cfg.Options(), kgo.TransactionalID("raven."+name+"/stores"), kgo.TransactionTimeout(editTimeout))...)
	if err != nil {
		return fmt.Errorf("write what topology %q keeps: %w", name, err)
	}
	defer client.Close()
	if _, _, err := client.ProducerID(ctx); err != nil { // ends what another one has begun
		return fmt.Errorf("write what topology %q keeps: %w", name, err)
	}
	rows, err := readState(ctx, cfg)
	if err != nil {
		return err
	}
	changes, err := edit(rows)
	if err != nil || len(changes) == 0 {
		return err
	}
	if err := writeState(ctx, client, changes); err != nil {
		return fmt.Errorf("write what topology %q keeps: %w", name, err)
	}
	return nil
}

// writeState writes rows in one transaction.
func writeState(ctx context.Context, client *kgo.Client, changes map[string][]byte) error {
	if err := client.BeginTransaction(); err != nil {
		return err
	}
	var records []*kgo.Record
	for key, value := range changes {
		records = append(records, &kgo.Record{Topic: StateTopic, Key: []byte(key), Value: value})
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return errors.Join(err, client.EndTransaction(context.WithoutCancel(ctx), kgo.TryAbort))
	}
	return client.EndTransaction(ctx, kgo.TryCommit)
}

// readState reads all rows of the state topic; there are none if there is no topic.
func readState(ctx context.Context, cfg kafka.Config) (map[string][]byte, error) {
	rows := map[string][]byte{}
	err := kafka.ReadToEnd(ctx, cfg, StateTopic, nil, func(r *kgo.Record) error {
		if r.Value == nil {
			delete(rows, string(r.Key))
		} else {
			rows[string(r.Key)] = bytes.Clone(r.Value)
		}
		return nil
	})
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return rows, nil
	}
	return rows, err
}

// storesOf picks the stores of all topologies out of the rows. One that cannot be read is left to the start of its
// topology, which refuses it.
func storesOf(rows map[string][]byte) map[string]topology.Kept {
	all := map[string]topology.Kept{}
	for key, value := range rows {
		if !strings.HasPrefix(key, topology.KeptPrefix) {
			continue
		}
		if k, err := topology.ParseKept(value); err == nil && topology.KeptKey(k.Topology, k.Store) == key {
			all[key] = k
		}
	}
	return all
}
