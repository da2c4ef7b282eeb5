package expr

import (
	"fmt"

	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// mixedNumbers lets whole and decimal numbers meet in + - * and /. CEL refuses that, because its types are known when
// it compiles; JSON writes a price as 3 today and 3.5 tomorrow, and a topology must not fail on the first whole one. It
// takes the place of CEL's own operators under all their names, since a part like event.price * 1.2 is bound to
// the one for doubles.
func mixedNumbers() []*functions.Overload {
	var all []*functions.Overload
	bind := func(op functions.BinaryOp, names ...string) {
		for _, name := range names {
			all = append(all, &functions.Overload{Operator: name, Binary: op})
		}
	}
	bind(add, operators.Add, overloads.AddInt64, overloads.AddUint64, overloads.AddDouble, overloads.AddString, overloads.AddBytes)
	bind(subtract, operators.Subtract, overloads.SubtractInt64, overloads.SubtractUint64, overloads.SubtractDouble)
	bind(multiply, operators.Multiply, overloads.MultiplyInt64, overloads.MultiplyUint64, overloads.MultiplyDouble)
	bind(divide, operators.Divide, overloads.DivideInt64, overloads.DivideUint64, overloads.DivideDouble)
	return all
}

func add(a, b ref.Val) ref.Val {
	a, b, bad := meet(a, b)
	if bad != nil {
		return bad
	}
	if sizeOf(a)+sizeOf(b) > MaxResult {
		return types.WrapErr(errTooLarge)
	}
	if x, ok := a.(traits.Adder); ok {
		return orUnfit("+", a, b, x.Add(b))
	}
	return unfit("+", a, b)
}

func subtract(a, b ref.Val) ref.Val {
	a, b, bad := meet(a, b)
	if bad != nil {
		return bad
	}
	if x, ok := a.(traits.Subtractor); ok {
		return orUnfit("-", a, b, x.Subtract(b))
	}
	return unfit("-", a, b)
}

func multiply(a, b ref.Val) ref.Val {
	a, b, bad := meet(a, b)
	if bad != nil {
		return bad
	}
	if x, ok := a.(traits.Multiplier); ok {
		return orUnfit("*", a, b, x.Multiply(b))
	}
	return unfit("*", a, b)
}

func divide(a, b ref.Val) ref.Val {
	a, b, bad := meet(a, b)
	if bad != nil {
		return bad
	}
	if x, ok := a.(traits.Divider); ok {
		return orUnfit("/", a, b, x.Divide(b))
	}
	return unfit("/", a, b)
}

// meet brings two numbers of different types to one, or returns the error why that would lose something.
func meet(a, b ref.Val) (ref.Val, ref.Val, ref.Val) {
	switch x := a.(type) {
	case numberBeyond:
		return a, b, beyondError(x)
	case types.Double:
		if y := asDouble(b); y != nil {
			return a, y, errorOf(y)
		}
	case types.Int, types.Uint:
		switch b.(type) {
		case types.Double:
			y := asDouble(a)
			return y, b, errorOf(y)
		case types.Int, types.Uint:
			return meetIntegers(a, b)
		}
	}
	if y, ok := b.(numberBeyond); ok {
		return a, b, beyondError(y)
	}
	return a, b, nil
}

func errorOf(v ref.Val) ref.Val {
	if types.IsError(v) {
		return v
	}
	return nil
}

// maxExact is the largest whole number up to which a double holds every one.
const maxExact = 1 << 53

func asDouble(v ref.Val) ref.Val {
	switch v := v.(type) {
	case types.Int:
		if v > maxExact || v < -maxExact {
			return inexact(v)
		}
		return types.Double(v)
	case types.Uint:
		if v > maxExact {
			return inexact(v)
		}
		return types.Double(v)
	}
	return nil
}

func inexact(v ref.Val) ref.Val {
	return types.NewErr("%v has too many digits to be combined with a decimal number", v.Value())
}

func meetIntegers(a, b ref.Val) (ref.Val, ref.Val, ref.Val) {
	if a.Type() == b.Type() {
		return a, b, nil
	}
	ua, okA := asUint(a)
	ub, okB := asUint(b)
	if !okA || !okB {
		return a, b, types.NewErr("a negative number cannot be combined with one beyond 63 bits")
	}
	return ua, ub, nil
}

func asUint(v ref.Val) (ref.Val, bool) {
	if i, ok := v.(types.Int); ok {
		return types.Uint(i), i >= 0
	}
	return v, true
}

func beyondError(n numberBeyond) ref.Val {
	return types.WrapErr(errBeyond(string(n.raw)))
}

func errBeyond(number string) error {
	return fmt.Errorf("%s is a number that 64 bits cannot hold: it can be copied, not calculated with", short(number))
}

func sizeOf(v ref.Val) int {
	switch v := v.(type) {
	case types.String:
		return len(v)
	case types.Bytes:
		return len(v)
	}
	return 0
}

func orUnfit(op string, a, b, res ref.Val) ref.Val {
	if e, ok := res.(*types.Err); ok && isNoOverload(e) {
		return unfit(op, a, b)
	}
	return res
}

func unfit(op string, a, b ref.Val) ref.Val {
	return types.NewErr("%s does not work on %s and %s", op, typeName(a.Type().TypeName()), typeName(b.Type().TypeName()))
}
