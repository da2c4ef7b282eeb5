package bench

import (
	"context"
	"fmt"

	"ravenswood.dev/api"
)

// Throughput is what Pass and Transform have measured.
type Throughput struct {
	Benchmark       string  `json:"benchmark"`
	RecordsPerS     float64 `json:"records_per_s"`
	ReferencePerS   float64 `json:"reference_per_s"`
	Ratio           float64 `json:"ratio"`          // of the medians
	RatioOfPairs    float64 `json:"ratio_of_pairs"` // median of the ratios of each round
	Aim             float64 `json:"aim"`
	Spread          float64 `json:"spread"` // (largest - smallest) / median
	ReferenceSpread float64 `json:"reference_spread"`
	Rounds          int     `json:"rounds"`
	Records         int     `json:"records"`
	CommitP50       float64 `json:"commit_p50_ms"`
	CommitP99       float64 `json:"commit_p99_ms"`
	Heap
	Machine
}

// Pass measures how fast records go through a topology that does nothing to them.
func Pass(ctx context.Context, o Options) (*Throughput, error) {
	return throughput(ctx, o, "pass", 0.8, subject{format: "raw"})
}

// Transform measures how fast records go through a bolt that sets two fields.
func Transform(ctx context.Context, o Options) (*Throughput, error) {
	return throughput(ctx, o, "transform", 0.35, subject{format: "json", bolts: transformBolt})
}

const transformBolt = `last:
  from: in
  transform:
    set:
      double: event.value * 2
      greeting: '"hello " + event.userId'`

func throughput(ctx context.Context, o Options, name string, aim float64, s subject) (*Throughput, error) {
	o = o.orElse(1_000_000, 7, 0)
	s.delivery, s.commit = api.ExactlyOnce, Commit
	r := &Throughput{Benchmark: name, Aim: aim, Rounds: o.Rounds, Records: o.Records, Machine: o.machine()}
	c, in, err := filled(ctx, o)
	if err != nil {
		return nil, err
	}
	defer c.close()
	return r, r.rounds(o, func(turn int) (ours, theirs float64, got outcome, err error) {
		theirs, got, err = c.pair(ctx, s, in, int64(o.Records), turn%2 == 0)
		return got.way.rate(), theirs, got, err
	})
}

// pair measures one round of both. Which comes first changes with the rounds, so that neither always runs on the colder
// machine.
func (c *cluster) pair(ctx context.Context, s subject, in string, records int64, referenceFirst bool) (reference float64, got outcome, err error) {
	if referenceFirst {
		if reference, err = c.reference(ctx, in, records); err != nil {
			return 0, got, err
		}
	}
	if got, err = c.run(ctx, s, in, records); err == nil && !referenceFirst {
		reference, err = c.reference(ctx, in, records)
	}
	return reference, got, err
}

func roundName(n int) string {
	if n == 0 {
		return "warm-up"
	}
	return fmt.Sprintf("round %d", n)
}

// filled is a cluster with a topic of events.
func filled(ctx context.Context, o Options) (*cluster, string, error) {
	c, err := newCluster(ctx, o)
	if err != nil {
		return nil, "", err
	}
	in := unique("in")
	o.say("writing %d events of 1 KB", o.Records)
	err = c.topic(ctx, in)
	if err == nil {
		err = c.fill(ctx, in, o.Records, events())
	}
	if err != nil {
		c.close()
		return nil, "", err
	}
	return c, in, nil
}

// reference is the rate of one round of the reference loop.
func (c *cluster) reference(ctx context.Context, in string, records int64) (float64, error) {
	out := unique("reference-out")
	if err := c.topic(ctx, out); err != nil {
		return 0, err
	}
	way, err := c.referenceLoop(ctx, in, out, records)
	if err != nil {
		return 0, err
	}
	return way.rate(), c.drop(ctx, out)
}
