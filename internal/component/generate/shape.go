package generate

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/check"
	"ravenswood.dev/internal/expr"
	"ravenswood.dev/internal/record"
)

// shape makes records: the compiled expressions and what they draw from. It belongs to one goroutine at a time.
type shape struct {
	seed    uint64
	chance  *chance
	value   *expr.Program
	key     *expr.Program // nil for no key
	headers []header
	vars    variables
	in      expr.Input
}

type header struct {
	name    string
	program *expr.Program
}

// The streams of chance: headers follow, in order of their names.
const (
	streamValue = iota
	streamKey
	streamHeaders
)

// compileShape compiles all expressions and reports everything wrong with them.
func compileShape(c *Config) (*shape, []component.Problem) {
	s := &shape{seed: uint64(c.Seed), chance: newChance()}
	free, err := expr.NewEnvironment(s.chance.options()...)
	if err != nil {
		return nil, broken(err)
	}
	over, err := expr.NewRecordEnvironment(s.chance.options()...)
	if err != nil {
		return nil, broken(err)
	}
	var problems []component.Problem
	compile := func(env *expr.Environment, at, src string, want expr.Kind) *expr.Program {
		program, found := env.Compile(src, want)
		problems = append(problems, check.Expressions(at, src, found)...)
		return program
	}
	s.value = compile(free, "value", c.Value, expr.Any)
	if c.Key != "" {
		s.key = compile(over, "key", c.Key, expr.String)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		problems = append(problems, check.Header("headers."+name, name)...)
		s.headers = append(s.headers, header{name, compile(over, "headers."+name, c.Headers[name], expr.String)})
	}
	s.in.Use(&s.vars)
	return s, problems
}

func broken(err error) []component.Problem {
	return []component.Problem{{Code: check.CodeExpression, Message: err.Error()}}
}

// make makes the record of a number.
func (s *shape) make(seq uint64, now time.Time) (*record.Record, error) {
	s.vars.seq, s.vars.now = types.Int(seq), types.Timestamp{Time: now.UTC()}
	s.in.Reset(nil)
	s.chance.begin(s.seed, seq, streamValue)
	value, absent, err := s.value.AppendJSON(nil, &s.in)
	if err != nil {
		return nil, fmt.Errorf("make value: %w", err)
	}
	if absent {
		value = nil
	}
	r := &record.Record{Value: value, Format: record.JSON, Time: now}
	s.in.Reset(r)
	defer s.in.Reset(nil)
	key, ok, err := s.text(s.key, seq, streamKey)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	if err := s.addHeaders(r, seq); err != nil {
		return nil, err
	}
	if ok {
		r.Key = key
	}
	return r, nil
}

// addHeaders evaluates all headers before it adds the first: they do not see each other.
func (s *shape) addHeaders(r *record.Record, seq uint64) error {
	var all []record.Header
	for i, h := range s.headers {
		value, ok, err := s.text(h.program, seq, streamHeaders+uint64(i))
		if err != nil {
			return fmt.Errorf("make header %q: %w", h.name, err)
		}
		if ok {
			all = append(all, record.Header{Key: h.name, Value: value})
		}
	}
	r.Headers = all
	return nil
}

func (s *shape) text(p *expr.Program, seq, stream uint64) (value []byte, ok bool, err error) {
	if p == nil {
		return nil, false, nil
	}
	s.chance.begin(s.seed, seq, stream)
	value, absent, err := p.AppendText([]byte{}, &s.in)
	return value, !absent, err
}

// variables are the variables of a generator.
type variables struct {
	seq types.Int
	now types.Timestamp
}

var _ cel.Activation = (*variables)(nil)

// ResolveName implements cel.Activation.
func (v *variables) ResolveName(name string) (any, bool) {
	switch name {
	case "seq":
		return v.seq, true
	case "now":
		return v.now, true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (v *variables) Parent() cel.Activation { return nil }
