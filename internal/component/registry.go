package component

import (
	"fmt"
	"maps"
	"slices"
)

// Registry is the set of components a program knows. It is a value: package all makes the full one, a test or a slim
// binary makes its own.
type Registry struct {
	byName map[Kind]map[string]Definition
}

// NewRegistry makes a registry of the given definitions. It panics on two of one name or one without a constructor,
// both mistakes of the programmer that the first start shows.
func NewRegistry(definitions ...Definition) *Registry {
	r := &Registry{byName: map[Kind]map[string]Definition{KindSpout: {}, KindBolt: {}, KindSink: {}}}
	for _, d := range definitions {
		if _, twice := r.byName[d.Spec.Kind][d.Spec.Name]; twice {
			panic(fmt.Sprintf("register %s %q: registered twice", d.Spec.Kind, d.Spec.Name))
		}
		if !d.Spec.Internal && d.NewBolt == nil && d.NewProcessor == nil && d.NewSpout == nil && d.NewSink == nil {
			panic(fmt.Sprintf("register %s %q: it has no constructor", d.Spec.Kind, d.Spec.Name))
		}
		r.byName[d.Spec.Kind][d.Spec.Name] = d
	}
	return r
}

// Lookup finds a component by kind and name.
func (r *Registry) Lookup(kind Kind, name string) (Definition, bool) {
	d, ok := r.byName[kind][name]
	return d, ok
}

// Names lists the components of a kind, sorted.
func (r *Registry) Names(kind Kind) []string { return slices.Sorted(maps.Keys(r.byName[kind])) }

// All lists every component, spouts first, then bolts, then sinks, each sorted by name.
func (r *Registry) All() []Definition {
	var all []Definition
	for _, kind := range []Kind{KindSpout, KindBolt, KindSink} {
		for _, name := range r.Names(kind) {
			all = append(all, r.byName[kind][name])
		}
	}
	return all
}
