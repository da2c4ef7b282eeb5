// Package rekey is the bolt that gives records another key, so that those that belong together meet.
//
// An instance is used by one goroutine at a time, as package component says of bolts that do not block.
package rekey

import (
	"context"
	_ "embed"
	"fmt"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/check"
	"ravenswood.dev/internal/expr"
	"ravenswood.dev/internal/record"
)

//go:embed rekey.md
var doc string

// Config is the settings of the bolt.
type Config struct {
	Key        string `yaml:"key" required:"true" doc:"Expression for the key." example:"event.userId"`
	Partitions int    `yaml:"partitions" doc:"Partitions of the topic that bolts which need all records of a key get them through; 0 takes as many as what they are joined with has, or as were read." state:"free"`
}

// partitionsMax is what a topic may be declared with too.
const partitionsMax = 10000

// Definition is the component.
func Definition() component.Definition {
	return component.WithShape(component.DefineBolt(component.Spec{
		Name:    "rekey",
		Summary: "Gives records another key, so that those that belong together are counted and joined together.",
		Doc:     doc,
		Examples: []component.Example{
			{Title: "By a field", YAML: "rekey: {key: event.userId}"},
			{Title: "By two, worked on in 24 tasks", YAML: `rekey: {key: 'event.country + "/" + event.city', partitions: 24}`},
			{Title: "By a field that may be missing: such records have no key then", YAML: "rekey: {key: 'event.?user.id'}"},
		},
	}, validate, open), shape)
}

// shape says that what follows and needs all records of a key in one task gets them through a topic.
func shape(c *Config) component.Shape {
	return component.Shape{Rekeys: true, Partitions: c.Partitions}
}

func validate(c *Config) []component.Problem {
	problems := check.Expression("key", c.Key, expr.String)
	if c.Partitions < 0 || c.Partitions > partitionsMax {
		problems = append(problems, component.Problem{Path: "partitions", Code: "value-invalid",
			Message: fmt.Sprintf("check rekey: partitions \"%d\" is not from 0 to %d", c.Partitions, partitionsMax)})
	}
	return problems
}

type bolt struct {
	key *expr.Program
	in  expr.Input
}

func open(c *Config, _ component.Env) (component.Bolt, error) {
	program, problems := expr.Compile(c.Key, expr.String)
	if problems != nil {
		return nil, fmt.Errorf("open rekey: %s", problems[0].Message)
	}
	return &bolt{key: program}, nil
}

// Process implements component.Bolt. What a table's row was before means nothing under another key.
func (b *bolt) Process(_ context.Context, r *record.Record, emit component.Emit) error {
	b.in.Reset(r)
	defer b.in.Reset(nil)
	key, absent, err := b.key.AppendText([]byte{}, &b.in)
	if err != nil {
		return component.Permanent(fmt.Errorf("set the key: %w", err))
	}
	if absent {
		key = nil
	}
	r.Key, r.Old = key, nil
	emit(0, r)
	return nil
}
