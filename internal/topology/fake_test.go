package topology_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/topic"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/topology"
)

type (
	noSettings struct{}
	branches   struct {
		To []string `yaml:"to" required:"true" doc:"Outputs."`
	}
	calls struct {
		Service string `yaml:"service" required:"true" doc:"Service."`
	}
	shaped struct {
		Inputs      []string `yaml:"inputs" doc:"Sides of a join."`
		Stores      []string `yaml:"stores" doc:"Stores, some as kind:name."`
		Reads       []string `yaml:"reads" doc:"Stores."`
		Rekeys      bool     `yaml:"rekeys" doc:"It does."`
		Keyed       bool     `yaml:"keyed" doc:"It is."`
		Repartition bool     `yaml:"repartition" doc:"Always."`
		Partitions  int      `yaml:"partitions" doc:"So many."`
		Table       bool     `yaml:"table" doc:"It is one."`
		Global      bool     `yaml:"global" doc:"It is one."`
		Expression  string   `yaml:"expression" doc:"What it computes."`
	}
	tables struct {
		Store     string       `yaml:"store" default:"disk" enum:"disk|memory" doc:"Where."`
		Global    bool         `yaml:"global" doc:"Everywhere."`
		History   api.Duration `yaml:"history" doc:"How far back."`
		Retention api.Duration `yaml:"retention" doc:"How long."`
	}
	clock struct {
		Time string `yaml:"time" doc:"Where records say their time."`
	}
	expression struct {
		When string `yaml:"when" required:"true" doc:"Expression."`
	}
)

type fake struct{}

func (fake) Process(context.Context, *record.Record, component.Emit) error { return nil }
func (fake) Open(context.Context, []byte) error                            { return nil }
func (fake) Next(context.Context, int) (component.Batch, error)            { return component.Batch{}, nil }
func (fake) Close() error                                                  { return nil }
func (fake) Position(context.Context, component.Partition) (int64, bool, error) {
	return 0, false, nil
}
func (fake) Deliver(context.Context, component.Partition, int64, int64, []*record.Record) error {
	return nil
}

func fakeBolt[C any](name string, check func(*C) []component.Problem) component.Definition {
	return component.DefineBolt(component.Spec{Name: name}, check, func(*C, component.Env) (component.Bolt, error) { return fake{}, nil })
}

// shape is what the settings say.
func (c *shaped) shape() component.Shape {
	s := component.Shape{Rekeys: c.Rekeys, Keyed: c.Keyed, Inputs: c.Inputs, Reads: c.Reads, Repartition: c.Repartition, Partitions: c.Partitions, Table: c.Table, Global: c.Global}
	for _, name := range c.Stores {
		spec := store.Spec{Name: strings.TrimPrefix(name, "own")}
		switch kind, rest, ok := strings.Cut(name, ":"); {
		case !ok:
		case kind == "window":
			spec = store.Spec{Name: rest, Kind: store.KindWindow, Retention: 24 * time.Hour, Window: time.Hour}
		case kind == "versioned":
			spec = store.Spec{Name: rest, Kind: store.KindVersioned, Retention: 24 * time.Hour}
		case kind == "unlogged":
			spec = store.Spec{Name: rest, Unlogged: true}
		}
		s.Stores = append(s.Stores, spec)
	}
	return s
}

func (c *tables) shape() component.Shape {
	spec := store.Spec{Memory: c.Store == "memory", Retention: time.Duration(c.Retention)}
	if c.History > 0 {
		spec.Kind, spec.Retention = store.KindVersioned, time.Duration(c.History)
	}
	return component.Shape{Table: true, Global: c.Global, Stores: []store.Spec{spec}}
}

func (c *clock) set() bool { return c.Time != "" }

type fakeProcessor struct{}

func (fakeProcessor) Open(processor.Context) error      { return nil }
func (fakeProcessor) Process(int, *record.Record) error { return nil }

func openProcessor[C any](*C, component.Env) (processor.Processor, error) {
	return fakeProcessor{}, nil
}

func fakeSpout(name string) component.Definition {
	return component.DefineSpout(component.Spec{Name: name}, nil, func(*noSettings, component.Env) (component.Spout, error) { return fake{}, nil })
}

// fakes has a bolt for every way in which bolts differ for a plan.
func fakes() *component.Registry {
	return component.NewRegistry(
		topic.Spout(), fakeSpout("generate"),
		component.WithTimes(component.DefineSpout(component.Spec{Name: "read"}, nil, func(*clock, component.Env) (component.Spout, error) { return fake{}, nil }), (*clock).set),
		component.WithTimes(fakeBolt[clock]("clock", nil), (*clock).set),
		component.WithFormat(fakeSpout("bytes"), func(*noSettings) record.Format { return record.Raw }),
		fakeBolt[noSettings]("pass", nil),
		component.WithPorts(fakeBolt[branches]("branch", nil), func(c *branches) []string { return c.To }),
		component.WithShape(fakeBolt[shaped]("rekey", nil), func(*shaped) component.Shape { return component.Shape{Rekeys: true} }),
		component.WithShape(fakeBolt[shaped]("shaped", nil), (*shaped).shape),
		component.DefineBolt(component.Spec{Name: "wait", Blocking: true}, nil, func(*noSettings, component.Env) (component.Bolt, error) { return fake{}, nil }),
		component.DefineProcessor(component.Spec{Name: "table"}, nil, (*tables).shape, openProcessor[tables]),
		component.DefineProcessor(component.Spec{Name: "keep"}, nil, (*shaped).shape, openProcessor[shaped]),
		component.WithFormat(component.DefineProcessor(component.Spec{Name: "count", Outputs: []string{"late"}}, nil, func(c *shaped) component.Shape {
			own := *c
			own.Stores = append([]string{"own"}, c.Stores...)
			return own.shape()
		}, openProcessor[shaped]), func(*shaped) record.Format { return record.JSON }),
		component.WithUses(fakeBolt[calls]("call", nil), func(c *calls) []string { return []string{c.Service} }),
		fakeBolt("filter", func(c *expression) []component.Problem {
			if i := strings.Index(c.When, "=>"); i >= 0 {
				return []component.Problem{{Path: "when", Column: i + 1, Code: "expression-invalid", Message: fmt.Sprintf("compile %q: unexpected =>", c.When)}}
			}
			return nil
		}),
		topic.Sink(), component.DefineSink(component.Spec{Name: "store"}, nil, func(*noSettings, component.Env) (component.Sink, error) { return fake{}, nil }),
	)
}

const head = "apiVersion: ravenswood.dev/v1alpha1\n"

// graph wraps spouts, bolts and sinks in a topology. They begin in line 5.
func graph(name, nodes string) string {
	return head + "kind: Topology\nmetadata: {name: " + name + "}\nspec:\n" + nodes
}

// build reads and checks documents.
func build(t *testing.T, documents ...string) (*manifest.Set, []*topology.Plan, []manifest.Problem) {
	t.Helper()
	reg := fakes()
	set, problems := manifest.Parse("file.yaml", "dir", []byte(strings.Join(documents, "---\n")), reg)
	plans, more := topology.Build(set, reg)
	return set, plans, manifest.Sort(append(problems, more...))
}

// mustBuild is for documents without problems.
func mustBuild(t *testing.T, documents ...string) (*manifest.Set, []*topology.Plan) {
	t.Helper()
	set, plans, problems := build(t, documents...)
	if len(problems) > 0 {
		t.Fatalf("problems: %v", brief(problems))
	}
	return set, plans
}

// brief is problems in the form of "line:column severity code".
func brief(problems []manifest.Problem) []string {
	var all []string
	for _, p := range problems {
		all = append(all, fmt.Sprintf("%d:%d %s %s", p.Line, p.Column, p.Severity, p.Code))
	}
	return all
}

// expectation is the problems that a bad input has, and words of the first.
type expectation struct {
	text          string
	want          []string
	message, hint string
}

func (e expectation) check(t *testing.T) {
	t.Helper()
	_, plans, problems := build(t, e.text)
	if got := brief(problems); !slices.Equal(got, e.want) {
		t.Fatalf("got %v, want %v: %+v", got, e.want, problems)
	}
	if !strings.Contains(problems[0].Message, e.message) || !strings.Contains(problems[0].Hint, e.hint) {
		t.Errorf("%q, hint %q does not say %q, hint %q", problems[0].Message, problems[0].Hint, e.message, e.hint)
	}
	if manifest.HasErrors(problems) && strings.Contains(e.text, "kind: Topology") && len(plans) > 0 && !strings.Contains(e.text, "kind: Service") {
		t.Error("a topology with an error has a plan")
	}
}
