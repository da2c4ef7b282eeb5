package router

import (
	"fmt"
	"slices"
	"strings"

	"ravenswood.dev/api"
)

// The edits below return a changed copy of a route and never touch the original. Whether versions exist and shares add
// up is checked where the route is set: SetRoute, or CheckRoute before that.

// Switch sends every call to one version; an empty version takes the switch off.
func Switch(spec api.RouteSpec, version string) api.RouteSpec {
	spec = cloneRoute(spec)
	spec.Switch = version
	return spec
}

// SetSplit replaces the shares of a split and keeps its key and salt, so that keys keep their places. No shares takes
// the split away.
func SetSplit(spec api.RouteSpec, shares []api.Share) api.RouteSpec {
	spec = cloneRoute(spec)
	if len(shares) == 0 {
		spec.Split = nil
		return spec
	}
	if spec.Split == nil {
		spec.Split = &api.Split{}
	}
	spec.Split.Versions = slices.Clone(shares)
	return spec
}

// AddMatch puts a rule before all others, or replaces the rule of the same name where it stands.
func AddMatch(spec api.RouteSpec, rule api.Rule) api.RouteSpec {
	spec = cloneRoute(spec)
	if i := findRule(spec, rule.Name); i >= 0 {
		spec.Rules[i] = rule
		return spec
	}
	spec.Rules = append([]api.Rule{rule}, spec.Rules...)
	return spec
}

// RemoveMatch takes a rule away by its name, or by its position if it has none.
func RemoveMatch(spec api.RouteSpec, name string) (api.RouteSpec, error) {
	spec = cloneRoute(spec)
	i := findRule(spec, name)
	if i < 0 {
		return spec, fmt.Errorf("remove rule %q of service %q: there is no such rule, there are %s", name, spec.Service, ruleNames(spec))
	}
	spec.Rules = slices.Delete(spec.Rules, i, i+1)
	return spec, nil
}

// SetMirror sets the shadow calls; nil ends them.
func SetMirror(spec api.RouteSpec, m *api.Mirror) api.RouteSpec {
	spec = cloneRoute(spec)
	spec.Mirror = m
	return cloneRoute(spec)
}

func findRule(spec api.RouteSpec, name string) int {
	if name == "" {
		return -1
	}
	for i, r := range spec.Rules {
		if ruleName(i, r) == name {
			return i
		}
	}
	return -1
}

func ruleNames(spec api.RouteSpec) string {
	if len(spec.Rules) == 0 {
		return "none"
	}
	var names []string
	for i, r := range spec.Rules {
		names = append(names, ruleName(i, r))
	}
	return strings.Join(names, ", ")
}

// ParseShares reads shares as people type them: "v2=10%,v3=2.5%".
func ParseShares(text string) ([]api.Share, error) {
	var shares []api.Share
	for part := range strings.SplitSeq(text, ",") {
		version, percent, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || version == "" {
			return nil, fmt.Errorf("read share %q: want version=percent, such as v2=10%%", part)
		}
		s := api.Share{Version: version}
		if err := s.Percent.UnmarshalText([]byte(percent)); err != nil {
			return nil, err
		}
		shares = append(shares, s)
	}
	return shares, nil
}

// ParseMatch reads a condition as people type it: "user.segment=beta", "user.segment=beta|gold", "userId^=test-",
// "user.segment" (is there), each with "!" in front for the opposite and "header:" before the name of a header.
func ParseMatch(text string) (api.Match, error) {
	rest, not := strings.CutPrefix(strings.TrimSpace(text), "!")
	m := api.Match{Not: not}
	subject, value, tested := strings.Cut(rest, "=")
	prefix := tested && strings.HasSuffix(subject, "^")
	subject = strings.TrimSuffix(subject, "^")
	if name, ok := strings.CutPrefix(subject, "header:"); ok {
		m.Header = name
	} else {
		m.Field = subject
	}
	if m.Field == "" && m.Header == "" || prefix && value == "" {
		return m, fmt.Errorf("read condition %q: want field=value, field=a|b, field^=prefix or field, with header:name for a header", text)
	}
	switch {
	case prefix:
		m.Prefix = value
	case !tested:
		exists := true
		m.Exists = &exists
	case strings.Contains(value, "|"):
		m.In = strings.Split(value, "|")
	default:
		m.Equals = &value
	}
	return m, nil
}

// cloneRoute copies a route all the way down, so that what a caller holds and what runs never share memory.
func cloneRoute(spec api.RouteSpec) api.RouteSpec {
	spec.Rules = slices.Clone(spec.Rules)
	for i := range spec.Rules {
		spec.Rules[i].Match = slices.Clone(spec.Rules[i].Match)
	}
	if spec.Split != nil {
		split := *spec.Split
		split.Versions = slices.Clone(split.Versions)
		spec.Split = &split
	}
	if spec.Mirror != nil {
		mirror := *spec.Mirror
		mirror.Ignore = slices.Clone(mirror.Ignore)
		spec.Mirror = &mirror
	}
	return spec
}
