// Package filter is the bolt that lets records pass or drops them, by an expression.
//
// An instance is used by one goroutine at a time, as package component says of bolts that do not block.
package filter

import (
	"context"
	_ "embed"
	"fmt"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/check"
	"ravenswood.dev/internal/expr"
	"ravenswood.dev/internal/record"
)

//go:embed filter.md
var doc string

// Config is the settings of the bolt; exactly one of the two.
type Config struct {
	Keep string `yaml:"keep" doc:"Expression; records for which it is true pass." example:"event.type == \"edit\""`
	Drop string `yaml:"drop" doc:"Expression; records for which it is true are dropped." example:"event.bot"`
}

// Definition is the component.
func Definition() component.Definition {
	return component.DefineBolt(component.Spec{
		Name:    "filter",
		Summary: "Passes on the records for which an expression is true, and drops the others.",
		Doc:     doc,
		Examples: []component.Example{
			{Title: "Keep one kind", YAML: `filter: {keep: 'event.type == "edit"'}`},
			{Title: "Drop bots, also where the field is missing", YAML: `filter: {drop: 'event.?bot.orValue(false)'}`},
			{Title: "By a header", YAML: `filter: {keep: '"source" in headers && headers.source == "web"'}`},
		},
	}, validate, open)
}

func validate(c *Config) []component.Problem {
	switch {
	case c.Keep == "" && c.Drop == "":
		return []component.Problem{{Code: "setting-missing", Message: "check filter: neither keep nor drop is given", Hint: "give an expression as keep"}}
	case c.Keep != "" && c.Drop != "":
		return []component.Problem{{Path: "drop", Code: "setting-conflict", Message: "check filter: both keep and drop are given",
			Hint: "join them in one: keep: (...) && !(...)"}}
	case c.Drop != "":
		return check.Expression("drop", c.Drop, expr.Bool)
	}
	return check.Expression("keep", c.Keep, expr.Bool)
}

type bolt struct {
	program *expr.Program
	passes  bool // the answer that lets a record pass
	in      expr.Input
}

func open(c *Config, _ component.Env) (component.Bolt, error) {
	src, passes := c.Keep, true
	if c.Drop != "" {
		src, passes = c.Drop, false
	}
	program, problems := expr.Compile(src, expr.Bool)
	if problems != nil {
		return nil, fmt.Errorf("open filter: %s", problems[0].Message)
	}
	return &bolt{program: program, passes: passes}, nil
}

// Process implements component.Bolt.
func (b *bolt) Process(_ context.Context, r *record.Record, emit component.Emit) error {
	b.in.Reset(r)
	defer b.in.Reset(nil)
	answer, err := b.program.Bool(&b.in)
	if err != nil {
		return component.Permanent(err)
	}
	if answer == b.passes {
		emit(0, r)
	}
	return nil
}
