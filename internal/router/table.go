package router

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/document"
)

// compile turns a route that CheckRoute found nothing wrong with into a table.
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

// fieldPath reads a path that CheckRoute has accepted; nil for none.
func fieldPath(path string) document.Path {
	if path == "" {
		return nil
	}
	p, _ := document.ParsePath(path)
	return p
}

// CheckRoute says everything that is wrong with a route for a service that has the given versions. Paths are within
// the route's spec.
func CheckRoute(spec api.RouteSpec, versions []string) []component.Problem {
	c := checker{service: spec.Service, versions: versions}
	c.version("default", spec.Default)
	if spec.Switch != "" {
		c.version("switch", spec.Switch)
	}
	for i, r := range spec.Rules {
		c.rule(fmt.Sprintf("rules[%d]", i), r)
	}
	if spec.Split != nil {
		c.split(*spec.Split)
	}
	if m := spec.Mirror; m != nil {
		c.version("mirror.version", m.Version)
		c.percent("mirror.percent", m.Percent)
		for i, path := range m.Ignore {
			c.path(fmt.Sprintf("mirror.ignore[%d]", i), path)
		}
	}
	return c.problems
}

type checker struct {
	service  string
	versions []string
	problems []component.Problem
}

func (c *checker) add(path, code, hint, format string, args ...any) {
	c.problems = append(c.problems, component.Problem{Path: path, Code: code, Hint: hint, Message: fmt.Sprintf(format, args...)})
}

func (c *checker) version(path, version string) {
	if slices.Contains(c.versions, version) {
		return
	}
	known := "It has " + strings.Join(c.versions, ", ") + "."
	if version == "" {
		c.add(path, "version-missing", known, "route service %q: %s names no version", c.service, path)
		return
	}
	c.add(path, "version-unknown", known, "route service %q to version %q: the service has no such version", c.service, version)
}

func (c *checker) rule(path string, r api.Rule) {
	c.version(path+".version", r.Version)
	if len(r.Match) == 0 {
		c.add(path+".match", "rule-matches-all", "Use switch or default for every call.", "route service %q: a rule without conditions", c.service)
	}
	for i, m := range r.Match {
		c.match(fmt.Sprintf("%s.match[%d]", path, i), m)
	}
}

func (c *checker) match(path string, m api.Match) {
	if (m.Field == "") == (m.Header == "") {
		c.add(path, "match-subject", "Give exactly one of field and header.", "route service %q: a condition must look at one field or one header", c.service)
	}
	if m.Field != "" {
		c.path(path+".field", m.Field)
	}
	if countTrue(m.Equals != nil, m.In != nil, m.Prefix != "", m.Exists != nil) != 1 {
		c.add(path, "match-test", "Give exactly one of equals, in, prefix and exists.", "route service %q: a condition must make one test", c.service)
	}
}

func (c *checker) split(s api.Split) {
	if s.Key != "" {
		c.path("split.key", s.Key)
	}
	total, seen := api.Percent(0), map[string]bool{}
	for i, share := range s.Versions {
		path := fmt.Sprintf("split.versions[%d]", i)
		c.version(path+".version", share.Version)
		c.percent(path+".percent", share.Percent)
		if seen[share.Version] {
			c.add(path+".version", "share-twice", "Give each version one share.", "split service %q: version %q has two shares", c.service, share.Version)
		}
		seen[share.Version] = true
		total += share.Percent
	}
	if total > places {
		c.add("split.versions", "shares-above-100", "", "split service %q: the shares add up to %s", c.service, total)
	}
}

func (c *checker) percent(path string, p api.Percent) {
	if p < 0 || p > places {
		c.add(path, "percent-range", "", "route service %q: %s is not from 0%% to 100%%", c.service, p)
	}
}

func (c *checker) path(at, path string) {
	if _, err := document.ParsePath(path); err != nil {
		c.add(at, "path-invalid", "", "%s", err)
	}
}

func countTrue(conditions ...bool) int {
	n := 0
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}
