// Package check holds the checks that the settings of several components have in common: expressions, paths, time zones
// and header names. Each turns a fault into problems that point into the value.
//
// It keeps nothing and is safe for concurrent use. A Path given to it is the place of the value within the settings, as
// in component.Problem.
package check

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // so that time zones mean the same on every machine, also where the system has none
	"unicode/utf8"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/expr"
	"ravenswood.dev/internal/record"
)

// The codes of problems.
const (
	CodeExpression = "expression-invalid"
	CodePath       = "path-invalid"
	CodeHeader     = "header-invalid"
	CodeTimeZone   = "time-zone-invalid"
)

// Expression reports why an expression over records does not compile.
func Expression(at, src string, want expr.Kind) []component.Problem {
	_, problems := expr.Compile(src, want)
	return Expressions(at, src, problems)
}

// Expressions points the problems of an expression into the settings.
func Expressions(at, src string, problems []expr.Problem) []component.Problem {
	var all []component.Problem
	for _, p := range problems {
		all = append(all, component.Problem{Path: at, Column: position(src, p.Line, p.Column), Code: CodeExpression, Message: p.Message, Hint: p.Hint})
	}
	return all
}

// position counts the characters up to a line and column.
func position(src string, line, column int) int {
	for ; line > 1; line-- {
		head, tail, ok := strings.Cut(src, "\n")
		if !ok {
			break
		}
		column += utf8.RuneCountInString(head) + 1
		src = tail
	}
	return column
}

// Path reports why a path into the event cannot be read.
func Path(at, path string) []component.Problem {
	_, err := document.ParsePath(path)
	if err == nil {
		return nil
	}
	p := component.Problem{Path: at, Code: CodePath, Message: err.Error(), Hint: `write a path such as user.name, items[0].price or "odd.name"`}
	if fault, ok := errors.AsType[*document.PathError](err); ok {
		p.Column = utf8.RuneCountInString(path[:min(fault.Column-1, len(path))]) + 1
	}
	return []component.Problem{p}
}

// TimeZone reports why there is no time zone of that name; the empty one is UTC.
func TimeZone(at, name string) []component.Problem {
	// Local would mean something else on every machine.
	if _, err := time.LoadLocation(name); err == nil && name != "Local" {
		return nil
	}
	return []component.Problem{{Path: at, Code: CodeTimeZone, Message: fmt.Sprintf("read time zone %q: there is none of that name", name),
		Hint: "a name such as Europe/London; none is UTC"}}
}

// Header reports why a header of that name may not be written.
func Header(at, name string) []component.Problem {
	switch {
	case name == "":
		return []component.Problem{{Path: at, Code: CodeHeader, Message: `set header "": the name is empty`}}
	case strings.HasPrefix(strings.ToLower(name), record.Prefix):
		return []component.Problem{{Path: at, Code: CodeHeader, Message: fmt.Sprintf("set header %q: names that begin with %s are reserved", name, record.Prefix),
			Hint: "choose another name"}}
	}
	return nil
}
