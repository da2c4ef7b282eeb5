package manifest

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What a value should have been, as messages say it.
const (
	wantText  = "text"
	wantBool  = "true or false"
	wantWhole = "a whole number"
	wantFloat = "a number"
	wantList  = "a list"
	wantMap   = "a mapping of keys to values"
)

func mismatchHint(n *yaml.Node, want string) string {
	n = resolve(n)
	switch {
	case n.Kind != yaml.ScalarNode:
		return ""
	case want == wantText:
		return `put it in quotes: "` + shorten(n.Value) + `"`
	case want == wantBool && slices.Contains([]string{"yes", "on", "y"}, strings.ToLower(n.Value)):
		return "write true"
	case want == wantBool && slices.Contains([]string{"no", "off", "n"}, strings.ToLower(n.Value)):
		return "write false"
	}
	return ""
}

// titled is a path as messages name it; the document itself has none.
func titled(path string) string {
	if path == "" {
		return "resource"
	}
	return path
}

// describe says what a value is, for "want …, got …".
func describe(n *yaml.Node) string {
	n = resolve(n)
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!int", "!!float":
		return "the number " + shorten(n.Value)
	case "!!bool":
		return shorten(n.Value)
	}
	return "text " + quote(n.Value)
}

// text reads a value that knows how to read itself.
func (d *decoder) text(v reflect.Value, n *yaml.Node, path string) {
	resolved := resolve(n)
	if resolved.Kind != yaml.ScalarNode {
		d.mismatch(n, path, wanted(v.Type()))
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(resolved.Value)); err != nil {
		d.problem(n, path, CodeValueInvalid, "read "+path+": "+strings.TrimPrefix(err.Error(), "read "), "")
	}
}

// wanted describes a type, for "want …".
func wanted(t reflect.Type) string {
	switch {
	case hasLongForm(t) && t.Kind() == reflect.Slice:
		return wantText + " or " + wantList
	case hasLongForm(t):
		return wantText + " or " + wantMap
	case isText(t):
		return wantText
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return wantMap
	case reflect.Slice:
		return wantList
	case reflect.Bool:
		return wantBool
	case reflect.Float32, reflect.Float64:
		return wantFloat
	case reflect.String:
		return wantText
	}
	return wantWhole
}

// scalar reads text, a number or a boolean. loose takes numbers and booleans as text if there is one way only to write
// them, so that 7 and true may stand where "7" and "true" are meant, but 0x7 and 007 must be put in quotes.
func (d *decoder) scalar(v reflect.Value, n *yaml.Node, path string, f field, loose bool) {
	resolved := resolve(n)
	tag := ""
	if resolved.Kind == yaml.ScalarNode {
		tag = resolved.ShortTag()
	}
	switch v.Kind() {
	case reflect.String:
		isString := tag == "!!str" || tag == "!!timestamp" || loose && isCanonical(resolved.Value, tag)
		if !isString {
			d.mismatch(n, path, wantText)
			return
		}
		v.SetString(resolved.Value)
		d.checkEnum(n, resolved.Value, path, f)
	case reflect.Bool:
		var b bool
		if tag != "!!bool" || resolved.Decode(&b) != nil {
			d.mismatch(n, path, wantBool)
			return
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		d.whole(v, n, path, tag)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		d.unsigned(v, n, path, tag)
	case reflect.Float32, reflect.Float64:
		d.float(v, n, path, tag)
	default:
		panic(fmt.Sprintf("read %s: fields of type %s are not supported", path, v.Type()))
	}
}

func isCanonical(text, tag string) bool {
	switch tag {
	case "!!int":
		i, err := strconv.ParseInt(text, 10, 64)
		return err == nil && strconv.FormatInt(i, 10) == text
	case "!!float":
		f, err := strconv.ParseFloat(text, 64)
		return err == nil && strconv.FormatFloat(f, 'f', -1, 64) == text
	case "!!bool":
		return text == "true" || text == "false"
	}
	return false
}

func (d *decoder) checkEnum(n *yaml.Node, value, path string, f field) {
	if len(f.enum) == 0 || slices.Contains(f.enum, value) {
		return
	}
	d.problem(n, path, CodeValueInvalid, "read "+path+" "+quote(value)+": not an allowed value", Suggest(value, f.enum))
}

func (d *decoder) whole(v reflect.Value, n *yaml.Node, path, tag string) {
	var i int64
	if tag != "!!int" || resolve(n).Decode(&i) != nil {
		d.mismatch(n, path, wantWhole)
		return
	}
	if v.OverflowInt(i) {
		d.outOfRange(n, path)
		return
	}
	v.SetInt(i)
}

func (d *decoder) unsigned(v reflect.Value, n *yaml.Node, path, tag string) {
	var u uint64
	if tag != "!!int" {
		d.mismatch(n, path, wantWhole)
		return
	}
	if resolve(n).Decode(&u) != nil || v.OverflowUint(u) {
		d.outOfRange(n, path)
		return
	}
	v.SetUint(u)
}

func (d *decoder) float(v reflect.Value, n *yaml.Node, path, tag string) {
	var f float64
	if tag != "!!int" && tag != "!!float" || resolve(n).Decode(&f) != nil {
		d.mismatch(n, path, wantFloat)
		return
	}
	if math.IsNaN(f) || math.IsInf(f, 0) || v.OverflowFloat(f) {
		d.outOfRange(n, path)
		return
	}
	v.SetFloat(f)
}

func (d *decoder) outOfRange(n *yaml.Node, path string) {
	d.problem(n, path, CodeValueInvalid, "read "+path+" "+quote(resolve(n).Value)+": out of range", "")
}

// anything reads a value whose shape the component itself decides on, as plain Go values.
func (d *decoder) anything(v reflect.Value, n *yaml.Node, path string) {
	var out any
	if err := resolve(n).Decode(&out); err != nil {
		d.problem(n, path, CodeValueInvalid, "read "+path+": "+strings.TrimPrefix(err.Error(), "yaml: "), "")
		return
	}
	if out != nil {
		v.Set(reflect.ValueOf(out))
	}
}
