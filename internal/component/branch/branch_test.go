package branch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
)

func config(t *testing.T, text string) *Config {
	t.Helper()
	c := new(Config)
	if err := yaml.Unmarshal([]byte(text), c); err != nil {
		t.Fatal(err)
	}
	return c
}

const numbers = `outputs: [{name: small, when: event.n < 10}, {name: even, when: event.n % 2 == 0}]`

func TestBranch(t *testing.T) {
	for _, c := range []struct {
		name, config, value string
		ports               string
	}{
		{"the first that is true", numbers, `{"n":4}`, "small"},
		{"the second", numbers, `{"n":12}`, "even"},
		{"none drops the record", numbers, `{"n":13}`, ""},
		{"none goes to otherwise", numbers + "\notherwise: rest", `{"n":13}`, "rest"},
		{"all that are true", numbers + "\nmatch: all", `{"n":4}`, "small even"},
		{"all, but none", numbers + "\nmatch: all\notherwise: rest", `{"n":13}`, "rest"},
		{"a later condition is not asked", `outputs: [{name: a, when: 'true'}, {name: b, when: event.x}]`, `{}`, "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			settings, d := config(t, c.config), Definition()
			if problems := d.Check(settings); problems != nil {
				t.Fatal(problems)
			}
			b, err := d.NewBolt(settings, component.Env{})
			if err != nil {
				t.Fatal(err)
			}
			names := d.Ports(settings)
			var have []string
			seen := map[*record.Record]bool{}
			err = b.Process(context.Background(), &record.Record{Value: []byte(c.value), Format: record.JSON}, func(port int, r *record.Record) {
				have = append(have, names[port])
				if seen[r] || string(r.Value) != c.value {
					t.Errorf("record %s given away twice, or changed", r.Value)
				}
				seen[r] = true
			})
			if err != nil || strings.Join(have, " ") != c.ports {
				t.Errorf("went to %v, %v; want %s", have, err, c.ports)
			}
		})
	}
}

func TestFailingConditionIsPermanentAndEmitsNothing(t *testing.T) {
	b, err := Definition().NewBolt(config(t, numbers+"\nmatch: all"), component.Env{})
	if err != nil {
		t.Fatal(err)
	}
	err = b.Process(context.Background(), &record.Record{Value: []byte(`{}`), Format: record.JSON}, func(int, *record.Record) { t.Error("emitted") })
	if err == nil || component.ClassOf(err) != component.Never || err.Error() != `decide output "small": evaluate "event.n < 10": no such field "n"` {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	many := "outputs: ["
	for i := range MaxOutputs + 1 {
		many += fmt.Sprintf("{name: o%d, when: 'true'},", i)
	}
	for _, c := range []struct{ name, config, want string }{
		{"no outputs", `outputs: []`, "outputs setting-missing"},
		{"two of one name", `outputs: [{name: a, when: 'true'}, {name: a, when: 'true'}]`, "outputs[1].name duplicate"},
		{"otherwise of that name", "outputs: [{name: a, when: 'true'}]\notherwise: a", "otherwise duplicate"},
		{"an odd name", `outputs: [{name: a.b, when: 'true'}]`, "outputs[0].name name-invalid"},
		{"no boolean", `outputs: [{name: a, when: '1'}]`, "outputs[0].when expression-invalid"},
		{"no condition", `outputs: [{name: a}]`, "outputs[0].when expression-invalid"},
		{"an odd match", "outputs: [{name: a, when: 'true'}]\nmatch: some", "match value-invalid"},
		{"too many", many + "]", "outputs value-invalid"},
	} {
		problems := Definition().Check(config(t, c.config))
		if len(problems) != 1 || problems[0].Path+" "+problems[0].Code != c.want {
			t.Errorf("%s: %+v, want %s", c.name, problems, c.want)
		}
	}
}

func TestPorts(t *testing.T) {
	if have := Definition().Ports(config(t, numbers+"\notherwise: rest")); !slices.Equal(have, []string{"small", "even", "rest"}) {
		t.Error(have)
	}
}

func TestExamples(t *testing.T) {
	for _, e := range Definition().Spec.Examples {
		var node struct{ Branch Config }
		if err := yaml.Unmarshal([]byte(e.YAML), &node); err != nil {
			t.Errorf("%s: %v", e.Title, err)
		}
		if problems := Definition().Check(&node.Branch); problems != nil {
			t.Errorf("%s: %v", e.Title, problems)
		}
	}
}
