package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/kafka"
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
