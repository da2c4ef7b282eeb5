package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
	"ravenswood.dev/internal/router"
)

// RouteTimes is what Route has measured.
type RouteTimes struct {
	Benchmark   string           `json:"benchmark"`
	DecisionP50 float64          `json:"decision_p50_ns"` // with rules on a field and a header, and a split by a field
	DecisionP99 float64          `json:"decision_p99_ns"`
	Allocations float64          `json:"decision_allocations"`
	Aim         float64          `json:"aim_p50_ns"`
	Decisions   []DecisionTime   `json:"decisions"`
	Direct      CallTimes        `json:"direct"`
	Proxy       CallTimes        `json:"proxy"`
	AddedP50    float64          `json:"added_p50_us"` // medians of the differences of each round
	AddedP99    float64          `json:"added_p99_us"`
	Concurrency int              `json:"concurrency"`
	Rounds      int              `json:"rounds"`
	Alone       ProxyUnsaturated `json:"one_at_a_time"`
	Machine
}

// DecisionTime is the time of decisions with one kind of route.
type DecisionTime struct {
	Route       string  `json:"route"`
	P50         float64 `json:"p50_ns"`
	P99         float64 `json:"p99_ns"`
	Allocations float64 `json:"allocations"`
}

// CallTimes are the times of calls from many clients at once.
type CallTimes struct {
	PerS float64 `json:"requests_per_s"`
	P50  float64 `json:"p50_us"`
	P99  float64 `json:"p99_us"`
}

// ProxyUnsaturated is the same with a single client, where nobody waits for a processor.
type ProxyUnsaturated struct {
	Direct   CallTimes `json:"direct"`
	Proxy    CallTimes `json:"proxy"`
	AddedP50 float64   `json:"added_p50_us"`
	AddedP99 float64   `json:"added_p99_us"`
}

const routeResources = `apiVersion: ravenswood.dev/v1alpha1
kind: Service
metadata: {name: plain}
spec: {versions: [{name: v1, url: "URL"}]}
---
apiVersion: ravenswood.dev/v1alpha1
kind: Service
metadata: {name: split}
spec: {versions: [{name: v1, url: "URL"}, {name: v2, url: "URL"}]}
---
apiVersion: ravenswood.dev/v1alpha1
kind: Service
metadata: {name: rules}
spec: {versions: [{name: v1, url: "URL"}, {name: v2, url: "URL"}, {name: v3, url: "URL"}]}
---
apiVersion: ravenswood.dev/v1alpha1
kind: Route
metadata: {name: split}
spec:
  service: split
  split: {versions: [{version: v2, percent: 25%}]}
  default: v1
---
apiVersion: ravenswood.dev/v1alpha1
kind: Route
metadata: {name: rules}
spec:
  service: rules
  rules:
    - {name: testers, match: [{header: X-Tester, exists: true}], version: v3}
    - {name: gold, match: [{field: user.segment, equals: gold}], version: v2}
  split: {key: userId, versions: [{version: v2, percent: 25%}]}
  default: v1
---
`

// routeEvent is an event as it looks after two enrichments.
func routeEvent(user int) []byte {
	return fmt.Appendf(nil, `{"messageDate":"2026-01-02T03:04:05.678Z","messageId":"m-%d","value":%d,`+
		`"services":{"svc1":{"name":"svc1","version":"v1","score":0.73},"svc2":{"name":"svc2","version":"v2","score":0.11}},`+
		`"user":{"name":"Somebody","segment":"silver"},"userId":"u%d"}`, user*7, user%1000, user)
}

// Route measures a decision by itself, and what the proxy adds to a call.
func Route(ctx context.Context, o Options) (*RouteTimes, error) {
	o = o.orElse(1_000_000, 5, 2*time.Second)
	r := &RouteTimes{Benchmark: "route", Aim: 1000, Concurrency: 16, Rounds: o.Rounds, Machine: o.machine()}
	svc, err := startService(ctx, "v1", 0, nil)
	if err != nil {
		return nil, err
	}
	defer svc.close()
	rt, err := routerOf(routeResources, svc.url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rt.Close() }() // no call is under way
	for _, service := range []string{"plain", "split", "rules"} {
		d, err := decisionTime(rt, service, o.Records)
		if err != nil {
			return nil, err
		}
		r.Decisions = append(r.Decisions, d)
		o.say("decision, %-5s  p50 %4.0f ns   p99 %4.0f ns   %.2f allocations", service, d.P50, d.P99, d.Allocations)
	}
	worst := r.Decisions[len(r.Decisions)-1]
	r.DecisionP50, r.DecisionP99, r.Allocations = worst.P50, worst.P99, worst.Allocations
	return r, r.measureProxy(ctx, o, rt, svc.url)
}

// decisionTime times decisions about many different events.
func decisionTime(rt *router.Router, service string, n int) (DecisionTime, error) {
	calls := make([]component.Call, 1024)
	for i := range calls {
		calls[i] = component.Call{
			Service: service, Event: routeEvent(i), Key: fmt.Appendf(nil, "u%d", i),
			Headers: []record.Header{{Key: "X-Segment", Value: []byte("silver")}},
		}
		if _, err := rt.Decide(calls[i]); err != nil {
			return DecisionTime{}, err
		}
	}
	times := make([]time.Duration, 0, n)
	clock := clockCost()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		began := time.Now()
		_, _ = rt.Decide(calls[i%len(calls)]) // it did not fail above
		times = append(times, time.Since(began))
	}
	runtime.ReadMemStats(&after)
	slices.Sort(times)
	ns := func(q float64) float64 { return float64(max(quantile(times, q)-clock, 0)) }
	return DecisionTime{
		Route: service, P50: ns(0.5), P99: ns(0.99), Allocations: round(float64(after.Mallocs-before.Mallocs)/float64(n), 2),
	}, nil
}

// clockCost is what looking at the clock twice takes; it is not the decision's.
func clockCost() time.Duration {
	times := make([]time.Duration, 10_000)
	for i := range times {
		began := time.Now()
		times[i] = time.Since(began)
	}
	slices.Sort(times)
	return quantile(times, 0.5)
}

func (r *RouteTimes) measureProxy(ctx context.Context, o Options, rt *router.Router, direct string) error {
	proxy, server, err := serve(ctx, rt.Handler())
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }() // nobody calls any more
	r.Direct, r.Proxy, r.AddedP50, r.AddedP99, err = comparison(ctx, o, direct, proxy+"/rules/", r.Concurrency)
	if err != nil {
		return err
	}
	o.say("%d clients: direct %.0f/s p50 %.0f us p99 %.0f us; proxy %.0f/s p50 %.0f us p99 %.0f us",
		r.Concurrency, r.Direct.PerS, r.Direct.P50, r.Direct.P99, r.Proxy.PerS, r.Proxy.P50, r.Proxy.P99)
	a := &r.Alone
	a.Direct, a.Proxy, a.AddedP50, a.AddedP99, err = comparison(ctx, o, direct, proxy+"/rules/", 1)
	o.say("1 client:   direct p50 %.0f us; the proxy adds p50 %.0f us, p99 %.0f us", a.Direct.P50, a.AddedP50, a.AddedP99)
	return err
}

// comparison calls both addresses in turn and gives medians over the rounds.
func comparison(ctx context.Context, o Options, direct, proxy string, clients int) (d, p CallTimes, p50, p99 float64, err error) {
	var rates, halves, tails [2]Series
	var addedHalf, addedTail Series
	for turn := range o.Rounds + 1 { // the first is to warm up
		var got [2]CallTimes
		for i, url := range []string{direct, proxy} {
			if got[i], err = hammer(ctx, url, clients, o.Span/2); err != nil {
				return d, p, 0, 0, err
			}
		}
		if turn == 0 {
			continue
		}
		for i, g := range got {
			rates[i], halves[i], tails[i] = append(rates[i], g.PerS), append(halves[i], g.P50), append(tails[i], g.P99)
		}
		addedHalf, addedTail = append(addedHalf, got[1].P50-got[0].P50), append(addedTail, got[1].P99-got[0].P99)
	}
	times := func(i int) CallTimes {
		return CallTimes{PerS: round(rates[i].Median(), 0), P50: halves[i].Median(), P99: tails[i].Median()}
	}
	return times(0), times(1), round(addedHalf.Median(), 1), round(addedTail.Median(), 1), nil
}

// hammer calls an address from so many clients for a while, each as fast as it is answered.
func hammer(ctx context.Context, url string, clients int, span time.Duration) (CallTimes, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	times := make([][]time.Duration, clients)
	errs := make([]error, clients)
	body := routeEvent(1)
	began := time.Now()
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			for time.Since(began) < span && errs[i] == nil {
				start := time.Now()
				errs[i] = post(ctx, client, url, body)
				times[i] = append(times[i], time.Since(start))
			}
		})
	}
	group.Wait()
	took := time.Since(began)
	all := slices.Concat(times...)
	slices.Sort(all)
	return CallTimes{PerS: float64(len(all)) / took.Seconds(), P50: micros(quantile(all, 0.5)), P99: micros(quantile(all, 0.99))}, errors.Join(errs...)
}
