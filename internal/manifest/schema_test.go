package manifest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/manifest"
)

// validator checks values against the part of JSON Schema that we write.
type validator struct{ root map[string]any }

func newValidator(t *testing.T, reg *component.Registry) validator {
	t.Helper()
	var root map[string]any
	if err := json.Unmarshal(manifest.JSONSchema(reg), &root); err != nil {
		t.Fatalf("schema is not JSON: %v", err)
	}
	return validator{root}
}

// errors lists why a value does not fit; nil if it does. Keywords that it does not know are an error too.
func (v validator) errors(s map[string]any, value any, path string) (errs []string) {
	fail := func(format string, args ...any) { errs = append(errs, path+": "+fmt.Sprintf(format, args...)) }
	object, isObject := value.(map[string]any)
	for keyword, arg := range s {
		switch keyword {
		case "$schema", "$id", "$defs", "title", "description", "default", "examples", "then":
		case "$ref":
			errs = append(errs, v.errors(v.resolve(arg.(string)), value, path)...)
		case "type":
			if !hasType(arg, value) {
				fail("%v is not of type %v", value, arg)
			}
		case "const":
			if !reflect.DeepEqual(arg, value) {
				fail("%v is not %v", value, arg)
			}
		case "enum":
			if !slices.Contains(arg.([]any), value) {
				fail("%v is none of %v", value, arg)
			}
		case "required":
			for _, name := range arg.([]any) {
				if _, ok := object[name.(string)]; isObject && !ok {
					fail("%v is missing", name)
				}
			}
		case "properties":
			for name, inner := range arg.(map[string]any) {
				if got, ok := object[name]; ok {
					errs = append(errs, v.errors(inner.(map[string]any), got, path+"."+name)...)
				}
			}
		case "additionalProperties":
			known, _ := s["properties"].(map[string]any)
			for name, got := range object {
				if _, ok := known[name]; ok {
					continue
				}
				if inner, ok := arg.(map[string]any); ok {
					errs = append(errs, v.errors(inner, got, path+"."+name)...)
				} else {
					fail("%s is unknown", name)
				}
			}
		case "propertyNames":
			for name := range object {
				errs = append(errs, v.errors(arg.(map[string]any), name, path)...)
			}
		case "items":
			list, _ := value.([]any)
			for i, got := range list {
				errs = append(errs, v.errors(arg.(map[string]any), got, fmt.Sprintf("%s[%d]", path, i))...)
			}
		case "oneOf":
			fits := 0
			for _, choice := range arg.([]any) {
				if v.errors(choice.(map[string]any), value, path) == nil {
					fits++
				}
			}
			if fits != 1 {
				fail("%d choices fit", fits)
			}
		case "allOf":
			for _, part := range arg.([]any) {
				errs = append(errs, v.errors(part.(map[string]any), value, path)...)
			}
		case "if":
			if v.errors(arg.(map[string]any), value, path) == nil {
				errs = append(errs, v.errors(s["then"].(map[string]any), value, path)...)
			}
		case "pattern":
			if !regexp.MustCompile(arg.(string)).MatchString(value.(string)) {
				fail("%v does not match", value)
			}
		case "minLength", "minItems", "minProperties", "maxLength":
			n := reflect.ValueOf(value)
			if k := n.Kind(); k != reflect.String && k != reflect.Slice && k != reflect.Map {
				continue
			}
			if limit := int(arg.(float64)); strings.HasPrefix(keyword, "min") && n.Len() < limit || keyword == "maxLength" && n.Len() > limit {
				fail("%s %d", keyword, limit)
			}
		default:
			fail("keyword %s is not known", keyword)
		}
	}
	return errs
}

func (v validator) resolve(ref string) map[string]any {
	def, ok := v.root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	if !ok {
		return map[string]any{"unresolved": ref}
	}
	return def
}

func hasType(want, value any) bool {
	if several, ok := want.([]any); ok {
		return slices.ContainsFunc(several, func(w any) bool { return hasType(w, value) })
	}
	switch v := value.(type) {
	case nil:
		return want == "null"
	case string:
		return want == "string"
	case bool:
		return want == "boolean"
	case float64:
		return want == "number" || want == "integer" && v == math.Trunc(v)
	case []any:
		return want == "array"
	case map[string]any:
		return want == "object"
	}
	return false
}

// documents reads YAML as the plain values an editor would check.
func documents(t *testing.T, text []byte) (all []any) {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var v any
		if d.Decode(&v) != nil {
			return all
		}
		if v == nil {
			continue
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var plain any
		if err := json.Unmarshal(text, &plain); err != nil {
			t.Fatal(err)
		}
		all = append(all, plain)
	}
}

func TestSchemaAcceptsWhatLoadAccepts(t *testing.T) {
	v := newValidator(t, fakes())
	set, _ := manifest.Load(filepath.Join("testdata", "good"), fakes())
	texts := map[string][]byte{
		"files":     set.Effective(),
		"all types": []byte(topology(`{from: in, bench: {maybe: 0, equals: 7, list: [1, a, true], waits: [0, 1s], set: {a: 7}, option: {}, rules: [{when: a}], named: {r: {when: a}}, any: [1], percent: 10, names: a, columns: {c: x, d: {field: y, type: text}}}}`)),
		"null":      []byte(topology(`{from: [in], log: }`)),
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			for i, d := range documents(t, text) {
				if errs := v.errors(v.root, d, fmt.Sprint(i)); errs != nil {
					t.Errorf("refused: %v", errs)
				}
			}
		})
	}
}

func TestSchemaRefusesWhatLoadRefuses(t *testing.T) {
	v := newValidator(t, fakes())
	texts := map[string]string{
		"unknown kind":      "apiVersion: ravenswood.dev/v1alpha1\nkind: Topci\nmetadata: {name: a}\n",
		"unknown version":   "apiVersion: v1\nkind: Topic\nmetadata: {name: a}\n",
		"no name":           "apiVersion: ravenswood.dev/v1alpha1\nkind: Topic\nmetadata: {}\n",
		"unknown key":       topology(`{from: in, bench: {txet: a}}`),
		"not allowed":       topology(`{from: in, bench: {mode: fats}}`),
		"wrong type":        topology(`{from: in, bench: {list: a}}`),
		"long form":         topology(`{from: in, bench: {columns: {c: {type: text}}}}`),
		"neither form":      topology(`{from: in, bench: {columns: {c: [a]}}}`),
		"required":          topology(`{from: in, bench: {rules: [{}]}}`),
		"unknown component": topology(`{from: in, cal: {}}`),
		"two components":    topology(`{from: in, log: {}, bench: {}}`),
		"no component":      topology(`{from: in}`),
		"no from":           topology(`{log: {}}`),
		"null settings":     topology(`{from: in, call: }`),
		"node name":         strings.Replace(topology(`{from: in, log: }`), "one: {", "a.b: {", 1),
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			if _, problems := parse(t, text); len(problems) == 0 {
				t.Error("Load accepts it")
			}
			for _, d := range documents(t, []byte(text)) {
				if v.errors(v.root, d, "") == nil {
					t.Error("the schema accepts it")
				}
			}
		})
	}
}

// TestExamplesOfAllComponentsAreAccepted reads each example of each component as a node of a topology.
func TestExamplesOfAllComponentsAreAccepted(t *testing.T) {
	reg := all.Components()
	v := newValidator(t, reg)
	for _, d := range reg.All() {
		if len(d.Spec.Examples) == 0 || d.Spec.Summary == "" {
			t.Errorf("%s %s has no example or summary", d.Spec.Kind, d.Spec.Name)
		}
		for _, e := range d.Spec.Examples {
			t.Run(string(d.Spec.Kind)+" "+d.Spec.Name+" "+e.Title, func(t *testing.T) {
				text := exampleResource(d.Spec.Kind, e.YAML)
				set, problems := manifest.Parse("example.yaml", t.TempDir(), []byte(text), reg)
				if len(problems) > 0 {
					t.Fatalf("refused: %+v\n%s", problems, text)
				}
				for _, doc := range documents(t, []byte(text)) {
					if errs := v.errors(v.root, doc, ""); errs != nil {
						t.Errorf("refused by the schema: %v", errs)
					}
				}
				if _, problems := manifest.Parse("effective.yaml", t.TempDir(), set.Effective(), reg); len(problems) > 0 {
					t.Errorf("its effective config is refused: %+v\n%s", problems, set.Effective())
				}
			})
		}
	}
}

func exampleResource(kind component.Kind, example string) string {
	indent := strings.ReplaceAll(strings.TrimSpace(example), "\n", "\n      ")
	nodes := map[component.Kind]string{
		component.KindSpout: "    in:\n      topic: {name: a}\n",
		component.KindBolt:  "",
		component.KindSink:  "    out:\n      from: in\n      topic: {name: b}\n",
	}
	node := "    example:\n      " + indent + "\n"
	if kind != component.KindSpout {
		node = "    example:\n      from: in\n      " + indent + "\n"
	}
	nodes[kind] += node
	text := "apiVersion: ravenswood.dev/v1alpha1\nkind: Topology\nmetadata: {name: t}\nspec:\n"
	for _, k := range []component.Kind{component.KindSpout, component.KindBolt, component.KindSink} {
		if nodes[k] != "" {
			text += "  " + string(k) + "s:\n" + nodes[k]
		}
	}
	return text
}
