// Package branch is the bolt that sends each record to the outputs whose condition is true.
//
// An instance is used by one goroutine at a time, as package component says of bolts that do not block.
package branch

import (
	"context"
	_ "embed"
	"fmt"
	"regexp"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/check"
	"ravenswood.dev/internal/expr"
	"ravenswood.dev/internal/record"
)

//go:embed branch.md
var doc string

// MaxOutputs is the most outputs a branch may have, otherwise not counted.
const MaxOutputs = 100

// Config is the settings of the bolt.
type Config struct {
	Outputs   []Output `yaml:"outputs" required:"true" doc:"Outputs, asked in order."`
	Match     string   `yaml:"match" default:"first" enum:"first|all" doc:"Whether a record goes to the first output whose condition is true, or to all of them."`
	Otherwise string   `yaml:"otherwise" doc:"Output for records that no condition wants; empty drops them." example:"rest"`
}

// Output is a named output and its condition.
type Output struct {
	Name string `yaml:"name" required:"true" doc:"The output's name: letters, digits, '-' and '_'." example:"edits"`
	When string `yaml:"when" required:"true" doc:"Expression that is true for records of this output." example:"event.type == \"edit\""`
}

// Definition is the component.
func Definition() component.Definition {
	d := component.DefineBolt(component.Spec{
		Name:    "branch",
		Summary: "Sends each record to the output whose condition is true.",
		Doc:     doc,
		Examples: []component.Example{
			{Title: "By kind", YAML: `branch: {outputs: [{name: edits, when: 'event.type == "edit"'}, {name: logs, when: 'event.type == "log"'}], otherwise: rest}`},
			{Title: "Copies to several", YAML: `branch: {match: all, outputs: [{name: large, when: event.amount > 1000}, {name: foreign, when: 'event.country != "GB"'}]}`},
		},
	}, validate, open)
	return component.WithPorts(d, ports)
}

// ports are the outputs in order and otherwise last, which is how Process numbers them.
func ports(c *Config) []string {
	var names []string
	for _, o := range c.Outputs {
		names = append(names, o.Name)
	}
	if c.Otherwise != "" {
		names = append(names, c.Otherwise)
	}
	return names
}

var outputName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_-]{0,62}$`)

func validate(c *Config) []component.Problem {
	var problems []component.Problem
	add := func(path, code, message, hint string) {
		problems = append(problems, component.Problem{Path: path, Code: code, Message: message, Hint: hint})
	}
	if len(c.Outputs) == 0 {
		add("outputs", "setting-missing", "check branch: it has no outputs", "list at least one output with name and when")
	}
	if len(c.Outputs) > MaxOutputs {
		add("outputs", "value-invalid", fmt.Sprintf("check branch: %d outputs, at most %d are allowed", len(c.Outputs), MaxOutputs), "branch in two steps")
	}
	if c.Match != "" && c.Match != "first" && c.Match != "all" {
		add("match", "value-invalid", fmt.Sprintf("read match %q: want first or all", c.Match), "")
	}
	seen := map[string]bool{}
	name := func(path, name string) {
		if !outputName.MatchString(name) {
			add(path, "name-invalid", fmt.Sprintf("name output %q: want letters, digits, '-' and '_', beginning with a letter", name), "")
		} else if seen[name] {
			add(path, "duplicate", fmt.Sprintf("name output %q: the name is taken by an output before it", name), "join the conditions with ||")
		}
		seen[name] = true
	}
	for i, o := range c.Outputs {
		name(fmt.Sprintf("outputs[%d].name", i), o.Name)
		problems = append(problems, check.Expression(fmt.Sprintf("outputs[%d].when", i), o.When, expr.Bool)...)
	}
	if c.Otherwise != "" {
		name("otherwise", c.Otherwise)
	}
	return problems
}

type bolt struct {
	names     []string
	when      []*expr.Program
	all       bool
	otherwise bool
	in        expr.Input
	wanted    []int // scratch: the ports that want the record in hand
}

func open(c *Config, _ component.Env) (component.Bolt, error) {
	b := &bolt{all: c.Match == "all", otherwise: c.Otherwise != ""}
	for _, o := range c.Outputs {
		program, problems := expr.Compile(o.When, expr.Bool)
		if problems != nil {
			return nil, fmt.Errorf("open output %q: %s", o.Name, problems[0].Message)
		}
		b.names = append(b.names, o.Name)
		b.when = append(b.when, program)
	}
	return b, nil
}

// Process implements component.Bolt.
func (b *bolt) Process(_ context.Context, r *record.Record, emit component.Emit) error {
	if err := b.decide(r); err != nil {
		return component.Permanent(err)
	}
	if len(b.wanted) == 0 && b.otherwise {
		b.wanted = append(b.wanted, len(b.when))
	}
	for i, port := range b.wanted {
		if i < len(b.wanted)-1 {
			emit(port, r.Clone())
		} else {
			emit(port, r)
		}
	}
	return nil
}

func (b *bolt) decide(r *record.Record) error {
	b.in.Reset(r)
	defer b.in.Reset(nil)
	b.wanted = b.wanted[:0]
	for port, when := range b.when {
		yes, err := when.Bool(&b.in)
		if err != nil {
			return fmt.Errorf("decide output %q: %w", b.names[port], err)
		}
		if !yes {
			continue
		}
		if b.wanted = append(b.wanted, port); !b.all {
			return nil
		}
	}
	return nil
}
