package main

import (
	"context"
	"time"
)

// oneRun does a run; it returns what to show, and whether it went as it must.
type oneRun func(context.Context) (shown any, ok bool, err error)

// runs are those that the options ask for, in their order.
func (o options) runs() []oneRun {
	switch o.what {
	case whatNode:
		return []oneRun{o.node(o.asked())}
	case whatWorkers:
		return o.workers(o.kills)
	}
	all := []oneRun{
		o.node(o.trial("node", o.kills)),
		o.node(o.trial("node, loss of power", o.kills).losing()),
	}
	all = append(all, o.workers(max(o.kills/workersShare, controlLeast))...)
	if o.control == 0 {
		return all
	}
	unsynced, repeating := o.trial("control: loss of power without sync", o.control).losing(), o.trial("control: at-least-once", o.control)
	unsynced.noSync, unsynced.breaks = true, true
	repeating.delivery, repeating.breaks = atLeastOnce, true
	return append(all, o.node(unsynced), o.node(repeating))
}

func (o options) trial(name string, kills int) trial {
	return trial{name: name, broker: ownBroker, delivery: exactlyOnce, kills: kills, seed: o.seed}
}

func (t trial) losing() trial {
	t.power = true
	return t
}

// asked is the one run of the node that the flags describe. What must break is a control.
func (o options) asked() trial {
	t := o.trial("node", o.kills)
	t.broker, t.power, t.noSync = o.broker, o.powerLoss, o.noSync
	if o.delivery != "" {
		t.delivery = o.delivery
	}
	t.breaks = t.power && t.noSync || t.delivery == atLeastOnce || t.broker != ownBroker
	return t
}

func (o options) node(t trial) oneRun {
	return func(ctx context.Context) (any, bool, error) {
		r, err := runNode(ctx, o.paced(500, 10*time.Millisecond), t)
		if r == nil {
			return nil, false, err
		}
		if t.breaks && r.OK {
			err = nil // a run that broke so badly that it did not come to its end is what was wanted
		}
		return r, r.OK, err
	}
}

// workers are the run of the workers and its control.
func (o options) workers(kills int) []oneRun {
	if o.pauses < 0 {
		o.pauses = kills / killsPerPause
	}
	var all []oneRun
	if o.delivery != atLeastOnce {
		all = append(all, o.worker(exactlyOnce, kills, (*result).keptExactlyOnce))
	}
	switch {
	case o.delivery == atLeastOnce:
		all = append(all, o.worker(atLeastOnce, kills, (*result).repeatedOnly))
	case o.delivery == "" && o.control > 0:
		all = append(all, o.worker(atLeastOnce, o.control, (*result).repeatedOnly))
	}
	return all
}

func (o options) worker(delivery string, kills int, good func(*result) bool) oneRun {
	return func(ctx context.Context) (any, bool, error) {
		r, err := run(ctx, o.paced(2000, 50*time.Millisecond), delivery, kills)
		if r == nil {
			return nil, false, err
		}
		r.OK = err == nil && good(r)
		return r, r.OK, err
	}
}
