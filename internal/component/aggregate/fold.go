package aggregate

import (
	"errors"
	"fmt"

	"cel.dev/cel-go/common/types"

	"ravenswood.dev/internal/expr"
)

// fold is a function written by the user.
type fold struct {
	start         []byte
	program, undo *expr.Program // undo is nil if there is none
	join          *expr.Program // nil if there is none
	state         *variables
	both          *variables
	joined        expr.Input
	bytes         int // at most, of a state
}

func newFold(f Field) (*fold, error) {
	out := &fold{start: null, bytes: f.bytes(), state: newVariables("state"), both: newVariables("a", "b")}
	compile := func(name, src string) *expr.Program {
		if src == "" {
			return nil
		}
		program, _ := expression{name, src}.compile() // newField has compiled it before
		return program
	}
	out.program, out.undo, out.join = compile("fold", f.Fold), compile("remove", f.Remove), compile("merge", f.Merge)
	out.joined.Use(out.both)
	if start := compile("start", f.Start); start != nil {
		value, absent, err := start.AppendJSON(nil, &expr.Input{})
		if err != nil {
			return nil, fmt.Errorf("evaluate start: %w", err)
		}
		if !absent {
			out.start = value
		}
	}
	if len(out.start) > out.bytes {
		return nil, out.tooLarge(out.start)
	}
	return out, nil
}

func (f *fold) empty() value { return value{shown: f.start} }

func (f *fold) fits(value) bool { return true }

func (f *fold) add(v value, _ [][]byte, in *expr.Input) (value, error) {
	return f.apply(f.program, v, in)
}

func (f *fold) remove(v value, _ [][]byte, in *expr.Input) (value, error) {
	if f.undo == nil {
		return v, errRemoval
	}
	return f.apply(f.undo, v, in)
}

// apply evaluates over the record and the state. An expression that gives nothing leaves the state as it is.
func (f *fold) apply(p *expr.Program, v value, in *expr.Input) (value, error) {
	f.state.set(0, v.shown)
	in.Use(f.state)
	out, absent, err := p.AppendJSON(nil, in)
	in.Use(nil)
	if err != nil || absent {
		return v, err
	}
	return f.bounded(v, out)
}

// bounded is the new value, if it fits. An own function has to see to it: what to leave out only it can know.
func (f *fold) bounded(before value, state []byte) (value, error) {
	if len(state) > f.bytes {
		return before, f.tooLarge(state)
	}
	return value{shown: state}, nil
}

func (f *fold) tooLarge(state []byte) error {
	return fmt.Errorf("the state would have %d bytes, and maxBytes allows %d", len(state), f.bytes)
}

func (f *fold) merge(a, b value) (value, error) {
	if f.join == nil {
		return a, errors.New("nothing says how to join two values")
	}
	f.both.set(0, a.shown)
	f.both.set(1, b.shown)
	out, absent, err := f.join.AppendJSON(nil, &f.joined)
	if err != nil || absent {
		return a, err
	}
	return f.bounded(a, out)
}

// timeOf is the event time of the record, in milliseconds.
func timeOf(in *expr.Input) (int64, error) {
	v, _ := in.ResolveName("time")
	t, ok := v.(types.Timestamp)
	if !ok {
		return 0, errors.New("the record has no time")
	}
	return t.UnixMilli(), nil
}
