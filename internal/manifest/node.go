package manifest

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
)

// nodes reads the spouts, bolts or sinks of a topology, by name.
func (d *decoder) nodes(v reflect.Value, n *yaml.Node, path string, kind component.Kind) {
	if resolve(n).Kind != yaml.MappingNode {
		d.mismatch(n, path, "a mapping of names to "+string(kind)+"s")
		return
	}
	nodes := map[string]api.Node{}
	for _, p := range d.pairs(n, path) {
		name := resolve(p.key).Value
		here := join(path, name)
		d.mark(here, p)
		d.checkNodeName(p.key, here, string(kind))
		nodes[name] = d.node(p.value, here, kind)
	}
	v.Set(reflect.ValueOf(nodes))
}

// checkNodeName checks the name of a spout, bolt, sink or table: it becomes part of names of topics.
func (d *decoder) checkNodeName(key *yaml.Node, path, what string) {
	name := resolve(key).Value
	if len(name) > nameMax || !nodeName.MatchString(name) {
		d.problem(key, path, CodeNameInvalid, fmt.Sprintf("read %s %s: want letters, digits, '-' and '_', beginning and ending with a letter or digit, "+
			"at most %d characters", what, quote(name), nameMax), "")
	}
}

// node reads one spout, bolt or sink. Config stays nil if anything in the settings is wrong, so that nobody works with
// half of them.
func (d *decoder) node(n *yaml.Node, path string, kind component.Kind) api.Node {
	var node api.Node
	if resolve(n).Kind != yaml.MappingNode {
		d.mismatch(n, path, "a "+string(kind)+" with its component and settings")
		return node
	}
	var components []pair
	hasFrom := false
	for _, p := range d.pairs(n, path) {
		if resolve(p.key).Value != "from" {
			components = append(components, p)
			continue
		}
		hasFrom = true
		node.From = d.from(p, path, kind)
	}
	if !hasFrom && kind != component.KindSpout {
		d.problemAt(d.places.find(path), join(path, "from"), CodeMissingKey, fmt.Sprintf("read %s: key %q is missing, nothing feeds this %s", path, "from", kind),
			"name a spout or bolt, one output of a bolt as \"bolt.output\", or a list of them")
	}
	p, ok := d.component(components, path, kind)
	if ok {
		node.Component = resolve(p.key).Value
		node.Config = d.settings(p, path, kind)
	}
	return node
}

// from reads what feeds a bolt or sink: one name or a list.
func (d *decoder) from(p pair, path string, kind component.Kind) []string {
	path = join(path, "from")
	d.mark(path, p)
	if kind == component.KindSpout {
		d.problem(p.key, path, CodeUnknownKey, "read "+path+": nothing feeds a spout", "remove it, or make this a bolt")
		return nil
	}
	value := resolve(p.value)
	var names []string
	if value.Kind == yaml.ScalarNode {
		names = make([]string, 1)
		d.scalar(reflect.ValueOf(names).Index(0), p.value, path, field{}, false)
	} else {
		d.list(reflect.ValueOf(&names).Elem(), p.value, path, field{})
	}
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
	}
	if len(names) == 0 && value.Kind == yaml.SequenceNode {
		d.problemAt(d.places.find(path), path, CodeMissingKey, fmt.Sprintf("read %s: it is empty, nothing feeds this %s", path, kind), "")
	}
	return names
}

// component picks the one key of a node that is its component.
func (d *decoder) component(candidates []pair, path string, kind component.Kind) (pair, bool) {
	var known []pair
	for _, p := range candidates {
		name := resolve(p.key).Value
		if _, ok := d.reg.Lookup(kind, name); ok {
			known = append(known, p)
			continue
		}
		code, what := CodeUnknownComponent, "unknown component"
		if len(candidates) > 1 {
			code, what = CodeUnknownKey, "unknown key or component"
		}
		d.problem(p.key, join(path, name), code, fmt.Sprintf("read %s: %s %s", path, what, quote(name)), d.componentHint(kind, name))
	}
	switch {
	case len(candidates) == 0:
		d.problemAt(d.places.find(path), path, CodeMissingKey, fmt.Sprintf("read %s: this %s has no component", path, kind), Suggest("", d.reg.Names(kind)))
	case len(known) > 1:
		d.problem(known[1].key, join(path, resolve(known[1].key).Value), CodeManyComponents,
			fmt.Sprintf("read %s: it has the component %q already", path, resolve(known[0].key).Value), fmt.Sprintf("a %s has exactly one component; make two %ss", kind, kind))
	}
	if len(known) != 1 {
		return pair{}, false
	}
	return known[0], true
}

func (d *decoder) componentHint(kind component.Kind, name string) string {
	for _, other := range []component.Kind{component.KindSpout, component.KindBolt, component.KindSink} {
		if _, ok := d.reg.Lookup(other, name); ok && other != kind {
			return fmt.Sprintf("%q is a %s, not a %s", name, other, kind)
		}
	}
	if kind != component.KindSpout && Closest(name, []string{"from"}) != "" {
		return Suggest(name, []string{"from"})
	}
	return Suggest(name, d.reg.Names(kind))
}

// settings reads a component's settings and has the component check them. Null is settings with nothing set: "log:".
func (d *decoder) settings(p pair, path string, kind component.Kind) any {
	name := resolve(p.key).Value
	definition, _ := d.reg.Lookup(kind, name)
	here := join(path, name)
	d.mark(here, p)
	config, before := definition.NewConfig(), d.errors
	v := reflect.ValueOf(config).Elem()
	if isNull(p.value) {
		d.structure(v, nil, here, positionOf(p.key))
	} else {
		d.value(v, p.value, here, field{})
	}
	if d.errors == before && definition.Check != nil {
		d.check(definition.Check(config), here)
	}
	if d.errors > before {
		return nil
	}
	return config
}

// check places what a component finds wrong with its settings.
func (d *decoder) check(problems []component.Problem, path string) {
	for _, p := range problems {
		full := join(path, p.Path)
		if p.Code == "" {
			p.Code = CodeValueInvalid
		}
		d.problemAt(d.places.nearest(full).within(p.Column, d.data), full, p.Code, p.Message, p.Hint)
	}
}

// Settings reads a component's settings from values as a file would have them, for what stands in files in another form.
// The settings are nil if there are problems.
func Settings(definition component.Definition, values map[string]string) (any, []component.Problem) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		n.Content = append(n.Content, textNode(key), &yaml.Node{Kind: yaml.ScalarNode, Value: values[key]})
	}
	d := newDefaults()
	config := definition.NewConfig()
	d.value(reflect.ValueOf(config).Elem(), n, "", field{})
	var problems []component.Problem
	for _, p := range d.problems {
		problems = append(problems, component.Problem{Path: p.Path, Code: p.Code, Message: p.Message, Hint: p.Hint})
	}
	if len(problems) == 0 && definition.Check != nil {
		problems = definition.Check(config)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return config, nil
}
