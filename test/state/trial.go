package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"ravenswood.dev/internal/engine"
)

// trial says what a run is to be.
type trial struct {
	name   string
	plan   plan
	story  func(ctx context.Context, h *harness) // what happens instead, if it takes several workers
	span   time.Duration
	unsafe engine.Unsafe
	breaks bool // a control: it must be found that something is wrong
}

// trials are the runs that the options ask for, in their order.
func (o options) trials() []trial {
	all := map[string]trial{
		runMain:    {name: runMain, plan: newPlan(o.seed, o.span), span: o.span},
		runCalm:    {name: runCalm, span: o.span},
		runFence:   {name: runFence, plan: stopsAfterFlush(o.seed), span: o.control, unsafe: engine.Unsafe{NoFence: true}, breaks: true},
		runBuffer:  {name: runBuffer, plan: killsAfterFlush(o.seed), span: o.control, unsafe: engine.Unsafe{NoBuffer: true}, breaks: true},
		runRestore: {name: runRestore, story: restoreStory, span: o.control, unsafe: engine.Unsafe{RestoreToStable: true}, breaks: true},
	}
	if o.run != runAll {
		t := all[o.run]
		if o.safe {
			t.unsafe, t.breaks = engine.Unsafe{}, false
		}
		return []trial{t}
	}
	list := []trial{all[runMain]}
	if o.control > 0 {
		list = append(list, all[runFence], all[runBuffer], all[runRestore])
	}
	return list
}

func (t trial) unsafeJSON() string {
	raw, _ := json.Marshal(t.unsafe) // plain switches
	return string(raw)
}

// command does one run again.
func (o options) command(t trial) string {
	span := fmt.Sprintf("--span %s", t.span)
	if t.name != runMain && t.name != runCalm {
		span = fmt.Sprintf("--control %s", t.span)
	}
	if o.safe {
		span += " --safe"
	}
	return fmt.Sprintf("go run ./test/state --run %s --broker %s --seed %d %s --rate %d --accounts %d --keep", t.name, o.broker, o.seed, span, o.rate, o.accounts)
}
