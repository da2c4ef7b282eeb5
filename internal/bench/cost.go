package bench

import (
	"context"
	"slices"
	"time"

	"ravenswood.dev/api"
)

// Cost is what ExactlyOnce has measured.
type Cost struct {
	Benchmark string      `json:"benchmark"`
	At100ms   float64     `json:"cost_percent_100ms"`
	Aim       float64     `json:"aim_percent_100ms"`
	Curve     []CostPoint `json:"curve"`
	Rounds    int         `json:"rounds"`
	Records   int         `json:"records"`
	Machine
}

// CostPoint is the cost at one commit interval.
type CostPoint struct {
	Interval    int64   `json:"interval_ms"`
	ExactlyOnce float64 `json:"exactly_once_per_s"`
	AtLeastOnce float64 `json:"at_least_once_per_s"`
	Cost        float64 `json:"cost_percent"`          // by which exactly-once is slower, of the medians
	CostOfPairs float64 `json:"cost_percent_of_pairs"` // median of the costs of each round
	Spread      float64 `json:"spread"`                // the larger of the two
}

// ExactlyOnce measures what exactly-once costs over at-least-once, by commit interval.
func ExactlyOnce(ctx context.Context, o Options) (*Cost, error) {
	o = o.orElse(1_000_000, 5, 0)
	r := &Cost{Benchmark: "exactly-once", Aim: 5, Rounds: o.Rounds, Records: o.Records, Machine: o.machine()}
	c, in, err := filled(ctx, o)
	if err != nil {
		return nil, err
	}
	defer c.close()
	for _, ms := range []int{10, 50, 100, 500} {
		p, err := c.costAt(ctx, o, in, time.Duration(ms)*time.Millisecond)
		if err != nil {
			return nil, err
		}
		r.Curve = append(r.Curve, p)
		if p.Interval == Commit.Milliseconds() {
			r.At100ms = p.Cost
		}
		o.say("every %3d ms: exactly-once %8.0f/s   at-least-once %8.0f/s   cost %5.1f %%", p.Interval, p.ExactlyOnce, p.AtLeastOnce, p.Cost)
	}
	return r, nil
}

func (c *cluster) costAt(ctx context.Context, o Options, in string, interval time.Duration) (p CostPoint, err error) {
	var once, least, pairs Series
	for turn := range o.Rounds + 1 { // the first is to warm up
		order := []api.Delivery{api.ExactlyOnce, api.AtLeastOnce}
		if turn%2 == 0 {
			slices.Reverse(order) // neither always runs on the colder machine
		}
		rates := map[api.Delivery]float64{}
		for _, delivery := range order {
			got, err := c.run(ctx, subject{format: "raw", delivery: delivery, commit: interval}, in, int64(o.Records))
			if err != nil {
				return p, err
			}
			rates[delivery] = got.way.rate()
		}
		if turn > 0 {
			once, least = append(once, rates[api.ExactlyOnce]), append(least, rates[api.AtLeastOnce])
			pairs = append(pairs, cost(rates[api.ExactlyOnce], rates[api.AtLeastOnce]))
		}
	}
	return CostPoint{
		Interval: interval.Milliseconds(), ExactlyOnce: round(once.Median(), 0), AtLeastOnce: round(least.Median(), 0),
		Cost: round(cost(once.Median(), least.Median()), 2), CostOfPairs: round(pairs.Median(), 2),
		Spread: round(max(once.Spread(), least.Spread()), 3),
	}, nil
}

// cost is by how many percent the first rate is lower than the second; below zero it is higher, which is noise.
func cost(rate, reference float64) float64 { return 100 * (1 - rate/reference) }
