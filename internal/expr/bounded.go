package expr

import (
	"strings"

	"cel.dev/cel-go/common/functions"
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
