package engine_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/call"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/router"
	"ravenswood.dev/internal/topology"
)

// services makes a router for one service whose only version is the handler.
func services(t *testing.T, h http.HandlerFunc) (*router.Router, *httptest.Server) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	s := &api.Service{Metadata: api.Metadata{Name: "svc"}}
	manifest.Defaults(&s.Spec)
	s.Spec.Timeout = api.Duration(100 * time.Millisecond)
	s.Spec.Breaker.Open = api.Duration(50 * time.Millisecond)
	v := api.ServiceVersion{Name: "v1", URL: server.URL}
	manifest.Defaults(&v)
	v.URL = server.URL
	s.Spec.Versions = []api.ServiceVersion{v}
	r, err := router.New([]*api.Service{s}, nil, router.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r, server
}

// callPlan is in -> call svc into "answer" -> out.
func callPlan() *topology.Plan {
	p := plan(call.Definition())
	c := &call.Config{}
	manifest.Defaults(c)
	c.Service, c.Into = "svc", "answer"
	p.Bolts[0].Config = c
	return p
}

// TestWhatAServiceMayDoWrong sends ten records through a call to a service that misbehaves and says where they end.
func TestWhatAServiceMayDoWrong(t *testing.T) {
	good := func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"ok":true}`) }
	cases := []struct {
		name   string
		handle func(n int64, w http.ResponseWriter, r *http.Request) // n counts calls
		dead   int                                                   // of ten; the rest come out
		cause  string
	}{
		{"answers 404", func(_ int64, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, 10, "404"},
		{"answers 500 for ever", func(_ int64, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, 0, ""},
		{"answers 500 now and then", func(n int64, w http.ResponseWriter, _ *http.Request) {
			if n%3 == 0 {
				w.WriteHeader(500)
				return
			}
			good(w)
		}, 0, ""},
		{"answers broken JSON", func(_ int64, w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"ok":`) }, 10, "JSON"},
		{"answers 1 GB", func(_ int64, w http.ResponseWriter, _ *http.Request) {
			chunk := []byte(strings.Repeat("x", 1<<20))
			for range 1024 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, 10, "larger"},
		{"redirects", func(_ int64, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, 10, "redirect"},
		{"is slow at first", func(n int64, w http.ResponseWriter, r *http.Request) {
			if n <= 5 {
				<-r.Context().Done()
				return
			}
			good(w)
		}, 0, ""},
		{"hangs up without an answer at first", func(n int64, w http.ResponseWriter, _ *http.Request) {
			if n <= 5 {
				panic(http.ErrAbortHandler)
			}
			good(w)
		}, 0, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			var calls atomic.Int64
			var healed atomic.Bool
			svc, _ := services(t, func(w http.ResponseWriter, req *http.Request) {
				_, _ = io.Copy(io.Discard, req.Body)
				if healed.Load() {
					good(w)
					return
				}
				c.handle(calls.Add(1), w, req)
			})
			p := callPlan()
			p.Retry.Budget, p.Retry.Park = api.Duration(2*time.Second), api.Duration(time.Hour)
			r.ensure(p)
			r.send(10, 10)
			_, stop := r.run(p, "a", func(env *engine.Env) { env.Services = svc })
			if c.dead > 0 {
				dead := r.awaitOut("t.dead-letters", c.dead)
				for _, d := range dead {
					if got := header(d, "raven-dead-error"); !strings.Contains(strings.ToLower(got), strings.ToLower(c.cause)) {
						t.Errorf("cause is %q, want it to name %q", got, c.cause)
					}
				}
			} else {
				r.await("calls", func() bool { return calls.Load() >= 10 })
				healed.Store(true) // what failed for a while is not lost
			}
			out := r.awaitOut("out", 10-c.dead)
			stop()
			if len(out)+len(r.read("t.dead-letters")) != 10 {
				t.Errorf("%d out and %d dead letters, want 10 together", len(out), len(r.read("t.dead-letters")))
			}
			for _, rec := range out {
				if header(rec, "raven-answered-b0") != "svc/v1" || !strings.Contains(string(rec.Value), `"answer":{"ok":true}`) {
					t.Errorf("output %s says it was answered by %q", rec.Value, header(rec, "raven-answered-b0"))
				}
			}
		})
	}
}

// TestEachAttemptCarriesTheSameIdempotencyKey is what makes repeated calls harmless to a service that looks at it.
func TestEachAttemptCarriesTheSameIdempotencyKey(t *testing.T) {
	r := newRig(t)
	keys := make(chan string, 100)
	var n atomic.Int64
	svc, _ := services(t, func(w http.ResponseWriter, req *http.Request) {
		keys <- req.Header.Get("Idempotency-Key")
		if n.Add(1) < 3 {
			w.WriteHeader(503)
			return
		}
		_, _ = io.WriteString(w, `{}`)
	})
	p := callPlan()
	r.ensure(p)
	r.sendAll(r.client(kgo.RecordPartitioner(kgo.ManualPartitioner())), &kgo.Record{Topic: "in", Partition: 2, Value: []byte(`{}`)})
	_, stop := r.run(p, "a", func(env *engine.Env) { env.Services = svc })
	r.awaitOut("out", 1)
	stop()
	close(keys)
	seen := map[string]int{}
	for k := range keys {
		seen[k]++
	}
	if want := "in/2/0/b0"; len(seen) != 1 || seen[want] < 3 {
		t.Errorf("keys are %v, want %q on each of three attempts", seen, want)
	}
}

// TestABoltThatCannotWorkOnARecord says what an expression that fails does.
func TestABoltThatCannotWorkOnARecord(t *testing.T) {
	r := newRig(t)
	p := plan(bolt(false, func(_ context.Context, rec *record.Record, emit component.Emit) error {
		if strings.Contains(string(rec.Value), `"id":7}`) {
			return fmt.Errorf("evaluate %q: no such field", "event.x")
		}
		emit(0, rec)
		return nil
	}))
	r.ensure(p)
	r.send(10, 10)
	_, stop := r.run(p, "a")
	r.awaitOut("out", 9)
	dead := r.awaitOut("t.dead-letters", 1)
	stop()
	if got := header(dead[0], "raven-dead-error"); got != `evaluate "event.x": no such field` {
		t.Errorf("cause is %q", got)
	}
}

// TestAServiceMayAskForAPause sends one record to a service that asks for a second of rest.
func TestAServiceMayAskForAPause(t *testing.T) {
	r := newRig(t)
	calls := make(chan time.Time, 10)
	svc, _ := services(t, func(w http.ResponseWriter, _ *http.Request) {
		calls <- time.Now()
		if len(calls) == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(429)
			return
		}
		_, _ = io.WriteString(w, `{}`)
	})
	p := callPlan()
	p.Retry.Budget = api.Duration(5 * time.Second)
	r.ensure(p)
	r.send(1, 1)
	_, stop := r.run(p, "a", func(env *engine.Env) { env.Services = svc })
	r.awaitOut("out", 1)
	stop()
	if first, second := <-calls, <-calls; second.Sub(first) < time.Second {
		t.Errorf("the second attempt came after %v, want a second or more", second.Sub(first))
	}
}
