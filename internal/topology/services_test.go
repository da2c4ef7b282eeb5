package topology_test

import (
	"strings"
	"testing"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/topology"
)

// service is a Service resource; its versions stand in line 6 and following, from column 5.
func service(name string, versions ...string) string {
	return head + "kind: Service\nmetadata: {name: " + name + "}\nspec:\n  versions:\n  - " + strings.Join(versions, "\n  - ") + "\n"
}

// withRoute is a service users with versions v1 and v2 and a route; the route's spec stands in line 12.
func withRoute(spec string) string {
	return service("users", "{name: v1, url: 'http://a'}", "{name: v2, url: 'http://b'}") + "---\n" + head + "kind: Route\nmetadata: {name: users}\nspec: " + spec + "\n"
}

func TestServiceMistakesAreFound(t *testing.T) {
	cases := map[string]expectation{
		"no address":     {service("s", "{name: v1}"), []string{"6:5 error address-invalid"}, "none of url, urls and exec", ""},
		"two forms":      {service("s", "{name: v1, url: 'http://a', exec: [b]}"), []string{"6:33 error address-invalid"}, "it has url and exec", ""},
		"relative URL":   {service("s", "{name: v1, url: 'a/b'}"), []string{"6:21 error address-invalid"}, `"a/b": want an absolute http or https URL`, ""},
		"other scheme":   {service("s", "{name: v1, urls: ['http://a', 'ftp://b']}"), []string{"6:35 error address-invalid"}, `"ftp://b"`, ""},
		"not a URL":      {service("s", "{name: v1, url: 'http://a b'}"), []string{"6:21 error address-invalid"}, "not a URL", ""},
		"query":          {service("s", "{name: v1, url: 'http://u:secret@a?x=1'}"), []string{"6:21 error address-invalid"}, `"http://u:xxxxx@a?x=1": it may not have a query`, ""},
		"name twice":     {service("s", "{name: v1, url: 'http://a'}", "{name: v1, url: 'http://b'}") + "---\n" + head + "kind: Route\nmetadata: {name: s}\nspec: {service: s, default: v1}\n", []string{"7:12 error duplicate-name"}, `two versions "v1"`, ""},
		"name invalid":   {service("s", "{name: 'v 1', url: 'http://a'}"), []string{"6:12 error name-invalid"}, "", ""},
		"empty command":  {service("s", "{name: v1, exec: ['']}"), []string{"6:16 error address-invalid"}, "the command is empty", ""},
		"health path":    {service("s", "{name: v1, exec: [a], health: ok}"), []string{"6:35 error limit-invalid"}, "must begin with /", ""},
		"route missing":  {service("s", "{name: v1, url: 'http://a'}", "{name: v2, url: 'http://b'}"), []string{"3:18 error route-missing"}, "2 versions and no route", ""},
		"fallback":       {strings.Replace(service("s", "{name: v1, url: 'http://a'}"), "spec:", "spec:\n  fallback: {answer: '{'}", 1), []string{"5:22 error json-invalid"}, "it is not JSON", ""},
		"limits":         {strings.Replace(service("s", "{name: v1, url: 'http://a'}"), "spec:", "spec:\n  timeout: 0s\n  inFlight: 0\n  path: x", 1), []string{"5:12 error limit-invalid", "6:13 error limit-invalid", "7:9 error limit-invalid"}, "above 0", ""},
		"breaker limits": {strings.Replace(service("s", "{name: v1, url: 'http://a'}"), "spec:", "spec:\n  breaker: {window: 0s}", 1), []string{"5:21 error limit-invalid"}, "", ""},
	}
	for name, c := range cases {
		t.Run(name, c.check)
	}
}

func TestRouteMistakesAreFound(t *testing.T) {
	cases := map[string]expectation{
		"unknown service":      {withRoute("{service: user, default: v1}"), []string{"3:18 error route-missing", "12:17 error unknown-service"}, "", ""},
		"unknown default":      {withRoute("{service: users, default: v3}"), []string{"12:33 error unknown-version"}, `read default "v3": the service has no such version`, "did you mean"},
		"unknown switch":       {withRoute("{service: users, default: v1, switch: old}"), []string{"12:45 error unknown-version"}, "", "allowed are v1, v2"},
		"unknown rule version": {withRoute("{service: users, default: v1, rules: [{match: [{field: a, equals: 1}], version: v9}]}"), []string{"12:87 error unknown-version"}, "", ""},
		"unknown mirror":       {withRoute("{service: users, default: v1, mirror: {version: v9}}"), []string{"12:55 error unknown-version"}, "", ""},
		"unknown share":        {withRoute("{service: users, default: v1, split: {versions: [{version: v9, percent: 1}]}}"), []string{"12:66 error unknown-version"}, "", ""},
		"above 100 %":          {withRoute("{service: users, default: v1, split: {versions: [{version: v1, percent: 60}, {version: v2, percent: 40.01%}]}}"), []string{"12:45 error split-invalid"}, "add up to 100.01%", ""},
		"two shares":           {withRoute("{service: users, default: v1, split: {versions: [{version: v1, percent: 1}, {version: v1, percent: 1}]}}"), []string{"12:93 error duplicate-name"}, "", ""},
		"no subject":           {withRoute("{service: users, default: v1, rules: [{match: [{equals: 1}], version: v2}]}"), []string{"12:54 error match-invalid"}, "exactly one of field and header", ""},
		"two subjects":         {withRoute("{service: users, default: v1, rules: [{match: [{field: a, header: b, equals: 1}], version: v2}]}"), []string{"12:54 error match-invalid"}, "", ""},
		"no operator":          {withRoute("{service: users, default: v1, rules: [{match: [{field: a}], version: v2}]}"), []string{"12:54 error match-invalid"}, "exactly one of equals, in, prefix and exists", ""},
		"two operators":        {withRoute("{service: users, default: v1, rules: [{match: [{field: a, equals: 1, exists: true}], version: v2}]}"), []string{"12:54 error match-invalid"}, "", ""},
		"empty list":           {withRoute("{service: users, default: v1, rules: [{match: [{field: a, in: []}], version: v2}]}"), []string{"12:65 error match-invalid"}, "would match nothing", ""},
		"bad header":           {withRoute("{service: users, default: v1, rules: [{match: [{header: 'a b', equals: 1}], version: v2}]}"), []string{"12:63 error match-invalid"}, `header name "a b"`, ""},
		"bad field path":       {withRoute("{service: users, default: v1, rules: [{match: [{field: a..b, equals: 1}], version: v2}]}"), []string{"12:62 error path-invalid"}, `read path "a..b" at column 3`, ""},
		"bad split key":        {withRoute("{service: users, default: v1, split: {key: '[', versions: [{version: v1, percent: 1}]}}"), []string{"12:50 error path-invalid"}, `read path "["`, ""},
		"bad ignored path":     {withRoute("{service: users, default: v1, mirror: {version: v1, ignore: [a, b.]}}"), []string{"12:71 error path-invalid"}, `read path "b."`, ""},
		"two routes":           {withRoute("{service: users, default: v1}") + "---\n" + head + "kind: Route\nmetadata: {name: zz}\nspec: {service: users, default: v1}\n", []string{"17:17 error duplicate-route"}, `route "users" is for service "users" already`, ""},
	}
	for name, c := range cases {
		t.Run(name, c.check)
	}
}

func TestGoodRoutesHaveNoProblems(t *testing.T) {
	for name, spec := range map[string]string{
		"plain":  "{service: users, default: v1}",
		"switch": "{service: users, default: v1, switch: v2}",
		"all":    "{service: users, default: v1, rules: [{match: [{field: a.b, in: [1, 2]}, {header: x-a, exists: false}], version: v2}], split: {key: id, versions: [{version: v2, percent: 100%}]}, mirror: {version: v2, percent: 0.5%}}",
	} {
		t.Run(name, func(t *testing.T) { mustBuild(t, withRoute(spec)) })
	}
}

func TestCheckRouteIsTheSameAtRunTime(t *testing.T) {
	problems := topology.CheckRoute(api.RouteSpec{Service: "users", Default: "v1", Switch: "v7", Rules: []api.Rule{{Version: "v1"}}}, []string{"v1"})
	if len(problems) != 2 || problems[0].Path != "switch" || problems[1].Path != "rules[0].match" {
		t.Errorf("got %+v", problems)
	}
}
