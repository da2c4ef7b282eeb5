package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"ravenswood.dev/test/proof"
)

// faultKind is what happens to a process or its network.
type faultKind string

const (
	kill     faultKind = "kill"    // SIGKILL; it is started again
	pause    faultKind = "pause"   // SIGSTOP for longer than a member's session, then SIGCONT
	cut      faultKind = "cut"     // the worker's network, for 1 to 20 s
	restart  faultKind = "restart" // of the broker: SIGKILL, and started again on the same data
	stepKill faultKind = "killed in a commit"
	stepStop faultKind = "stopped in a commit" // for longer than a session; killed some seconds after it went on
)

// fault is one thing that happens.
type fault struct {
	kind  faultKind
	after time.Duration // since the last thing that happened in its lane
	lasts time.Duration // until it is started again, goes on, or is healed
	how   cutKind       // of a cut
	step  string        // of those in a commit; the worker is started with the order to do it
	count int           // at the how many-th time
}

// String says it in one line.
func (f fault) String() string {
	lasts := f.lasts.Round(100 * time.Millisecond)
	switch {
	case f.step != "":
		return fmt.Sprintf("%s at %q, time %d, for %s", f.kind, f.step, f.count, lasts)
	case f.how != "":
		return fmt.Sprintf("%s, %s, for %s", f.kind, f.how, lasts)
	}
	return fmt.Sprintf("%s for %s", f.kind, lasts)
}

// at is the worker's order.
func (f fault) at() string {
	switch f.kind {
	case stepKill:
		return proof.Order(proof.KillAt, f.step, f.count)
	case stepStop:
		return proof.Order(proof.StopAt, f.step, f.count)
	}
	return ""
}

// Every process has a lane of its own, in which one thing happens after the other: so that things happen at the same
// time, and still the seed says what happens when.
type plan struct {
	workers [workerCount][]fault
	broker  []fault
}

const (
	workerCount = 3
	brokerLane  = 100 // apart from the workers' numbers

	pauseLeast  = 14 * time.Second // a session lasts 12
	pauseMost   = 22 * time.Second
	cutLeast    = time.Second
	cutMost     = 20 * time.Second
	healingTime = 4 * time.Second // at the end of the span nothing new happens
)

// draw hands out what a lane's seed gives.
type draw struct{ *rand.Rand }

func lane(seed uint64, number int) draw {
	return draw{rand.New(rand.NewPCG(seed, uint64(number)))}
}

func (d draw) between(low, high time.Duration) time.Duration {
	return low + time.Duration(d.Int64N(int64(high-low)))
}

// newPlan draws what happens within a span. However short it is, everything happens once.
func newPlan(seed uint64, span time.Duration) plan {
	var p plan
	for i := range p.workers {
		p.workers[i] = workerLane(lane(seed, i), i, span-healingTime)
	}
	p.broker = restarts(lane(seed, brokerLane), span)
	return p
}

func restarts(d draw, span time.Duration) (all []fault) {
	after := d.between(min(span/4, 20*time.Second), min(span/2, 60*time.Second))
	for at := time.Duration(0); ; after = d.between(20*time.Second, 60*time.Second) {
		f := fault{kind: restart, after: after, lasts: d.between(0, 3*time.Second)}
		if at += f.length(); at > span-healingTime {
			return all
		}
		all = append(all, f)
	}
}

// steps are those of a commit, as package engine names them.
var steps = []string{"before-flush", "after-flush", "after-offsets", "after-end"}

const stepTypical = 3 * time.Second // until a step is reached

// length is about how long it takes.
func (f fault) length() time.Duration {
	if f.step != "" {
		return stepTypical + f.lasts
	}
	return f.after + f.lasts
}

func workerLane(d draw, number int, span time.Duration) (all []fault) {
	firsts := []faultKind{pause, cut, kill}
	for at := time.Duration(0); ; {
		kind := d.kind()
		if len(all) == 0 {
			kind = firsts[number%len(firsts)]
		}
		if n := len(all); n > 0 && kind == kill && all[n-1].ends() && d.IntN(2) == 0 {
			kind = stepKill // only who begins can be given an order
		}
		f := d.fault(kind)
		if at += f.length(); at > span {
			return all
		}
		all = append(all, f)
	}
}

// ends says whether the worker is started again after it.
func (f fault) ends() bool { return f.kind == kill || f.kind == stepKill }

func (d draw) kind() faultKind {
	switch dice := d.IntN(10); {
	case dice < 6:
		return kill
	case dice < 7:
		return pause
	default:
		return cut
	}
}

func (d draw) fault(kind faultKind) fault {
	f := fault{kind: kind, after: d.between(500*time.Millisecond, 8*time.Second)}
	switch kind {
	case kill:
		f.lasts = d.between(0, time.Second)
	case stepKill:
		f.after, f.lasts = 0, d.between(0, time.Second)
		f.step, f.count = steps[d.IntN(len(steps))], 1+d.IntN(20)
	case pause:
		f.lasts = d.between(pauseLeast, pauseMost)
	case cut:
		f.lasts = d.between(cutLeast, cutMost)
		if d.IntN(2) == 0 {
			f.lasts = d.between(cutLeast, 4*cutLeast) // most cuts in the world are short
		}
		f.how = []cutKind{broken, silent}[d.IntN(2)]
	}
	return f
}

// The controls. Each does to every worker, again and again, what the guarantee that is switched off is there for.

// killsAfterFlush kills between the write to the stores and the decision: only a store that holds what nobody committed
// gives it away.
func killsAfterFlush(seed uint64) plan {
	return stepPlan(seed, func(d draw) fault {
		return fault{kind: stepKill, step: "after-flush", count: 5 + d.IntN(20), lasts: d.between(0, 500*time.Millisecond)}
	})
}

// stopsAfterFlush makes zombies: the others take over while one sleeps in the middle of a commit, and then it wakes and
// goes on with it.
func stopsAfterFlush(seed uint64) plan {
	return stepPlan(seed, func(d draw) fault {
		return fault{kind: stepStop, step: "after-flush", count: 10 + d.IntN(20), lasts: d.between(15*time.Second, 17*time.Second)}
	})
}

// stepPlan lets one thing happen to worker 0 and 1 again and again; the last one is there to take over.
func stepPlan(seed uint64, next func(d draw) fault) (p plan) {
	const more = 50 // than a control has time for
	for i := range workerCount - 1 {
		d := lane(seed, i)
		for range more {
			p.workers[i] = append(p.workers[i], next(d))
		}
	}
	return p
}
