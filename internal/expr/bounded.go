package expr

import (
	"errors"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

func replaceBounded(args ...ref.Val) ref.Val {
	text, ok1 := args[0].(types.String)
	old, ok2 := args[1].(types.String)
	with, ok3 := args[2].(types.String)
	if !ok1 || !ok2 || !ok3 {
		return types.NoSuchOverloadErr()
	}
	limit := -1
	if len(args) == 4 {
		n, ok := args[3].(types.Int)
		if !ok {
			return types.NoSuchOverloadErr()
		}
		limit = int(max(n, -1))
	}
	count := strings.Count(string(text), string(old))
	if limit >= 0 {
		count = min(count, limit)
	}
	if len(text)+count*(len(with)-len(old)) > MaxResult {
		return types.WrapErr(errTooLarge)
	}
	return types.String(strings.Replace(string(text), string(old), string(with), limit))
}

func joinBounded(args ...ref.Val) ref.Val {
	list, ok := args[0].(traits.Lister)
	if !ok {
		return types.NoSuchOverloadErr()
	}
	separator := types.String("")
	if len(args) == 2 {
		if separator, ok = args[1].(types.String); !ok {
			return types.NoSuchOverloadErr()
		}
	}
	var b strings.Builder
	for it, first := list.Iterator(), true; it.HasNext() == types.True; first = false {
		part, ok := it.Next().(types.String)
		if !ok {
			return types.NewErr("join works on a list of strings only")
		}
		if !first {
			b.WriteString(string(separator))
		}
		if b.WriteString(string(part)); b.Len() > MaxResult {
			return types.WrapErr(errTooLarge)
		}
	}
	return types.String(b.String())
}

// boundedFunctions take the place of the functions whose result may be far longer than all they are given: the cost of
// a call is counted when it is over, which is too late if it fills the memory.
func boundedFunctions() []*functions.Overload {
	all := []*functions.Overload{{Operator: overloads.TypeConvertString, Unary: asString}}
	for _, name := range []string{"replace", "string_replace_string_string", "string_replace_string_string_int"} {
		all = append(all, &functions.Overload{Operator: name, Function: replaceBounded})
	}
	for _, name := range []string{"join", "list_join", "list_join_string"} {
		all = append(all, &functions.Overload{Operator: name, Function: joinBounded,
			Unary:  func(l ref.Val) ref.Val { return joinBounded(l) },
			Binary: func(l, s ref.Val) ref.Val { return joinBounded(l, s) },
		})
	}
	return all
}

// asString is string() for values whose type is known at run time only: CEL's own knows nothing of numbers beyond 64
// bits.
func asString(v ref.Val) ref.Val {
	switch v.(type) {
	case types.String, types.Int, types.Uint, types.Double, types.Bool, types.Bytes, types.Timestamp, types.Duration, numberBeyond:
		return v.ConvertToType(types.StringType)
	}
	return types.NewErr("string() does not work on %s", typeName(v.Type().TypeName()))
}

// guardedSteps is how many comparisons one call of a guarded function may make.
const guardedSteps = 4_000_000

var errTooMuchWork = errors.New("too much work for one record")

// guardedFunctions take the place of functions that compare everything with everything: they are asked how much that is
// before they begin.
func guardedFunctions(env *cel.Env) ([]*functions.Overload, error) {
	var all []*functions.Overload
	for _, name := range []string{"sets.contains", "sets.equivalent", "sets.intersects", "distinct", "hasOnly", "hasAny", "hasAll",
		"hasExactly", "indexOf", "lastIndexOf"} {
		declared, ok := env.Functions()[name]
		if !ok {
			continue
		}
		bindings, err := declared.Bindings()
		if err != nil {
			return nil, err
		}
		for _, b := range bindings {
			all = append(all, guard(b))
		}
	}
	return all, nil
}

func guard(b *functions.Overload) *functions.Overload {
	g := *b
	if b.Unary != nil {
		g.Unary = func(v ref.Val) ref.Val {
			return within(func() ref.Val { return b.Unary(v) }, v, v)
		}
	}
	if b.Binary != nil {
		g.Binary = func(v, w ref.Val) ref.Val {
			return within(func() ref.Val { return b.Binary(v, w) }, v, w)
		}
	}
	if b.Function != nil {
		g.Function = func(args ...ref.Val) ref.Val {
			return within(func() ref.Val { return b.Function(args...) }, args[0], args[min(1, len(args)-1)])
		}
	}
	return &g
}

func within(call func() ref.Val, a, b ref.Val) ref.Val {
	if steps(a)*steps(b) > guardedSteps {
		return types.WrapErr(errTooMuchWork)
	}
	return call()
}

// steps is how often an argument is gone through; comparing characters is that much cheaper than comparing values.
func steps(v ref.Val) int {
	if l, ok := v.(traits.Lister); ok {
		if n, ok := l.Size().(types.Int); ok {
			return int(n)
		}
	}
	return sizeOf(v)/4 + 1
}

// price is what a call costs where CEL's library has no price for it, or does not know which of several functions it is
// because the types come from an event: one, and a tenth for each byte or element that goes in or comes out.
type price struct{}

// CallCost implements cost.ActualCostEstimator.
func (price) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	total := uint64(1)
	switch function {
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		total += min(weight(args[0]), weight(args[1])) // done when the shorter one is
		return &total
	}
	for _, v := range append(args, result) {
		if _, isList := v.(traits.Lister); isList && function == operators.Add && !isFromEvent(v) {
			continue // joined without a copy: this is how map and filter gather what they give
		}
		total += weight(v)
	}
	return &total
}

func isFromEvent(v ref.Val) bool {
	_, ok := v.(*listValue)
	return ok
}

func weight(v ref.Val) uint64 {
	switch v := v.(type) {
	case types.String:
		return uint64(len(v)) / 10
	case types.Bytes:
		return uint64(len(v)) / 10
	case *objectValue:
		return uint64(len(v.raw)) / 10
	case *listValue:
		return uint64(len(v.raw)) / 10
	case traits.Lister:
		if n, ok := v.Size().(types.Int); ok {
			return uint64(n) / 10
		}
	}
	return 0
}
