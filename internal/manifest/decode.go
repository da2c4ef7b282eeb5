package manifest

import (
	"fmt"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
)

// decoder reads one document into Go values, and reports what does not fit.
type decoder struct {
	*loader
	file   string
	data   []byte
	places *places
	errors int // reported for this document
}

// pair is one key of a mapping and its value.
type pair struct{ key, value *yaml.Node }

func (d *decoder) problemAt(at position, path, code, message, hint string) {
	d.errors++
	d.report(Problem{File: d.file, Line: at.line, Column: at.column, Path: path, Code: code, Severity: SeverityError,
		Message: message, Hint: hint})
}

func (d *decoder) problem(n *yaml.Node, path, code, message, hint string) {
	d.problemAt(positionOf(n), path, code, message, hint)
}

func (d *decoder) mismatch(n *yaml.Node, path, want string) {
	d.problem(n, path, CodeTypeMismatch, "read "+titled(path)+": want "+want+", got "+describe(n), mismatchHint(n, want))
}

// resolve follows aliases. bounded has made sure that they end.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool {
	n = resolve(n)
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// bounded reports whether a document with all its aliases expanded keeps within the bounds, so that everything after it
// may walk the document without counting.
func (d *decoder) bounded(root *yaml.Node) bool {
	values := 0
	var walk func(n *yaml.Node, depth int) (code string)
	walk = func(n *yaml.Node, depth int) string {
		if values++; values > valuesMax {
			return CodeTooLarge
		}
		if depth > depthMax {
			return CodeTooDeep
		}
		if n.Kind == yaml.AliasNode {
			return walk(n.Alias, depth+1)
		}
		for _, c := range n.Content {
			if code := walk(c, depth+1); code != "" {
				return code
			}
		}
		return ""
	}
	switch walk(root, 0) {
	case CodeTooLarge:
		d.problem(root, "", CodeTooLarge, fmt.Sprintf("read document: more than %d values, aliases counted each time", valuesMax), "split it, or use fewer aliases")
		return false
	case CodeTooDeep:
		d.problem(root, "", CodeTooDeep, fmt.Sprintf("read document: nested deeper than %d levels", depthMax), "an alias must not contain itself")
		return false
	}
	return true
}

// pairs lists the keys of a mapping, with those of merged mappings ("<<") that it does not set itself.
func (d *decoder) pairs(n *yaml.Node, path string) []pair {
	n = resolve(n)
	var own, merged []pair
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolve(n.Content[i]), n.Content[i+1]
		switch first := seen[key.Value]; {
		case key.Kind != yaml.ScalarNode:
			d.problem(n.Content[i], path, CodeTypeMismatch, "read "+titled(path)+": want text as key, got "+describe(key), "")
		case key.ShortTag() == "!!merge":
			merged = append(merged, d.merged(value, path)...)
		case first != nil:
			d.problem(n.Content[i], join(path, key.Value), CodeDuplicateKey,
				fmt.Sprintf("read %s: key %s is written twice, first in line %d", titled(path), quote(key.Value), first.Line), "remove one of the two")
		default:
			seen[key.Value] = n.Content[i]
			own = append(own, pair{n.Content[i], value})
		}
	}
	for _, p := range merged {
		if key := resolve(p.key).Value; seen[key] == nil {
			seen[key] = p.key
			own = append(own, p)
		}
	}
	return own
}

// merged lists what "<<" brings in: the keys of one mapping, or of several, the first of which wins.
func (d *decoder) merged(value *yaml.Node, path string) []pair {
	from := resolve(value)
	switch from.Kind {
	case yaml.MappingNode:
		return d.pairs(from, path)
	case yaml.SequenceNode:
		var all []pair
		for _, c := range from.Content {
			all = append(all, d.merged(c, path)...)
		}
		return all
	}
	d.mismatch(value, join(path, "<<"), "a mapping to merge")
	return nil
}

// fill reads the keys of a mapping into a struct that into points to.
func (d *decoder) fill(into any, pairs []pair) {
	d.structure(reflect.ValueOf(into).Elem(), pairs, "", d.places.find(""))
}

// value reads any value. The place of path has been marked.
func (d *decoder) value(v reflect.Value, n *yaml.Node, path string, f field) {
	resolved := resolve(n)
	switch {
	case v.Type() == typeNode:
		d.problem(n, path, CodeTypeMismatch, "read "+titled(path)+": a component may not stand here", "")
	case v.Kind() == reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		d.pointed(p.Elem(), n, path, f)
		v.Set(p)
	case isText(v.Type()) && !isLongForm(v, resolved):
		d.text(v, n, path)
	case v.Kind() == reflect.Struct:
		if resolved.Kind != yaml.MappingNode {
			d.mismatch(n, path, wantMap)
			return
		}
		d.structure(v, d.pairs(n, path), path, d.places.find(path))
	case v.Kind() == reflect.Map:
		d.mapping(v, n, path, f)
	case v.Kind() == reflect.Slice:
		d.list(v, n, path, f)
	case v.Kind() == reflect.Interface:
		d.anything(v, n, path)
	default:
		d.scalar(v, n, path, f, false)
	}
}

// isLongForm says whether a type that also reads itself from text is written out here.
func isLongForm(v reflect.Value, n *yaml.Node) bool {
	return hasLongForm(v.Type()) && (v.Kind() == reflect.Struct && n.Kind == yaml.MappingNode || v.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode)
}

// pointed reads what a pointer points to. Text behind a pointer is a value to compare with or to hand on, not a name, so
// numbers and booleans are taken as they are written.
func (d *decoder) pointed(v reflect.Value, n *yaml.Node, path string, f field) {
	if v.Kind() == reflect.String && !isText(v.Type()) {
		d.scalar(v, n, path, f, true)
		return
	}
	d.value(v, n, path, f)
}

// structure reads the keys of a mapping into a struct and fills in the defaults of those that are not there.
func (d *decoder) structure(v reflect.Value, pairs []pair, path string, at position) {
	fields := d.fields.of(v.Type())
	given := make(map[string]bool, len(pairs))
	for _, p := range pairs {
		key := resolve(p.key).Value
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == key })
		if i < 0 {
			d.problem(p.key, join(path, key), CodeUnknownKey, "read "+titled(path)+": unknown key "+quote(key), Suggest(key, namesOf(fields)))
			continue
		}
		here := join(path, key)
		d.mark(here, p)
		if isNull(p.value) {
			continue // as if it were left out
		}
		given[key] = true
		f := fields[i]
		target := v.FieldByIndex(f.index)
		before := d.errors
		if f.component != "" {
			d.nodes(target, p.value, here, f.component)
		} else {
			d.value(target, p.value, here, f)
		}
		if f.required && isEmpty(target) && d.errors == before {
			d.problemAt(d.places.find(here), here, CodeMissingKey, "read "+here+": it is empty", exampleHint(f))
		}
	}
	for _, f := range fields {
		if given[f.name] {
			continue
		}
		if f.required {
			d.problemAt(at, join(path, f.name), CodeMissingKey, "read "+titled(path)+": key "+quote(f.name)+" is missing", exampleHint(f))
		}
		d.absent(v.FieldByIndex(f.index), f)
	}
}

func exampleHint(f field) string {
	switch {
	case f.example != "":
		return "for example: " + f.name + ": " + f.example
	case len(f.enum) > 0:
		return Suggest("", f.enum)
	}
	return f.doc
}

// isEmpty says whether a value that must be there is there in name only.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		return v.Len() == 0
	}
	return false
}

// mark remembers the place of a value: a scalar at itself, everything larger at its key.
func (d *decoder) mark(path string, p pair) {
	switch {
	case p.value.Kind == yaml.ScalarNode:
		d.places.markScalar(path, p.value)
	case p.value.Kind == yaml.AliasNode:
		d.places.mark(path, positionOf(p.value))
	default:
		d.places.mark(path, positionOf(p.key))
	}
}

func (d *decoder) markItem(path string, n *yaml.Node) { d.mark(path, pair{key: n, value: n}) }

// absent fills in what a field holds when it is left out: its default, or the defaults of the fields in it.
func (d *decoder) absent(v reflect.Value, f field) {
	switch {
	case f.hasDef:
		setDefault(v, f)
	case isGroup(v.Type()):
		for _, inner := range d.fields.of(v.Type()) {
			d.absent(v.FieldByIndex(inner.index), inner)
		}
	}
}

// Defaults fills every field of a settings struct with its default, as if nothing of it were written.
func Defaults(settings any) {
	v := reflect.ValueOf(settings).Elem()
	for _, f := range fieldsOf(v.Type()) {
		newDefaults().absent(v.FieldByIndex(f.index), f)
	}
}

func newDefaults() *decoder { return &decoder{loader: newLoader(nil), places: newPlaces("")} }

// setDefault reads a default as it would be written in a file. A default that does not fit its own field is a mistake of
// the programmer which the test of all declarations finds.
func setDefault(v reflect.Value, f field) {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: f.def}
	if v.Kind() != reflect.String && !isText(v.Type()) {
		var document yaml.Node
		if err := yaml.Unmarshal([]byte(f.def), &document); err != nil || len(document.Content) == 0 {
			panic(fmt.Sprintf("read default %q of %q: not YAML", f.def, f.name))
		}
		n = document.Content[0]
	}
	d := newDefaults()
	d.value(v, n, f.name, f)
	if d.errors > 0 {
		panic("read default: " + d.problems[0].Message)
	}
}

// mapping reads a map with text as keys.
func (d *decoder) mapping(v reflect.Value, n *yaml.Node, path string, f field) {
	if resolve(n).Kind != yaml.MappingNode {
		d.mismatch(n, path, wantMap)
		return
	}
	pairs := d.pairs(n, path)
	m := reflect.MakeMapWithSize(v.Type(), len(pairs))
	for _, p := range pairs {
		key := resolve(p.key).Value
		here := join(path, key)
		d.mark(here, p)
		if f.named {
			d.checkNodeName(p.key, here, "name")
		}
		item := reflect.New(v.Type().Elem()).Elem()
		d.item(item, p.value, here, f)
		m.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), item)
	}
	v.Set(m)
}

// list reads a list.
func (d *decoder) list(v reflect.Value, n *yaml.Node, path string, f field) {
	resolved := resolve(n)
	if resolved.Kind != yaml.SequenceNode {
		d.mismatch(n, path, wantList)
		return
	}
	s := reflect.MakeSlice(v.Type(), len(resolved.Content), len(resolved.Content))
	for i, c := range resolved.Content {
		here := fmt.Sprintf("%s[%d]", path, i)
		d.markItem(here, c)
		d.item(s.Index(i), c, here, f)
	}
	v.Set(s)
}

// item reads one value of a list or map. Text in them is data to hand on, so numbers and booleans are taken as written.
func (d *decoder) item(v reflect.Value, n *yaml.Node, path string, f field) {
	inner := field{enum: f.enum}
	switch {
	case isNull(n):
		d.mismatch(n, path, wanted(v.Type()))
	case v.Kind() == reflect.String && !isText(v.Type()):
		d.scalar(v, n, path, inner, true)
	default:
		d.value(v, n, path, inner)
	}
}
