// Package expr compiles and evaluates expressions in CEL, the Common Expression Language that Kubernetes uses, over
// records: without loops, bounded in cost, and without decoding what an expression does not look at.
//
// A Program is read-only and safe for concurrent use. An Input is the view of one record and has one owner at a time;
// a bolt keeps one and resets it for each record, so that all its expressions share the index of the document.
//
// Numbers: a plain copy of a field, alone or as a value of a map or list, keeps the literal as it is written. In
// arithmetic whole numbers are 64-bit integers, all others doubles; the two may be mixed, since JSON writes 3 and 3.5
// alike. A number that 64 bits cannot hold is never rounded: using it in arithmetic is an error.
//
// Do not assume that a missing field is null: it is an error, unless the expression asks with has() or event.?a.
package expr

import (
	"errors"
	"fmt"
	"sync"

	"cel.dev/cel-go/cel"

	"ravenswood.dev/internal/record"
)

// Kind is what an expression has to give.
type Kind uint8

// The kinds.
const (
	Any    Kind = iota // any value that has a JSON form
	Bool               // true or false
	String             // a text: a string, or a number or boolean as it is written; null stands for none
)

func (k Kind) String() string { return [...]string{"any value", "a boolean", "a text"}[k] }

// The bounds of an expression.
const (
	MaxSource      = 8 << 10 // bytes of an expression's text
	MaxResult      = 8 << 20 // bytes of its result, and of any text made on the way
	costLimit      = 2_000_000
	maxResultDepth = 200
)

// Problem is one reason why an expression does not compile.
type Problem struct {
	Line, Column int // 1-based, within the expression
	Message      string
	Hint         string
}

// Program is a compiled expression.
type Program struct {
	src  string
	want Kind
	form form
}

// Compile prepares an expression over records: variables event, key, headers, topic, partition, offset and time.
func Compile(src string, want Kind) (*Program, []Problem) {
	env, err := recordEnv()
	if err != nil {
		return nil, []Problem{{Line: 1, Column: 1, Message: err.Error()}}
	}
	return compile(env, src, want)
}

// MustCompile is Compile for expressions that are part of the program; it panics if one does not compile.
func MustCompile(src string, want Kind) *Program {
	p, problems := Compile(src, want)
	if problems != nil {
		panic(problems[0].Message)
	}
	return p
}

func compile(env *cel.Env, src string, want Kind) (*Program, []Problem) {
	if len(src) > MaxSource {
		return nil, []Problem{{Line: 1, Column: 1, Message: fmt.Sprintf("compile %q: longer than %d bytes", short(src), MaxSource)}}
	}
	ast, issues := env.Compile(src)
	if issues.Err() != nil {
		return nil, problemsOf(env, src, issues)
	}
	if p := checkKind(src, ast.OutputType(), want); p != nil {
		return nil, []Problem{*p}
	}
	f, err := (&planner{env: env, ast: ast.NativeRep()}).form(ast.NativeRep().Expr())
	if err != nil {
		return nil, []Problem{{Line: 1, Column: 1, Message: fmt.Sprintf("compile %q: %v", short(src), err)}}
	}
	return &Program{src: src, want: want, form: f}, nil
}

// Source is the expression's text.
func (p *Program) Source() string { return p.src }

// AppendJSON appends the result as JSON. absent says that the result is an empty optional, such as that of event.?a:
// there is no value, and dst is returned as it was.
func (p *Program) AppendJSON(dst []byte, in *Input) (out []byte, absent bool, err error) {
	in.begin(dst)
	out, err = p.form.append(dst, in)
	switch {
	case errors.Is(err, errAbsent):
		return dst, true, nil
	case err == nil && len(out) > in.limit:
		err = errTooLarge
	}
	if err != nil {
		return dst, false, p.fault(in, err)
	}
	return out, false, nil
}

// AppendText appends the result as text. absent says that the result is null or an empty optional: there is no text.
func (p *Program) AppendText(dst []byte, in *Input) (out []byte, absent bool, err error) {
	in.begin(dst)
	v, err := p.form.eval(in)
	if err == nil {
		out, err = appendText(dst, v)
	}
	switch {
	case errors.Is(err, errAbsent):
		return dst, true, nil
	case err == nil && len(out) > in.limit:
		err = errTooLarge
	}
	if err != nil {
		return dst, false, p.fault(in, err)
	}
	return out, false, nil
}

// Bool returns the result of an expression that gives a boolean.
func (p *Program) Bool(in *Input) (bool, error) {
	in.begin(nil)
	v, err := p.form.eval(in)
	if err == nil {
		var b bool
		if b, err = boolOf(v); err == nil {
			return b, nil
		}
	}
	return false, p.fault(in, err)
}

// Result is the value of an expression for one record, independent of the record.
type Result struct {
	json   []byte
	text   string
	truth  bool
	absent bool
}

// JSON is the result as JSON, for a program that wants Any.
func (r Result) JSON() []byte { return r.json }

// Text is the result of a program that wants String.
func (r Result) Text() string { return r.text }

// Bool is the result of a program that wants Bool.
func (r Result) Bool() bool { return r.truth }

// Absent says that there is no result: an empty optional, or null where a text is wanted.
func (r Result) Absent() bool { return r.absent }

var inputs = sync.Pool{New: func() any { return new(Input) }}

// Eval evaluates the program for one record. Where several programs look at one record, share an Input instead.
func (p *Program) Eval(r *record.Record) (res Result, err error) {
	in := inputs.Get().(*Input)
	defer func() {
		in.Reset(nil)
		inputs.Put(in)
	}()
	in.Reset(r)
	switch p.want {
	case Bool:
		res.truth, err = p.Bool(in)
	case String:
		var text []byte
		text, res.absent, err = p.AppendText(nil, in)
		res.text = string(text)
	default:
		res.json, res.absent, err = p.AppendJSON(nil, in)
	}
	return res, err
}
