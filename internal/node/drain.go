package node

import (
	"context"
	"slices"
	"time"

	"ravenswood.dev/internal/kafka"
)

// Drain keeps the outside spouts from bringing more and waits until what is in has come out of every topology, the
// bound is over, or ctx is done. It returns the audit of that moment in any case.
func (n *Node) Drain(ctx context.Context, bound time.Duration) ([]Audit, error) {
	n.closeGate()
	deadline, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	ctx = context.WithoutCancel(ctx)
	for {
		n.awaitQuiet(deadline)
		audits, err := n.Audit(ctx)
		if err != nil || deadline.Err() != nil {
			return audits, err
		}
		if over, err := n.out(ctx, audits); over || err != nil {
			return audits, err
		}
		rest(deadline, 200*time.Millisecond)
	}
}

// out says whether everything is out: by the audits if there are any, since they look at the results themselves.
func (n *Node) out(ctx context.Context, audits []Audit) (bool, error) {
	if len(audits) > 0 {
		return !slices.ContainsFunc(audits, func(a Audit) bool { return a.Lost > 0 }), nil
	}
	left, err := n.Outstanding(ctx)
	return left == 0, err
}

// awaitQuiet waits until the topologies say in two looks, one after the other, that nothing is left to do. What they
// say may be a second old, so it only saves looking closer too early.
func (n *Node) awaitQuiet(ctx context.Context) {
	for looks := 0; looks < 2 && ctx.Err() == nil; {
		rest(ctx, 100*time.Millisecond)
		looks++
		if !n.quiet() {
			looks = 0
		}
	}
}

func (n *Node) quiet() bool {
	for _, r := range n.topologies {
		s := r.status()
		if s.State != "running" {
			continue // it will not get any further
		}
		if s.InFlight > 0 || s.Lag > 0 {
			return false
		}
		for _, d := range s.Deliveries {
			if d.Lag > 0 {
				return false
			}
		}
	}
	return true
}

// Done says whether every outside spout has come to its end and everything has come out of every topology; never if
// there are none, since a topic has no end.
func (n *Node) Done(ctx context.Context) (bool, error) {
	feeds := 0
	for _, r := range n.topologies {
		for _, f := range r.status().Feeds {
			if !f.Ended {
				return false, nil
			}
			feeds++
		}
	}
	if feeds == 0 || !n.quiet() {
		return false, nil
	}
	left, err := n.Outstanding(ctx)
	return left == 0, err
}

// Outstanding asks the cluster how many offsets the topologies and their deliveries still have before them.
//
// What is committed is read before what there is. If the two are equal everywhere, nobody had anything to do in
// between, so nobody wrote anything that another would have to read: one look is enough, however long the chain is.
func (n *Node) Outstanding(ctx context.Context) (int64, error) {
	admin, err := kafka.NewAdmin(n.kafka)
	if err != nil {
		return 0, err
	}
	defer admin.Close()
	readers := n.readers()
	committed := make([]map[kafka.TopicPartition]kafka.Committed, len(readers))
	for i, r := range readers {
		if committed[i], err = admin.CommittedOffsets(ctx, r.group); err != nil {
			return 0, err
		}
	}
	left := int64(0)
	for i, r := range readers {
		there, err := ahead(ctx, admin, r.topics, committed[i])
		if err != nil {
			return 0, err
		}
		left += there
	}
	return left, nil
}

// reader is a group and the topics it has to come to the end of.
type reader struct {
	group  string
	topics []string
}

func (n *Node) readers() []reader {
	var all []reader
	for _, p := range n.plans {
		workers := reader{group: p.Group}
		for _, in := range p.Inputs {
			workers.topics = append(workers.topics, in.Topic)
		}
		all = append(all, workers)
		for _, d := range p.Deliveries {
			all = append(all, reader{d.Group, []string{d.Topic}})
		}
	}
	return all
}

// ahead counts the offsets between what is committed and what is stable.
func ahead(ctx context.Context, admin *kafka.Admin, topics []string, committed map[kafka.TopicPartition]kafka.Committed) (int64, error) {
	stable, err := admin.StableOffsets(ctx, topics...)
	if err != nil {
		return 0, err
	}
	first, err := admin.StartOffsets(ctx, topics...)
	if err != nil {
		return 0, err
	}
	left := int64(0)
	for at, end := range stable {
		left += max(end-max(committed[at].Offset, first[at]), 0)
	}
	return left, nil
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
