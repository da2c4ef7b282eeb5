package router

import (
	"strconv"
	"strings"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/document"
)

// compile turns a route that topology.CheckRoute found nothing wrong with into a table.
func compile(spec api.RouteSpec) *table {
	t := &table{switched: spec.Switch, fallback: spec.Default}
	for i, r := range spec.Rules {
		t.rules = append(t.rules, compileRule(i, r))
	}
	if s := spec.Split; s != nil {
		t.keyPath = fieldPath(s.Key)
		t.split = newHasher(saltOf(spec))
		t.ranges = cumulate(s.Versions)
	}
	if m := spec.Mirror; m != nil && m.Percent > 0 {
		t.mirror = m.Version
		t.mirrorBelow = uint64(m.Percent)
		// A salt of its own: who is mirrored must not depend on who is where in the split.
		t.mirrorHash = newHasher(saltOf(spec) + "/mirror")
	}
	t.lookups = t.countLookups()
	return t
}

func (t *table) countLookups() int {
	n := 0
	for _, r := range t.rules {
		for _, c := range r.match {
			if c.path != nil {
				n++
			}
		}
	}
	if t.keyPath != nil {
		n++
		if t.mirror != "" {
			n++
		}
	}
	return n
}

func saltOf(spec api.RouteSpec) string {
	if spec.Split != nil && spec.Split.Salt != "" {
		return spec.Split.Salt
	}
	return spec.Service
}

func compileRule(i int, r api.Rule) rule {
	out := rule{why: whyRule + ruleName(i, r), version: r.Version}
	for _, m := range r.Match {
		out.match = append(out.match, compileMatch(m))
	}
	return out
}

func ruleName(i int, r api.Rule) string {
	if r.Name != "" {
		return r.Name
	}
	return strconv.Itoa(i + 1)
}

func compileMatch(m api.Match) condition {
	c := condition{path: fieldPath(m.Field), header: m.Header, want: !m.Not}
	switch {
	case m.Equals != nil:
		want := *m.Equals
		c.test = func(v string) bool { return v == want }
	case m.In != nil:
		set := make(map[string]struct{}, len(m.In))
		for _, v := range m.In {
			set[v] = struct{}{}
		}
		c.test = func(v string) bool { _, ok := set[v]; return ok }
	case m.Prefix != "":
		prefix := m.Prefix
		c.test = func(v string) bool { return strings.HasPrefix(v, prefix) }
	case m.Exists != nil:
		c.want = *m.Exists != m.Not
	}
	return c
}

func cumulate(shares []api.Share) []placeRange {
	var ranges []placeRange
	below := uint64(0)
	for _, s := range shares {
		below += uint64(s.Percent)
		ranges = append(ranges, placeRange{below, s.Version})
	}
	return ranges
}

// fieldPath reads a path that topology.CheckRoute has accepted; nil for none.
func fieldPath(path string) document.Path {
	if path == "" {
		return nil
	}
	p, _ := document.ParsePath(path)
	return p
}
