package call

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/router"
)

// seen is one request as the service got it.
type seen struct {
	body    string
	headers http.Header
}

// service is a real HTTP service that answers with a function of the body, and remembers what it got.
type service struct {
	*httptest.Server
	mu   sync.Mutex
	seen []seen
}

func serve(t *testing.T, answer func(body string) (status int, reply string)) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		s.mu.Lock()
		s.seen = append(s.seen, seen{string(body), req.Header})
		s.mu.Unlock()
		status, reply := answer(string(body))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, reply)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) calls() []seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

func always(status int, reply string) func(string) (int, string) {
	return func(string) (int, string) { return status, reply }
}

// routed makes a router with the service "users", one version per address: v1, v2, …
func routed(t *testing.T, spec api.ServiceSpec, route *api.RouteSpec, urls ...string) *router.Router {
	t.Helper()
	for i, u := range urls {
		spec.Versions = append(spec.Versions, api.ServiceVersion{Name: fmt.Sprint("v", i+1), URL: u})
	}
	var routes []*api.Route
	if route != nil {
		route.Service = "users"
		routes = []*api.Route{{Spec: *route}}
	}
	r, err := router.New([]*api.Service{{Metadata: api.Metadata{Name: "users"}, Spec: spec}}, routes, router.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func newBolt(t *testing.T, c Config, services component.Services) component.Bolt {
	t.Helper()
	c.Service = "users"
	d := Definition()
	if problems := d.Check(&c); len(problems) > 0 {
		t.Fatalf("check: %+v", problems)
	}
	b, err := d.NewBolt(&c, component.Env{Topology: "t", Name: "who", Services: services})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func event(offset int64, value string) *record.Record {
	return &record.Record{
		Key: []byte("k"), Value: []byte(value), Format: record.JSON,
		Origin: record.Origin{Topic: "messages", Partition: 3, Offset: offset},
	}
}

func process(t *testing.T, b component.Bolt, r *record.Record) (*record.Record, error) {
	t.Helper()
	var out []*record.Record
	err := b.Process(t.Context(), r, func(port int, r *record.Record) { out = append(out, r) })
	if err != nil {
		return nil, err
	}
	if len(out) != 1 {
		t.Fatalf("%d records out, want 1", len(out))
	}
	return out[0], nil
}

func TestMergesTheAnswer(t *testing.T) {
	const in = `{ "userId": 12345678901234567890, "value": 1.10,  "users": {"old": true} }`
	for _, c := range []struct {
		name   string
		config Config
		answer string
		want   string
	}{
		{"at the top", Config{}, `{"name":"Ada","value":2.50}`,
			`{ "userId": 12345678901234567890, "value": 2.50,  "users": {"old": true},"name":"Ada"}`},
		{"under a field that is there", Config{Into: "users"}, `[1]`,
			`{ "userId": 12345678901234567890, "value": 1.10,  "users": [1] }`},
		{"under a new nested field", Config{Into: "a.b"}, `"text"`,
			`{ "userId": 12345678901234567890, "value": 1.10,  "users": {"old": true},"a":{"b":"text"}}`},
		{"with the version", Config{Into: "users.new", VersionField: "by"}, `null`,
			`{ "userId": 12345678901234567890, "value": 1.10,  "users": {"old": true,"new":null},"by":"v1"}`},
		{"of a name twice in the answer the last counts", Config{}, `{"n":1,"n":2}`,
			`{ "userId": 12345678901234567890, "value": 1.10,  "users": {"old": true},"n":2}`},
		{"an empty answer changes nothing", Config{}, `{}`, in},
		{"line breaks of the answer go", Config{Into: "users"}, "{\n  \"a\": 1.0\n}\n",
			`{ "userId": 12345678901234567890, "value": 1.10,  "users": {"a":1.0} }`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, always(200, c.answer))
			r := event(7, in)
			out, err := process(t, newBolt(t, c.config, routed(t, api.ServiceSpec{}, nil, s.URL)), r)
			if err != nil {
				t.Fatal(err)
			}
			if !sameButSpaceBeforeBrace(string(out.Value), c.want) {
				t.Errorf("value\n%s\nwant\n%s", out.Value, c.want)
			}
			if string(r.Value) != in || len(r.Headers) != 0 {
				t.Error("the record that came in was changed")
			}
			if who, _ := out.Header("raven-answered-who"); string(who) != "users/v1" {
				t.Errorf("answered by %q", who)
			}
			if out.Origin != r.Origin || string(out.Key) != "k" {
				t.Error("origin or key was lost")
			}
		})
	}
}

// A new member may stand before or after the space that was before the closing brace.
func sameButSpaceBeforeBrace(a, b string) bool {
	squeeze := func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, " ,", ","), " }", "}") }
	return squeeze(a) == squeeze(b)
}

func TestSendsChosenFieldsAndHeaders(t *testing.T) {
	s := serve(t, always(200, `{}`))
	config := Config{Send: []string{"userId", "a.b", "gone"}, Headers: map[string]string{"X-Segment": "a.b", "X-Gone": "gone", "X-Id": "userId"}}
	r := event(7, `{"userId":42,"a":{"b":"beta","c":1},"big":"xxx"}`)
	r.Headers = []record.Header{{Key: "traceparent", Value: []byte("00-1")}, {Key: "raven-origin", Value: []byte("no")}}
	if _, err := process(t, newBolt(t, config, routed(t, api.ServiceSpec{}, nil, s.URL)), r); err != nil {
		t.Fatal(err)
	}
	got := s.calls()[0]
	if got.body != `{"userId":42,"a":{"b":"beta"}}` {
		t.Errorf("body %s", got.body)
	}
	for name, want := range map[string]string{
		"X-Segment": "beta", "X-Id": "42", "X-Gone": "", "Traceparent": "00-1", "Raven-Origin": "",
		"Idempotency-Key": "messages/3/7/who", "Content-Type": "application/json", "X-Raven-Version": "v1",
	} {
		if v := got.headers.Get(name); v != want {
			t.Errorf("header %s = %q, want %q", name, v, want)
		}
	}
}

func TestALaterCallIsRoutedByAnEarlierAnswer(t *testing.T) {
	v1, v2 := serve(t, always(200, `{"version":"v1"}`)), serve(t, always(200, `{"version":"v2"}`))
	beta := "beta"
	r := routed(t, api.ServiceSpec{}, &api.RouteSpec{Default: "v1", Rules: []api.Rule{{
		Match: []api.Match{{Header: "x-segment", Equals: &beta}}, Version: "v2"}}}, v1.URL, v2.URL)
	b := newBolt(t, Config{Headers: map[string]string{"X-Segment": "user.segment"}, VersionField: "by"}, r)
	for segment, want := range map[string]string{"beta": "v2", "gold": "v1"} {
		out, err := process(t, b, event(1, `{"user":{"segment":"`+segment+`"}}`))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(out.Value), `"version":"`+want+`"`) || !strings.Contains(string(out.Value), `"by":"`+want+`"`) {
			t.Errorf("segment %s: %s", segment, out.Value)
		}
	}
}

func TestFailures(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		record *record.Record
		status int
		answer string
		class  component.Class
		say    string
	}{
		{"404", Config{}, event(1, `{}`), 404, `no such user`, component.Never, `answered 404 Not Found: "no such user"`},
		{"500", Config{}, event(1, `{}`), 500, `oops`, component.Transient, `answered 500`},
		{"broken JSON", Config{}, event(1, `{}`), 200, `{"a":`, component.Never, `not JSON`},
		{"nothing", Config{}, event(1, `{}`), 200, ``, component.Never, `with nothing`},
		{"a list where an object is needed", Config{}, event(1, `{}`), 200, `[1]`, component.Never, `merge answer of service "users" version "v1"`},
		{"a number in the way", Config{Into: "a.b"}, event(1, `{"a":1}`), 200, `{}`, component.Never, `put answer into "a.b"`},
		{"a version field in the way", Config{VersionField: "a.b"}, event(1, `{"a":1}`), 200, `{}`, component.Never, `put version into "a.b"`},
		{"too many fields", Config{}, event(1, `{}`), 200, manyFields(257), component.Never, `257 fields`},
		{"an event that is a list", Config{}, event(1, `[1]`), 200, `{}`, component.Never, `read the event`},
		{"a record that is not JSON", Config{}, &record.Record{Value: []byte("x"), Format: record.Raw}, 200, `{}`, component.Never, `the record is raw`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, always(c.status, c.answer))
			_, err := process(t, newBolt(t, c.config, routed(t, api.ServiceSpec{}, nil, s.URL)), c.record)
			if err == nil || component.ClassOf(err) != c.class || !strings.Contains(err.Error(), c.say) {
				t.Errorf("class %d, error %v; want class %d and %q", component.ClassOf(err), err, c.class, c.say)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has several lines: %q", err)
			}
		})
	}
}

func manyFields(n int) string {
	m := map[string]int{}
	for i := range n {
		m[fmt.Sprint("f", i)] = i
	}
	b, _ := json.Marshal(m)
	return string(b)
}

func TestATombstonePassesWithoutACall(t *testing.T) {
	s := serve(t, always(200, `{}`))
	r := &record.Record{Key: []byte("k"), Format: record.JSON}
	out, err := process(t, newBolt(t, Config{}, routed(t, api.ServiceSpec{}, nil, s.URL)), r)
	if err != nil || out.Value != nil || len(s.calls()) != 0 {
		t.Errorf("out %+v, error %v, %d calls", out, err, len(s.calls()))
	}
}

func TestAFallbackIsMarkedOnTheRecord(t *testing.T) {
	s := serve(t, always(200, `{}`))
	s.Close()
	r := routed(t, api.ServiceSpec{Fallback: &api.Fallback{Answer: `{"segment":"unknown"}`}}, nil, s.URL)
	out, err := process(t, newBolt(t, Config{VersionField: "by", Cache: &Cache{TTL: 1e12, Entries: 10, Bytes: 1e6}}, r), event(1, `{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	if string(out.Value) != `{"a":1,"segment":"unknown","by":null}` {
		t.Errorf("value %s", out.Value)
	}
	if svc, _ := out.Header("raven-degraded-who"); string(svc) != "users" {
		t.Errorf("degraded header %q", svc)
	}
	if _, ok := out.Header("raven-answered-who"); ok {
		t.Error("a fallback says that a version answered")
	}
}

func TestTheBoltsTimeoutOverridesTheServices(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, func(string) (int, string) { <-release; return 200, `{}` })
	defer close(release)
	_, err := process(t, newBolt(t, Config{Timeout: api.Duration(30 * time.Millisecond)}, routed(t, api.ServiceSpec{Timeout: api.Duration(time.Minute)}, nil, s.URL)), event(1, `{}`))
	if err == nil || component.ClassOf(err) != component.Transient || !strings.Contains(err.Error(), "no answer within 30ms") {
		t.Errorf("error %v", err)
	}
}

// together processes records at the same time and returns values or error texts in order.
func allAtOnce(t *testing.T, b component.Bolt, records ...*record.Record) []string {
	t.Helper()
	out := make([]string, len(records))
	var wg sync.WaitGroup
	for i, r := range records {
		wg.Go(func() {
			err := b.Process(t.Context(), r, func(_ int, r *record.Record) { out[i] = string(r.Value) })
			if err != nil {
				out[i] = fmt.Sprintf("class %d: %v", component.ClassOf(err), err)
			}
		})
	}
	wg.Wait()
	return out
}

func events(n int) []*record.Record {
	var all []*record.Record
	for i := range n {
		all = append(all, event(int64(i), fmt.Sprintf(`{"id":%d}`, i)))
	}
	return all
}

// doubled answers a batch: for each id its double, an element error for id 3, a refusal if id 5 is among several.
func doubled(body string) (int, string) {
	var in []struct{ ID int }
	if err := json.Unmarshal([]byte(body), &in); err != nil {
		return 400, err.Error()
	}
	var out []string
	for _, e := range in {
		switch e.ID {
		case 3:
			out = append(out, `{"error":"no three"}`)
		case 5:
			return 422, "no five"
		default:
			out = append(out, fmt.Sprintf(`{"double":%d}`, 2*e.ID))
		}
	}
	return 200, "[" + strings.Join(out, ",") + "]"
}

func TestABatchAnswersEachRecordByItself(t *testing.T) {
	s := serve(t, doubled)
	b := newBolt(t, Config{Batch: &Batch{Size: 5, Wait: api.Duration(time.Second)}}, routed(t, api.ServiceSpec{}, nil, s.URL))
	for i, got := range allAtOnce(t, b, events(5)...) {
		want := fmt.Sprintf(`{"id":%d,"double":%d}`, i, 2*i)
		if i == 3 {
			want = `class 1: call service "users" version "v1": the answer to this record of a batch is an error: "no three"`
		}
		if got != want {
			t.Errorf("record %d: %s, want %s", i, got, want)
		}
	}
	if n := len(s.calls()); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}

func TestOneBadRecordDoesNotPoisonItsBatch(t *testing.T) {
	s := serve(t, doubled)
	b := newBolt(t, Config{Batch: &Batch{Size: 7, Wait: api.Duration(time.Second)}}, routed(t, api.ServiceSpec{}, nil, s.URL))
	for i, got := range allAtOnce(t, b, events(7)...) {
		bad := i == 3 || i == 5
		if bad != strings.HasPrefix(got, "class 1:") {
			t.Errorf("record %d: %s", i, got)
		}
	}
	if n := len(s.calls()); n != 8 {
		t.Errorf("%d calls, want one refused batch and 7 alone", n)
	}
}

func TestABatchOfTheWrongLengthIsTakenApart(t *testing.T) {
	s := serve(t, func(body string) (int, string) {
		if strings.Count(body, "id") > 1 {
			return 200, `[{"a":1}]`
		}
		return 200, `[{"b":1}]`
	})
	b := newBolt(t, Config{Batch: &Batch{Size: 2, Wait: api.Duration(time.Second)}}, routed(t, api.ServiceSpec{}, nil, s.URL))
	for i, got := range allAtOnce(t, b, events(2)...) {
		if want := fmt.Sprintf(`{"id":%d,"b":1}`, i); got != want {
			t.Errorf("record %d: %s, want %s", i, got, want)
		}
	}
}

func TestABatchThatFailsForNowFailsForAll(t *testing.T) {
	s := serve(t, always(503, "busy"))
	b := newBolt(t, Config{Batch: &Batch{Size: 3, Wait: api.Duration(time.Second)}}, routed(t, api.ServiceSpec{}, nil, s.URL))
	for i, got := range allAtOnce(t, b, events(3)...) {
		if !strings.HasPrefix(got, "class 0:") {
			t.Errorf("record %d: %s", i, got)
		}
	}
	if n := len(s.calls()); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}

func TestABatchKeepsVersionsApart(t *testing.T) {
	v1, v2 := serve(t, doubled), serve(t, doubled)
	r := routed(t, api.ServiceSpec{}, &api.RouteSpec{Default: "v1", Rules: []api.Rule{{
		Match: []api.Match{{Field: "id", In: []string{"1", "4"}}}, Version: "v2"}}}, v1.URL, v2.URL)
	b := newBolt(t, Config{Batch: &Batch{Size: 2, Wait: api.Duration(time.Second)}, VersionField: "by"}, r)
	all := events(5)
	for i, got := range allAtOnce(t, b, all[0], all[1], all[2], all[4]) {
		id := []int{0, 1, 2, 4}[i]
		want := fmt.Sprintf(`{"id":%d,"double":%d,"by":"v%d"}`, id, 2*id, 1+id%3%2)
		if got != want {
			t.Errorf("record %d: %s, want %s", id, got, want)
		}
	}
	if len(v1.calls()) != 1 || len(v2.calls()) != 1 {
		t.Errorf("%d calls to v1, %d to v2, want one each", len(v1.calls()), len(v2.calls()))
	}
}

func TestALoneRecordOfABatchWaitsOnlySoLong(t *testing.T) {
	s := serve(t, doubled)
	b := newBolt(t, Config{Batch: &Batch{Size: 100, Wait: api.Duration(5 * time.Millisecond)}}, routed(t, api.ServiceSpec{}, nil, s.URL))
	out, err := process(t, b, event(1, `{"id":1}`))
	if err != nil || string(out.Value) != `{"id":1,"double":2}` {
		t.Errorf("out %v, error %v", out, err)
	}
}

func TestTheRecordsOfABatchOutliveItsFirst(t *testing.T) {
	s := serve(t, doubled)
	b := newBatcher(3, time.Minute, routed(t, api.ServiceSpec{}, nil, s.URL))
	ctx, giveUp := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := b.call(ctx, component.Call{Service: "users", Event: []byte(`{"ID":1}`), Body: []byte(`{"ID":1}`)})
		first <- err
	}()
	waitFor(t, func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.open[""] != nil })
	second := make(chan error, 1)
	go func() {
		short, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := b.call(short, component.Call{Service: "users", Event: []byte(`{"ID":2}`), Body: []byte(`{"ID":2}`)})
		second <- err
	}()
	waitFor(t, func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.open[""].calls) == 2 })
	giveUp()
	if err := <-first; err == nil {
		t.Error("the first record did not see that its caller gave up")
	}
	// The second opens a batch of its own; two more fill it.
	waitFor(t, func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.open[""] != nil && len(b.open[""].calls) == 1 })
	for i := range 2 {
		go func() {
			_, _ = b.call(t.Context(), component.Call{Service: "users", Body: fmt.Appendf(nil, `{"ID":%d}`, i)})
		}()
	}
	if err := <-second; err != nil {
		t.Errorf("the second record: %v", err)
	}
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !condition(); time.Sleep(time.Millisecond) { // sleep: between two looks at the condition
		if time.Now().After(deadline) {
			t.Fatal("waited 5 s in vain")
		}
	}
}

// held answers when it is told to, and counts.
type held struct {
	calls   atomic.Int64
	release chan struct{}
}

func (h *held) InFlight(string) int { return 100 }

func (h *held) Call(ctx context.Context, c component.Call) (component.Answer, error) {
	h.calls.Add(1)
	select {
	case <-h.release:
		return component.Answer{Body: []byte(`{"name":"Ada"}`), Version: "v1"}, nil
	case <-ctx.Done():
		return component.Answer{}, ctx.Err()
	}
}

func TestEqualRequestsInFlightAreOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		services := &held{release: make(chan struct{})}
		b := newBolt(t, Config{Send: []string{"userId"}, SingleFlight: true}, services)
		var all []*record.Record
		for i := range 8 {
			all = append(all, event(int64(i), fmt.Sprintf(`{"userId":%d,"n":%d}`, i/4, i)))
		}
		go func() {
			synctest.Wait() // all are waiting for an answer
			close(services.release)
		}()
		for i, got := range allAtOnce(t, b, all...) {
			if want := fmt.Sprintf(`{"userId":%d,"n":%d,"name":"Ada"}`, i/4, i); got != want {
				t.Errorf("record %d: %s", i, got)
			}
		}
		if n := services.calls.Load(); n != 2 {
			t.Errorf("%d calls, want one for each of two users", n)
		}
	})
}

func TestAFlightOutlivesItsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		services := &held{release: make(chan struct{})}
		b := newBolt(t, Config{SingleFlight: true}, services)
		ctx, giveUp := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		drop := func(int, *record.Record) {}
		go func() { first <- b.Process(ctx, event(1, `{}`), drop) }()
		synctest.Wait()
		go func() { second <- b.Process(t.Context(), event(2, `{}`), drop) }()
		synctest.Wait()
		giveUp()
		if err := <-first; !errors.Is(err, context.Canceled) {
			t.Errorf("the first: %v", err)
		}
		synctest.Wait()
		close(services.release)
		if err := <-second; err != nil {
			t.Errorf("the second: %v", err)
		}
		if n := services.calls.Load(); n != 2 {
			t.Errorf("%d calls, want one given up and one answered", n)
		}
	})
}

func TestTheCache(t *testing.T) {
	v1, v2 := serve(t, always(200, `{"n":1}`)), serve(t, always(200, `{"n":2}`))
	r := routed(t, api.ServiceSpec{}, &api.RouteSpec{Default: "v1"}, v1.URL, v2.URL)
	b := newBolt(t, Config{Cache: &Cache{TTL: api.Duration(time.Hour), Entries: 2, Bytes: 1 << 20, Key: "user"}}, r)
	ask := func(value, want string) {
		t.Helper()
		out, err := process(t, b, event(1, value))
		if err != nil || !strings.HasSuffix(string(out.Value), want+"}") {
			t.Fatalf("%s: got %v %v, want %s", value, out, err, want)
		}
	}
	calls := func(want1, want2 int) {
		t.Helper()
		if got1, got2 := len(v1.calls()), len(v2.calls()); got1 != want1 || got2 != want2 {
			t.Fatalf("%d calls to v1, %d to v2, want %d and %d", got1, got2, want1, want2)
		}
	}
	ask(`{"user":"a","x":1}`, `"n":1`)
	ask(`{"user":"a","x":2}`, `"n":1`)
	calls(1, 0)
	ask(`{"x":2}`, `"n":1`) // no key, no cache
	ask(`{"x":2}`, `"n":1`)
	calls(3, 0)
	if err := r.SetRoute(api.RouteSpec{Service: "users", Default: "v1", Switch: "v2"}); err != nil {
		t.Fatal(err)
	}
	ask(`{"user":"a"}`, `"n":2`) // the old version's answer is not used after a switch
	calls(3, 1)
	ask(`{"user":"b"}`, `"n":2`)
	ask(`{"user":"c"}`, `"n":2`)
	ask(`{"user":"a"}`, `"n":2`) // pushed out
	calls(3, 4)
}

func TestCacheBounds(t *testing.T) {
	now := time.Unix(0, 0)
	c := newCache(100, 3*(entryOverhead+10), time.Minute)
	for i := range 10 {
		c.put(requestKey{byte(i)}, make([]byte, 10), now)
	}
	if c.used.Len() != 3 || len(c.byID) != 3 {
		t.Errorf("%d entries, want the 3 that fit", c.used.Len())
	}
	if _, ok := c.get(requestKey{9}, now.Add(time.Minute-1)); !ok {
		t.Error("an answer went before its time")
	}
	if _, ok := c.get(requestKey{9}, now.Add(time.Minute)); ok {
		t.Error("an answer outlived its time")
	}
	c.put(requestKey{1}, make([]byte, 10_000), now)
	if c.held != 0 || c.used.Len() != 0 {
		t.Errorf("an answer larger than the cache is kept: %d bytes, %d entries", c.held, c.used.Len())
	}
}

func TestErrorsAreNotCached(t *testing.T) {
	var n atomic.Int64
	s := serve(t, func(string) (int, string) {
		if n.Add(1) == 1 {
			return 500, ""
		}
		return 200, `{"n":1}`
	})
	b := newBolt(t, Config{SingleFlight: true, Cache: &Cache{TTL: api.Duration(time.Hour), Entries: 2, Bytes: 1 << 20}}, routed(t, api.ServiceSpec{}, nil, s.URL))
	if _, err := process(t, b, event(1, `{}`)); err == nil {
		t.Fatal("want an error first")
	}
	if _, err := process(t, b, event(1, `{}`)); err != nil {
		t.Fatal(err)
	}
}

func TestCheck(t *testing.T) {
	good := Cache{TTL: 1, Entries: 1, Bytes: 1}
	for _, c := range []struct {
		name   string
		config Config
		codes  string
	}{
		{"nothing wrong", Config{Send: []string{"a.b"}, Into: `x."y.z"`, Headers: map[string]string{"X-A": "a"}, Cache: &good}, ""},
		{"paths", Config{Send: []string{"a..b"}, Into: ".", VersionField: "["}, "send[0]:path-invalid into:path-invalid versionField:path-invalid"},
		{"header names", Config{Headers: map[string]string{"X A": "a", "Host": "a", "raven-x": "a"}}, "headers.Host:header-reserved headers.X A:header-invalid headers.raven-x:header-reserved"},
		{"batch", Config{Batch: &Batch{Size: 0, Wait: api.Duration(time.Hour)}, Headers: map[string]string{"X-A": "a"}}, "batch.size:out-of-range batch.wait:out-of-range headers:batch-with-headers"},
		{"cache", Config{Cache: &Cache{Key: "]"}}, "cache.ttl:out-of-range cache:out-of-range cache.key:path-invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, p := range Definition().Check(&c.config) {
				got = append(got, p.Path+":"+p.Code)
			}
			if strings.Join(got, " ") != c.codes {
				t.Errorf("problems %v, want %s", got, c.codes)
			}
		})
	}
}
