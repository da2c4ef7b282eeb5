package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/router"
)

// Changes is what Switch has measured.
type Changes struct {
	Benchmark string   `json:"benchmark"`
	PerS      float64  `json:"calls_per_s"`
	Calls     int      `json:"calls"`
	Failed    int      `json:"failed"`
	Repeated  int64    `json:"repeated"`  // calls that reached a service twice
	Misrouted int      `json:"misrouted"` // begun after a change and answered as before it
	OldMillis float64  `json:"ms_until_last_old_answer"`
	Changes   []Change `json:"changes"`
	ServiceMS float64  `json:"service_ms"` // what a service takes: an old call in flight cannot end sooner
	Machine
}

// Change is one change of the route and how long answers by the old one came in.
type Change struct {
	What      string  `json:"what"`
	OldMillis float64 `json:"ms_until_last_old_answer"`
	OldCount  int     `json:"old_answers"` // of calls that were in flight
}

const (
	callsPerSecond = 5000
	switchService  = 5 * time.Millisecond
)

const switchResources = `apiVersion: ravenswood.dev/v1alpha1
kind: Service
metadata: {name: svc}
spec: {versions: [{name: v1, url: "URL"}, {name: v2, url: "URL2"}]}
---
apiVersion: ravenswood.dev/v1alpha1
kind: Route
metadata: {name: svc}
spec: {service: svc, default: v1}
---
`

// Switch changes a route while it is used: a switch for everyone, a split, a rule.
func Switch(ctx context.Context, o Options) (*Changes, error) {
	o = o.orElse(0, 1, 12*time.Second)
	r := &Changes{Benchmark: "switch", ServiceMS: millis(switchService), Machine: o.machine()}
	var seen sync.Map
	v1, err := startService(ctx, "v1", switchService, &seen)
	if err != nil {
		return nil, err
	}
	defer v1.close()
	v2, err := startService(ctx, "v2", switchService, &seen)
	if err != nil {
		return nil, err
	}
	defer v2.close()
	rt, err := routerOf(strings.ReplaceAll(switchResources, "URL2", v2.url), v1.url)
	if err != nil {
		return nil, err
	}
	answers, changes, err := changeUnderLoad(ctx, rt, o.Span)
	if err := errors.Join(err, rt.Close()); err != nil {
		return nil, err
	}
	r.count(answers, changes, o.Span)
	r.Repeated = v1.repeated.Load() + v2.repeated.Load()
	for _, c := range r.Changes {
		o.say("%-22s last old answer after %5.1f ms (%d old answers)", c.What, c.OldMillis, c.OldCount)
	}
	o.say("%.0f calls/s: %d failed, %d repeated, %d misrouted", r.PerS, r.Failed, r.Repeated, r.Misrouted)
	return r, nil
}

// change is a route and when it was set.
type change struct {
	what  string
	began time.Time // before the router was told
	done  time.Time // when it had answered
	// wants says which version answers by this route; the router is not asked, since it is what is measured.
	wants func(call int) string
}

type answered struct {
	call     int
	asked    time.Time
	received time.Time
	version  string
	err      error
}

// changeUnderLoad calls at a fixed rate for the span, and changes the route in between, at even distances.
func changeUnderLoad(ctx context.Context, rt *router.Router, span time.Duration) ([]answered, []change, error) {
	loadCtx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	var answers []answered
	var loading sync.WaitGroup
	loading.Go(func() { answers = callSteadily(loadCtx, rt) })
	changes := []change{{what: "start", wants: always("v1")}}
	base := api.RouteSpec{Service: "svc", Default: "v1"}
	gold := "gold"
	for _, step := range []struct {
		what  string
		spec  api.RouteSpec
		wants func(int) string
	}{
		{"switch to v2", router.Switch(base, "v2"), always("v2")},
		{"switch back", base, always("v1")},
		{"split 0 to 100 % of v2", router.SetSplit(base, []api.Share{{Version: "v2", Percent: 100 * onePercent}}), always("v2")},
		{"split back", base, always("v1")},
		{"rule for gold", router.AddMatch(base, api.Rule{Name: "gold", Version: "v2", Match: []api.Match{{Field: "segment", Equals: &gold}}}), goldOnly},
		{"rule taken away", base, always("v1")},
	} {
		select {
		case <-time.After(span / 8):
		case <-ctx.Done():
		}
		c := change{what: step.what, began: time.Now(), wants: step.wants}
		if err := rt.SetRoute(step.spec); err != nil {
			cancel()
			loading.Wait()
			return nil, nil, err
		}
		c.done = time.Now()
		changes = append(changes, c)
	}
	loading.Wait()
	return answers, changes, nil
}

func always(version string) func(int) string { return func(int) string { return version } }

// goldOnly knows what switchEvent makes: every third call is of the segment gold.
func goldOnly(call int) string {
	if call%3 == 0 {
		return "v2"
	}
	return "v1"
}

func switchEvent(call int) []byte {
	segment := "silver"
	if call%3 == 0 {
		segment = "gold"
	}
	return fmt.Appendf(nil, `{"id":%d,"userId":"u%d","segment":"%s"}`, call, call%10_000, segment)
}

// callSteadily begins calls at a fixed rate, whether earlier ones have been answered or not.
func callSteadily(ctx context.Context, rt *router.Router) []answered {
	var mu sync.Mutex
	var answers []answered
	var calls sync.WaitGroup
	begun := 0
	began := time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		for due := int(time.Since(began).Seconds() * callsPerSecond); begun < due; begun++ {
			call := begun
			calls.Go(func() {
				a := callOnce(context.WithoutCancel(ctx), rt, call)
				mu.Lock()
				answers = append(answers, a)
				mu.Unlock()
			})
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	calls.Wait()
	return answers
}

func callOnce(ctx context.Context, rt *router.Router, call int) answered {
	a := answered{call: call, asked: time.Now()}
	got, err := rt.Call(ctx, component.Call{
		Service: "svc", Event: switchEvent(call), Key: fmt.Appendf(nil, "u%d", call%10_000), IdempotencyKey: fmt.Sprintf("call-%d", call),
	})
	a.received, a.version, a.err = time.Now(), got.Version, err
	return a
}

// count judges every answer by the routes that were in force while its call was under way.
func (r *Changes) count(answers []answered, changes []change, span time.Duration) {
	r.Calls = len(answers)
	r.PerS = round(float64(len(answers))/span.Seconds(), 0)
	for _, c := range changes[1:] {
		r.Changes = append(r.Changes, Change{What: c.what})
	}
	for _, a := range answers {
		if a.err != nil {
			r.Failed++
			continue
		}
		r.judge(a, changes)
	}
	for _, c := range r.Changes {
		r.OldMillis = max(r.OldMillis, c.OldMillis)
	}
}

// judge finds the last change before the answer came. An answer by the route before is an old one: right if its call had
// begun by the time the change was made, misrouted if it began later.
func (r *Changes) judge(a answered, changes []change) {
	last := len(changes) - 1
	for last > 0 && a.received.Before(changes[last].began) {
		last--
	}
	c := changes[last]
	if a.version == c.wants(a.call) {
		return
	}
	if last == 0 || a.asked.After(c.done) {
		r.Misrouted++
		return
	}
	late := &r.Changes[last-1]
	late.OldCount++
	late.OldMillis = max(late.OldMillis, millis(a.received.Sub(c.began)))
}

// onePercent is a percent in the unit of api.Percent.
const onePercent = api.Percent(100)

// routerOf routes as the resource text says, with URL replaced by an address.
func routerOf(text, url string) (*router.Router, error) {
	set, problems := manifest.Parse("bench.yaml", ".", []byte(strings.ReplaceAll(text, "URL", url)), all.Components())
	if manifest.HasErrors(problems) {
		return nil, fmt.Errorf("read routes: %s", problems[0].Message)
	}
	return newRouter(set)
}
