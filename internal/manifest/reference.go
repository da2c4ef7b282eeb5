package manifest

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
)

const generatedNote = "<!-- Generated from the declarations in the code. Do not edit; see docs/internals/manifest.md. -->\n\n"

// Reference is the reference pages in Markdown by file name: kinds.md for what a file holds, components.md for the
// spouts, bolts and sinks.
func Reference(reg *component.Registry) map[string][]byte {
	return map[string][]byte{"kinds.md": kindsPage(), "components.md": componentsPage(reg)}
}

func kindsPage() []byte {
	var b bytes.Buffer
	b.WriteString("# Kinds\n\n" + generatedNote)
	fmt.Fprintf(&b, "A resource file holds one or several YAML documents, each one resource. Every document begins with\n"+
		"`apiVersion: %s` and `kind`. An unknown key is an error.\n", api.Version)
	for _, k := range declarations() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", k.kind, k.summary)
		writeFields(&b, k.typ)
		fmt.Fprintf(&b, "\nFor example:\n\n```yaml\n%s```\n", k.example)
	}
	b.WriteString("\n" + valuesSection)
	return b.Bytes()
}

const valuesSection = `## How values are written

| what | written as |
|---|---|
| duration | a number and a unit: ` + "`250ms`, `2s`, `5m`, `12h`, `7d`" + ` |
| size | bytes, or a number and a unit (powers of 1024): ` + "`512`, `64KB`, `1MB`, `2GB`" + ` |
| percentage | from 0 to 100, with or without the sign: ` + "`10%`, `12.5%`" + ` |
| text | text; a number or ` + "`true`" + ` must be put in quotes, except as a value in a list or map |

Anchors, aliases and merge keys (` + "`<<`" + `) may be used.
`

func componentsPage(reg *component.Registry) []byte {
	var b bytes.Buffer
	b.WriteString("# Components\n\n" + generatedNote)
	b.WriteString("What stands under a name in `spouts`, `bolts` and `sinks` of a topology: exactly one component with its settings,\n" +
		"and in bolts and sinks `from`, which names what feeds them.\n")
	writeOverview(&b, reg)
	for _, d := range reg.All() {
		writeComponent(&b, d)
	}
	return b.Bytes()
}

func writeOverview(b *bytes.Buffer, reg *component.Registry) {
	b.WriteString("\n| component | side | what it does |\n|---|---|---|\n")
	for _, d := range reg.All() {
		anchor := strings.ToLower(d.Spec.Name) + "-" + string(d.Spec.Kind)
		fmt.Fprintf(b, "| [%s](#%s) | %s | %s |\n", d.Spec.Name, anchor, d.Spec.Kind, cell(d.Spec.Summary))
	}
}

func writeComponent(b *bytes.Buffer, d component.Definition) {
	fmt.Fprintf(b, "\n## %s %s\n\n%s\n", d.Spec.Name, d.Spec.Kind, d.Spec.Summary)
	if doc := strings.TrimSpace(d.Spec.Doc); doc != "" {
		fmt.Fprintf(b, "\n%s\n", doc)
	}
	b.WriteString("\n")
	writeFields(b, reflect.TypeOf(d.NewConfig()).Elem())
	if len(d.Spec.Outputs) > 0 {
		fmt.Fprintf(b, "\nFurther outputs: `%s`.\n", strings.Join(d.Spec.Outputs, "`, `"))
	}
	for _, e := range d.Spec.Examples {
		fmt.Fprintf(b, "\n%s:\n\n```yaml\n%s\n```\n", e.Title, strings.TrimSpace(e.YAML))
	}
}

// writeFields writes one table of all fields, those within others by their path.
func writeFields(b *bytes.Buffer, t reflect.Type) {
	if !isGroup(t) {
		fmt.Fprintf(b, "Written as %s.\n", typeName(t, field{}))
		return
	}
	if len(fieldsOf(t)) == 0 {
		b.WriteString("It has no settings.\n")
		return
	}
	b.WriteString("| key | type | default | what it is |\n|---|---|---|---|\n")
	writeRows(b, t, "")
}

func writeRows(b *bytes.Buffer, t reflect.Type, prefix string) {
	for _, f := range fieldsOf(t) {
		path := join(prefix, f.name)
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", path, cell(typeName(f.typ, f)), defaultCell(f), cell(f.doc)+exampleCell(f))
		inner, suffix := innerGroup(f.typ)
		if inner != nil {
			writeRows(b, inner, path+suffix)
		}
	}
}

// innerGroup finds the struct within a field, if there is one, and how a path goes on into it.
func innerGroup(t reflect.Type) (inner reflect.Type, suffix string) {
	switch {
	case isGroup(t), t.Kind() == reflect.Struct && hasLongForm(t):
		return t, ""
	case t.Kind() == reflect.Pointer:
		return innerGroup(t.Elem())
	case t.Kind() == reflect.Slice:
		inner, suffix = innerGroup(t.Elem())
		return inner, "[]" + suffix
	case t.Kind() == reflect.Map:
		inner, suffix = innerGroup(t.Elem())
		return inner, ".*" + suffix
	}
	return nil, ""
}

func typeName(t reflect.Type, f field) string {
	switch {
	case t == reflect.TypeFor[api.Duration]():
		return "duration"
	case t == reflect.TypeFor[api.Size]():
		return "size"
	case t == reflect.TypeFor[api.Percent]():
		return "percentage"
	case t == typeNode:
		return string(f.component)
	case len(f.enum) > 0 && t.Kind() == reflect.String:
		return "`" + strings.Join(f.enum, "`, `") + "`"
	case hasLongForm(t):
		return "text or " + kindName(t, f)
	case isText(t):
		return "text"
	}
	return kindName(t, f)
}

func kindName(t reflect.Type, f field) string {
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem(), f)
	case reflect.Slice:
		return "list of " + plural(typeName(t.Elem(), f))
	case reflect.Map:
		return "map of names to " + typeName(t.Elem(), f)
	case reflect.Struct:
		return "mapping"
	case reflect.Bool:
		return "`true`, `false`"
	case reflect.String:
		return "text"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Interface:
		return "any"
	}
	return "whole number"
}

// plural is the name of a type for several of them; text has none, nor have listed values.
func plural(name string) string {
	if name == "text" || strings.Contains(name, "`") || strings.Contains(name, " ") {
		return name
	}
	return name + "s"
}

func defaultCell(f field) string {
	switch {
	case f.required:
		return "*required*"
	case f.hasDef && f.def != "":
		return "`" + cell(f.def) + "`"
	}
	return ""
}

func exampleCell(f field) string {
	if f.example == "" {
		return ""
	}
	return " Example: `" + cell(f.example) + "`."
}

// cell keeps text from breaking a table.
func cell(s string) string { return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s) }
