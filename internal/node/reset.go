package node

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/topology"
)

// Reset empties the stores of a stage. PlanReset says what that is, Run does it.
//
// From its first step on the topology cannot start until the last is done; each step may be done again. So one that is
// interrupted is finished by the same again.
type Reset struct {
	Topology string       `json:"topology"`
	Stages   []string     `json:"stages,omitempty"`  // whose stores are emptied; none: no stage keeps the store any more
	Stores   []string     `json:"stores"`            // that are emptied
	Topics   []ResetTopic `json:"topics"`            // that are deleted; the topology makes them anew when it starts
	Inputs   []ResetInput `json:"inputs"`            // that are read again from where they begin for a new reader
	Outputs  []string     `json:"outputs"`           // that get results again
	Moved    []string     `json:"moved,omitempty"`   // of the deleted topics, those through which records came that are gone now
	Folders  []string     `json:"folders,omitempty"` // of this machine that are removed

	group  string
	stages []storedStage
	rows   []string // keys to be forgotten
}

// ResetTopic is a topic of the topology's own.
type ResetTopic struct {
	Name    string `json:"name"`
	Waiting int64  `json:"waiting,omitempty"` // about how many records on their way in it are lost
}

// ResetInput is a topic that is not the topology's own.
type ResetInput struct {
	Topic   string `json:"topic"`
	Records int64  `json:"records"` // about how many are read again
	Latest  bool   `json:"latest"`  // none of them: the topology begins at the end of it
}

// ResetOptions say what to reset.
type ResetOptions struct {
	Kafka    kafka.Config
	Data     string // the data folder of this machine
	Topology string
	Table    string // or store, or stage
	Upstream bool   // also the stages through which records come before
}

// NoTableError says that nothing is known of a table.
type NoTableError struct {
	Topology, Table string
	Known           []string // what there is
}

func (e *NoTableError) Error() string {
	return fmt.Sprintf("reset table %q of topology %q: nothing is kept under this name", e.Table, e.Topology)
}

// PlanReset finds out what emptying a table means. It changes nothing, and refuses while somebody runs the topology.
func PlanReset(ctx context.Context, o ResetOptions) (*Reset, error) {
	rows, err := readState(ctx, o.Kafka)
	if err != nil {
		return nil, err
	}
	kept, stages, err := remembered(rows, o.Topology)
	if err != nil {
		return nil, err
	}
	r := &Reset{Topology: o.Topology, Topics: []ResetTopic{}, Inputs: []ResetInput{}, Outputs: []string{}}
	if err := r.choose(kept, stages, o); err != nil {
		return nil, err
	}
	admin, err := kafka.NewAdmin(o.Kafka)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	if err := r.unused(ctx, admin); err != nil {
		return nil, err
	}
	if err := r.findFolders(o.Data); err != nil {
		return nil, err
	}
	return r, r.look(ctx, admin, kept)
}

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

// unused refuses while a process works on the topology.
func (r *Reset) unused(ctx context.Context, admin *kafka.Admin) error {
	groups, err := admin.Groups(ctx)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if g.Name == r.group && g.State != "Empty" && g.State != "Dead" {
			return advise(fmt.Errorf("reset table of topology %q: processes work on it (group %q is %s)", r.Topology, g.Name, g.State),
				"stop them first; one that was killed counts until its session is over, some seconds")
		}
	}
	return nil
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

// Run does it. What it refuses has changed nothing.
func (r *Reset) Run(ctx context.Context, cfg kafka.Config) error {
	admin, err := kafka.NewAdmin(cfg)
	if err != nil {
		return err
	}
	defer admin.Close()
	if err := r.begin(ctx, cfg); err != nil {
		return err
	}
	// Nobody can start now. One that had started before the mark is seen here, or is refused its offsets' deletion.
	if err := r.unused(ctx, admin); err != nil {
		return errors.Join(err, r.mark(ctx, cfg, false))
	}
	for _, step := range []func() error{
		func() error { return r.forgetOffsets(ctx, admin) },
		func() error { return admin.DeleteTopics(ctx, r.topicNames()...) },
		r.removeFolders,
	} {
		if err := step(); err != nil {
			return fmt.Errorf("reset table of topology %q: %w", r.Topology, err)
		}
	}
	return r.forget(ctx, cfg)
}

// begin marks the stages, if they are what they were when the plan was made.
func (r *Reset) begin(ctx context.Context, cfg kafka.Config) error { return r.mark(ctx, cfg, true) }

func (r *Reset) mark(ctx context.Context, cfg kafka.Config, resetting bool) error {
	return editStores(ctx, cfg, r.Topology, func(rows map[string][]byte) (map[string][]byte, error) {
		_, stages, err := remembered(rows, r.Topology)
		if err != nil {
			return nil, err
		}
		changes := map[string][]byte{}
		for _, planned := range r.stages {
			now := stages[planned.key()]
			now.Resetting = planned.Resetting
			if !same(now, planned) {
				return nil, advise(fmt.Errorf("reset table of topology %q: the topology was started meanwhile", r.Topology), "look again, and stop it first")
			}
			now.Resetting = resetting || planned.Resetting
			if changes[planned.key()], err = json.Marshal(now); err != nil {
				return nil, fmt.Errorf("write %q: %w", planned.key(), err)
			}
		}
		return changes, nil
	})
}

func same(a, b storedStage) bool {
	one, err1 := json.Marshal(a)
	other, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(one) == string(other)
}

func (r *Reset) forgetOffsets(ctx context.Context, admin *kafka.Admin) error {
	var topics []string
	for _, st := range r.stages {
		for _, in := range st.Inputs {
			topics = append(topics, in.Topic)
		}
		if st.Replay != "" {
			topics = append(topics, st.Replay)
		}
	}
	if len(topics) == 0 {
		return nil
	}
	return admin.DeleteGroupOffsets(ctx, r.group, topics...)
}

func (r *Reset) topicNames() (names []string) {
	for _, t := range r.Topics {
		names = append(names, t.Name)
	}
	return names
}

// removeFolders removes what is kept on this machine. Other processes see by the new changelogs that theirs is of old.
func (r *Reset) removeFolders() error {
	for _, folder := range r.Folders {
		tasks, err := os.ReadDir(folder)
		if err != nil {
			return err
		}
		for _, t := range tasks {
			if err := store.Remove(filepath.Join(folder, t.Name())); err != nil {
				return err
			}
		}
		if err := os.Remove(folder); err != nil {
			return err
		}
	}
	return nil
}

// forget ends the reset: nothing is known of the stores any more.
func (r *Reset) forget(ctx context.Context, cfg kafka.Config) error {
	return editStores(ctx, cfg, r.Topology, func(rows map[string][]byte) (map[string][]byte, error) {
		changes := map[string][]byte{}
		for _, key := range r.rows {
			if _, there := rows[key]; there {
				changes[key] = nil
			}
		}
		return changes, nil
	})
}
