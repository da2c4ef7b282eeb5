package stream

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strconv"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
)

// region is a set of operators without state that are one bolt: records are read once where they enter and written once
// per output.
//
//	orders ─▶ filter ─▶ map ─┬─▶ (sink)
//	                         └─▶ rekey ─▶ (aggregate)
type region struct {
	name  string
	heads []consumer // inputs by which records enter, all of the same bytes
	nodes []*node
	exits []exit
}

// exit is an output of a region: a node's output as bytes.
type exit struct {
	source
	as   *shape
	copy int // how many times the taker has taken the same before
	name string
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// fuse finds the regions.
func (g *graph) fuse() {
	g.split()
	if g.cutRekeyed() {
		g.split()
	}
	for _, r := range g.all {
		r.open(g)
	}
}

func (g *graph) split() {
	g.regions, g.all = map[*node]*region{}, nil
	bySource := map[source]*region{}
	for _, n := range g.nodes {
		if n.kind == freeNode {
			g.regionOf(n, bySource)
		}
	}
}

// regionOf is the region of a node: that of what feeds it, if that is one, else a new one. Nodes that begin at one output of
// a bolt share a region, so that its records are read once.
func (g *graph) regionOf(n *node, bySource map[source]*region) *region {
	if r := g.regions[n]; r != nil {
		return r
	}
	r := g.upstream(n, bySource)
	if r == nil {
		one := n.oneSource() && !n.cut
		if one {
			r = bySource[n.from[0].source]
		}
		if r == nil {
			r = &region{}
			g.all = append(g.all, r)
		}
		if one {
			bySource[n.from[0].source] = r
		}
		for i := range n.from {
			r.heads = append(r.heads, consumer{n, i})
		}
	}
	g.regions[n] = r
	r.nodes = append(r.nodes, n)
	return r
}

// upstream is the one region that feeds a node, nil if there is none or it must not be in it.
func (g *graph) upstream(n *node, bySource map[source]*region) *region {
	if n.cut {
		return nil
	}
	var one *region
	for _, in := range n.from {
		if in.n.kind != freeNode {
			return nil
		}
		r := g.regionOf(in.n, bySource)
		if one != nil && one != r {
			return nil
		}
		one = r
	}
	return one
}

func (n *node) oneSource() bool {
	for _, in := range n.from {
		if in.source != n.from[0].source || in.n.kind == freeNode {
			return false
		}
	}
	return true
}

// cutRekeyed parts regions in which some records keep their keys and others do not, both on the way to bolts that need
// all records of a key: else those that keep it would be repartitioned with the others.
func (g *graph) cutRekeyed() bool {
	cut := false
	for _, r := range g.all {
		kept, changed := false, false
		rekeyed := map[*node]bool{}
		for _, n := range r.inOrder(g) {
			rekeyed[n] = n.rekeys || slices.ContainsFunc(n.from, func(in input) bool { return rekeyed[in.n] })
			if g.feedsKeyed(n) {
				kept, changed = kept || !rekeyed[n], changed || rekeyed[n]
			}
		}
		if !kept || !changed {
			continue
		}
		for _, n := range r.nodes {
			if n.rekeys && !slices.ContainsFunc(n.from, func(in input) bool { return rekeyed[in.n] }) {
				n.cut, cut = true, true
			}
		}
	}
	return cut
}

// inOrder lists the nodes of a region, each after what feeds it.
func (r *region) inOrder(g *graph) []*node {
	var ordered []*node
	seen := map[*node]bool{}
	var visit func(n *node)
	visit = func(n *node) {
		if seen[n] || g.regions[n] != r {
			return
		}
		seen[n] = true
		for _, in := range n.from {
			visit(in.n)
		}
		ordered = append(ordered, n)
	}
	for _, n := range r.nodes {
		visit(n)
	}
	return ordered
}

// feedsKeyed says whether a bolt that needs all records of a key, or another region, takes what the node gives.
func (g *graph) feedsKeyed(n *node) bool {
	for port := range n.outs {
		for _, c := range g.consumers[source{n, port}] {
			switch c.n.kind {
			case boltNode:
				if s := c.n.shape; s != nil && (s().Keyed || len(s().Stores) > 0) {
					return true
				}
			case freeNode:
				if g.regions[c.n] != g.regions[n] {
					return true
				}
			}
		}
	}
	return false
}

// open names a region and its exits, and reports where bytes are needed and nobody said how to write them.
func (r *region) open(g *graph) {
	r.name = r.nodes[0].name
	for _, n := range r.nodes {
		if n.named != "" {
			r.name = n.named
			break
		}
	}
	for _, n := range r.inOrder(g) {
		for port := range n.outs {
			for _, c := range g.consumers[source{n, port}] {
				if g.regions[c.n] != r {
					r.addExit(g, c)
				}
			}
		}
	}
	for i := range r.exits {
		if len(r.exits) > 1 {
			r.exits[i].name = r.exitName(i)
		}
	}
}

func (r *region) addExit(g *graph, c consumer) {
	in := c.n.from[c.in]
	e := exit{source: in.source, as: in.want, copy: copyOf(c)}
	if r.find(e) >= 0 {
		return
	}
	g.needsCodecs(in)
	r.exits = append(r.exits, e)
}

// copyOf counts how many inputs of the node before this one take the same.
func copyOf(c consumer) (n int) {
	for _, in := range c.n.from[:c.in] {
		if in.source == c.n.from[c.in].source {
			n++
		}
	}
	return n
}

func (r *region) find(e exit) int {
	return slices.IndexFunc(r.exits, func(o exit) bool {
		return o.source == e.source && o.copy == e.copy && o.as.keyID == e.as.keyID && o.as.valueID == e.as.valueID
	})
}

func (g *graph) needsCodecs(in input) {
	lacks := func(id int, what, typ, option string) {
		if id == 0 {
			g.problem(CodeCodecMissing, in.n.name, fmt.Sprintf("add stream.Use(t, codec) for the type, or the option %s to %s", option, in.n.label()),
				"read %s: there is no codec for its %s of type %s, and they leave it as bytes", in.n.label(), what, typ)
		}
	}
	lacks(in.want.keyID, "keys", in.want.keyType, "WithKey")
	lacks(in.want.valueID, "values", in.want.valueType, "WithValue")
}

func (r *region) exitName(i int) string {
	e := r.exits[i]
	name := e.n.name
	if p := e.n.outs[e.port].name; p != "" {
		name += "-" + p
	}
	for n, stem := 2, name; slices.ContainsFunc(r.exits[:i], func(o exit) bool { return o.name == name }); n++ {
		name = stem + "-" + strconv.Itoa(n)
	}
	return name
}

// exit names the output of the region that an input of a node takes.
func (r *region) exit(in input, n *node, i int) string {
	at := r.find(exit{source: in.source, as: in.want, copy: copyOf(consumer{n, i})})
	if name := r.exits[at].name; name != "" {
		return r.name + "." + name
	}
	return r.name
}

// from names what feeds the region.
func (r *region) from(g *graph) []string {
	var names []string
	for _, h := range r.heads {
		if name := g.nameOf(h.n, h.in); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (r *region) definition(g *graph) component.Definition {
	shape := component.Shape{}
	for _, n := range r.nodes {
		if n.shape != nil {
			shape = n.shape()
		}
	}
	shape.Rekeys = slices.ContainsFunc(r.nodes, func(n *node) bool { return n.rekeys })
	return component.Definition{
		Spec:      component.Spec{Kind: component.KindBolt, Name: "fused:" + r.name, Summary: "Operators written in Go, fused."},
		NewConfig: func() any { return new(settings) },
		Ports:     func(any) []string { return r.ports() },
		Format:    func(any) record.Format { return record.Raw }, // codecs read what comes out, nobody else has to
		Shape:     func(any) component.Shape { return shape },
		NewBolt:   func(any, component.Env) (component.Bolt, error) { return r.bolt(g), nil },
	}
}

func (r *region) ports() []string {
	names := []string{}
	for _, e := range r.exits {
		names = append(names, e.name)
	}
	return names
}

// bolt links the steps of a region.
func (r *region) bolt(g *graph) *fused {
	l := linker{g: g, r: r, steps: map[*node]any{}}
	var first []any
	for _, h := range r.heads {
		first = append(first, l.step(h.n))
	}
	h := r.heads[0]
	as := h.n.from[h.in].want
	if in := h.n.from[h.in]; in.n.kind != freeNode {
		as = in.n.outs[in.port].shape
	}
	if !h.n.oneSource() {
		first = first[:1] // each input brings records of its own
	}
	return &fused{first: as.enter(as.fanAny(first))}
}

// linker makes the steps of a region's nodes, each once.
type linker struct {
	g     *graph
	r     *region
	steps map[*node]any
}

func (l *linker) step(n *node) any {
	if s, ok := l.steps[n]; ok {
		return s
	}
	next := make([][]any, len(n.outs))
	written := map[int]bool{} // exits that several take are written once
	for port := range n.outs {
		for _, c := range l.g.consumers[source{n, port}] {
			if l.g.regions[c.n] == l.r {
				next[port] = append(next[port], l.step(c.n))
				continue
			}
			if e := l.exit(c); !written[e] {
				written[e] = true
				next[port] = append(next[port], l.r.exits[e].as.leave(e))
			}
		}
	}
	s := n.link(next)
	l.steps[n] = s
	return s
}

func (l *linker) exit(c consumer) int {
	in := c.n.from[c.in]
	return l.r.find(exit{source: in.source, as: in.want, copy: copyOf(c)})
}

// fused is a region at work.
type fused struct {
	first enter
	x     run
}

var _ component.Bolt = (*fused)(nil)

// Process takes one record through the region. A panic of a user's function is an error of its record.
func (f *fused) Process(_ context.Context, r *record.Record, emit component.Emit) (err error) {
	f.x = run{emit: emit}
	defer func() {
		if p := recover(); p != nil {
			err = component.Permanent(&PanicError{Node: f.x.at.nameOr(), Value: p, stack: debug.Stack()})
		}
	}()
	return f.first(&f.x, r)
}

func (n *node) nameOr() string {
	if n == nil {
		return ""
	}
	return n.name
}

// PanicError is a panic of a function of yours, kept to its record: the record is a dead letter.
type PanicError struct {
	Node  string // the operator whose function panicked
	Value any
	stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("run %q: panic: %v", e.Node, e.Value) }

// Stack is where it happened.
func (e *PanicError) Stack() string { return string(e.stack) }
