package document

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The bounds of a path.
const (
	MaxPathSteps = 64
	maxPathBytes = 1024
)

// Path names a place in a document, never empty: steps from the top.
type Path []Step

// Step is one step of a path: into an object by name, or into a list by index.
type Step struct {
	Name   string
	Index  int
	InList bool // the step is Index
}

// PathError says where a path is wrong.
type PathError struct {
	Path    string
	Column  int // 1-based, in bytes
	Message string
}

func (e *PathError) Error() string {
	return fmt.Sprintf("read path %q at column %d: %s", e.Path, e.Column, e.Message)
}

// ParsePath reads a path as people write it: names joined by dots, list indexes in brackets, and names with dots,
// brackets, quotes or spaces at their ends as JSON strings, with or without brackets:
//
//	user.address.city
//	items[0].price
//	"odd.name".value
//	headers["content-type"]
func ParsePath(s string) (Path, error) {
	p := pathParser{s: s}
	if len(s) > maxPathBytes {
		return nil, p.fail(0, fmt.Sprintf("longer than %d bytes", maxPathBytes))
	}
	var path Path
	for first := true; first || p.i < len(s); first = false {
		step, err := p.step(first)
		if err != nil {
			return nil, err
		}
		if path = append(path, step); len(path) > MaxPathSteps {
			return nil, p.fail(p.i, fmt.Sprintf("more than %d steps", MaxPathSteps))
		}
	}
	return path, nil
}

type pathParser struct {
	s string
	i int
}

func (p *pathParser) step(first bool) (Step, error) {
	if p.i < len(p.s) && p.s[p.i] == '[' {
		return p.bracket(first)
	}
	if !first {
		if p.s[p.i] != '.' {
			return Step{}, p.fail(p.i, "want '.' or '['")
		}
		p.i++
	}
	if p.i < len(p.s) && p.s[p.i] == '"' {
		return p.quoted()
	}
	return p.bare()
}

func (p *pathParser) bare() (Step, error) {
	start := p.i
	if n := strings.IndexAny(p.s[start:], `.[]"`); n >= 0 {
		p.i += n
	} else {
		p.i = len(p.s)
	}
	name := p.s[start:p.i]
	switch {
	case name == "":
		return Step{}, p.fail(start, "want a name")
	case strings.TrimSpace(name) != name, strings.ContainsFunc(name, unicode.IsControl), !utf8.ValidString(name):
		return Step{}, p.fail(start, "write a name with such characters in quotes")
	}
	return Step{Name: name}, nil
}

func (p *pathParser) quoted() (Step, error) {
	start := p.i
	end, _ := skipString([]byte(p.s), start)
	if end < 0 {
		return Step{}, p.fail(start, "the quote does not end")
	}
	name := p.s[start:end]
	if Valid([]byte(name)) != nil || !utf8.ValidString(name) {
		return Step{}, p.fail(start, "want a name as a JSON string")
	}
	text, err := Text([]byte(name))
	if err != nil {
		return Step{}, p.fail(start, err.Error())
	}
	p.i = end
	return Step{Name: text}, nil
}

func (p *pathParser) bracket(first bool) (step Step, err error) {
	open := p.i
	p.i++
	if p.i < len(p.s) && p.s[p.i] == '"' {
		step, err = p.quoted()
	} else if first {
		err = p.fail(open, "a document is an object: begin with a name")
	} else {
		step, err = p.index()
	}
	if err != nil {
		return Step{}, err
	}
	if p.i >= len(p.s) || p.s[p.i] != ']' {
		return Step{}, p.fail(p.i, "want ']'")
	}
	p.i++
	return step, nil
}

func (p *pathParser) index() (Step, error) {
	start := p.i
	for p.i < len(p.s) && '0' <= p.s[p.i] && p.s[p.i] <= '9' {
		p.i++
	}
	n, err := strconv.ParseInt(p.s[start:p.i], 10, 31)
	if err != nil {
		return Step{}, p.fail(start, "want an index such as 0, or a name in quotes")
	}
	return Step{Index: int(n), InList: true}, nil
}

func (p *pathParser) fail(at int, message string) error {
	shown := p.s
	if len(shown) > 80 {
		shown = shown[:80] + "…"
	}
	return &PathError{shown, at + 1, message}
}

// String writes the path so that ParsePath reads it back.
func (p Path) String() string {
	var b strings.Builder
	for i, s := range p {
		switch {
		case s.InList:
			fmt.Fprintf(&b, "[%d]", s.Index)
		default:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s.nameText())
		}
	}
	return b.String()
}

func (s Step) nameText() string {
	if q := (&pathParser{s: s.Name}); s.Name != "" {
		if _, err := q.bare(); err == nil && q.i == len(s.Name) {
			return s.Name
		}
	}
	return string(AppendText(nil, s.Name))
}

// Get returns the raw value at a path; ok is false if there is none, also if a step finds another kind of value
// than it needs.
func Get(doc []byte, path Path) (raw []byte, ok bool) {
	raw = doc
	for i := range path {
		if raw, ok = path[i].from(raw); !ok {
			return nil, false
		}
	}
	return raw, ok
}

// Lookup returns the raw value at a path below the object.
func (o *Object) Lookup(path Path) (raw []byte, ok bool) {
	if len(path) == 0 || path[0].InList {
		return nil, false
	}
	raw, ok = o.Get(path[0].Name)
	if !ok || len(path) == 1 {
		return raw, ok
	}
	return Get(raw, path[1:])
}

func (s *Step) from(raw []byte) ([]byte, bool) {
	if s.InList {
		return Element(raw, s.Index)
	}
	return Member(raw, s.Name)
}
