package manifest

import (
	"encoding"
	"reflect"
	"strings"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
)

// field is one field of a struct as its tags declare it; see package api for the tags.
type field struct {
	name      string
	index     []int
	typ       reflect.Type
	doc       string
	def       string
	hasDef    bool
	enum      []string
	example   string
	required  bool
	secret    bool
	named     bool           // the keys of the map are names of nodes
	component component.Kind // of the nodes in the map, empty for every other field
}

// fieldCache keeps the fields of the types one Load has met.
type fieldCache map[reflect.Type][]field

func (c fieldCache) of(t reflect.Type) []field {
	fields, ok := c[t]
	if !ok {
		fields = fieldsOf(t)
		c[t] = fields
	}
	return fields
}

// fieldsOf lists the fields of a struct in the order they are declared, those of embedded structs in their place.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || f.Anonymous || name == "-" {
			continue
		}
		if name == "" {
			name = strings.ToLower(f.Name) // as the yaml package does
		}
		def, hasDef := f.Tag.Lookup("default")
		var enum []string
		if e, ok := f.Tag.Lookup("enum"); ok {
			enum = strings.Split(e, "|")
		}
		fields = append(fields, field{
			name: name, index: f.Index, typ: f.Type, doc: f.Tag.Get("doc"), def: def, hasDef: hasDef, enum: enum,
			example: f.Tag.Get("example"), required: f.Tag.Get("required") == "true", secret: f.Tag.Get("secret") == "true",
			component: component.Kind(f.Tag.Get("component")), named: f.Tag.Get("names") == "node",
		})
	}
	return fields
}

func namesOf(fields []field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

var (
	typeNode            = reflect.TypeFor[api.Node]()
	typeTextUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// isText says whether values of the type are read by their own UnmarshalText. If it is a struct with settings or a list,
// that text is a short form, as in "key: id" for "key: [id]"; see hasLongForm.
func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(typeTextUnmarshaler) }

// hasLongForm says whether a type that reads itself from text can be written out as well: a struct as a mapping, a slice
// as a list.
func hasLongForm(t reflect.Type) bool {
	return isText(t) && (t.Kind() == reflect.Slice || t.Kind() == reflect.Struct && len(fieldsOf(t)) > 0)
}

// isGroup says whether the type is a struct of further fields.
func isGroup(t reflect.Type) bool { return t.Kind() == reflect.Struct && !isText(t) && t != typeNode }
