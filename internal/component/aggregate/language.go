package aggregate

import (
	"sync"

	"cel.dev/cel-go/cel"

	"ravenswood.dev/internal/expr"
	"ravenswood.dev/internal/record"
)

// The languages of own functions, made at their first use.
var (
	foldLanguage = sync.OnceValues(func() (*expr.Environment, error) {
		return expr.NewRecordEnvironment(cel.Variable("state", cel.DynType))
	})
	mergeLanguage = sync.OnceValues(func() (*expr.Environment, error) {
		return expr.NewEnvironment(cel.Variable("a", cel.DynType), cel.Variable("b", cel.DynType))
	})
	startLanguage = sync.OnceValues(func() (*expr.Environment, error) { return expr.NewEnvironment() })
)

func compileIn(language func() (*expr.Environment, error), src string) (*expr.Program, []expr.Problem) {
	env, err := language()
	if err != nil {
		return nil, []expr.Problem{{Line: 1, Column: 1, Message: err.Error()}}
	}
	return env.Compile(src, expr.Any)
}

// variables are JSON values under names, for expressions to look at.
type variables struct {
	names  []string
	inputs []expr.Input
}

func newVariables(names ...string) *variables {
	return &variables{names: names, inputs: make([]expr.Input, len(names))}
}

func (v *variables) set(i int, json []byte) {
	v.inputs[i].Reset(&record.Record{Value: json, Format: record.JSON})
}

// ResolveName implements cel.Activation.
func (v *variables) ResolveName(name string) (any, bool) {
	for i := range v.names {
		if v.names[i] == name {
			return v.inputs[i].ResolveName("event")
		}
	}
	return nil, false
}

// Parent implements cel.Activation.
func (v *variables) Parent() cel.Activation { return nil }
