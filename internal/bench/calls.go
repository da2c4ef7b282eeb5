package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/router"
)

// CallRates is what Calls has measured.
type CallRates struct {
	Benchmark string `json:"benchmark"`
	KeyRates
	Aim      float64   `json:"aim"`
	Uniform  *KeyRates `json:"uniform"`
	Plain    float64   `json:"plain_http_per_s"` // what a bare client reaches with as many in flight: the machine's own limit
	Zipf     float64   `json:"zipf_s"`
	Keys     int       `json:"keys"`
	InFlight int       `json:"in_flight"`
	CallMS   float64   `json:"call_ms"` // what the service takes by itself
	Machine
}

// KeyRates are the rates with one distribution of keys.
type KeyRates struct {
	Records     int     `json:"records"`
	RecordsPerS float64 `json:"records_per_s"`
	BoundPerS   float64 `json:"bound_per_s"` // the most that order by key and the limit in flight allow for this input
	Ratio       float64 `json:"ratio"`
	Spread      float64 `json:"spread"`
	Rounds      int     `json:"rounds"`
	HottestKey  int     `json:"hottest_key_records"`
	// One call at a time per partition: the bound, and what a plain loop with a real client would reach.
	OneByOneBound  float64 `json:"one_by_one_bound_per_s"`
	OneByOne       float64 `json:"one_by_one_per_s"`
	OneByOneCallMS float64 `json:"one_by_one_call_ms"`
	Factor         float64 `json:"factor"` // over the plain loop
}

const (
	callTime     = 10 * time.Millisecond
	callKeys     = 10_000
	callInFlight = 1024
	zipfExponent = 1.1
)

const callBolt = `last:
  from: in
  call: {service: slow, into: answer}`

const callService = `apiVersion: ravenswood.dev/v1alpha1
kind: Service
metadata: {name: slow}
spec:
  inFlight: 1024
  versions: [{name: v1, url: "URL"}]
---
`

// Calls measures a call bolt over a service that takes ten milliseconds, against the most that key order allows.
func Calls(ctx context.Context, o Options) (*CallRates, error) {
	o = o.orElse(13_000, 1, 3*time.Second)
	r := &CallRates{
		Benchmark: "calls", Aim: 0.7, Zipf: zipfExponent, Keys: callKeys, InFlight: callInFlight,
		CallMS: millis(callTime), Machine: o.machine(),
	}
	chance := rand.New(rand.NewPCG(1, 1)) // the same input in every run
	z := newZipf(chance, zipfExponent, callKeys)
	skewed, err := calls(ctx, o, "zipf", func() int { return z.draw() })
	if err != nil {
		return nil, err
	}
	r.KeyRates = *skewed
	even := o
	even.Records = o.Records * 10 // there is no hot key to wait for
	if r.Uniform, err = calls(ctx, even, "uniform", func() int { return chance.IntN(callKeys) }); err != nil {
		return nil, err
	}
	each, err := plainCalls(ctx, callInFlight, o.Span)
	r.Plain = round(callInFlight/each.Seconds(), 0)
	o.say("a bare HTTP client with %d in flight: %.0f calls/s", callInFlight, r.Plain)
	return r, err
}

func calls(ctx context.Context, o Options, name string, key func() int) (*KeyRates, error) {
	c, err := newCluster(ctx, o)
	if err != nil {
		return nil, err
	}
	defer c.close()
	in := unique("calls-in")
	if err := c.topic(ctx, in); err != nil {
		return nil, err
	}
	err = c.fill(ctx, in, o.Records, func(i int) (k, v []byte) {
		n := key()
		return fmt.Appendf(nil, "u%d", n), fmt.Appendf(nil, `{"id":%d,"userId":"u%d","value":%d}`, i, n, i%1000)
	})
	if err != nil {
		return nil, err
	}
	input := newShape()
	err = kafka.ReadToEnd(ctx, c.cfg, in, nil, func(r *kgo.Record) error {
		input.add(r.Key, r.Partition)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c.measureCalls(ctx, o, name, in, input)
}

func (c *cluster) measureCalls(ctx context.Context, o Options, name, in string, input *shape) (*KeyRates, error) {
	k := &KeyRates{Records: input.records, Rounds: o.Rounds, HottestKey: input.hottest()}
	var rates Series
	for range o.Rounds {
		took, err := c.callRound(ctx, in, int64(input.records))
		if err != nil {
			return nil, err
		}
		rates = append(rates, input.rate(took))
	}
	each, err := plainCalls(ctx, partitions, o.Span)
	if err != nil {
		return nil, err
	}
	k.RecordsPerS, k.Spread = round(rates.Median(), 1), round(rates.Spread(), 3)
	k.BoundPerS = round(input.rate(input.bound(callTime, callInFlight)), 1)
	k.Ratio = round(rates.Median()/k.BoundPerS, 3)
	k.OneByOneBound = round(input.rate(input.oneByOne(callTime)), 1)
	k.OneByOne, k.OneByOneCallMS = round(input.rate(input.oneByOne(each)), 1), millis(each)
	k.Factor = round(rates.Median()/input.rate(input.oneByOne(each)), 2)
	o.say("%s keys: %.0f records/s of at most %.0f, ratio %.2f; one call at a time per partition: %.0f/s, factor %.1f",
		name, k.RecordsPerS, k.BoundPerS, k.Ratio, k.OneByOne, k.Factor)
	return k, nil
}

// callRound works through the input once, through a real router, and says how long it took from the first call to the
// last commit.
func (c *cluster) callRound(ctx context.Context, in string, records int64) (took time.Duration, err error) {
	svc, err := startService(ctx, "v1", callTime, nil)
	if err != nil {
		return 0, err
	}
	defer svc.close()
	s := subject{
		format: "json", delivery: api.ExactlyOnce, commit: Commit, bolts: callBolt,
		more: strings.ReplaceAll(callService, "URL", svc.url),
	}
	set, _, err := plan(s.text("calls", "calls-in", "calls-out"), c.dir)
	if err != nil {
		return 0, err
	}
	r, err := newRouter(set)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	s.services = r
	got, err := c.run(ctx, s, in, records)
	if err != nil {
		return 0, err
	}
	return got.way[len(got.way)-1].at.Sub(time.Unix(0, svc.first.Load())), nil
}

// newRouter routes to the services of a set.
func newRouter(set *manifest.Set) (*router.Router, error) {
	var services []*api.Service
	var routes []*api.Route
	for i := range set.Services {
		services = append(services, &set.Services[i].Service)
	}
	for i := range set.Routes {
		routes = append(routes, &set.Routes[i].Route)
	}
	return router.New(services, routes, router.Options{})
}

// plainCalls calls the service one after the other in so many loops, for a while, and says how long one call takes.
// Each loop is what a consumer of one partition does that handles a record at a time, without its log.
func plainCalls(ctx context.Context, loops int, span time.Duration) (each time.Duration, err error) {
	svc, err := startService(ctx, "v1", callTime, nil)
	if err != nil {
		return 0, err
	}
	defer svc.close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: loops}}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	var group sync.WaitGroup
	errs := make([]error, loops)
	for i := range loops {
		group.Go(func() {
			for ctx.Err() == nil {
				if err := post(ctx, client, svc.url, []byte(`{"id":1}`)); err != nil && ctx.Err() == nil {
					errs[i] = err
					return
				}
			}
		})
	}
	began := time.Now()
	group.Wait()
	return time.Duration(float64(time.Since(began)) * float64(loops) / float64(svc.calls.Load())), errors.Join(errs...)
}

func post(ctx context.Context, client *http.Client, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("call %q: status %d", url, resp.StatusCode)
	}
	return nil
}
