package manifest

import (
	_ "embed"
	"encoding/json"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
)

// JSONSchema is a schema (draft 2020-12) of every kind with the settings of every component, for editors. Whatever the
// schema allows, Load may still refuse: a schema cannot compile expressions or look other resources up.
func JSONSchema(reg *component.Registry) []byte {
	defs := map[string]schema{}
	root := schema{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"$id":         "https://ravenswood.dev/schema/v1alpha1.json",
		"title":       "Ravenswood resources",
		"description": "One document of a resource file: a Topic, Service, Route or Topology.",
		"type":        "object",
		"required":    []string{"apiVersion", "kind", "metadata"},
		"properties": map[string]schema{
			"apiVersion": {"const": api.Version},
			"kind":       {"enum": kinds()},
		},
		"$defs": defs,
	}
	var choices []schema
	for _, k := range declarations() {
		defs[k.kind] = resourceSchema(k)
		choices = append(choices, schema{
			"if":   schema{"required": []string{"kind"}, "properties": map[string]schema{"kind": {"const": k.kind}}},
			"then": ref(k.kind),
		})
	}
	root["allOf"] = choices
	for _, kind := range []component.Kind{component.KindSpout, component.KindBolt, component.KindSink} {
		defs[string(kind)] = nodeSchema(kind, reg)
	}
	for _, d := range reg.All() {
		defs[componentDef(d)] = settingsSchema(d)
	}
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic("print schema: " + err.Error()) // it is made of text, lists and maps
	}
	return append(out, '\n')
}

// schema is a JSON Schema as data.
type schema map[string]any

func ref(def string) schema { return schema{"$ref": "#/$defs/" + def} }

// declaration is a kind and the type that declares it.
type declaration struct {
	kind    string
	typ     reflect.Type
	summary string
	example string
}

//go:embed examples/topic.yaml
var topicExample string

//go:embed examples/service.yaml
var serviceExample string

//go:embed examples/route.yaml
var routeExample string

//go:embed examples/topology.yaml
var topologyExample string

func declarations() []declaration {
	return []declaration{
		{api.KindTopic, reflect.TypeFor[api.Topic](), "A topic of the log.", topicExample},
		{api.KindService, reflect.TypeFor[api.Service](), "An HTTP service that enriches records, with all its versions side by side.", serviceExample},
		{api.KindRoute, reflect.TypeFor[api.Route](), "How a call picks a version of a service: switch, then rules, then split, then default.", routeExample},
		{api.KindTopology, reflect.TypeFor[api.Topology](), "A graph of spouts, bolts and sinks.", topologyExample},
	}
}

func resourceSchema(k declaration) schema {
	s := groupSchema(k.typ)
	properties := s["properties"].(map[string]schema)
	properties["apiVersion"] = schema{"const": api.Version}
	properties["kind"] = schema{"const": k.kind}
	s["description"] = k.summary
	return s
}

func componentDef(d component.Definition) string { return string(d.Spec.Kind) + "." + d.Spec.Name }

// nodeSchema is a spout, bolt or sink: from, and exactly one component.
func nodeSchema(kind component.Kind, reg *component.Registry) schema {
	properties := map[string]schema{}
	var choices []schema
	for _, name := range reg.Names(kind) {
		properties[name] = ref(string(kind) + "." + name)
		choices = append(choices, schema{"required": []string{name}})
	}
	s := schema{"type": "object", "additionalProperties": false, "properties": properties}
	if len(choices) > 0 {
		s["oneOf"] = choices
	}
	if kind != component.KindSpout {
		text := schema{"type": "string"}
		properties["from"] = schema{
			"description": "What feeds this " + string(kind) + ": a spout or bolt, one output of a bolt as \"bolt.output\", or a list of them.",
			"oneOf":       []schema{text, {"type": "array", "items": text, "minItems": 1}},
		}
		s["required"] = []string{"from"}
	}
	return s
}

func settingsSchema(d component.Definition) schema {
	settings := reflect.TypeOf(d.NewConfig()).Elem()
	s := valueSchema(settings, field{}, false)
	s["description"] = d.Spec.Summary
	if _, needs := s["required"]; !needs && isGroup(settings) {
		s["type"] = []string{"object", "null"} // "log:" has settings too, all of them defaults
	}
	return s
}

func groupSchema(t reflect.Type) schema {
	properties := map[string]schema{}
	s := schema{"type": "object", "additionalProperties": false, "properties": properties}
	var required []string
	for _, f := range fieldsOf(t) {
		properties[f.name] = fieldSchema(f)
		if f.required {
			required = append(required, f.name)
		}
	}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

func fieldSchema(f field) schema {
	s := valueSchema(f.typ, f, false)
	if f.doc != "" {
		s["description"] = f.doc
	}
	if f.hasDef {
		s["default"] = plain(f.def, f.typ)
	}
	if f.example != "" {
		s["examples"] = []any{plain(f.example, f.typ)}
	}
	if f.required {
		switch f.typ.Kind() {
		case reflect.String:
			s["minLength"] = 1
		case reflect.Slice:
			s["minItems"] = 1
		case reflect.Map:
			s["minProperties"] = 1
		}
	}
	return s
}

// plain is a value of a tag as JSON has it: text for fields that read text, else whatever its YAML says.
func plain(text string, t reflect.Type) any {
	if t.Kind() == reflect.String || isText(t) && !hasLongForm(t) {
		return strings.Trim(text, "'")
	}
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		return text
	}
	return v
}

// valueSchema is the schema of a type. loose says that numbers and booleans may stand for text, as the decoder has it.
func valueSchema(t reflect.Type, f field, loose bool) schema {
	switch {
	case t == typeNode:
		return ref(string(f.component))
	case t.Kind() == reflect.Pointer:
		return valueSchema(t.Elem(), f, true)
	case hasLongForm(t):
		return schema{"oneOf": []schema{{"type": []string{"string", "number", "boolean"}}, writtenOut(t, f, loose)}}
	case isText(t):
		return schema{"type": []string{"string", "number"}}
	}
	return writtenOut(t, f, loose)
}

// writtenOut is the schema of a type that is not read from its own text.
func writtenOut(t reflect.Type, f field, loose bool) schema {
	switch t.Kind() {
	case reflect.Struct:
		return groupSchema(t)
	case reflect.Map:
		names := schema{"type": "object", "additionalProperties": valueSchema(t.Elem(), field{enum: f.enum, component: f.component}, true)}
		if f.component != "" || f.named {
			names["propertyNames"] = schema{"pattern": nodeName.String(), "maxLength": nameMax}
		}
		return names
	case reflect.Slice:
		return schema{"type": "array", "items": valueSchema(t.Elem(), field{enum: f.enum}, true)}
	case reflect.String:
		return textSchema(f, loose)
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return schema{"type": "number"}
	case reflect.Interface:
		return schema{}
	}
	return schema{"type": "integer"}
}

func textSchema(f field, loose bool) schema {
	switch {
	case len(f.enum) > 0:
		return schema{"enum": f.enum}
	case loose:
		return schema{"type": []string{"string", "number", "boolean"}}
	}
	return schema{"type": "string"}
}
