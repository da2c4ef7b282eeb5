package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"ravenswood.dev/api"
)

// redacted stands where a secret would.
const redacted = "(secret)"

// Effective prints every resource as YAML with all defaults filled in and all secrets left out.
func (s *Set) Effective() []byte {
	var all [][]byte
	for _, t := range s.Topics {
		all = append(all, t.Effective())
	}
	for _, v := range s.Services {
		all = append(all, v.Effective())
	}
	for _, r := range s.Routes {
		all = append(all, r.Effective())
	}
	for _, t := range s.Topologies {
		all = append(all, t.Effective())
	}
	return bytes.Join(all, []byte("---\n"))
}

// Effective prints the topic as YAML with all defaults filled in.
func (t Topic) Effective() []byte { return printResource(api.KindTopic, t.Topic, false) }

// Effective prints the service as YAML with all defaults filled in and all secrets left out.
func (s Service) Effective() []byte { return printResource(api.KindService, s.Service, false) }

// Effective prints the route as YAML with all defaults filled in.
func (r Route) Effective() []byte { return printResource(api.KindRoute, r.Route, false) }

// Effective prints the topology as YAML with all defaults filled in and all secrets left out.
func (t Topology) Effective() []byte { return printResource(api.KindTopology, t.Topology, false) }

// Fingerprint is the SHA-256 of the effective config, as hex. It does not depend on the order of keys, on comments or on
// whether a default was written out.
func (t Topic) Fingerprint() string { return fingerprint(api.KindTopic, t.Topic) }

// Fingerprint is the SHA-256 of the effective config, as hex; secrets take part in it, so that a changed one shows.
func (s Service) Fingerprint() string { return fingerprint(api.KindService, s.Service) }

// Fingerprint is the SHA-256 of the effective config, as hex.
func (r Route) Fingerprint() string { return fingerprint(api.KindRoute, r.Route) }

// Fingerprint is the SHA-256 of the effective config, as hex; secrets take part in it, so that a changed one shows.
func (t Topology) Fingerprint() string { return fingerprint(api.KindTopology, t.Topology) }

func fingerprint(kind string, resource any) string {
	sum := sha256.Sum256(printResource(kind, resource, true))
	return hex.EncodeToString(sum[:])
}

func printResource(kind string, resource any, secrets bool) []byte {
	p := printer{secrets: secrets}
	body := p.group(reflect.ValueOf(resource))
	head := []*yaml.Node{textNode("apiVersion"), textNode(api.Version), textNode("kind"), textNode(kind)}
	body.Content = append(head, body.Content...)
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(body); err != nil {
		panic("print resource: " + err.Error()) // the nodes are our own
	}
	return out.Bytes()
}

// printer turns Go values into YAML, the reverse of decoder.
type printer struct{ secrets bool }

func textNode(s string) *yaml.Node {
	var n yaml.Node
	n.SetString(s)
	return &n
}

func plainNode(tag, s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: s}
}

func (p printer) group(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range fieldsOf(v.Type()) {
		value := v.FieldByIndex(f.index)
		if left(value, f) {
			continue
		}
		inner := p.value(value)
		if f.secret && !p.secrets {
			redact(inner)
		}
		n.Content = append(n.Content, textNode(f.name), inner)
	}
	return n
}

// left says whether a field is left out: it holds nothing, and nothing is what leaving it out means.
func left(v reflect.Value, f field) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return v.IsNil()
	case reflect.Slice, reflect.Map, reflect.String:
		return v.Len() == 0 && !f.hasDef
	}
	return false
}

func (p printer) value(v reflect.Value) *yaml.Node {
	if v.Type() == typeNode {
		return p.node(v.Interface().(api.Node))
	}
	if m, ok := reflect.TypeAssert[encoding.TextMarshaler](v); ok && v.Kind() != reflect.Pointer {
		text, err := m.MarshalText()
		if err != nil {
			panic("print value: " + err.Error())
		}
		return textNode(string(text))
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return p.value(v.Elem())
	case reflect.Struct:
		return p.group(v)
	case reflect.Map:
		return p.mapping(v)
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			n.Content = append(n.Content, p.value(v.Index(i)))
		}
		return n
	}
	return scalarNode(v)
}

func scalarNode(v reflect.Value) *yaml.Node {
	switch v.Kind() {
	case reflect.Bool:
		return plainNode("!!bool", strconv.FormatBool(v.Bool()))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return plainNode("!!int", strconv.FormatInt(v.Int(), 10))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return plainNode("!!int", strconv.FormatUint(v.Uint(), 10))
	case reflect.Float32, reflect.Float64:
		return plainNode("!!float", strconv.FormatFloat(v.Float(), 'f', -1, v.Type().Bits()))
	case reflect.String:
		return textNode(v.String())
	}
	panic(fmt.Sprintf("print value: type %s is not supported", v.Type()))
}

func (p printer) mapping(v reflect.Value) *yaml.Node {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return bytes.Compare([]byte(a.String()), []byte(b.String())) })
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, k := range keys {
		n.Content = append(n.Content, textNode(k.String()), p.value(v.MapIndex(k)))
	}
	return n
}

func (p printer) node(node api.Node) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	if len(node.From) > 0 {
		n.Content = append(n.Content, textNode("from"), p.value(reflect.ValueOf(node.From)))
	}
	if node.Config != nil {
		n.Content = append(n.Content, textNode(node.Component), p.value(reflect.ValueOf(node.Config)))
	}
	return n
}

// redact hides every value but keeps the names, which say that there is one.
func redact(n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 1; i < len(n.Content); i += 2 {
			redact(n.Content[i])
		}
	case yaml.SequenceNode:
		for _, c := range n.Content {
			redact(c)
		}
	default:
		if n.Value != "" {
			n.SetString(redacted)
		}
	}
}
