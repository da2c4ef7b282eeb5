package router

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
)

func TestNewRefuses(t *testing.T) {
	two := resource(api.ServiceSpec{}, "http://127.0.0.1:1", "http://127.0.0.1:2")
	one := resource(api.ServiceSpec{}, "http://127.0.0.1:1")
	route := &api.Route{Spec: api.RouteSpec{Service: "users", Default: "v1"}}
	for _, c := range []struct {
		name     string
		services []*api.Service
		routes   []*api.Route
		say      string
	}{
		{"two versions without a route", []*api.Service{two}, nil, `it has 2 versions and no route`},
		{"two services of a name", []*api.Service{one, one}, nil, "there are two of that name"},
		{"two versions of a name", []*api.Service{resource(api.ServiceSpec{Versions: []api.ServiceVersion{{Name: "v1"}}}, "http://127.0.0.1:1")}, nil, `add version "v1": there are two`},
		{"two routes of a service", []*api.Service{two}, []*api.Route{route, route}, "there are two"},
		{"a route of no service", []*api.Service{one}, []*api.Route{{Spec: api.RouteSpec{Service: "user", Default: "v1"}}}, "there is no such service, there are users"},
		{"a route to no version", []*api.Service{two}, []*api.Route{{Spec: api.RouteSpec{Service: "users", Default: "v3"}}}, `default "v3"`},
		{"no version", []*api.Service{resource(api.ServiceSpec{})}, nil, "it has no version"},
		{"an address without scheme", []*api.Service{resource(api.ServiceSpec{}, "localhost:80")}, nil, "want http://host:port"},
		{"an address of another kind", []*api.Service{resource(api.ServiceSpec{}, "ftp://u:secret@x")}, nil, "want http://host:port"},
		{"a fallback that is not JSON", []*api.Service{resource(api.ServiceSpec{Fallback: &api.Fallback{Answer: "unknown"}}, "http://x")}, nil, "read fallback answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := New(c.services, c.routes, Options{})
			if err == nil || !strings.Contains(err.Error(), c.say) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %v, want %q", err, c.say)
			}
			if r != nil {
				t.Error("a router and an error")
			}
		})
	}
}

func TestARouteThatIsWrongChangesNothing(t *testing.T) {
	r := newRouter(t, api.ServiceSpec{}, api.RouteSpec{}, "http://127.0.0.1:1", "http://127.0.0.1:2")
	for _, bad := range []api.RouteSpec{
		{Default: "v1", Switch: "v3"},
		{},
		{Default: "v1", Rules: []api.Rule{{Version: "v2"}}},
		{Default: "v1", Rules: []api.Rule{{Version: "v2", Match: []api.Match{equals("a..b", "x")}}}},
		{Default: "v1", Split: &api.Split{Key: "[", Versions: []api.Share{share("v2", 10)}}},
		{Default: "v1", Split: &api.Split{Versions: []api.Share{share("v1", 60), share("v2", 50)}}},
		{Default: "v1", Mirror: &api.Mirror{Version: "v3"}},
	} {
		bad.Service = "users"
		if err := r.SetRoute(bad); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("route %+v: error %v", bad, err)
		}
	}
	if err := r.SetRoute(api.RouteSpec{Service: "nobody"}); err == nil {
		t.Error("no error")
	}
	if err := r.SetEndpoints("users", "v1", []string{"http://x", "nonsense"}); err == nil {
		t.Error("no error")
	}
	if spec, _ := r.Route("users"); spec.Switch != "" {
		t.Errorf("route %+v", spec)
	}
	if e := r.Status()[0].Versions[0].Endpoints; len(e) != 1 || e[0].URL != "http://127.0.0.1:1" {
		t.Errorf("endpoints %+v", e)
	}
}

func TestEdits(t *testing.T) {
	start := api.RouteSpec{Service: "users", Default: "v1", Rules: []api.Rule{{Name: "a", Version: "v2", Match: []api.Match{equals("x", "1")}}, {Version: "v2", Match: []api.Match{equals("y", "1")}}},
		Split: &api.Split{Key: "k", Salt: "s", Versions: []api.Share{share("v2", 10)}}}
	before := asJSON(start)
	added := api.Rule{Name: "b", Version: "v2", Match: []api.Match{equals("z", "1")}}
	replaced := api.Rule{Name: "a", Version: "v1", Match: []api.Match{equals("z", "1")}}
	for _, c := range []struct {
		name string
		got  api.RouteSpec
		want func(*api.RouteSpec)
	}{
		{"switch on", Switch(start, "v2"), func(s *api.RouteSpec) { s.Switch = "v2" }},
		{"split keeps key and salt", SetSplit(start, []api.Share{share("v2", 20)}), func(s *api.RouteSpec) { s.Split.Versions = []api.Share{share("v2", 20)} }},
		{"split off", SetSplit(start, nil), func(s *api.RouteSpec) { s.Split = nil }},
		{"a new rule comes first", AddMatch(start, added), func(s *api.RouteSpec) { s.Rules = append([]api.Rule{added}, s.Rules...) }},
		{"a rule of the same name is replaced", AddMatch(start, replaced), func(s *api.RouteSpec) { s.Rules[0] = replaced }},
		{"mirror on", SetMirror(start, &api.Mirror{Version: "v2", Percent: 100}), func(s *api.RouteSpec) { s.Mirror = &api.Mirror{Version: "v2", Percent: 100} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := cloneRoute(start)
			c.want(&want)
			if asJSON(c.got) != asJSON(want) {
				t.Errorf("got %s, want %s", asJSON(c.got), asJSON(want))
			}
		})
	}
	for _, name := range []string{"a", "2"} {
		if got, err := RemoveMatch(start, name); err != nil || len(got.Rules) != 1 {
			t.Errorf("remove %q: %+v, %v", name, got.Rules, err)
		}
	}
	if _, err := RemoveMatch(start, "c"); err == nil || !strings.Contains(err.Error(), "there are a, 2") {
		t.Errorf("error %v", err)
	}
	if asJSON(start) != before {
		t.Error("an edit changed the original")
	}
}

func TestParseSharesAndMatches(t *testing.T) {
	if got, err := ParseShares("v2=10%, v3=2.5"); err != nil || asJSON(got) != asJSON([]api.Share{share("v2", 10), share("v3", 2.5)}) {
		t.Errorf("shares %+v, %v", got, err)
	}
	for _, bad := range []string{"", "v2", "=10", "v2=x", "v2=101%", "v2=10%,"} {
		if _, err := ParseShares(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
	for text, want := range map[string]api.Match{
		"user.segment=beta":    equals("user.segment", "beta"),
		"!user.segment=a|b":    {Field: "user.segment", In: []string{"a", "b"}, Not: true},
		"userId^=test-":        {Field: "userId", Prefix: "test-"},
		"header:X-Tester":      {Header: "X-Tester", Exists: ptr(true)},
		"!header:X-Tester":     {Header: "X-Tester", Exists: ptr(true), Not: true},
		"header:X-Segment=a=b": {Header: "X-Segment", Equals: ptr("a=b")},
		"user.segment=":        equals("user.segment", ""),
	} {
		if got, err := ParseMatch(text); err != nil || asJSON(got) != asJSON(want) {
			t.Errorf("%q: %s, %v", text, asJSON(got), err)
		}
	}
	for _, bad := range []string{"", "=x", "!", "header:", "a^="} {
		if _, err := ParseMatch(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestStatusAndMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	good, bad := serve(t, "ok"), serve(t, "404")
	r, err := New([]*api.Service{resource(api.ServiceSpec{}, good.URL, bad.URL)},
		[]*api.Route{{Spec: api.RouteSpec{Service: "users", Default: "v1", Rules: []api.Rule{{Name: "b", Version: "v2", Match: []api.Match{equals("to", "b")}}}}}}, Options{Metrics: registry})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		to := "a"
		if i == 3 {
			to = "b"
		}
		_, _ = r.Call(t.Context(), component.Call{Service: "users", Event: []byte(`{"to":"` + to + `"}`)})
	}
	s := r.Status()[0]
	v1, v2 := s.Versions[0], s.Versions[1]
	if v1.Calls != 3 || v1.Errors != 0 || v1.Share != 0.75 || v1.P50 <= 0 || v1.P99 < v1.P50 || v2.Calls != 1 || v2.ErrorsMinute != 1 || v2.Share != 0.25 {
		t.Errorf("status %s", asJSON(s))
	}
	got := scrape(t, registry)
	for series, want := range map[string]float64{
		`raven_service_calls_total{result=ok,service=users,version=v1}`:            3,
		`raven_service_calls_total{result=answer-status,service=users,version=v2}`: 1,
		`raven_service_call_seconds{service=users,version=v1}`:                     3,
		`raven_route_decisions_total{service=users,version=v1,why=default}`:        3,
		`raven_route_decisions_total{service=users,version=v2,why=rule b}`:         1,
		`raven_service_in_flight{service=users,version=v1}`:                        0,
		`raven_breaker_state{service=users,version=v2}`:                            0,
	} {
		if v, ok := got[series]; !ok || v != want {
			t.Errorf("%s = %v, %v; want %v", series, v, ok, want)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if left := scrape(t, registry); len(left) != 0 {
		t.Errorf("a closed router leaves %v", left)
	}
}

func TestTwoRoutersOnOneRegistryIsAnErrorAndNoDamage(t *testing.T) {
	registry := prometheus.NewRegistry()
	open := func() (*Router, error) {
		return New([]*api.Service{resource(api.ServiceSpec{}, "http://127.0.0.1:1")}, nil, Options{Metrics: registry})
	}
	first, err := open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(); err == nil {
		t.Error("no error")
	}
	if len(scrape(t, registry)) == 0 {
		t.Error("the first router's metrics are gone")
	}
	_ = first.Close()
}

// scrape reads all series: counters and gauges by value, histograms by count.
func scrape(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			value := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			out[fmt.Sprintf("%s{%s}", f.GetName(), strings.Join(labels, ","))] = value
		}
	}
	return out
}

func TestNumbersOfTheLastMinute(t *testing.T) {
	var r recent
	start := time.Unix(600, 0)
	for i := range 100 {
		r.add(start, time.Duration(i+1)*time.Millisecond, i < 10)
	}
	s := r.sum(start.Add(49 * time.Second))
	if s.callsMin != 100 || s.errorsMin != 10 {
		t.Errorf("sum %+v", s)
	}
	for q, want := range map[float64]time.Duration{0.5: 50 * time.Millisecond, 0.99: 99 * time.Millisecond} {
		if got := s.quantile(q); got < want*8/10 || got > want*12/10 {
			t.Errorf("quantile %v = %s, want about %s", q, got, want)
		}
	}
	if s := r.sum(start.Add(61 * time.Second)); s.callsMin != 0 || s.calls != 100 || s.quantile(0.5) != 0 {
		t.Errorf("after a minute: %d of %d calls", s.callsMin, s.calls)
	}
}

func TestLatencyBucketsCoverEverything(t *testing.T) {
	last := -1
	for us := time.Duration(0); us < time.Hour; us = us*5/4 + time.Microsecond {
		i := bucketOf(us)
		if i < last || i > 127 {
			t.Fatalf("%s in bucket %d after %d", us, i, last)
		}
		if bucketFloor(i) > us || (i < 127 && bucketFloor(i+1) <= us) {
			t.Fatalf("%s is not in bucket %d: %s to %s", us, i, bucketFloor(i), bucketFloor(i+1))
		}
		last = i
	}
}
