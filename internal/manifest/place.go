package manifest

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// position is a place in a file, 1-based, columns in characters; 0 is unknown.
type position struct{ line, column int }

func positionOf(n *yaml.Node) position { return position{n.Line, n.Column} }

// places knows where each path of one resource stands in its file.
type places struct {
	file   string
	byPath map[string]place
}

// place is where a path is pointed at: scalars at themselves, everything larger at its key.
type place struct {
	position
	scalar *yaml.Node // nil unless the value is a scalar written at this place
}

func newPlaces(file string) *places { return &places{file: file, byPath: map[string]place{}} }

func (p *places) mark(path string, at position) { p.byPath[normal(path)] = place{position: at} }

func (p *places) markScalar(path string, n *yaml.Node) {
	p.byPath[normal(path)] = place{position: positionOf(n), scalar: n}
}

// find is the place of a path or of its nearest parent that is in the file.
func (p *places) find(path string) position { return p.nearest(path).position }

func (p *places) nearest(path string) place {
	for path = normal(path); ; {
		if at, ok := p.byPath[path]; ok {
			return at
		}
		i := strings.LastIndexByte(path, '.')
		if i < 0 {
			return p.byPath[""]
		}
		path = path[:i]
	}
}

// normal writes list positions as "rules.0" whether they came as that or as "rules[0]".
func normal(path string) string {
	if !strings.Contains(path, "[") {
		return path
	}
	return strings.TrimPrefix(strings.NewReplacer("[", ".", "]", "").Replace(path), ".")
}

// join appends a key to a path.
func join(path, key string) string {
	switch {
	case path == "":
		return key
	case key == "":
		return path
	}
	return path + "." + key
}

// within moves from the beginning of a scalar to the column-th character of its value. A folded scalar does not say
// where its characters stood, so that its beginning is all there is.
func (p place) within(column int, data []byte) position {
	n := p.scalar
	if n == nil || column <= 0 {
		return p.position
	}
	value := []rune(n.Value)
	before := string(value[:min(column-1, len(value))])
	switch n.Style &^ yaml.TaggedStyle {
	case yaml.LiteralStyle:
		return inLiteral(n, before, data)
	case yaml.FoldedStyle:
		return p.position
	case yaml.SingleQuotedStyle:
		column += 1 + strings.Count(before, "'")
	case yaml.DoubleQuotedStyle:
		column += 1 + strings.Count(before, `"`) + strings.Count(before, `\`)
	}
	if n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 || strings.Contains(n.Value, "\n") || spansLines(n, data) {
		return p.position
	}
	return position{n.Line, n.Column + column - 1}
}

// spansLines says whether a plain or quoted scalar goes on in the next line: then the line it begins in is shorter than
// its value.
func spansLines(n *yaml.Node, data []byte) bool {
	return len([]rune(lineOf(data, n.Line)))-(n.Column-1) < len([]rune(n.Value))
}

// inLiteral finds the place in a block scalar ("|"), whose lines begin below its own, indented as the first of them.
func inLiteral(n *yaml.Node, before string, data []byte) position {
	lines := strings.Split(before, "\n")
	for i := 1; i <= len(n.Value); i++ {
		line := lineOf(data, n.Line+i)
		if text := strings.TrimLeft(line, " "); text != "" {
			indent := len(line) - len(text)
			return position{n.Line + len(lines), indent + len([]rune(lines[len(lines)-1])) + 1}
		}
	}
	return positionOf(n)
}
