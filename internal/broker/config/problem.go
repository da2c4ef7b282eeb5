package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"ravenswood.dev/internal/spelling"
)

// A Problem is one setting that cannot be.
type Problem struct {
	Name  string
	Value string
	Text  string // what is wrong, as the end of a sentence about the value
	Hint  string // what may have been meant
}

// InvalidError says what is wrong with settings, all of it; Kafka's INVALID_CONFIG.
type InvalidError struct{ Problems []Problem }

func (e *InvalidError) Error() string {
	const most = 5
	var all []string
	for _, p := range e.Problems[:min(most, len(e.Problems))] {
		all = append(all, p.String())
	}
	if more := len(e.Problems) - most; more > 0 {
		all = append(all, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(all, "; ")
}

func (p Problem) String() string {
	text := fmt.Sprintf("set %s to %q: %s", p.Name, short(p.Value), p.Text)
	if p.Value == "" && p.Hint != "" {
		text = fmt.Sprintf("set %q: %s", short(p.Name), p.Text)
	}
	if p.Hint != "" {
		text += " (" + p.Hint + ")"
	}
	return text
}

func unknown(name string, definitions map[string]Definition) Problem {
	p := Problem{Name: name, Text: "no such setting", Hint: "the settings that there are can be described"}
	if best := closest(name, definitions); best != "" {
		p.Hint = fmt.Sprintf("did you mean %q?", best)
	}
	return p
}

// closest is the name with the fewest letters to change, if they are few for its length.
func closest(name string, definitions map[string]Definition) string {
	const longest = 100 // a longer name is not a typing error
	if len(name) > longest {
		return ""
	}
	best, fewest := "", 1+max(1, len(name)/4)
	for _, n := range slices.Sorted(maps.Keys(definitions)) {
		if e := spelling.Distance(strings.ToLower(name), n); e < fewest {
			best, fewest = n, e
		}
	}
	return best
}

// short cuts what a stranger may have made long.
func short(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
