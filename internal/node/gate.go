package node

import (
	"context"
	"slices"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/topology"
)

// gated gives a copy of the plan whose outside spouts bring nothing more once the gate is done, so that everything
// that is in can come out before the topologies stop. To the engine a closed gate is a source that is quiet.
func gated(gate context.Context, p *topology.Plan) *topology.Plan {
	c := *p
	c.Feeds = slices.Clone(p.Feeds)
	for i := range c.Feeds {
		open := c.Feeds[i].Component.NewSpout
		c.Feeds[i].Component.NewSpout = func(config any, env component.Env) (component.Spout, error) {
			spout, err := open(config, env)
			if err != nil {
				return nil, err
			}
			return &gatedSpout{Spout: spout, gate: gate}, nil
		}
	}
	return &c
}

type gatedSpout struct {
	component.Spout
	gate context.Context
}

// Next is the spout's own until the gate is done; then it waits for ctx. What the spout was about to say when the gate
// closed is not lost: its position was not stored, so the next start gets it.
func (s *gatedSpout) Next(ctx context.Context, most int) (component.Batch, error) {
	if s.gate.Err() == nil {
		inner, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(s.gate, cancel)()
		batch, err := s.Spout.Next(inner, most)
		if err == nil || s.gate.Err() == nil {
			return batch, err
		}
	}
	<-ctx.Done()
	return component.Batch{}, ctx.Err()
}
