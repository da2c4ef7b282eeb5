package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
)

var call = component.Call{Service: "users", Event: []byte(`{"userId":"ada"}`), Key: []byte("ada"), IdempotencyKey: "messages/0/1/who"}

// noBreaker keeps the breaker out of tests of other things.
var noBreaker = api.Breaker{Failures: 0, MinCalls: 1}

func TestWhatAFailureMeansForItsRecord(t *testing.T) {
	for _, c := range []struct {
		behaviour string
		class     component.Class
		say       string
	}{
		{"400", component.Never, `call service "users" version "v1": answered 400 Bad Request: "{\"say\":\"bad\\nrequest\"}"`},
		{"404", component.Never, `answered 404 Not Found: "no such user"`},
		{"408", component.Transient, "answered 408"},
		{"425", component.Transient, "answered 425"},
		{"429", component.Transient, `answered 429 Too Many Requests: "slow down"`},
		{"500", component.Transient, `answered 500 Internal Server Error: "oops"`},
		{"503", component.Transient, "answered 503"},
		{"redirect", component.Never, `answered 307 Temporary Redirect to "http://127.0.0.1`},
		{"broken", component.Never, "the answer is not JSON"},
		{"nothing", component.Never, "answered 204 with nothing, want JSON"},
		{"large", component.Never, "the answer is larger than 1048576 bytes"},
		{"endless", component.Never, "the answer is larger than 1048576 bytes"},
		{"hang", component.Transient, "no answer within 100ms"},
		{"half", component.Transient, "no answer within 100ms"},
		{"truncated", component.Transient, "connection failed: unexpected EOF"},
		{"closes", component.Transient, "connection failed: EOF"},
		{"garbage", component.Transient, "connection failed: "},
		{"down", component.Down, "connection refused"},
	} {
		t.Run(c.behaviour, func(t *testing.T) {
			b := serve(t, c.behaviour)
			r := newRouter(t, impatient(c.behaviour), api.RouteSpec{}, b.URL)
			_, err := r.Call(t.Context(), call)
			if err == nil {
				t.Fatal("no error")
			}
			if component.ClassOf(err) != c.class {
				t.Errorf("class %d, want %d", component.ClassOf(err), c.class)
			}
			if !strings.Contains(err.Error(), c.say) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 600 {
				t.Errorf("error %q, want one line with %q", err, c.say)
			}
			if n := b.calls.Load(); n > 1 {
				t.Errorf("called %d times", n)
			}
		})
	}
}

// impatient is a service with a short timeout, if it is one that never answers.
func impatient(behaviour string) api.ServiceSpec {
	if behaviour == "hang" || behaviour == "half" {
		return api.ServiceSpec{Timeout: api.Duration(100 * time.Millisecond)}
	}
	return api.ServiceSpec{Timeout: api.Duration(30 * time.Second)}
}

func TestRetryAfterIsToldToTheCaller(t *testing.T) {
	r := newRouter(t, api.ServiceSpec{}, api.RouteSpec{}, serve(t, "429").URL)
	_, err := r.Call(t.Context(), call)
	if e, ok := errors.AsType[*Error](err); !ok || e.RetryAfter != 7*time.Second {
		t.Errorf("error %+v", err)
	}
}

func TestAnAnswerOfAGigabyteIsNotReadIntoMemory(t *testing.T) {
	for _, behaviour := range []string{"large", "endless"} {
		t.Run(behaviour, func(t *testing.T) {
			b := serve(t, behaviour)
			r := newRouter(t, api.ServiceSpec{}, api.RouteSpec{}, b.URL)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := r.Call(t.Context(), call); err == nil {
				t.Fatal("no error")
			}
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
				t.Errorf("%d MB were allocated", got>>20)
			}
			if got := b.sent.Load(); got > 64<<20 {
				t.Errorf("%d MB were sent", got>>20)
			}
		})
	}
}

func TestAServiceThatAcceptsAndSaysNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, nobody reads
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := newRouter(t, api.ServiceSpec{Timeout: api.Duration(50 * time.Millisecond)}, api.RouteSpec{}, "http://"+l.Addr().String())
	_, err = r.Call(t.Context(), call)
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeTimeout {
		t.Errorf("error %v", err)
	}
}

func TestACallGivenUpSaysNothingAboutTheService(t *testing.T) {
	b := serve(t, "hang")
	r := newRouter(t, api.ServiceSpec{Breaker: api.Breaker{Failures: 1, MinCalls: 1, Window: api.Duration(time.Minute), Open: api.Duration(time.Minute)}}, api.RouteSpec{}, b.URL)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for b.calls.Load() == 0 {
			runtime.Gosched()
		}
		cancel()
	}()
	_, err := r.Call(ctx, call)
	if !errors.Is(err, context.Canceled) || component.ClassOf(err) != component.Transient {
		t.Errorf("error %v", err)
	}
	if s := r.Status()[0].Versions[0]; s.Breaker != "closed" {
		t.Errorf("breaker %s", s.Breaker)
	}
}

func TestWhatIsSent(t *testing.T) {
	b := serve(t, "ok")
	r := newRouter(t, api.ServiceSpec{Path: "/enrich?full=1", Method: "PUT"}, api.RouteSpec{}, strings.Replace(b.URL, "http://", "http://user:secret@", 1)+"/api/")
	c := call
	c.Headers = []record.Header{
		{Key: "traceparent", Value: []byte("00-1")}, {Key: "raven-answered-x", Value: []byte("users/v1")},
		{Key: "Connection", Value: []byte("close")}, {Key: "Host", Value: []byte("evil")}, {Key: "Content-Length", Value: []byte("0")},
		{Key: "bad name", Value: []byte("x")}, {Key: "bad-value", Value: []byte("a\r\nInjected: 1")}, {Key: "Idempotency-Key", Value: []byte("mine")},
		{Key: "X-Raven-Mirror", Value: []byte("1")}, {Key: "twice", Value: []byte("1")}, {Key: "Twice", Value: []byte("2")},
	}
	for i := range 200 {
		c.Headers = append(c.Headers, record.Header{Key: fmt.Sprint("many-", i), Value: []byte("x")})
	}
	if _, err := r.Call(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	req, body := b.lastRequest()
	if req.Method != "PUT" || req.URL.String() != "/api/enrich?full=1" || string(body) != string(call.Event) {
		t.Errorf("sent %s %s %s", req.Method, req.URL, body)
	}
	if user, password, _ := req.BasicAuth(); user != "user" || password != "secret" {
		t.Errorf("user %q, password %q", user, password)
	}
	for name, want := range map[string]string{
		"Traceparent": "00-1", "Raven-Answered-X": "", "Connection": "", "Bad-Value": "", "Injected": "", "X-Raven-Mirror": "",
		"Twice": "2", "Idempotency-Key": "messages/0/1/who", "Content-Type": "application/json", "Accept": "application/json",
		"User-Agent": "raven", "X-Raven-Service": "users", "X-Raven-Version": "v1", "Many-10": "x", "Many-150": "",
	} {
		if got := req.Header.Get(name); got != want {
			t.Errorf("header %s = %q, want %q", name, got, want)
		}
	}
	if !strings.HasPrefix(req.Host, "127.0.0.1") {
		t.Errorf("host %q", req.Host)
	}
	if text := asJSON(r.Status()); strings.Contains(text, "secret") {
		t.Errorf("the status shows a password: %s", text)
	}
}

func TestUnknownServiceAndVersion(t *testing.T) {
	r := newRouter(t, api.ServiceSpec{}, api.RouteSpec{}, serve(t, "ok").URL)
	for _, c := range []component.Call{{Service: "nobody"}, {Service: "users", Version: "v9"}} {
		if _, err := r.Call(t.Context(), c); component.ClassOf(err) != component.Never || err == nil {
			t.Errorf("call %+v: %v", c, err)
		}
	}
}

func TestTheBreakerOpensAndCloses(t *testing.T) {
	var healthy atomic.Bool
	b := serveFunc(t, func(b *backend, w http.ResponseWriter, req *http.Request) {
		if healthy.Load() {
			b.answer(w, 200, `{}`)
			return
		}
		b.answer(w, 500, ``)
	})
	r := newRouter(t, api.ServiceSpec{Breaker: api.Breaker{Failures: 5000, MinCalls: 10, Window: api.Duration(time.Minute), Open: api.Duration(time.Second)}}, api.RouteSpec{}, b.URL)
	c := call
	c.IdempotencyKey = "" // first attempts all, the retry budget stays out of it
	for range 10 {
		_, _ = r.Call(t.Context(), c)
	}
	_, err := r.Call(t.Context(), c)
	if component.ClassOf(err) != component.Down || !strings.Contains(err.Error(), "the breaker is open for another") {
		t.Fatalf("error %v", err)
	}
	if n := b.calls.Load(); n != 10 {
		t.Errorf("%d calls got through, want 10", n)
	}
	healthy.Store(true)
	eventually(t, "the breaker to close", func() bool { _, err := r.Call(t.Context(), c); return err == nil })
	if s := r.Status()[0].Versions[0]; s.Breaker != "closed" || s.Errors != 10 {
		t.Errorf("status %+v", s)
	}
}

// A trial call whose caller gives up must not leave the breaker half-open for ever.
func TestATrialCallGivenUpDoesNotJamTheBreaker(t *testing.T) {
	b := newBreaker(api.Breaker{Failures: 1, MinCalls: 1, Window: api.Duration(time.Minute), Open: api.Duration(time.Millisecond)})
	if !b.admit() {
		t.Fatal("a new breaker is open")
	}
	b.done(&Error{Code: CodeConnection})
	for range 3 {
		eventually(t, "a trial call", b.admit)
		if b.admit() {
			t.Fatal("two trial calls at once")
		}
		b.done(&Error{Code: CodeCanceled})
	}
	eventually(t, "a trial call", b.admit)
	if b.done(nil); b.state() != "closed" {
		t.Errorf("state %s", b.state())
	}
}

func TestAFailingEndpointIsLeftOutAndNeverAll(t *testing.T) {
	good, bad := serve(t, "ok"), serve(t, "500")
	spec := api.ServiceSpec{Breaker: noBreaker, Versions: []api.ServiceVersion{{Name: "v1", URLs: []string{bad.URL, good.URL}}}}
	r := newRouter(t, spec, api.RouteSpec{})
	c := call
	c.IdempotencyKey = ""
	began := time.Now()
	for range 100 {
		_, _ = r.Call(t.Context(), c)
	}
	if n, most := bad.calls.Load(), mostCalls(began); n < ejectAfter || n > most {
		t.Errorf("the failing endpoint got %d calls, want %d to %d", n, ejectAfter, most)
	}
	if e := r.Status()[0].Versions[0].Endpoints; !e[0].Ejected || e[1].Ejected {
		t.Errorf("endpoints %+v", e)
	}

	worse := serve(t, "500")
	if err := r.SetEndpoints("users", "v1", []string{bad.URL, worse.URL}); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		_, _ = r.Call(t.Context(), c)
	}
	if e := r.Status()[0].Versions[0].Endpoints; e[0].Ejected && e[1].Ejected {
		t.Error("all endpoints are left out")
	}
}

func TestACallMovesOnToAnEndpointThatListens(t *testing.T) {
	good := serve(t, "ok")
	spec := api.ServiceSpec{Versions: []api.ServiceVersion{{Name: "v1", URLs: []string{deadAddress(t), good.URL, deadAddress(t)}}}}
	r := newRouter(t, spec, api.RouteSpec{})
	for i := range 10 {
		if _, err := r.Call(t.Context(), call); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	if n := good.calls.Load(); n != 10 {
		t.Errorf("%d calls, want 10", n)
	}
}

func TestAnEjectedEndpointComesBackOnTrial(t *testing.T) {
	list := []*endpoint{{}, {}}
	v := newEndpoints()
	v.set(list)
	now := time.Unix(1000, 0)
	for range ejectAfter {
		v.failed(list, list[0], now)
	}
	pauses := []time.Duration{}
	for range 3 {
		pause := time.Unix(0, list[0].until.Load()).Sub(now)
		pauses = append(pauses, pause)
		now = now.Add(pause)
		if list[0].ejected(now) {
			t.Fatal("still left out when its time is up")
		}
		v.failed(list, list[0], now)
	}
	if pauses[0] != ejectBase || pauses[1] != 2*ejectBase || pauses[2] != 4*ejectBase {
		t.Errorf("pauses %v", pauses)
	}
	list[0].worked()
	if list[0].failures.Load() != 0 || list[0].times.Load() != 0 {
		t.Error("an endpoint that works still carries its failures")
	}
}

func TestRetriesAreBounded(t *testing.T) {
	b := serve(t, "500")
	r := newRouter(t, api.ServiceSpec{Breaker: noBreaker, Retries: api.RetryBudget{PerSecond: 2}}, api.RouteSpec{}, b.URL)
	began, denied := time.Now(), 0
	for range 20 {
		_, err := r.Call(t.Context(), call)
		if e, _ := errors.AsType[*Error](err); e.Code == CodeRetryBudget {
			denied++
			if component.ClassOf(err) != component.Down {
				t.Error("a retry without budget uses up the record's own")
			}
		}
	}
	most := 1 + 2*(int64(time.Since(began)/time.Second)+2) // one first, two retries in each second the test touches
	if n := b.calls.Load(); n < 3 || n > most || denied != 20-int(n) {
		t.Errorf("%d calls, want 3 to %d; %d denied", n, most, denied)
	}
	c := call
	c.IdempotencyKey = "another"
	if _, err := r.Call(t.Context(), c); component.ClassOf(err) != component.Transient {
		t.Errorf("a first attempt was denied: %v", err)
	}
}

// Records that waited out an outage must not queue for the retry budget afterwards.
func TestWhatAnOpenBreakerKeptBackIsNoRetry(t *testing.T) {
	var healthy atomic.Bool
	b := serveFunc(t, func(b *backend, w http.ResponseWriter, req *http.Request) {
		if !healthy.Load() {
			panic(http.ErrAbortHandler)
		}
		b.answer(w, 200, `{}`)
	})
	spec := api.ServiceSpec{Retries: api.RetryBudget{Percent: 1}, Breaker: api.Breaker{Failures: 5000, MinCalls: 1, Window: api.Duration(time.Minute), Open: api.Duration(time.Second)}}
	r := newRouter(t, spec, api.RouteSpec{}, b.URL)
	try := func(i int) error {
		c := call
		c.IdempotencyKey = fmt.Sprint(i)
		_, err := r.Call(t.Context(), c)
		return err
	}
	if try(0) == nil { // opens the breaker
		t.Fatal("no error")
	}
	for i := 1; i < 100; i++ {
		if component.ClassOf(try(i)) != component.Down {
			t.Fatal("want an outage")
		}
	}
	healthy.Store(true)
	eventually(t, "the breaker to close", func() bool { return try(1) == nil })
	for i := 2; i < 100; i++ {
		if err := try(i); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
}

func TestToldAgainWhereAVersionRunsAnEndpointStaysLeftOut(t *testing.T) {
	good, bad := serve(t, "ok"), serve(t, "500")
	urls := []string{bad.URL, good.URL}
	r := newRouter(t, api.ServiceSpec{Breaker: noBreaker, Versions: []api.ServiceVersion{{Name: "v1", URLs: urls}}}, api.RouteSpec{})
	c := call
	c.IdempotencyKey = ""
	began := time.Now()
	for range 100 {
		_, _ = r.Call(t.Context(), c)
		if err := r.SetEndpoints("users", "v1", urls); err != nil {
			t.Fatal(err)
		}
	}
	if n, most := bad.calls.Load(), mostCalls(began); n < ejectAfter || n > most {
		t.Errorf("the failing endpoint got %d calls, want %d to %d", n, ejectAfter, most)
	}
}

// mostCalls is how many calls a failing endpoint may have got since then: on a slow machine it comes back on trial.
func mostCalls(began time.Time) int64 { return ejectAfter + int64(time.Since(began)/ejectBase) }

func TestTheBudgetIsAShareOfFirstAttempts(t *testing.T) {
	b := newBudget(api.RetryBudget{Percent: 1000})
	now := time.Unix(1000, 0)
	for range 100 {
		b.first(now)
	}
	allowed := 0
	for range 50 {
		if b.retry(now.Add(5 * time.Second)) {
			allowed++
		}
	}
	if allowed != 10 {
		t.Errorf("%d retries allowed, want 10 %% of 100", allowed)
	}
	if b.retry(now.Add(11 * time.Second)) {
		t.Error("first attempts of more than ten seconds ago still count")
	}
}

func TestCallsInFlightAreBounded(t *testing.T) {
	var now, most atomic.Int64
	release := make(chan struct{})
	b := serveFunc(t, func(b *backend, w http.ResponseWriter, req *http.Request) {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-release
		now.Add(-1)
		b.answer(w, 200, `{}`)
	})
	r := newRouter(t, api.ServiceSpec{InFlight: 3}, api.RouteSpec{}, b.URL)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := r.Call(t.Context(), component.Call{Service: "users", Event: []byte(`{}`)}); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "three calls to be inside", func() bool { return now.Load() == 3 })
	if s := r.Status()[0]; s.InFlight != 3 || s.Versions[0].InFlight != 3 {
		t.Errorf("status %+v", s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := r.Call(ctx, call); err == nil || !strings.Contains(err.Error(), "given up while waiting") {
		t.Errorf("error %v", err)
	}
	close(release)
	wg.Wait()
	if most.Load() != 3 || r.InFlight("users") != 3 {
		t.Errorf("%d at once", most.Load())
	}
}

func TestACallWaitsForAVersionThatIsStarting(t *testing.T) {
	b := serve(t, "ok")
	r := newRouter(t, api.ServiceSpec{Versions: []api.ServiceVersion{{Name: "v1", Exec: []string{"./users"}}}}, api.RouteSpec{})
	done := make(chan error, 1)
	go func() { _, err := r.Call(t.Context(), call); done <- err }()
	if err := r.SetEndpoints("users", "v1", []string{b.URL}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := r.SetEndpoints("users", "v1", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Call(t.Context(), call); component.ClassOf(err) != component.Down || !strings.Contains(err.Error(), "no endpoint") {
		t.Errorf("error %v", err)
	}
}

// Calls in flight finish where they went, later ones see the change, and none fails.
func TestRoutesChangeUnderLoad(t *testing.T) {
	answer := func(version string) func(*backend, http.ResponseWriter, *http.Request) {
		return func(b *backend, w http.ResponseWriter, req *http.Request) { b.answer(w, 200, `"`+version+`"`) }
	}
	v1, v2 := serveFunc(t, answer("v1")), serveFunc(t, answer("v2"))
	r := newRouter(t, api.ServiceSpec{InFlight: 16}, api.RouteSpec{}, v1.URL, v2.URL)
	var calls, failed, wrong atomic.Int64
	var epoch atomic.Int64 // even: v1 for all; odd: v2 for all; odd or even only once the switch has returned
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				before := epoch.Load()
				a, err := r.Call(context.WithoutCancel(ctx), component.Call{Service: "users", Event: []byte(`{}`), IdempotencyKey: fmt.Sprint(worker, "/", i)})
				calls.Add(1)
				switch {
				case err != nil:
					failed.Add(1)
				case string(a.Body) != `"`+a.Version+`"`:
					wrong.Add(1)
				case epoch.Load() == before && before >= 0 && a.Version != fmt.Sprint("v", 1+before%2):
					wrong.Add(1)
				}
			}
		})
	}
	spec, _ := r.Route("users")
	for i := range int64(50) {
		reached := calls.Load() + 20
		eventually(t, "calls to go on", func() bool { return calls.Load() >= reached })
		epoch.Store(-1 - i) // changing
		if err := r.SetRoute(Switch(spec, fmt.Sprint("v", 2-i%2))); err != nil {
			t.Error(err)
		}
		epoch.Store(i + 1)
	}
	stop()
	wg.Wait()
	if failed.Load() != 0 || wrong.Load() != 0 {
		t.Errorf("of %d calls %d failed, %d were answered by the wrong version", calls.Load(), failed.Load(), wrong.Load())
	}
	if got := v1.calls.Load() + v2.calls.Load(); got != calls.Load() {
		t.Errorf("%d calls became %d requests", calls.Load(), got)
	}
}

func TestEndpointsChangeUnderLoad(t *testing.T) {
	a, b := serve(t, "ok"), serve(t, "ok")
	r := newRouter(t, api.ServiceSpec{}, api.RouteSpec{}, a.URL)
	ctx, stop := context.WithCancel(t.Context())
	var calls atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := r.Call(context.WithoutCancel(ctx), component.Call{Service: "users", Event: []byte(`{}`)}); err != nil {
					t.Error(err)
				}
				calls.Add(1)
			}
		})
	}
	for i := range 60 {
		reached := calls.Load() + 10
		eventually(t, "calls to go on", func() bool { return calls.Load() >= reached })
		urls := [][]string{{a.URL}, {b.URL}, {a.URL, b.URL}, {}}[i%4] // none at all for a moment: calls wait
		if err := r.SetEndpoints("users", "v1", urls); err != nil {
			t.Fatal(err)
		}
		if len(urls) == 0 {
			if err := r.SetEndpoints("users", "v1", []string{a.URL}); err != nil {
				t.Fatal(err)
			}
		}
	}
	stop()
	wg.Wait()
	if a.calls.Load() == 0 || b.calls.Load() == 0 || a.calls.Load()+b.calls.Load() != calls.Load() {
		t.Errorf("%d calls became %d and %d requests", calls.Load(), a.calls.Load(), b.calls.Load())
	}
}

func TestNoGoroutineIsLeftBehind(t *testing.T) {
	b, hang := serve(t, "ok"), serve(t, "hang")
	before := runtime.NumGoroutine()
	r, err := New([]*api.Service{resource(api.ServiceSpec{}, b.URL, hang.URL)},
		[]*api.Route{{Spec: api.RouteSpec{Service: "users", Default: "v1", Mirror: &api.Mirror{Version: "v2", Percent: 10_000}}}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := r.Call(t.Context(), call); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before+4 }) // the servers' idle connections
}

func BenchmarkCall(b *testing.B) {
	s := serve(b, "ok")
	r := newRouter(b, api.ServiceSpec{}, api.RouteSpec{}, s.URL)
	c := component.Call{Service: "users", Event: event1K, Key: []byte("k")}
	b.Run("through the router", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.Call(context.Background(), c); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("net/http alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			resp, err := http.Post(s.URL, "application/json", strings.NewReader(string(event1K)))
			if err != nil {
				b.Fatal(err)
			}
			var v any
			_ = json.NewDecoder(resp.Body).Decode(&v)
			resp.Body.Close()
		}
	})
}
