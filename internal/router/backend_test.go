package router

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ravenswood.dev/api"
)

// backend is a real server that behaves in one of the ways of behaviours, and counts.
type backend struct {
	URL   string
	calls atomic.Int64
	sent  atomic.Int64 // bytes of answers written

	mu   sync.Mutex
	last *http.Request // its body read
	body []byte
}

func (b *backend) lastRequest() (*http.Request, []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last, b.body
}

// behaviours is everything a service can do to its callers.
var behaviours = map[string]func(b *backend, w http.ResponseWriter, req *http.Request){
	"ok":  func(b *backend, w http.ResponseWriter, req *http.Request) { b.answer(w, 200, `{"ok":true}`) },
	"400": func(b *backend, w http.ResponseWriter, req *http.Request) { b.answer(w, 400, `{"say":"bad\nrequest"}`) },
	"404": func(b *backend, w http.ResponseWriter, req *http.Request) { b.answer(w, 404, `no such user`) },
	"408": func(b *backend, w http.ResponseWriter, req *http.Request) { b.answer(w, 408, ``) },
	"425": func(b *backend, w http.ResponseWriter, req *http.Request) { b.answer(w, 425, ``) },
	"429": func(b *backend, w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Retry-After", "7")
		b.answer(w, 429, `slow down`)
	},
	"500": func(b *backend, w http.ResponseWriter, req *http.Request) { b.answer(w, 500, `oops`) },
	"503": func(b *backend, w http.ResponseWriter, req *http.Request) { b.answer(w, 503, `busy`) },
	"redirect": func(b *backend, w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, b.URL+"/elsewhere", http.StatusTemporaryRedirect)
	},
	"broken":  func(b *backend, w http.ResponseWriter, req *http.Request) { b.answer(w, 200, `{"ok":tru`) },
	"nothing": func(b *backend, w http.ResponseWriter, req *http.Request) { b.answer(w, 204, ``) },
	"hang":    func(b *backend, w http.ResponseWriter, req *http.Request) { <-req.Context().Done() },
	"half": func(b *backend, w http.ResponseWriter, req *http.Request) {
		b.answer(w, 200, `{"ok":`)
		_ = http.NewResponseController(w).Flush()
		<-req.Context().Done()
	},
	"truncated": func(b *backend, w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Length", "1000")
		b.answer(w, 200, `{"ok":`)
	},
	"closes": func(b *backend, w http.ResponseWriter, req *http.Request) { panic(http.ErrAbortHandler) },
	"garbage": func(b *backend, w http.ResponseWriter, req *http.Request) {
		conn, _, _ := http.NewResponseController(w).Hijack()
		_, _ = conn.Write([]byte("\x00\x01\x02 this is not HTTP\r\n\r\n"))
		_ = conn.Close()
	},
	"large": func(b *backend, w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(1<<30))
		b.endless(w)
	},
	"endless": func(b *backend, w http.ResponseWriter, req *http.Request) { b.endless(w) },
	"echo": func(b *backend, w http.ResponseWriter, req *http.Request) {
		_, body := b.lastRequest()
		b.answer(w, 200, string(body))
	},
}

func (b *backend) answer(w http.ResponseWriter, status int, body string) {
	w.WriteHeader(status)
	n, _ := io.WriteString(w, body)
	b.sent.Add(int64(n))
}

// endless writes up to 1 GB, as long as somebody takes it.
func (b *backend) endless(w http.ResponseWriter) {
	piece := bytes.Repeat([]byte("["), 64<<10)
	for range 1 << 30 / len(piece) {
		n, err := w.Write(piece)
		b.sent.Add(int64(n))
		if err != nil {
			return
		}
	}
}

// serve starts a backend. "down" is an address where nobody listens.
func serve(t testing.TB, behaviour string) *backend {
	t.Helper()
	if behaviour == "down" {
		return &backend{URL: deadAddress(t)}
	}
	act := behaviours[behaviour]
	if act == nil {
		t.Fatalf("no behaviour %q", behaviour)
	}
	return serveFunc(t, act)
}

func serveFunc(t testing.TB, act func(*backend, http.ResponseWriter, *http.Request)) *backend {
	t.Helper()
	b := &backend{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		b.calls.Add(1)
		b.mu.Lock()
		b.last, b.body = req, body
		b.mu.Unlock()
		act(b, w, req)
	}))
	b.URL = s.URL
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return b
}

func deadAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// resource is a Service resource named "users" with one version per address, v1, v2, …
func resource(spec api.ServiceSpec, urls ...string) *api.Service {
	for i, u := range urls {
		spec.Versions = append(spec.Versions, api.ServiceVersion{Name: fmt.Sprint("v", i+1), URL: u})
	}
	return &api.Service{Metadata: api.Metadata{Name: "users"}, Spec: spec}
}

// newRouter makes a router of one service; the zero route sends everything to v1.
func newRouter(t testing.TB, spec api.ServiceSpec, route api.RouteSpec, urls ...string) *Router {
	t.Helper()
	route.Service = "users"
	orElse(&route.Default, "v1")
	r, err := New([]*api.Service{resource(spec, urls...)}, []*api.Route{{Spec: route}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// proxyOf serves a router's routes.
func proxyOf(t testing.TB, r *Router) string {
	s := httptest.NewServer(r.Handler())
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

// eventually waits for a condition without which the test makes no sense.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) { // sleep: between two looks at the condition
		if time.Now().After(deadline) {
			t.Fatalf("waited 10 s for: %s", what)
		}
	}
}

func asJSON(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}
