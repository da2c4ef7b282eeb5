package expr

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"

	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/spelling"
)

// problemsOf turns CEL's issues into sentences.
func problemsOf(env *cel.Env, src string, issues *cel.Issues) []Problem {
	var all []Problem
	for _, e := range issues.Errors() {
		message, hint := explain(env, src, e.Message)
		p := Problem{Line: 1, Column: 1, Message: fmt.Sprintf("compile %q: %s", short(src), message), Hint: hint}
		if e.Location != nil && e.Location.Line() > 0 {
			p.Line, p.Column = e.Location.Line(), max(e.Location.Column(), 0)+1
		}
		all = append(all, p)
	}
	return all
}

var (
	undeclared = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	noOverload = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(.*)'$`)
	syntax     = regexp.MustCompile(`^Syntax error: (.*)`)
	wordSigns  = map[string]string{"'and'": "&&", "'or'": "||", "'not'": "!", "'='": "=="}
)

func explain(env *cel.Env, src, message string) (text, hint string) {
	if m := undeclared.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("unknown name %q", m[1]), didYouMean(env, m[1])
	}
	if m := noOverload.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("%q does not work on %s", operatorSign(m[1]), m[2]), overloadHint(src, m[1], m[2])
	}
	if m := syntax.FindStringSubmatch(message); m != nil {
		return syntaxText(m[1]), syntaxHint(m[1])
	}
	return firstLine(message), ""
}

// wholeNumber finds one that is written out: not a part of a name, of a decimal number, or an index.
var wholeNumber = regexp.MustCompile(`(?:^|[^\w.\["'])(\d+)(?:$|[^\w.\]"'])`)

// overloadHint says how values come to the types that a function takes: a whole number is no decimal one.
func overloadHint(src, function, types string) string {
	decimal := strings.HasPrefix(function, mathPrefix) || strings.Contains(types, "double")
	if !decimal || !strings.Contains(types, "int") {
		return "convert with string(...), int(...) or double(...) where the types differ"
	}
	if m := wholeNumber.FindStringSubmatch(src); m != nil && !strings.ContainsAny(src, `"'`) {
		return fmt.Sprintf("it wants decimal numbers: write %s.0 instead of %s, or double(...)", m[1], m[1])
	}
	return "it wants decimal numbers: double(...) makes them"
}

// mathPrefix begins the names of functions over numbers, of which most take decimal ones only.
const mathPrefix = "math."

func syntaxText(message string) string {
	message, _, _ = strings.Cut(firstLine(message), " expecting ")
	if strings.Contains(message, "'<EOF>'") {
		return "the expression ends too early"
	}
	return "syntax: " + message
}

func syntaxHint(message string) string {
	for word, sign := range wordSigns {
		if strings.Contains(message, word) {
			return fmt.Sprintf("write %s instead of %s", sign, strings.Trim(word, "'"))
		}
	}
	if strings.Contains(message, "token recognition error at: '=") {
		return "compare with =="
	}
	if strings.Contains(message, "token recognition error at: '\"") || strings.Contains(message, "token recognition error at: ''") {
		return "close the quote"
	}
	if strings.Contains(message, "token recognition error") {
		return `write names with such characters as event["name"], and text in quotes`
	}
	return ""
}

// operatorSign writes an operator's inner name as people write it: _+_ is +.
func operatorSign(name string) string { return strings.Trim(name, "_") }

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

func didYouMean(env *cel.Env, name string) string {
	names := slices.Sorted(maps.Keys(env.Functions()))
	for _, v := range env.Variables() {
		names = append(names, v.Name())
	}
	best, distance := "", 3
	for _, n := range names {
		if !utf8.ValidString(n) || strings.ContainsAny(n, "_@!<>=?&|+-*/%") {
			continue
		}
		if d := spelling.Distance(strings.ToLower(name), strings.ToLower(n)); d < distance && d < len(name) {
			best, distance = n, d
		}
	}
	if best == "" {
		return "fields of the event are written event.name"
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// checkKind says at compile time what can be known of the result.
func checkKind(src string, t *cel.Type, want Kind) *Problem {
	var hint string
	switch {
	case t.Kind() == types.DynKind, t.TypeName() == "optional_type":
		return nil
	case want == Bool && t.Kind() != types.BoolKind:
		hint = "compare with ==, <, > or another condition"
	case want == String && (t.Kind() == types.MapKind || t.Kind() == types.ListKind || t.Kind() == types.TypeKind):
		hint = "choose one field of it"
	default:
		return nil
	}
	return &Problem{Line: 1, Column: 1, Hint: hint,
		Message: fmt.Sprintf("compile %q: gives %s, want %s", short(src), typeName(t.TypeName()), want)}
}

func typeName(cel string) string {
	if name, ok := typeNames[cel]; ok {
		return name
	}
	return "a " + cel
}

var typeNames = map[string]string{
	"int": "a whole number", "uint": "a whole number", "double": "a decimal number", "bool": "a boolean", "string": "a string",
	"bytes": "bytes", "list": "a list", "map": "an object", "null_type": "null", "google.protobuf.Timestamp": "a time",
	"google.protobuf.Duration": "a duration", "optional_type": "an empty optional", "type": "a type",
	beyondType.TypeName(): "a number beyond 64 bits",
}

var errNotJSON = errors.New("the event is not JSON, so it has no fields")

// missingError says that a step of a path leads nowhere.
type missingError struct{ step document.Step }

func (e missingError) Error() string {
	if e.step.InList {
		return fmt.Sprintf("no such element %d", e.step.Index)
	}
	return fmt.Sprintf("no such field %q", e.step.Name)
}

// celError is an error of a CEL program, with what is needed to say where it arose.
type celError struct {
	error
	ast *celast.AST
}

// fault makes the error that people read.
func (p *Program) fault(in *Input, err error) error {
	if e, ok := errors.AsType[celError](err); ok {
		err = e.plain(in)
	}
	return fmt.Errorf("evaluate %q: %w", short(p.src), err)
}

func (e celError) plain(in *Input) error {
	if _, ok := errors.AsType[interpreter.EvalCancelledError](e.error); ok {
		return errTooMuchWork
	}
	message := firstLine(e.Error())
	if key, ok := strings.CutPrefix(message, "no such key: "); ok {
		return fmt.Errorf("no such field %q", key)
	}
	if index, ok := strings.CutPrefix(message, "index out of bounds: "); ok {
		return fmt.Errorf("no such element %s", index)
	}
	if strings.HasPrefix(message, "no such overload") {
		if in.beyond != "" {
			return errBeyond(in.beyond)
		}
		where := e.where()
		if strings.HasPrefix(where, mathPrefix) {
			return fmt.Errorf("%s does not work on the kinds of values it is given; it wants decimal numbers, double(...) makes them", where)
		}
		return fmt.Errorf("%s does not work on the kinds of values it is given", where)
	}
	return errors.New(message)
}

// where names the operator or function in which the error arose.
func (e celError) where() string {
	name := "an operator"
	if failed, ok := errors.AsType[*types.Err](e.error); ok {
		celast.PreOrderVisit(e.ast.Expr(), celast.NewExprVisitor(func(x celast.Expr) {
			if x.ID() == failed.NodeID() && x.Kind() == celast.CallKind {
				name = operatorSign(x.AsCall().FunctionName())
			}
		}))
	}
	return name
}

func isNoOverload(e *types.Err) bool { return strings.HasPrefix(e.Error(), "no such overload") }

// short is a text for messages: one line, not too long.
func short(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= 120 {
		return s
	}
	return strings.ToValidUTF8(s[:120], "") + "…"
}
