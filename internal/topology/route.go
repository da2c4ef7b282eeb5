package topology

import (
	"errors"
	"fmt"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/manifest"
)

// CheckRoute reports what is wrong with a route for a service with these versions; paths begin within the spec. It is
// the same check for a route in a file and for one that is changed at run time.
func CheckRoute(r api.RouteSpec, versions []string) []component.Problem {
	c := routeChecker{versions: map[string]bool{}, names: versions}
	for _, v := range versions {
		c.versions[v] = true
	}
	if r.Switch != "" {
		c.version("switch", r.Switch)
	}
	c.version("default", r.Default)
	for i, rule := range r.Rules {
		c.rule(fmt.Sprintf("rules[%d]", i), rule)
	}
	if r.Split != nil {
		c.split(*r.Split)
	}
	if r.Mirror != nil {
		c.version("mirror.version", r.Mirror.Version)
		for i, path := range r.Mirror.Ignore {
			c.path(fmt.Sprintf("mirror.ignore[%d]", i), path)
		}
	}
	return c.problems
}

type routeChecker struct {
	versions map[string]bool
	names    []string
	problems []component.Problem
}

func (c *routeChecker) add(path, code, hint, format string, args ...any) {
	c.problems = append(c.problems, component.Problem{Path: path, Code: code, Hint: hint, Message: fmt.Sprintf(format, args...)})
}

func (c *routeChecker) version(path, version string) {
	if !c.versions[version] {
		c.add(path, CodeUnknownVersion, manifest.Suggest(version, c.names), "read %s %q: the service has no such version", path, version)
	}
}

func (c *routeChecker) rule(path string, r api.Rule) {
	c.version(path+".version", r.Version)
	if len(r.Match) == 0 {
		c.add(path+".match", CodeMatchInvalid, "", "read %s: a rule without conditions would match every call", path)
	}
	for i, m := range r.Match {
		c.match(fmt.Sprintf("%s.match[%d]", path, i), m)
	}
}

func (c *routeChecker) match(path string, m api.Match) {
	if (m.Field == "") == (m.Header == "") {
		c.add(path, CodeMatchInvalid, "", "read %s: want exactly one of field and header", path)
	}
	if m.Field != "" {
		c.path(path+".field", m.Field)
	}
	if m.Header != "" && !headerName.MatchString(m.Header) {
		c.add(path+".header", CodeMatchInvalid, "", "read header name %q: it has characters that header names cannot have", m.Header)
	}
	if m.In != nil && len(m.In) == 0 {
		c.add(path+".in", CodeMatchInvalid, "", "read %s.in: it is empty and would match nothing", path)
	}
	operators := 0
	for _, given := range []bool{m.Equals != nil, m.In != nil, m.Prefix != "", m.Exists != nil} {
		if given {
			operators++
		}
	}
	if operators != 1 {
		c.add(path, CodeMatchInvalid, "", "read %s: want exactly one of equals, in, prefix and exists", path)
	}
}

func (c *routeChecker) path(at, path string) {
	_, err := document.ParsePath(path)
	if err == nil {
		return
	}
	p := component.Problem{Path: at, Code: CodePathInvalid, Message: err.Error()}
	if where, ok := errors.AsType[*document.PathError](err); ok {
		p.Column = where.Column
	}
	c.problems = append(c.problems, p)
}

func (c *routeChecker) split(s api.Split) {
	if s.Key != "" {
		c.path("split.key", s.Key)
	}
	sum, seen := api.Percent(0), map[string]bool{}
	for i, share := range s.Versions {
		path := fmt.Sprintf("split.versions[%d]", i)
		c.version(path+".version", share.Version)
		if seen[share.Version] {
			c.add(path+".version", CodeDuplicateName, "add the two shares up", "read split: version %q has two shares", share.Version)
		}
		seen[share.Version] = true
		sum += share.Percent
	}
	if sum > 100_00 {
		c.add("split.versions", CodeSplitInvalid, "what is left of 100% goes to the default", "read split: the shares add up to %s, more than 100%%", sum)
	}
}
