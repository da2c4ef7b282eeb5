package router

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
)

// saying is a backend that answers with a fixed body.
func saying(body string) func(*backend, http.ResponseWriter, *http.Request) {
	return func(b *backend, w http.ResponseWriter, req *http.Request) { b.answer(w, 200, body) }
}

func mirrored(t *testing.T, m api.Mirror, real, shadow string) *Router {
	t.Helper()
	m.Version, m.Percent = "v2", 10_000
	return newRouter(t, api.ServiceSpec{Timeout: api.Duration(time.Second)}, api.RouteSpec{Mirror: &m}, real, shadow)
}

func TestShadowAnswersAreComparedAndNeverUsed(t *testing.T) {
	for _, c := range []struct {
		name         string
		real, shadow string
		ignore       []string
		want         string // result of the comparison
		path         string
	}{
		{"equal", `{"a":1,"b":[1,2]}`, `{ "b" : [1,2], "a" : 1 }`, nil, "equal", ""},
		{"a value differs", `{"a":{"b":1,"c":2}}`, `{"a":{"b":1,"c":3}}`, nil, "different", "a.c"},
		{"a field is missing", `{"a":1,"b":2}`, `{"a":1}`, nil, "different", "b"},
		{"a list is longer", `{"a":[1]}`, `{"a":[1,2]}`, nil, "different", "a"},
		{"an element differs", `{"a":[1,{"x":1}]}`, `{"a":[1,{"x":2}]}`, nil, "different", "a[1].x"},
		{"large numbers are not rounded", `{"a":12345678901234567890}`, `{"a":12345678901234567891}`, nil, "different", "a"},
		{"another kind", `{"a":"1"}`, `{"a":1}`, nil, "different", "a"},
		{"a list instead of a value", `{"a":1}`, `{"a":[1]}`, nil, "different", "a"},
		{"ignored fields", `{"a":1,"at":{"x":1,"y":1}}`, `{"a":1,"at":{"x":2,"y":1}}`, []string{"at.x", "gone"}, "equal", ""},
		{"what is not ignored still counts", `{"a":1,"at":1}`, `{"a":2,"at":2}`, []string{"at"}, "different", "a"},
		{"not an object", `[1]`, `[2]`, []string{"a"}, "different", "[0]"},
		{"the shadow is not JSON", `{}`, `<html>`, nil, "failed", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			real, shadow := serveFunc(t, saying(c.real)), serveFunc(t, saying(c.shadow))
			r := mirrored(t, api.Mirror{Ignore: c.ignore}, real.URL, shadow.URL)
			a, err := r.Call(t.Context(), call)
			if err != nil || string(a.Body) != c.real || a.Version != "v1" {
				t.Fatalf("answer %+v, error %v", a, err)
			}
			eventually(t, "the comparison", func() bool { return r.Status()[0].Mirror != nil })
			m := *r.Status()[0].Mirror
			got := map[string]int64{"equal": m.Equal, "different": m.Different, "failed": m.Failed, "dropped": m.Dropped}
			if got[c.want] != 1 || m.Equal+m.Different+m.Failed+m.Dropped != 1 {
				t.Errorf("counts %+v, want one %s", m, c.want)
			}
			if c.want == "different" && (len(m.Differences) != 1 || m.Differences[0].Path != c.path || m.Differences[0].Request != call.IdempotencyKey) {
				t.Errorf("differences %+v, want one at %q", m.Differences, c.path)
			}
		})
	}
}

func TestAShadowCallIsMarkedAndCarriesNoIdempotencyKey(t *testing.T) {
	real, shadow := serve(t, "ok"), serve(t, "ok")
	r := mirrored(t, api.Mirror{}, real.URL, shadow.URL)
	if _, err := r.Call(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the shadow call", func() bool { return shadow.calls.Load() == 1 })
	req, body := shadow.lastRequest()
	if h := req.Header; h.Get("X-Raven-Mirror") != "1" || h.Get("Idempotency-Key") != "" || h.Get("X-Raven-Version") != "v2" || string(body) != string(call.Event) {
		t.Errorf("headers %v, body %s", h, body)
	}
	req, _ = real.lastRequest()
	if h := req.Header; h.Get("X-Raven-Mirror") != "" || h.Get("Idempotency-Key") == "" || h.Get("X-Raven-Version") != "v1" {
		t.Errorf("headers of the real call %v", h)
	}
}

func TestAMirrorNeverSlowsTheRealCall(t *testing.T) {
	real, shadow := serve(t, "ok"), serve(t, "hang")
	spec := api.ServiceSpec{InFlight: 2, Timeout: api.Duration(time.Hour)}
	r := newRouter(t, spec, api.RouteSpec{Mirror: &api.Mirror{Version: "v2", Percent: 10_000}}, real.URL, shadow.URL)
	for range 50 {
		if _, err := r.Call(t.Context(), call); err != nil {
			t.Fatal(err)
		}
	}
	if m := r.Status()[0].Mirror; m == nil || m.Dropped != 48 {
		t.Errorf("mirror %+v, want 2 in flight and 48 dropped", m)
	}
}

func TestFailingShadowsHurtNobody(t *testing.T) {
	r := mirrored(t, api.Mirror{}, serve(t, "ok").URL, serve(t, "500").URL)
	for i := range 30 {
		if _, err := r.Call(t.Context(), call); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the shadow call", func() bool { m := r.Status()[0].Mirror; return m != nil && m.Failed == int64(i+1) })
	}
	if v := r.Status()[0].Versions[1]; v.Breaker != "closed" || v.Errors != 0 || v.Calls != 0 {
		t.Errorf("the mirror's version: %+v", v)
	}
}

func TestNoShadowOfACallThatFailed(t *testing.T) {
	shadow := serve(t, "ok")
	r := mirrored(t, api.Mirror{}, serve(t, "404").URL, shadow.URL)
	_, _ = r.Call(t.Context(), call)
	_ = r.Close()
	if shadow.calls.Load() != 0 {
		t.Error("a failed call was mirrored")
	}
}

func TestDifferencesKeptAreBounded(t *testing.T) {
	var n atomic.Int64
	real, shadow := serveFunc(t, saying(`{"n":0}`)), serveFunc(t, func(b *backend, w http.ResponseWriter, req *http.Request) {
		b.answer(w, 200, fmt.Sprintf(`{"n":%d,"text":%q}`, n.Add(1), strings.Repeat("x", 10_000)))
	})
	r := mirrored(t, api.Mirror{Ignore: []string{"n"}}, real.URL, shadow.URL)
	for i := range 2 * keptDiffs {
		c := call
		c.IdempotencyKey = fmt.Sprint(i)
		if _, err := r.Call(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the comparison", func() bool { m := r.Status()[0].Mirror; return m != nil && m.Different == int64(i+1) })
	}
	all := r.Status()[0].Mirror.Differences
	if len(all) != keptDiffs || all[keptDiffs-1].Request != fmt.Sprint(2*keptDiffs-1) {
		t.Errorf("%d differences, the last of %s", len(all), all[len(all)-1].Request)
	}
	for _, d := range all {
		if len(d.Shadow) > excerptBytes+10 {
			t.Errorf("a difference of %d bytes is kept", len(d.Shadow))
		}
	}
}

func TestTheProxyMirrorsToo(t *testing.T) {
	real, shadow := serveFunc(t, saying(`{"a":1}`)), serveFunc(t, saying(`{"a":2}`))
	r := mirrored(t, api.Mirror{}, real.URL, shadow.URL)
	resp, err := http.Post(proxyOf(t, r)+"/users/deep/path?x=1", "application/json", strings.NewReader(`{"b":1}`))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	eventually(t, "the comparison", func() bool { m := r.Status()[0].Mirror; return m != nil && m.Different == 1 })
	if req, body := shadow.lastRequest(); req.URL.String() != "/deep/path?x=1" || string(body) != `{"b":1}` || req.Header.Get("X-Raven-Mirror") != "1" {
		t.Errorf("shadow got %s %s", req.URL, body)
	}
}

func TestAMirrorCanBeTakenAwayAtAnyTime(t *testing.T) {
	r := mirrored(t, api.Mirror{}, serve(t, "ok").URL, serve(t, "ok").URL)
	with, _ := r.Route("users")
	for i := range 20 {
		spec := with
		if i%2 == 0 {
			spec = SetMirror(with, nil)
		}
		if err := r.SetRoute(spec); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Call(t.Context(), component.Call{Service: "users", Event: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
	}
}
