// Package deduplicate is the bolt that lets the first of equal records through.
//
// An instance belongs to one task, as package processor says.
package deduplicate

import (
	"crypto/sha256"
	_ "embed"
	"fmt"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/check"
	"ravenswood.dev/internal/engine/aggregate"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/expr"
	"ravenswood.dev/internal/record"
)

//go:embed deduplicate.md
var doc string

// Config is the settings of the bolt.
type Config struct {
	ID     string       `yaml:"id" doc:"Expression; records of one key for which it gives the same text are equal. Empty compares the whole value." example:"event.orderId"`
	Within api.Duration `yaml:"within" required:"true" doc:"How far apart the times of two records may be to count as one." example:"1h"`
	Grace  api.Duration `yaml:"grace" default:"0" doc:"How far behind event time a record may be; later ones go to the output late. 0 takes the time of within."`
	Store  string       `yaml:"store" default:"disk" enum:"disk|memory" doc:"Where it is kept what was seen."`
}

// withinMax bounds what is kept.
const withinMax = 366 * 24 * time.Hour

// Definition is the component.
func Definition() component.Definition {
	return component.DefineProcessor(component.Spec{
		Name:    "deduplicate",
		Summary: "Lets the first of the records of a key that are equal within a time through, and drops the others.",
		Doc:     doc,
		Outputs: []string{"late"},
		Examples: []component.Example{
			{Title: "By an id", YAML: `deduplicate: {id: event.orderId, within: 1h}`},
			{Title: "Equal values, as of a device that sends twice", YAML: `deduplicate: {within: 10s}`},
			{Title: "By two fields", YAML: `deduplicate: {id: 'event.order + "/" + string(event.line)', within: 1d, grace: 10m}`},
		},
	}, validate, shape, open)
}

func validate(c *Config) (problems []component.Problem) {
	if c.ID != "" {
		problems = check.Expression("id", c.ID, expr.String)
	}
	if w := time.Duration(c.Within); w < time.Millisecond || w > withinMax {
		problems = append(problems, component.Problem{Path: "within", Code: "value-invalid", Message: fmt.Sprintf("read within %q: want 1ms to %s", c.Within, withinMax)})
	}
	if g := time.Duration(c.Grace); g < 0 || g > withinMax {
		problems = append(problems, component.Problem{Path: "grace", Code: "value-invalid", Message: fmt.Sprintf("read grace %q: want 0 to %s", c.Grace, withinMax)})
	}
	return problems
}

func options(c *Config) (aggregate.DeduplicateOptions, error) {
	o := aggregate.DeduplicateOptions{Within: time.Duration(c.Within), Grace: time.Duration(c.Grace), Memory: c.Store == "memory", ID: wholeValue}
	if o.Grace == 0 {
		o.Grace = o.Within
	}
	if c.ID == "" {
		return o, nil
	}
	program, problems := expr.Compile(c.ID, expr.String)
	if problems != nil {
		return o, fmt.Errorf("compile id: %s", problems[0].Message)
	}
	o.ID = (&named{program: program}).id
	return o, nil
}

// wholeValue compares values byte by byte, by their hash; tombstones of a key are equal.
func wholeValue(r *record.Record) ([]byte, bool, error) {
	if r.Value == nil {
		return []byte{}, true, nil
	}
	sum := sha256.Sum256(r.Value)
	return sum[:], true, nil
}

// named is the id by an expression. The bytes it returns are good until the next record.
type named struct {
	program *expr.Program
	in      expr.Input
	buf     []byte
}

func (n *named) id(r *record.Record) (id []byte, ok bool, err error) {
	n.in.Reset(r)
	defer n.in.Reset(nil)
	id, absent, err := n.program.AppendText(n.buf[:0], &n.in)
	if err != nil {
		return nil, false, component.Permanent(fmt.Errorf("evaluate id: %w", err))
	}
	n.buf = id
	return id, !absent, nil
}

// shape is asked of settings that have been checked, and of those that have not.
func shape(c *Config) component.Shape {
	s := component.Shape{Keyed: true}
	if o, err := options(c); err == nil && o.Check() == nil {
		s.Stores = o.Stores()
	}
	return s
}

func open(c *Config, _ component.Env) (processor.Processor, error) {
	o, err := options(c)
	if err != nil {
		return nil, fmt.Errorf("open deduplicate: %w", err)
	}
	return aggregate.NewDeduplicate(o), nil
}
