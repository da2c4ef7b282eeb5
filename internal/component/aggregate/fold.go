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
}

func newFold(f Field) (*fold, error) {
	out := &fold{start: null, state: newVariables("state"), both: newVariables("a", "b")}
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
	return value{shown: out}, nil
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
	return value{shown: out}, nil
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
