package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/topology"
)

// choose finds the stages, and what is known of them.
func (r *Reset) choose(kept map[string]topology.Kept, stages map[string]storedStage, o ResetOptions) error {
	first, ok := stageWith(stages, o.Table)
	if !ok {
		key := topology.KeptKey(o.Topology, o.Table)
		if _, left := kept[key]; !left {
			return &NoTableError{Topology: o.Topology, Table: o.Table, Known: known(kept)}
		}
		for _, st := range stages {
			r.group = st.Group
		}
		r.Stores, r.rows = []string{o.Table}, []string{key}
		return nil
	}
	r.group = first.Group
	r.stages = []storedStage{first}
	for _, st := range resetting(stages) { // what was begun is finished
		if st.Stage != first.Stage {
			r.stages = append(r.stages, st)
		}
	}
	if o.Upstream {
		r.stages = upstream(r.stages, stages)
	}
	for _, st := range r.stages {
		r.Stages = append(r.Stages, st.Stage)
		r.Stores = append(r.Stores, st.Stores...)
		r.Outputs = append(r.Outputs, st.Outputs...)
		r.rows = append(r.rows, st.key())
		for _, s := range st.Stores {
			r.rows = append(r.rows, topology.KeptKey(o.Topology, s))
		}
	}
	slices.Sort(r.Stores)
	slices.Sort(r.Outputs)
	r.Outputs = slices.Compact(r.Outputs)
	return nil
}

// stageWith finds the stage that keeps a store or table, else the one that is called so.
func stageWith(stages map[string]storedStage, name string) (storedStage, bool) {
	for _, is := range []func(storedStage) bool{
		func(s storedStage) bool { return slices.Contains(s.Stores, name) || slices.Contains(s.Tables, name) },
		func(s storedStage) bool { return s.Stage == name && s.Replay != "" },
	} {
		for _, st := range stages {
			if is(st) {
				return st, true
			}
		}
	}
	return storedStage{}, false
}

// upstream adds the stages that write for some, and those that write for them.
func upstream(some []storedStage, all map[string]storedStage) []storedStage {
	for i := 0; i < len(some); i++ { //nolint:intrange // it grows meanwhile
		for _, in := range some[i].Inputs {
			for _, writer := range sortedStages(all) {
				in := in.Own && slices.Contains(writer.Outputs, in.Topic)
				if in && !slices.ContainsFunc(some, func(s storedStage) bool { return s.Stage == writer.Stage }) {
					some = append(some, writer)
				}
			}
		}
	}
	return some
}

func sortedStages(all map[string]storedStage) []storedStage {
	var list []storedStage
	for _, st := range all {
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b storedStage) int { return cmp.Compare(a.Stage, b.Stage) })
	return list
}

func known(kept map[string]topology.Kept) []string {
	var names []string
	for _, k := range kept {
		names = append(names, k.Store)
	}
	slices.Sort(names)
	return names
}

// look fills in the topics: what is deleted, and what is read again.
func (r *Reset) look(ctx context.Context, admin *kafka.Admin, kept map[string]topology.Kept) error {
	there, err := admin.Topics(ctx)
	if err != nil {
		return err
	}
	var committed map[kafka.TopicPartition]kafka.Committed
	if r.group != "" {
		if committed, err = admin.CommittedOffsets(ctx, r.group); err != nil {
			return err
		}
	}
	at := positions{admin: admin, committed: committed}
	for _, st := range r.stages {
		for _, in := range st.Inputs {
			if _, ok := there[in.Topic]; ok && !in.Own {
				again, _, err := at.of(ctx, in.Topic)
				if err != nil {
					return err
				}
				r.Inputs = append(r.Inputs, ResetInput{Topic: in.Topic, Records: again, Latest: in.Latest})
			}
		}
		r.Moved = append(r.Moved, r.notAgain(st)...)
	}
	for _, name := range r.moving(kept) {
		if _, ok := there[name.topic]; !ok {
			continue
		}
		t := ResetTopic{Name: name.topic}
		if !name.changelog {
			if _, t.Waiting, err = at.of(ctx, name.topic); err != nil {
				return err
			}
		}
		r.Topics = append(r.Topics, t)
	}
	return nil
}

// notAgain lists the topics through which records came to a stage from stages that do not work on them again.
func (r *Reset) notAgain(st storedStage) (topics []string) {
	for _, in := range st.Inputs {
		again := slices.ContainsFunc(r.stages, func(s storedStage) bool { return slices.Contains(s.Outputs, in.Topic) })
		if in.Own && !again {
			topics = append(topics, in.Topic)
		}
	}
	return topics
}

type ownTopic struct {
	topic     string
	changelog bool
}

// moving lists the topics of the topology's own that are deleted: those between stages first.
func (r *Reset) moving(kept map[string]topology.Kept) (topics []ownTopic) {
	for _, st := range r.stages {
		for _, in := range st.Inputs {
			if in.Own {
				topics = append(topics, ownTopic{topic: in.Topic})
			}
		}
		if st.Replay != "" {
			topics = append(topics, ownTopic{topic: st.Replay})
		}
	}
	for _, s := range r.Stores {
		k := kept[topology.KeptKey(r.Topology, s)]
		if k.Identity.Changelog != "" && !k.Source {
			topics = append(topics, ownTopic{topic: k.Identity.Changelog, changelog: true})
		}
	}
	return topics
}

// positions is how far a group has come.
type positions struct {
	admin     *kafka.Admin
	committed map[kafka.TopicPartition]kafka.Committed
}

// of counts the offsets of a topic that were read and are there still, and those that were not read.
func (p positions) of(ctx context.Context, topic string) (read, waiting int64, err error) {
	starts, err1 := p.admin.StartOffsets(ctx, topic)
	ends, err2 := p.admin.StableOffsets(ctx, topic)
	for tp, end := range ends {
		at := min(max(p.committed[tp].Offset, starts[tp]), end)
		read += at - starts[tp]
		waiting += end - at
	}
	return read, waiting, errors.Join(err1, err2)
}

// findFolders lists the folders of the stores that this machine has, of every process that kept its own in the data folder.
func (r *Reset) findFolders(data string) error {
	all := filepath.Join(stateDir(data, r.Topology), "stores")
	processes, err := os.ReadDir(all)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for stores: %w", err)
	}
	for _, process := range processes {
		for _, st := range r.stages {
			folder := filepath.Join(all, process.Name(), "stages", st.Stage)
			if info, err := os.Stat(folder); err == nil && info.IsDir() {
				r.Folders = append(r.Folders, folder)
			}
		}
	}
	return nil
}
