package manifest_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/topic"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/record"
)

// bench is a bolt whose settings have every type that settings may have.
type bench struct {
	Text    string            `yaml:"text" default:"seven" doc:"Some text."`
	Mode    string            `yaml:"mode" enum:"fast|slow" default:"slow" doc:"One of two."`
	Key     string            `yaml:"key" doc:"Text with no default."`
	Whole   int               `yaml:"whole" default:"7" doc:"A whole number."`
	Small   int8              `yaml:"small" doc:"A small whole number."`
	Count   uint16            `yaml:"count" doc:"A count."`
	Share   float64           `yaml:"share" default:"0.5" doc:"A number."`
	On      bool              `yaml:"on" default:"true" doc:"A switch."`
	Wait    api.Duration      `yaml:"wait" default:"2s" doc:"A duration."`
	Max     api.Size          `yaml:"max" default:"1MB" doc:"A size."`
	Percent api.Percent       `yaml:"percent" default:"12.5%" doc:"A percentage."`
	Maybe   *int              `yaml:"maybe" doc:"A number that may be missing."`
	Equals  *string           `yaml:"equals" doc:"Text to compare with."`
	List    []string          `yaml:"list" doc:"A list of text."`
	Waits   []api.Duration    `yaml:"waits" doc:"A list of durations."`
	Set     map[string]string `yaml:"set" doc:"Expressions by field."`
	Inner   inner             `yaml:"inner" doc:"Settings in settings."`
	Option  *inner            `yaml:"option" doc:"Settings that may be missing."`
	Rules   []rule            `yaml:"rules" doc:"A list of settings."`
	Named   map[string]rule   `yaml:"named" doc:"Settings by name."`
	Names   names             `yaml:"names" doc:"One name or several."`
	Columns map[string]column `yaml:"columns" doc:"Fields by column."`
	Token   string            `yaml:"token" secret:"true" doc:"A secret."`
	Any     any               `yaml:"any" doc:"Anything."`
}

type inner struct {
	A string `yaml:"a" default:"b" doc:"Text."`
	N int    `yaml:"n" default:"3" doc:"A number."`
}

// names and column have a short form.
type names []string

func (n *names) UnmarshalText(text []byte) error {
	*n = names{string(text)}
	return nil
}

type column struct {
	Field string `yaml:"field" required:"true" doc:"The field." example:"amount"`
	Type  string `yaml:"type" enum:"text|real" doc:"The type."`
}

func (c *column) UnmarshalText(text []byte) error {
	*c = column{Field: string(text)}
	return nil
}

type rule struct {
	When string `yaml:"when" required:"true" doc:"Expression." example:"total > 7"`
	To   string `yaml:"to" default:"rest" doc:"Where to."`
}

// checkBench refuses expressions with a "^" in them, at its place, as a compiler would.
func checkBench(c *bench) []component.Problem {
	var problems []component.Problem
	look := func(path, expression string) {
		if before, _, found := strings.Cut(expression, "^"); found {
			problems = append(problems, component.Problem{Path: path, Column: len([]rune(before)) + 1, Code: "expression-invalid",
				Message: fmt.Sprintf("compile %q: unexpected ^", expression), Hint: "remove the ^"})
		}
	}
	look("key", c.Key)
	for key, expression := range c.Set {
		look("set."+key, expression)
	}
	for i, r := range c.Rules {
		look(fmt.Sprintf("rules[%d].when", i), r.When)
	}
	return problems
}

type nothing struct{}

func (nothing) Process(context.Context, *record.Record, component.Emit) error { return nil }

// fakes is a registry with the topic spout and sink and a few bolts of this test.
func fakes() *component.Registry {
	type needs struct {
		Service string `yaml:"service" required:"true" doc:"A service." example:"users"`
	}
	return component.NewRegistry(topic.Spout(), topic.Sink(),
		component.DefineBolt(component.Spec{Name: "bench", Summary: "Has every type of setting."}, checkBench,
			func(*bench, component.Env) (component.Bolt, error) { return nothing{}, nil }),
		component.DefineBolt(component.Spec{Name: "call", Summary: "Needs a service."}, nil,
			func(*needs, component.Env) (component.Bolt, error) { return nothing{}, nil }),
		component.DefineBolt(component.Spec{Name: "log", Summary: "Has no settings that are needed."}, nil,
			func(*inner, component.Env) (component.Bolt, error) { return nothing{}, nil }),
	)
}

// topology wraps a bolt's YAML in a whole resource; the bolt's line is line 7 and begins in column 10.
func topology(bolt string) string {
	return "apiVersion: ravenswood.dev/v1alpha1\nkind: Topology\nmetadata: {name: t}\nspec:\n" +
		"  spouts: {in: {topic: {name: a}}}\n  bolts:\n    one: " + bolt + "\n  sinks: {out: {from: one, topic: {name: b}}}\n"
}

func parse(t *testing.T, text string) (*manifest.Set, []manifest.Problem) {
	t.Helper()
	return manifest.Parse("file.yaml", filepath.FromSlash("/some/dir"), []byte(text), fakes())
}

// parseBench reads the settings of one bench bolt that must be right.
func parseBench(t *testing.T, settings string) *bench {
	t.Helper()
	set, problems := parse(t, topology("{from: in, bench: "+settings+"}"))
	if len(problems) > 0 {
		t.Fatalf("problems: %v", brief(problems))
	}
	return set.Topologies[0].Spec.Bolts["one"].Config.(*bench)
}

// brief is problems in the form of "line:column code".
func brief(problems []manifest.Problem) []string {
	var all []string
	for _, p := range problems {
		all = append(all, fmt.Sprintf("%d:%d %s", p.Line, p.Column, p.Code))
	}
	return all
}
