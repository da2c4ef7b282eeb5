package tables

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
	"ravenswood.dev/stream/tables"
)

// target is a table that is asked, and the engine that runs its topology here.
type target struct {
	engine Engine
	plan   *topology.Plan
	table  *topology.Table
}

// find looks a table up by name.
func (s *Service) find(name, table string) (*target, error) {
	e, err := s.engine(name)
	if err != nil {
		return nil, err
	}
	plan := e.Plan()
	var names []string
	for i := range plan.Tables {
		if plan.Tables[i].Name == table {
			return &target{engine: e, plan: plan, table: &plan.Tables[i]}, nil
		}
		names = append(names, plan.Tables[i].Name)
	}
	return nil, unknown(tables.NoTable, "ask table %q of topology %q: it has no such table", names, table, name)
}

func (s *Service) engine(name string) (Engine, error) {
	var names []string
	for _, e := range s.engines() {
		if e.Plan().Name == name {
			return e, nil
		}
		names = append(names, e.Plan().Name)
	}
	return nil, unknown(tables.NoTopology, "ask topology %q: it does not run here", names, name)
}

// namesShown is how many names a hint lists.
const namesShown = 20

func unknown(code tables.Code, format string, names []string, args ...any) *tables.Error {
	e := &tables.Error{Status: http.StatusNotFound, Code: code, Message: fmt.Sprintf(format, args...)}
	slices.Sort(names)
	if more := len(names) - namesShown; more > 0 {
		names = append(names[:namesShown], fmt.Sprintf("%d more", more))
	}
	if len(names) > 0 {
		e.Hint = "there are " + strings.Join(names, ", ")
	}
	return e
}

func (t *target) global() bool { return t.table.Stage == Global }

// changelog is the topic that has every change of the table; empty if there is none.
func (t *target) changelog() string {
	if t.global() {
		for _, g := range t.plan.Globals {
			if g.Name == t.table.Name {
				return g.Topic
			}
		}
		return ""
	}
	for _, st := range t.plan.Stages[t.table.Stage].Stores {
		if st.Name == t.table.Store.Name {
			return st.Changelog
		}
	}
	return ""
}

// encoding is how values are shown unless asked otherwise.
func (t *target) encoding() tables.Encoding {
	switch t.table.Format {
	case record.JSON:
		return tables.JSON
	case record.Text:
		return tables.Text
	case record.Int64:
		return tables.Int64
	case record.Float64:
		return tables.Float64
	case record.Raw:
	}
	return tables.Base64
}

// shown is an entry as whoever asks gets it: without what only the bolt that keeps it understands.
func (t *target) shown(e tables.Entry) tables.Entry {
	if t.table.Show != nil && e.Value != nil {
		e.Value = t.table.Show(e.Value)
	}
	return e
}

// view lends what this process has of a part.
func (t *target) view(partition int32, stale bool) (View, error) {
	if t.global() {
		return t.engine.Global(t.table.Name)
	}
	return t.engine.View(t.table.Stage, partition, stale)
}

// describe lists the tables of an engine.
func describe(e Engine) []tables.Table {
	plan, list := e.Plan(), []tables.Table{}
	for i := range plan.Tables {
		t := &target{engine: e, plan: plan, table: &plan.Tables[i]}
		list = append(list, t.describe())
	}
	slices.SortFunc(list, func(a, b tables.Table) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func (t *target) describe() tables.Table {
	spec := t.table.Store
	d := tables.Table{
		Topology: t.plan.Name, Name: t.table.Name, Kind: spec.Kind.String(), Values: t.encoding(),
		Global: t.global(), Changelog: t.changelog(), Partitions: []tables.Partition{},
	}
	if spec.Retention > 0 {
		d.Retention = spec.Retention.String()
	}
	if spec.Kind == store.KindWindow && spec.Window > 0 {
		d.Window = spec.Window.String()
	}
	if t.global() {
		return d
	}
	for _, o := range t.engine.Owners(t.table.Stage) {
		p := tables.Partition{Active: o.Active.ID}
		for _, standby := range o.Standbys {
			p.Standbys = append(p.Standbys, standby.ID)
		}
		d.Partitions = append(d.Partitions, p)
	}
	return d
}

// partitionOf is where every Kafka client puts a key.
func partitionOf(key []byte, partitions int) int32 {
	p := kgo.StickyKeyPartitioner(nil).ForTopic("")
	return int32(p.Partition(&kgo.Record{Key: key}, partitions))
}
