package manifest_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/manifest"
)

// declaredTypes is every type whose tags are a declaration, by name.
func declaredTypes() map[string]reflect.Type {
	types := map[string]reflect.Type{
		"Topic": reflect.TypeFor[api.Topic](), "Service": reflect.TypeFor[api.Service](),
		"Route": reflect.TypeFor[api.Route](), "Topology": reflect.TypeFor[api.Topology](),
	}
	for _, d := range all.Components().All() {
		types[string(d.Spec.Kind)+" "+d.Spec.Name] = reflect.TypeOf(d.NewConfig()).Elem()
	}
	return types
}

func TestEveryDefaultFitsItsField(t *testing.T) {
	for name, typ := range declaredTypes() {
		t.Run(name, func(t *testing.T) {
			manifest.Defaults(reflect.New(typ).Interface()) // panics if one does not
		})
	}
}

// TestEveryFieldIsDeclaredCompletely holds the tags to what the reference page and the schema need.
func TestEveryFieldIsDeclaredCompletely(t *testing.T) {
	known := map[string]bool{"yaml": true, "json": true, "doc": true, "default": true, "enum": true, "required": true, "example": true, "secret": true, "component": true, "names": true, "state": true}
	for name, typ := range declaredTypes() {
		eachField(typ, name, map[reflect.Type]bool{}, func(path string, f reflect.StructField) {
			if f.Tag.Get("yaml") == "" {
				t.Errorf("%s: no yaml tag", path)
			}
			if doc := f.Tag.Get("doc"); !strings.HasSuffix(doc, ".") {
				t.Errorf("%s: doc %q is not a sentence", path, doc)
			}
			for key := range tagKeys(f.Tag) {
				if !known[key] {
					t.Errorf("%s: tag %q means nothing", path, key)
				}
			}
			if required := f.Tag.Get("required"); required != "" && required != "true" {
				t.Errorf("%s: required is %q", path, required)
			}
			if def, ok := f.Tag.Lookup("default"); ok && f.Tag.Get("required") != "" {
				t.Errorf("%s: it is required and has the default %q", path, def)
			}
		})
	}
}

func eachField(t reflect.Type, path string, seen map[reflect.Type]bool, visit func(string, reflect.StructField)) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[api.Node]() || seen[t] {
		return
	}
	seen[t] = true
	for f := range t.Fields() {
		if !f.IsExported() {
			continue
		}
		visit(fmt.Sprintf("%s.%s", path, f.Name), f)
		eachField(f.Type, path+"."+f.Name, seen, visit)
	}
}

// tagKeys lists the keys of a struct tag. Values in our tags have no `:"` in them.
func tagKeys(tag reflect.StructTag) map[string]bool {
	keys := map[string]bool{}
	for _, part := range strings.Split(string(tag), `:"`) {
		fields := strings.Fields(part)
		if len(fields) > 0 {
			keys[fields[len(fields)-1]] = true
		}
	}
	for key := range keys {
		if _, ok := tag.Lookup(key); !ok {
			delete(keys, key)
		}
	}
	return keys
}

func TestComponentsOfOneNameOnTwoSidesAreTwoComponents(t *testing.T) {
	reg := all.Components()
	for _, kind := range []component.Kind{component.KindSpout, component.KindSink} {
		if _, ok := reg.Lookup(kind, "topic"); !ok {
			t.Errorf("there is no topic %s", kind)
		}
	}
}
