package router

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
)

// conformanceCase is one case of testdata/conformance: a service whose versions behave in given ways, a route, and
// requests in order with what must come of them, whichever face they come in by.
type conformanceCase struct {
	Name     string
	Service  api.ServiceSpec
	Versions map[string]string // version to behaviour; see behaviours in backend_test.go
	Route    api.RouteSpec
	Requests []struct {
		Event   string
		Key     string
		Headers map[string]string
		Times   int // 0 is once
		Want    outcome
		Proxy   *outcome // where the proxy rightly differs: it does not look into answers
	}
}

// outcome is what a caller can see of a call.
type outcome struct {
	Version  string
	Why      string
	Degraded bool
	Error    Code
}

// face is one way to make a call.
type face func(t *testing.T, r *Router, event, key string, headers map[string]string) outcome

func TestConformance(t *testing.T) {
	faces := map[string]func(*testing.T, *Router) face{
		"in process": func(*testing.T, *Router) face { return callInProcess },
		"proxy":      func(t *testing.T, r *Router) face { return callThrough(proxyOf(t, r)) },
	}
	for file, cases := range readCases(t) {
		for _, c := range cases {
			for name, open := range faces {
				t.Run(file+"/"+c.Name+"/"+name, func(t *testing.T) { c.run(t, name == "proxy", open) })
			}
		}
	}
}

func readCases(t *testing.T) map[string][]conformanceCase {
	files, err := filepath.Glob("testdata/conformance/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	all := map[string][]conformanceCase{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases []conformanceCase
		d := yaml.NewDecoder(bytes.NewReader(text))
		d.KnownFields(true)
		if err := d.Decode(&cases); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".yaml")] = cases
	}
	return all
}

func (c *conformanceCase) run(t *testing.T, proxy bool, open func(*testing.T, *Router) face) {
	var urls []string
	for _, version := range slices.Sorted(maps.Keys(c.Versions)) {
		urls = append(urls, serve(t, c.Versions[version]).URL)
	}
	r := newRouter(t, c.Service, c.Route, urls...)
	call := open(t, r)
	for i, q := range c.Requests {
		want := q.Want
		if proxy && q.Proxy != nil {
			want = *q.Proxy
		}
		for range max(q.Times, 1) {
			if got := call(t, r, q.Event, q.Key, q.Headers); got != want {
				t.Fatalf("request %d: %+v, want %+v", i+1, got, want)
			}
		}
	}
}

func callInProcess(t *testing.T, r *Router, event, key string, headers map[string]string) outcome {
	c := component.Call{Service: "users", Event: []byte(event), Key: []byte(key)}
	for name, value := range headers {
		c.Headers = append(c.Headers, record.Header{Key: name, Value: []byte(value)})
	}
	d, err := r.Decide(c)
	if err != nil {
		t.Fatal(err)
	}
	out := outcome{Version: d.Version, Why: d.Why}
	answer, err := r.Call(t.Context(), c)
	if failure, ok := errors.AsType[*Error](err); ok {
		out.Error = failure.Code
		if failure.Version != d.Version {
			t.Errorf("decided on %s, failed at %s", d.Version, failure.Version)
		}
		return out
	}
	return outcome{Version: answer.Version, Why: d.Why, Degraded: answer.Degraded}
}

func callThrough(url string) face {
	return func(t *testing.T, _ *Router, event, key string, headers map[string]string) outcome {
		req, _ := http.NewRequest(http.MethodPost, url+"/users", strings.NewReader(event))
		for name, value := range headers {
			req.Header.Set(name, value)
		}
		if key != "" {
			req.Header.Set(HeaderKey, key)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		out := outcome{Version: resp.Header.Get(HeaderVersion), Why: resp.Header.Get(HeaderWhy), Degraded: resp.Header.Get(HeaderDegraded) != ""}
		var said proxyError
		switch {
		case err != nil: // the proxy broke off
			out.Error = CodeConnection
		case json.Unmarshal(body, &said) == nil && said.Code != "":
			out.Error = said.Code
		case resp.StatusCode >= 400:
			out.Error = CodeStatus
		}
		return out
	}
}
