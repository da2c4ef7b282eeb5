package expr

import (
	"errors"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/record"
)

// form is how an expression, or a part of it, is evaluated. Constants, plain selections from the event, and maps and
// lists written out need no CEL at run time: they keep the order of a map and the literals of what they copy, and
// they are several times faster. Everything else is a call of a CEL program.
type form interface {
	eval(in *Input) (result, error)
	// append appends the result as JSON.
	append(dst []byte, in *Input) ([]byte, error)
}

// result is a value in one of two shapes: raw JSON exactly as it is to be written, or a CEL value.
type result struct {
	raw []byte
	val ref.Val
	in  *Input
}

// errAbsent says that an optional is empty.
var errAbsent = errors.New("no value")

type planner struct {
	env *cel.Env
	ast *celast.AST
}

func (p *planner) form(e celast.Expr) (form, error) {
	switch e.Kind() {
	case celast.LiteralKind:
		return newConstant(e.AsLiteral())
	case celast.MapKind:
		if names, ok := constantNames(e.AsMap()); ok {
			return p.object(e.AsMap(), names)
		}
	case celast.ListKind:
		if len(e.AsList().OptionalIndices()) == 0 {
			return p.list(e.AsList())
		}
	default:
		if path, ok := eventPath(e); ok {
			return selection{path}, nil
		}
	}
	return p.call(e)
}

// constant is a literal.
type constant struct {
	val  ref.Val
	json []byte
}

func newConstant(v ref.Val) (form, error) {
	json, err := appendValue(nil, nil, v, 0)
	return constant{v, json}, err
}

func (c constant) eval(*Input) (result, error) { return result{val: c.val}, nil }

func (c constant) append(dst []byte, _ *Input) ([]byte, error) { return append(dst, c.json...), nil }

// selection is a plain path into the event: event.a.b[0]. An empty path is the event itself.
type selection struct{ path document.Path }

// eventPath returns the path of an expression that only selects from the event.
func eventPath(e celast.Expr) (document.Path, bool) {
	switch e.Kind() {
	case celast.IdentKind:
		return nil, e.AsIdent() == "event"
	case celast.SelectKind:
		s := e.AsSelect()
		path, ok := eventPath(s.Operand())
		return append(path, document.Step{Name: s.FieldName()}), ok && !s.IsTestOnly()
	case celast.CallKind:
		return indexPath(e.AsCall())
	}
	return nil, false
}

func indexPath(c celast.CallExpr) (document.Path, bool) {
	if c.FunctionName() != operators.Index || c.Args()[1].Kind() != celast.LiteralKind {
		return nil, false
	}
	path, ok := eventPath(c.Args()[0])
	switch i := c.Args()[1].AsLiteral().(type) {
	case types.String:
		return append(path, document.Step{Name: string(i)}), ok
	case types.Int:
		return append(path, document.Step{Index: int(i), InList: true}), ok && i >= 0
	}
	return nil, false
}

func (s selection) eval(in *Input) (result, error) {
	r := in.r
	if r.Format != record.JSON && r.Value != nil {
		if len(s.path) > 0 {
			return result{}, errNotJSON
		}
		return result{val: in.eventValue()}, nil
	}
	raw, err := s.find(in)
	return result{raw: raw, in: in}, err
}

func (s selection) append(dst []byte, in *Input) ([]byte, error) {
	r, err := s.eval(in)
	if err != nil {
		return dst, err
	}
	return appendResult(dst, r)
}

func (s selection) find(in *Input) ([]byte, error) {
	if in.r.Value == nil {
		if len(s.path) == 0 {
			return []byte("null"), nil
		}
		return nil, missingError{s.path[0]}
	}
	if len(s.path) == 0 {
		return trim(in.r.Value), nil
	}
	if o, err := in.Object(); err == nil {
		if raw, ok := o.Lookup(s.path); ok {
			return raw, nil
		}
	} else if raw, ok := document.Get(in.r.Value, s.path); ok {
		return raw, nil
	}
	return nil, s.missing(in.r.Value)
}

// missing names the first step that leads nowhere.
func (s selection) missing(doc []byte) error {
	for i := range s.path {
		if _, ok := document.Get(doc, s.path[:i+1]); !ok {
			return missingError{s.path[i]}
		}
	}
	return errAbsent
}

// object is a map written out with constant names.
type object struct {
	names  [][]byte // as JSON, with what separates them from what stands before and after
	values []form
}

func constantNames(m celast.MapExpr) (names []string, ok bool) {
	seen := make(map[string]bool)
	for _, entry := range m.Entries() {
		e := entry.AsMapEntry()
		if e.IsOptional() || e.Key().Kind() != celast.LiteralKind {
			return nil, false
		}
		name, isText := e.Key().AsLiteral().(types.String)
		if !isText || seen[string(name)] {
			return nil, false
		}
		seen[string(name)] = true
		names = append(names, string(name))
	}
	return names, true
}

func (p *planner) object(m celast.MapExpr, names []string) (form, error) {
	o := object{}
	for i, entry := range m.Entries() {
		value, err := p.form(entry.AsMapEntry().Value())
		if err != nil {
			return nil, err
		}
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}
		o.names = append(o.names, append(document.AppendText([]byte{separator}, names[i]), ':'))
		o.values = append(o.values, value)
	}
	return o, nil
}

func (o object) append(dst []byte, in *Input) (_ []byte, err error) {
	if len(o.names) == 0 {
		return append(dst, "{}"...), nil
	}
	for i, name := range o.names {
		dst = append(dst, name...)
		if dst, err = appendPart(dst, in, o.values[i]); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

func (o object) eval(in *Input) (result, error) {
	raw, err := o.append(nil, in)
	return result{raw: raw, in: in}, err
}

// appendPart appends a value inside a map or list, where an empty optional is null.
func appendPart(dst []byte, in *Input, f form) ([]byte, error) {
	out, err := f.append(dst, in)
	if errors.Is(err, errAbsent) {
		return append(dst, "null"...), nil
	}
	return out, err
}

// list is a list written out.
type list struct{ values []form }

func (p *planner) list(l celast.ListExpr) (form, error) {
	out := list{}
	for _, e := range l.Elements() {
		value, err := p.form(e)
		if err != nil {
			return nil, err
		}
		out.values = append(out.values, value)
	}
	return out, nil
}

func (l list) append(dst []byte, in *Input) (_ []byte, err error) {
	dst = append(dst, '[')
	for i, value := range l.values {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendPart(dst, in, value); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func (l list) eval(in *Input) (result, error) {
	raw, err := l.append(nil, in)
	return result{raw: raw, in: in}, err
}

// call is everything else: a CEL program.
type call struct {
	program cel.Program
	ast     *celast.AST
}

func (p *planner) call(e celast.Expr) (form, error) {
	part := celast.NewCheckedAST(celast.NewAST(e, p.ast.SourceInfo()), p.ast.TypeMap(), p.ast.ReferenceMap())
	replaced := append(mixedNumbers(), boundedFunctions()...)
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if mayRunLong(e) {
		guarded, err := guardedFunctions(p.env)
		if err != nil {
			return nil, err
		}
		replaced = append(replaced, guarded...)
		options = append(options, cel.CostTracking(price{}), cel.CostLimit(costLimit))
	}
	//nolint:staticcheck // cel.Function cannot replace functions of the standard library, this can
	options = append(options, cel.Functions(replaced...))
	program, err := p.env.PlanProgram(part, options...)
	return call{program, part}, err
}

func (c call) eval(in *Input) (result, error) {
	v, _, err := c.program.Eval(in)
	if err != nil {
		return result{}, celError{err, c.ast}
	}
	return result{val: v, in: in}, nil
}

func (c call) append(dst []byte, in *Input) ([]byte, error) {
	r, err := c.eval(in)
	if err != nil {
		return dst, err
	}
	return appendResult(dst, r)
}

// mayRunLong says whether the work of an expression is more than its own size times that of the record: then its cost
// is counted, which makes it slower by half. The functions listed look at each byte of their arguments at most once.
func mayRunLong(e celast.Expr) bool {
	long := false
	celast.PreOrderVisit(e, celast.NewExprVisitor(func(e celast.Expr) {
		switch e.Kind() {
		case celast.ComprehensionKind:
			long = true
		case celast.CallKind:
			long = long || !cheap[e.AsCall().FunctionName()]
		}
	}))
	return long
}

var cheap = map[string]bool{
	operators.Add: true, operators.Subtract: true, operators.Multiply: true, operators.Divide: true, operators.Modulo: true,
	operators.Negate: true, operators.Equals: true, operators.NotEquals: true, operators.Less: true,
	operators.LessEquals: true, operators.Greater: true, operators.GreaterEquals: true, operators.LogicalAnd: true,
	operators.LogicalOr: true, operators.LogicalNot: true, operators.Conditional: true, operators.Index: true,
	operators.OptIndex: true, operators.OptSelect: true, operators.In: true,
	"size": true, "contains": true, "startsWith": true, "endsWith": true, "string": true, "int": true, "uint": true,
	"double": true, "bool": true, "bytes": true, "timestamp": true, "duration": true, "type": true, "dyn": true,
	"lowerAscii": true, "upperAscii": true, "trim": true, "substring": true, "charAt": true, "orValue": true, "or": true,
	"hasValue": true, "getFullYear": true, "getMonth": true, "getDate": true, "getDayOfMonth": true, "getDayOfWeek": true,
	"getDayOfYear": true, "getHours": true, "getMinutes": true, "getSeconds": true, "getMilliseconds": true,
}
