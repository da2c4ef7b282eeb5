package admin_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/admin"
)

// oneRoute is a node with one service whose route can be changed.
type oneRoute struct {
	route    api.RouteSpec
	files    api.RouteSpec
	notReady error
}

func (n *oneRoute) Status() admin.Status {
	return admin.Status{Node: admin.NodeStatus{ID: "test", Brokers: []string{"127.0.0.1:9"}}}
}
func (n *oneRoute) Ready() error { return n.notReady }
func (n *oneRoute) Routes() []admin.RouteView {
	return []admin.RouteView{{Service: "users", Versions: []string{"v1", "v2"}, Route: n.route, Source: admin.SourceFiles}}
}

func (n *oneRoute) EditRoute(_ context.Context, service string, edit admin.Edit) (admin.RouteChange, error) {
	if service != "users" {
		return admin.RouteChange{}, &admin.Error{Status: 404, Message: "no such service", Hint: `did you mean "users"?`}
	}
	before := n.Routes()[0]
	if edit == nil {
		n.route = n.files
	} else {
		next, err := edit(n.route)
		if err != nil {
			return admin.RouteChange{}, err
		}
		n.route = next
	}
	return admin.RouteChange{Before: before, After: n.Routes()[0], Millis: 1}, nil
}

func serve(t *testing.T, n *oneRoute) (*httptest.Server, *admin.Client) {
	t.Helper()
	n.files = api.RouteSpec{Service: "users", Default: "v1"}
	n.route = n.files
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "raven_up 1\n") })
	s := httptest.NewServer(admin.Handler(n, metrics, slog.New(slog.DiscardHandler)))
	t.Cleanup(s.Close)
	return s, admin.NewClient(s.Listener.Addr().String())
}

func TestClientChangesRoutes(t *testing.T) {
	node := &oneRoute{}
	_, client := serve(t, node)
	ctx, gold := t.Context(), "gold"
	check := func(what string, change admin.RouteChange, err error, holds func(api.RouteSpec) bool) {
		t.Helper()
		if err != nil || !holds(change.After.Route) || !holds(node.route) {
			t.Errorf("%s: got %+v, %v", what, change.After.Route, err)
		}
	}
	c, err := client.Switch(ctx, "users", "v2")
	check("switch", c, err, func(r api.RouteSpec) bool { return r.Switch == "v2" })
	c, err = client.Switch(ctx, "users", "")
	check("switch off", c, err, func(r api.RouteSpec) bool { return r.Switch == "" })
	c, err = client.Split(ctx, "users", []api.Share{{Version: "v2", Percent: 1250}})
	check("split", c, err, func(r api.RouteSpec) bool { return r.Split != nil && r.Split.Versions[0].Percent == 1250 })
	c, err = client.Split(ctx, "users", nil)
	check("split off", c, err, func(r api.RouteSpec) bool { return r.Split == nil })
	c, err = client.AddMatch(ctx, "users", api.Rule{Name: "gold", Version: "v2", Match: []api.Match{{Field: "segment", Equals: &gold}}})
	check("match", c, err, func(r api.RouteSpec) bool { return len(r.Rules) == 1 && *r.Rules[0].Match[0].Equals == "gold" })
	c, err = client.RemoveMatch(ctx, "users", "gold")
	check("remove match", c, err, func(r api.RouteSpec) bool { return len(r.Rules) == 0 })
	c, err = client.Mirror(ctx, "users", &api.Mirror{Version: "v2", Percent: 100})
	check("mirror", c, err, func(r api.RouteSpec) bool { return r.Mirror != nil && r.Mirror.Percent == 100 })
	c, err = client.Reset(ctx, "users")
	check("reset", c, err, func(r api.RouteSpec) bool { return r.Mirror == nil && r.Default == "v1" })
}

func TestClientSaysWhatTheNodeSays(t *testing.T) {
	node := &oneRoute{}
	s, client := serve(t, node)
	if _, err := client.Switch(t.Context(), "user", "v2"); err == nil || err.Error() != "no such service" {
		t.Errorf("got %v", err)
	} else if e, ok := errors.AsType[*admin.Error](err); !ok || e.Status != 404 || e.Hint != `did you mean "users"?` {
		t.Errorf("got %#v", err)
	}
	if _, err := client.RemoveMatch(t.Context(), "users", "nobody"); err == nil || !strings.Contains(err.Error(), `remove rule "nobody"`) {
		t.Errorf("got %v", err)
	}
	status, err := client.Status(t.Context())
	if err != nil || status.Node.ID != "test" {
		t.Errorf("got %+v, %v", status, err)
	}
	s.Close()
	if _, err := client.Status(t.Context()); err == nil {
		t.Error("a node that is gone answered")
	} else if _, ok := errors.AsType[*admin.UnreachableError](err); !ok {
		t.Errorf("got %v", err)
	}
}

func TestHandlerRefusesWhatAWebPageCouldSend(t *testing.T) {
	s, _ := serve(t, &oneRoute{})
	const body = `{"version":"v2"}`
	cases := []struct {
		name, path, body string
		change           func(*http.Request)
		status           int
		want             string
	}{
		{"a plain request", "switch", body, func(*http.Request) {}, 200, `"switch":"v2"`},
		{"a name that was bound to 127.0.0.1", "switch", body, func(r *http.Request) { r.Host = "evil.example:19090" }, 403, "only loopback names"},
		{"a request from a page", "switch", body, func(r *http.Request) { r.Header.Set("Origin", "http://localhost") }, 403, "not for browsers"},
		{"a form", "switch", body, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415, "application/json"},
		{"something behind the body", "switch", body + "{}", func(*http.Request) {}, 400, "behind the JSON object"},
		{"an unknown key", "switch", `{"vers":"v2"}`, func(*http.Request) {}, 400, "unknown field"},
		{"no JSON", "switch", `v2`, func(*http.Request) {}, 400, "read the request"},
		{"too much", "switch", `{"version":"` + strings.Repeat("v", 2<<20) + `"}`, func(*http.Request) {}, 400, "too large"},
		{"a rule and a removal", "match", `{}`, func(*http.Request) {}, 400, "either a rule or the name"},
		{"reading a change", "switch", body, func(r *http.Request) { r.Method = "GET" }, 405, ""},
		{"an unknown change", "toggle", body, func(*http.Request) {}, 404, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/v1/routes/users/"+c.path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			c.change(r)
			status, answer := do(t, r)
			if status != c.status || !strings.Contains(answer, c.want) {
				t.Errorf("got %d %q, want %d with %q", status, answer, c.status, c.want)
			}
		})
	}
}

func TestProbesAndMetrics(t *testing.T) {
	node := &oneRoute{}
	s, _ := serve(t, node)
	cases := []struct {
		name, path string
		notReady   error
		status     int
		want       string
	}{
		{"alive", "/healthz", errors.New("starting"), 200, "ok"},
		{"ready", "/readyz", nil, 200, "ready"},
		{"not ready", "/readyz", errors.New(`run topology "a": it is starting`), 503, "it is starting"},
		{"metrics", "/metrics", nil, 200, "raven_up 1"},
		{"routes", "/v1/routes", nil, 200, `"default":"v1"`},
		{"elsewhere", "/v1", nil, 404, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			node.notReady = c.notReady
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if status, answer := do(t, r); status != c.status || !strings.Contains(answer, c.want) {
				t.Errorf("got %d %q, want %d with %q", status, answer, c.status, c.want)
			}
		})
	}
}

func do(t *testing.T, r *http.Request) (int, string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// withTables is a node whose topologies have tables.
type withTables struct{ oneRoute }

func (*withTables) Tables() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "asked "+r.URL.EscapedPath()) })
}

func TestTablesAreServedToThisMachineOnly(t *testing.T) {
	s := httptest.NewServer(admin.Handler(&withTables{}, http.NotFoundHandler(), slog.New(slog.DiscardHandler)))
	defer s.Close()
	cases := []struct {
		method, path string
		change       func(*http.Request)
		status       int
	}{
		{"GET", "/v1/tables", nil, 200},
		{"GET", "/v1/topologies/shop/tables/users/a%2Fb", nil, 200},
		{"POST", "/v1/topics/orders/records", nil, 200},
		{"GET", "/v1/tables", func(r *http.Request) { r.Host = "evil.example" }, 403},
		{"GET", "/v1/tables", func(r *http.Request) { r.Header.Set("Origin", "http://localhost") }, 403},
	}
	for _, c := range cases {
		r, err := http.NewRequestWithContext(t.Context(), c.method, s.URL+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.change != nil {
			c.change(r)
		}
		if status, answer := do(t, r); status != c.status || status == 200 && answer != "asked "+c.path {
			t.Errorf("%s %s: got %d %q", c.method, c.path, status, answer)
		}
	}
}
