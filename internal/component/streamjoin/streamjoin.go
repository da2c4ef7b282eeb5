// Package streamjoin is the bolt that joins the records of two sources that are close in time.
//
// It is package engine/join with settings and expressions; an instance belongs to one task, as package processor says.
package streamjoin

import (
	_ "embed"
	"fmt"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/enrich"
	"ravenswood.dev/internal/engine/join"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/record"
)

//go:embed streamjoin.md
var doc string

// Config is the settings of the bolt.
type Config struct {
	Within api.Duration  `yaml:"within" default:"0" doc:"How far apart in event time two records may be, either way." example:"10m"`
	Before api.Duration  `yaml:"before" default:"0" doc:"Instead of within: how much earlier than the left record the right one may be." example:"1m"`
	After  api.Duration  `yaml:"after" default:"0" doc:"Instead of within: how much later than the left record the right one may be." example:"1h"`
	Grace  api.Duration  `yaml:"grace" default:"0" doc:"How long a record still waits for partners after the end of its window, for those that come out of order." example:"30s" state:"free"`
	Type   string        `yaml:"type" default:"inner" enum:"inner|left|outer" doc:"Which records have a result without a partner: none, those of the left source, or all."`
	As     string        `yaml:"as" doc:"Path of the field of the left event that the whole right one is put into." example:"payment" state:"free"`
	Set    enrich.Fields `yaml:"set" doc:"Fields of the left event to set: path to expression, over left, right and key." example:"{paid: right.amount}" state:"free"`
	Store  string        `yaml:"store" default:"disk" enum:"disk|memory" doc:"Where records wait for their partners: on disk, or in memory, from where they must be read anew at each start."`
}

// language is what Set is written in.
var language = enrich.Over("left", "right", "key")

// Definition is the component.
func Definition() component.Definition {
	return component.WithFormat(component.DefineProcessor(component.Spec{
		Name:    "stream-join",
		Summary: "Joins the records of two sources that have one key and are close in time.",
		Doc:     doc,
		Outputs: []string{"late"},
		Examples: []component.Example{
			{Title: "Orders with their payments: from: [orders, payments]", YAML: `stream-join: {within: 10m, as: payment}`},
			{Title: "A payment comes after the order; those without one too, an hour and five minutes later", YAML: `stream-join: {after: 1h, grace: 5m, type: left, set: {paid: 'right != null', amount: 'right.?amount'}}`},
			{Title: "What is on one side only, and what is on both", YAML: `stream-join: {within: 1m, type: outer, set: {billed: 'right.?amount', shipped: left != null}}`},
		},
	}, validate, shape, open), func(*Config) record.Format { return record.JSON })
}

func validate(c *Config) (problems []component.Problem) {
	report := func(path, code, message, hint string) {
		problems = append(problems, component.Problem{Path: path, Code: code, Message: message, Hint: hint})
	}
	for _, d := range []struct {
		path  string
		value api.Duration
	}{{"within", c.Within}, {"before", c.Before}, {"after", c.After}, {"grace", c.Grace}} {
		if time.Duration(d.value) > spanMax {
			report(d.path, "value-invalid", fmt.Sprintf("check stream-join: %s \"%s\" is longer than %s", d.path, d.value, api.Duration(spanMax)), "")
		}
	}
	switch {
	case c.Within != 0 && (c.Before != 0 || c.After != 0):
		report("within", "setting-conflict", "check stream-join: both within and before or after are given", "give within, or before and after")
	case c.Within == 0 && c.Before == 0 && c.After == 0:
		report("", "setting-missing", "check stream-join: it does not say how far apart records may be", "give within, or before or after")
	}
	if c.As == "" && len(c.Set) == 0 {
		report("", "setting-missing", "check stream-join: nothing of the right event comes into the result", "give as, or set")
	}
	return append(problems, enrich.Check(language, c.As, c.Set)...)
}

// spanMax bounds every length of time, so that sums of them are far from what a time can hold.
const spanMax = 10 * 365 * 24 * time.Hour

func settings(c *Config) join.StreamStreamConfig {
	s := join.StreamStreamConfig{
		Before: time.Duration(c.Before + c.Within), After: time.Duration(c.After + c.Within), Grace: time.Duration(c.Grace),
		Format: record.JSON, Memory: c.Store == "memory",
	}
	for _, t := range []join.Type{join.Left, join.Outer} {
		if c.Type == t.String() {
			s.Type = t
		}
	}
	return s
}

func shape(c *Config) component.Shape {
	return component.Shape{Keyed: true, Inputs: []string{"left", "right"}, Stores: settings(c).Stores()}
}

// joiner is an instance: the join, and what makes its results.
type joiner struct {
	join  processor.Processor
	maker *enrich.Maker
}

func open(c *Config, _ component.Env) (_ processor.Processor, err error) {
	j := &joiner{}
	if j.maker, err = enrich.New(language, c.As, "right", c.Set); err != nil {
		return nil, err
	}
	s := settings(c)
	s.Join = j.make
	j.join = join.NewStreamStream(s)
	return j, nil
}

// Open implements processor.Processor.
func (j *joiner) Open(c processor.Context) error { return j.join.Open(c) }

// Late implements join.Counted.
func (j *joiner) Late() uint64 { return j.join.(join.Counted).Late() }

// Dropped implements join.Counted.
func (j *joiner) Dropped() uint64 { return j.join.(join.Counted).Dropped() }

// Process implements processor.Processor. What is not JSON must not wait for a partner: the joiner could not tell any more.
func (j *joiner) Process(input int, r *record.Record) error {
	if r.Value != nil && r.Format != record.JSON {
		return component.Permanent(fmt.Errorf("join: the value is %s, want a JSON object", r.Format))
	}
	if err := j.join.Process(input, r); err != nil {
		return component.Permanent(err)
	}
	return nil
}

func (j *joiner) make(key, left, right []byte) ([]byte, error) {
	base := left
	if base == nil {
		base = []byte("{}")
	}
	j.maker.Input().Reset(nil)
	defer j.maker.Input().Reset(nil)
	return j.maker.Make(base, enrich.Variable{Value: left, Format: record.JSON},
		enrich.Variable{Value: right, Format: record.JSON}, enrich.Variable{Value: key, Format: record.Text})
}
