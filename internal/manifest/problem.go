package manifest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// Severity says whether a problem keeps the resources from running.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"   // nothing may run
	SeverityWarning Severity = "warning" // may run, but is likely not what was meant
)

// The codes of problems that reading finds. Checks of components and of package topology have further ones.
const (
	CodeYAMLInvalid      = "yaml-invalid"        // the file is not YAML
	CodeFileUnreadable   = "file-unreadable"     // the file or folder cannot be read, or is too large
	CodeTooLarge         = "document-too-large"  // a document has too many values, often through aliases
	CodeTooDeep          = "document-too-deep"   // a document is nested too deeply
	CodeNothingFound     = "nothing-found"       // there are no resources at the path
	CodeVersionUnknown   = "api-version-unknown" // apiVersion is not one we know
	CodeUnknownKind      = "unknown-kind"        // kind is not one we know
	CodeUnknownKey       = "unknown-key"         // a key that nothing reads
	CodeUnknownComponent = "unknown-component"   // a spout, bolt or sink of a type we do not have
	CodeManyComponents   = "several-components"  // a spout, bolt or sink with two types
	CodeMissingKey       = "missing-key"         // a required key is missing or empty
	CodeDuplicateKey     = "duplicate-key"       // a key is written twice in one place
	CodeDuplicate        = "duplicate-resource"  // two resources of one kind and name
	CodeTypeMismatch     = "type-mismatch"       // a list where text is wanted, and so on
	CodeValueInvalid     = "value-invalid"       // right type, but not an allowed value
	CodeNameInvalid      = "name-invalid"        // a name with characters that names cannot have
)

// Problem is one thing wrong with the resources.
type Problem struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`   // 1-based, 0 if not known
	Column   int      `json:"column"` // 1-based in characters, 0 if not known
	Path     string   `json:"path,omitempty"`
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
	Hint     string   `json:"hint,omitempty"`
}

// HasErrors says whether any of the problems keeps the resources from running.
func HasErrors(problems []Problem) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool { return p.Severity == SeverityError })
}

// Sort puts problems in the order of their places, removes repetitions and returns them.
func Sort(problems []Problem) []Problem {
	slices.SortFunc(problems, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(problems)
}

// WriteText prints problems for people and editors, one "file:line:column: severity: message [code]" each, a hint
// indented below it.
func WriteText(w io.Writer, problems []Problem) error {
	for _, p := range problems {
		if _, err := fmt.Fprintf(w, "%s%s: %s [%s]\n", p.place(), p.Severity, p.Message, p.Code); err != nil {
			return err
		}
		if p.Hint == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "  hint: %s\n", p.Hint); err != nil {
			return err
		}
	}
	return nil
}

// WriteJSON prints problems as one JSON array, empty if there are none.
func WriteJSON(w io.Writer, problems []Problem) error {
	if problems == nil {
		problems = []Problem{}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(problems)
}

// place is the prefix that editors recognise, as much of it as is known.
func (p Problem) place() string {
	switch {
	case p.File == "":
		return ""
	case p.Line == 0:
		return p.File + ": "
	case p.Column == 0:
		return p.File + ":" + strconv.Itoa(p.Line) + ": "
	}
	return p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column) + ": "
}

func quote(s string) string { return strconv.Quote(shorten(s)) }

// shorten keeps a value of any length from filling the screen.
func shorten(s string) string {
	const most = 80
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most]) + "…"
}
