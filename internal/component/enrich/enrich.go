// Package enrich makes one event of several: fields are set in a base document by expressions over further documents. It
// is what the bolts that join have in common.
//
// A Language may be used by any goroutine; a Maker belongs to one, and so do the variables it makes. It is not assumed that
// what expressions see is valid: JSON is looked at whole before it may come out again.
package enrich

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types/ref"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/check"
	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/expr"
	"ravenswood.dev/internal/record"
)

// Language is the expressions over some variables, with or without those of a record.
type Language struct {
	names []string
	env   func() (*expr.Environment, error)
}

// OverRecord is the language with the variables of a record and further ones.
func OverRecord(names ...string) *Language { return newLanguage(expr.NewRecordEnvironment, names) }

// Over is the language with some variables, without a record.
func Over(names ...string) *Language { return newLanguage(expr.NewEnvironment, names) }

func newLanguage(base func(...cel.EnvOption) (*expr.Environment, error), names []string) *Language {
	return &Language{names, sync.OnceValues(func() (*expr.Environment, error) {
		options := make([]cel.EnvOption, len(names))
		for i, name := range names {
			options[i] = cel.Variable(name, cel.DynType)
		}
		return base(options...)
	})}
}

func (l *Language) compile(src string) (*expr.Program, []expr.Problem) {
	env, err := l.env()
	if err != nil {
		return nil, []expr.Problem{{Line: 1, Column: 1, Message: err.Error()}}
	}
	return env.Compile(src, expr.Any)
}

// Fields are the fields to set: path to expression.
type Fields map[string]string

// Check reports what is wrong with the settings "as", a path, and "set".
func Check(l *Language, as string, set Fields) (problems []component.Problem) {
	if as != "" {
		problems = check.Path("as", as)
	}
	for _, path := range slices.Sorted(maps.Keys(set)) {
		at := "set." + path
		problems = append(problems, check.Path(at, path)...)
		_, faults := l.compile(set[path])
		problems = append(problems, check.Expressions(at, set[path], faults)...)
	}
	return problems
}

// Maker sets fields of documents.
type Maker struct {
	in     expr.Input
	names  []string
	vars   []ref.Val
	fields []field
	edits  *document.Edits

	// Scratch space of the document in hand.
	object document.Object
	buffer []byte
	values [][]byte
}

type field struct {
	path    string
	program *expr.Program
}

// New makes a Maker: the variable is put under the path as, unless that is empty, then the fields are set.
func New(l *Language, as, variable string, set Fields) (*Maker, error) {
	m := &Maker{names: l.names, vars: make([]ref.Val, len(l.names))}
	m.in.Use(m)
	var edits []document.Edit
	add := func(path, src string) error {
		p, err := document.ParsePath(path)
		if err != nil {
			return err
		}
		program, problems := l.compile(src)
		if problems != nil {
			return fmt.Errorf("set %q: %s", path, problems[0].Message)
		}
		m.fields = append(m.fields, field{path, program})
		edits = append(edits, document.Edit{Op: document.Put, Path: p})
		return nil
	}
	if as != "" {
		if err := add(as, variable); err != nil {
			return nil, err
		}
	}
	for _, path := range slices.Sorted(maps.Keys(set)) {
		if err := add(path, set[path]); err != nil {
			return nil, err
		}
	}
	m.edits, m.values = document.Prepare(edits...), make([][]byte, len(edits))
	return m, nil
}

// Input is the view of the record at work, for further programs to look at; Reset it for each.
func (m *Maker) Input() *expr.Input { return &m.in }

// Variable is the value of a variable of the language.
type Variable struct {
	Value  []byte // nil is null
	Format record.Format
}

// Make returns the base document with its fields set; the variables are in the order of the language. A field whose
// expression gives nothing stays as it is.
func (m *Maker) Make(base []byte, variables ...Variable) ([]byte, error) {
	for i, v := range variables {
		if v.Format == record.JSON && v.Value != nil {
			if err := document.Valid(v.Value); err != nil {
				return nil, fmt.Errorf("read %s: %w", m.names[i], err)
			}
		}
		m.vars[i] = m.in.Value(v.Value, v.Format)
	}
	defer clear(m.vars)
	if err := m.object.Read(base); err != nil {
		return nil, fmt.Errorf("set fields: %w", err)
	}
	if err := m.evaluate(); err != nil {
		return nil, err
	}
	return m.edits.Apply(nil, &m.object, m.values)
}

// scratchMax is the largest buffer that is kept for the next document.
const scratchMax = 1 << 20

// evaluate fills values with slices of one buffer, which is used again: Apply copies them.
func (m *Maker) evaluate() error {
	if m.buffer = m.buffer[:0]; cap(m.buffer) > scratchMax {
		m.buffer = nil
	}
	for i, f := range m.fields {
		start := len(m.buffer)
		out, absent, err := f.program.AppendJSON(m.buffer, &m.in)
		if err != nil {
			return fmt.Errorf("set %q: %w", f.path, err)
		}
		if m.buffer, m.values[i] = out, nil; !absent {
			m.values[i] = out[start:]
		}
	}
	return nil
}

// ResolveName implements cel.Activation.
func (m *Maker) ResolveName(name string) (any, bool) {
	if i := slices.Index(m.names, name); i >= 0 && m.vars[i] != nil {
		return m.vars[i], true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (m *Maker) Parent() cel.Activation { return nil }
