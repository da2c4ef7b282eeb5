package router

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/api"
)

func fetch(t *testing.T, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestTheProxyPassesRequestsThroughAsTheyCame(t *testing.T) {
	for _, c := range []struct {
		name, method, path string
		sent               string
	}{
		{"the service's own path", "POST", "/users", "/enrich?full=1"},
		{"the service's own path, with a query", "POST", "/users?a=1", "/enrich?a=1"},
		{"a path below", "POST", "/users/a/b?c=d", "/a/b?c=d"},
		{"another method", "DELETE", "/users/a", "/a"},
		{"escapes stay", "PUT", "/users/a%2Fb/c%20d", "/a%2Fb/c%20d"},
		{"a path is not cleaned", "POST", "/users/a//b/../c", "/a//b/../c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := serve(t, "echo")
			r := newRouter(t, api.ServiceSpec{Path: "/enrich?full=1"}, api.RouteSpec{}, b.URL)
			req, _ := http.NewRequest(c.method, proxyOf(t, r)+c.path, strings.NewReader("any bytes"))
			req.Header.Set("X-Custom", "1")
			req.Header.Set("Content-Type", "text/plain")
			req.Header.Set("Idempotency-Key", "mine")
			req.Header.Set("X-Raven-Key", "k")
			req.Header.Set("Connection", "X-Hop")
			req.Header.Set("X-Hop", "1")
			resp, body := fetch(t, req)
			if resp.StatusCode != 200 || body != "any bytes" {
				t.Fatalf("answer %d %q", resp.StatusCode, body)
			}
			got, _ := b.lastRequest()
			if got.Method != c.method || got.RequestURI != c.sent {
				t.Errorf("sent %s %s, want %s %s", got.Method, got.RequestURI, c.method, c.sent)
			}
			for name, want := range map[string]string{"X-Custom": "1", "Content-Type": "text/plain", "Idempotency-Key": "mine", "X-Raven-Key": "", "X-Hop": "", "X-Raven-Version": "v1"} {
				if v := got.Header.Get(name); v != want {
					t.Errorf("header %s = %q, want %q", name, v, want)
				}
			}
		})
	}
}

func TestTheProxyPassesAnswersThroughAsTheyCame(t *testing.T) {
	b := serveFunc(t, func(b *backend, w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "text/csv")
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		b.answer(w, 418, "a,b\n")
	})
	r := newRouter(t, api.ServiceSpec{}, api.RouteSpec{}, b.URL)
	req, _ := http.NewRequest("GET", proxyOf(t, r)+"/users/x", nil)
	resp, body := fetch(t, req)
	if resp.StatusCode != 418 || body != "a,b\n" || resp.Header.Get("Content-Type") != "text/csv" || len(resp.Header.Values("Set-Cookie")) != 2 ||
		resp.Header.Get("X-Raven-Version") != "v1" || resp.Header.Get("X-Raven-Why") != "default" {
		t.Errorf("answer %d %q %v", resp.StatusCode, body, resp.Header)
	}
}

func TestTheProxyGuessesNoContentType(t *testing.T) {
	b := serveFunc(t, func(b *backend, w http.ResponseWriter, req *http.Request) {
		w.Header()["Content-Type"] = nil
		b.answer(w, 200, "<html>")
	})
	r := newRouter(t, api.ServiceSpec{}, api.RouteSpec{}, b.URL)
	req, _ := http.NewRequest("GET", proxyOf(t, r)+"/users/x", nil)
	if resp, _ := fetch(t, req); resp.Header.Get("Content-Type") != "" {
		t.Errorf("content type %q", resp.Header.Get("Content-Type"))
	}
}

func TestWhatTheProxySaysItself(t *testing.T) {
	for _, c := range []struct {
		name, behaviour, path string
		body                  string
		status                int
		code                  Code
	}{
		{"unknown service", "ok", "/nobody/x", "", 404, CodeUnknownService},
		{"no service", "ok", "/", "", 405, CodeUnknownService},
		{"body too large", "ok", "/users", strings.Repeat("x", 2000), 413, CodeBodyTooLarge},
		{"down", "down", "/users", "", 503, CodeUnreachable},
		{"hang", "hang", "/users", "", 504, CodeTimeout},
		{"broken connection", "closes", "/users", "", 502, CodeConnection},
		{"redirect", "redirect", "/users", "", 502, CodeRedirect},
		{"large", "large", "/users", "", 502, CodeTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRouter(t, impatient(c.behaviour), api.RouteSpec{}, serve(t, c.behaviour).URL)
			r.maxBody = 1000
			req, _ := http.NewRequest("POST", proxyOf(t, r)+c.path, strings.NewReader(c.body))
			resp, body := fetch(t, req)
			var said proxyError
			if err := json.Unmarshal([]byte(body), &said); err != nil || said.Code != c.code || said.Message == "" || resp.StatusCode != c.status {
				t.Errorf("answer %d %s, want %d %s", resp.StatusCode, body, c.status, c.code)
			}
			if resp.Header.Get("Content-Type") != "application/json" {
				t.Errorf("content type %q", resp.Header.Get("Content-Type"))
			}
		})
	}
}

func TestTheProxyListsTheRoutes(t *testing.T) {
	r := newRouter(t, api.ServiceSpec{}, api.RouteSpec{Switch: "v1"}, serve(t, "ok").URL)
	req, _ := http.NewRequest("GET", proxyOf(t, r)+"/", nil)
	_, body := fetch(t, req)
	var routes []api.RouteSpec
	if err := json.Unmarshal([]byte(body), &routes); err != nil || len(routes) != 1 || routes[0].Switch != "v1" {
		t.Errorf("routes %s: %v", body, err)
	}
}

func TestTheProxyStreams(t *testing.T) {
	next := make(chan string)
	b := serveFunc(t, func(b *backend, w http.ResponseWriter, req *http.Request) {
		for line := range next {
			b.piece(w, line)
		}
	})
	r := newRouter(t, api.ServiceSpec{Timeout: api.Duration(10 * time.Second)}, api.RouteSpec{}, b.URL)
	go func() { next <- "first\n" }()
	resp, err := http.Get(proxyOf(t, r) + "/users/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	if line, err := lines.ReadString('\n'); err != nil || line != "first\n" {
		t.Fatalf("line %q, error %v", line, err)
	}
	next <- "second\n" // only now: the first came through before the second existed
	close(next)
	if line, err := lines.ReadString('\n'); err != nil || line != "second\n" {
		t.Errorf("line %q, error %v", line, err)
	}
}

func (b *backend) piece(w http.ResponseWriter, piece string) {
	_, _ = io.WriteString(w, piece)
	_ = http.NewResponseController(w).Flush()
}

func TestACallerWhoGoesAwayIsNotTheServicesFault(t *testing.T) {
	b := serve(t, "endless")
	spec := api.ServiceSpec{MaxAnswer: 1 << 30, Timeout: api.Duration(time.Minute), Breaker: api.Breaker{Failures: 1, MinCalls: 1, Window: api.Duration(time.Minute), Open: api.Duration(time.Minute)}}
	r := newRouter(t, spec, api.RouteSpec{}, b.URL)
	address := strings.TrimPrefix(proxyOf(t, r), "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /users HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	if _, err := conn.Read(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	eventually(t, "the call to end", func() bool { return r.Status()[0].Versions[0].Calls == 1 })
	if v := r.Status()[0].Versions[0]; v.Breaker != "closed" {
		t.Errorf("status %+v", v)
	}
}

func TestHeadRequests(t *testing.T) {
	r := newRouter(t, api.ServiceSpec{}, api.RouteSpec{}, serve(t, "ok").URL)
	req, _ := http.NewRequest("HEAD", proxyOf(t, r)+"/users/x", nil)
	resp, body := fetch(t, req)
	if resp.StatusCode != 200 || body != "" || resp.ContentLength != 11 {
		t.Errorf("answer %d %q, length %d", resp.StatusCode, body, resp.ContentLength)
	}
}

func BenchmarkProxy(b *testing.B) {
	s := serve(b, "echo")
	r := newRouter(b, api.ServiceSpec{}, api.RouteSpec{}, s.URL)
	for name, url := range map[string]string{"direct": s.URL, "proxied": proxyOf(b, r) + "/users"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				resp, err := http.Post(url, "application/json", strings.NewReader(string(event1K)))
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
}
