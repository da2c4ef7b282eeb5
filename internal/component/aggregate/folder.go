package aggregate

import (
	"fmt"
	"maps"
	"slices"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/expr"
	"ravenswood.dev/internal/record"
)

// An aggregate is a JSON object: the fields of the result, sorted by name, and behind them, under stateName, what functions
// have to remember beyond their value, by the field's name, if there is any. Results go on without it.
//
//	{"average": 2.5, "orders": 4, "raven-state": {"average": ["10.0", 4]}}
const stateName = record.Prefix + "state"

// folder takes records into aggregates. Its fields below the line are scratch space of the record in hand.
type folder struct {
	fields []field
	names  [][]byte // ,"name": of each field

	in     expr.Input
	state  document.Object
	values []value
	spare  []value // of the second aggregate of a merge
	other  document.Object
}

// field is one field of the result.
type field struct {
	name string
	fn   function
	when *expr.Program // nil: every record
	args []*expr.Program
}

// value is what an aggregate holds for a field: raw JSON, nil if nothing.
type value struct{ shown, hidden []byte }

// function is what a field computes. It must not change the bytes it is given.
type function interface {
	// add takes a record's arguments into a value. An argument is nil if the record has none or it is null.
	add(v value, args [][]byte, in *expr.Input) (value, error)
	remove(v value, args [][]byte, in *expr.Input) (value, error)
	merge(a, b value) (value, error)
	// empty is the value before the first record.
	empty() value
	// fits says whether a value can be one of this function: under the name of a field an older version of the topology may
	// have kept something else.
	fits(v value) bool
}

// newFolder makes a folder that calls leftOut for each value that it leaves out because it does not fit.
func newFolder(compute map[string]Field, leftOut func()) (*folder, error) {
	f := &folder{}
	for _, name := range slices.Sorted(maps.Keys(compute)) {
		one, err := newField(name, compute[name], leftOut)
		if err != nil {
			return nil, fmt.Errorf("compute %q: %w", name, err)
		}
		f.fields = append(f.fields, one)
		f.names = append(f.names, append(document.AppendText([]byte{','}, name), ':'))
	}
	f.values, f.spare = make([]value, len(f.fields)), make([]value, len(f.fields))
	return f, nil
}

// init is the aggregate of an empty group.
func (f *folder) init() []byte {
	for i := range f.fields {
		f.values[i] = f.fields[i].fn.empty()
	}
	return f.write()
}

func (f *folder) add(r *record.Record, aggregate []byte) ([]byte, error) {
	return f.change(r, aggregate, function.add)
}

func (f *folder) remove(r *record.Record, aggregate []byte) ([]byte, error) {
	return f.change(r, aggregate, function.remove)
}

type step func(fn function, v value, args [][]byte, in *expr.Input) (value, error)

func (f *folder) change(r *record.Record, aggregate []byte, do step) ([]byte, error) {
	if err := f.read(aggregate, &f.state, f.values); err != nil {
		return nil, err
	}
	f.in.Reset(r)
	defer f.in.Reset(nil)
	for i := range f.fields {
		v, err := f.fields[i].change(f.values[i], &f.in, do)
		if err != nil {
			return nil, component.Permanent(fmt.Errorf("compute %q: %w", f.fields[i].name, err))
		}
		f.values[i] = v
	}
	return f.write(), nil
}

func (f *field) change(v value, in *expr.Input, do step) (value, error) {
	if f.when != nil {
		if yes, err := f.when.Bool(in); err != nil || !yes {
			return v, err
		}
	}
	args := make([][]byte, len(f.args), 2)
	for i, program := range f.args {
		arg, absent, err := program.AppendJSON(nil, in)
		if err != nil {
			return v, err
		}
		if !absent && document.KindOf(arg) != document.KindNull {
			args[i] = arg
		}
	}
	return do(f.fn, v, args, in)
}

func (f *folder) merge(_, a, b []byte) ([]byte, error) {
	if err := f.read(a, &f.state, f.values); err != nil {
		return nil, err
	}
	if err := f.read(b, &f.other, f.spare); err != nil {
		return nil, err
	}
	for i := range f.fields {
		v, err := f.fields[i].fn.merge(f.values[i], f.spare[i])
		if err != nil {
			return nil, component.Permanent(fmt.Errorf("compute %q: merge two sessions: %w", f.fields[i].name, err))
		}
		f.values[i] = v
	}
	return f.write(), nil
}

// read takes an aggregate apart. A field that it does not have, or that holds what another function kept, is empty, as
// after a new version of the topology.
func (f *folder) read(aggregate []byte, object *document.Object, values []value) error {
	if err := object.Read(aggregate); err != nil {
		return fmt.Errorf("read aggregate: %w", err)
	}
	hidden, _ := object.Get(stateName)
	for i := range f.fields {
		shown, ok := object.Get(f.fields[i].name)
		if !ok {
			values[i] = f.fields[i].fn.empty()
			continue
		}
		values[i] = value{shown: shown}
		if hidden != nil {
			values[i].hidden, _ = document.Member(hidden, f.fields[i].name)
		}
		if !f.fields[i].fn.fits(values[i]) {
			values[i] = f.fields[i].fn.empty()
		}
	}
	return nil
}

// write puts an aggregate together.
func (f *folder) write() []byte {
	size, hidden := 2, false
	for i, v := range f.values {
		size += 2*len(f.names[i]) + len(v.shown) + len(v.hidden)
		hidden = hidden || v.hidden != nil
	}
	out := make([]byte, 0, size+len(stateName)+8)
	for i, v := range f.values {
		out = append(append(out, f.names[i]...), v.shown...)
	}
	if hidden {
		out = append(out, `,"`+stateName+`":`...)
		start := len(out)
		for i, v := range f.values {
			if v.hidden != nil {
				out = append(append(out, f.names[i]...), v.hidden...)
			}
		}
		out[start] = '{'
		out = append(out, '}')
	}
	out[0] = '{'
	return append(out, '}')
}

// visible is an aggregate as people see it, without what only the functions need.
func visible(aggregate []byte) []byte {
	if _, hidden := document.Member(aggregate, stateName); !hidden {
		return aggregate
	}
	out, err := document.Delete(aggregate, document.Path{{Name: stateName}})
	if err != nil {
		return aggregate // it is no object that a folder wrote
	}
	return out
}

// hides says whether any function remembers more than its value.
func (f *folder) hides() bool {
	return slices.ContainsFunc(f.fields, func(one field) bool {
		switch one.fn.(type) {
		case average, distinct, top, moment:
			return true
		}
		return false
	})
}

// result is the aggregate as it goes on: without what only the functions need.
func (f *folder) result(aggregate []byte) ([]byte, error) {
	if err := f.read(aggregate, &f.state, f.values); err != nil {
		return nil, err
	}
	for i := range f.values {
		f.values[i].hidden = nil
	}
	return f.write(), nil
}
