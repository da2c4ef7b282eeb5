package tables

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"ravenswood.dev/stream/tables"
)

// here answers for partitions from what this process has.
func (s *Service) here(ctx context.Context, t *target, q *query, partitions []int32) (*parts, error) {
	p := &parts{By: s.id}
	if q.After != "" {
		waiting, err := s.awaitAll(ctx, t, q, partitions)
		if err != nil {
			return nil, err
		}
		partitions, p.Refused = waiting.ready, waiting.refused
	}
	out := newCollector(q.Form, q.Limit)
	for _, n := range partitions {
		if err := s.readPart(ctx, t, q, n, p, out); err != nil {
			return nil, err
		}
	}
	p.Entries, p.More = out.page()
	return p, nil
}

func (s *Service) readPart(ctx context.Context, t *target, q *query, n int32, p *parts, out *collector) error {
	view, err := t.view(n, q.Stale)
	if err != nil {
		p.refuse(n, reasonOf(err))
		return nil
	}
	defer view.Release()
	r := &reading{query: q, spec: t.table.Store, out: out, ctx: ctx}
	if err := r.read(view.Stores); err != nil {
		if ctx.Err() != nil {
			return tooSlow(t, err)
		}
		return &tables.Error{Status: http.StatusInternalServerError, Code: tables.Failed,
			Message: fmt.Sprintf("read table %q of topology %q, partition %d: %s", t.table.Name, t.plan.Name, n, err)}
	}
	if view.Stale != nil {
		p.stale(n, *view.Stale)
	}
	return nil
}

func reasonOf(err error) reason {
	if errors.Is(err, ErrRestoring) {
		return restoring
	}
	return elsewhere
}

func (p *parts) refuse(n int32, why reason) {
	if p.Refused == nil {
		p.Refused = map[int32]reason{}
	}
	p.Refused[n] = why
}

func (p *parts) stale(n int32, s Staleness) {
	if p.Stale == nil {
		p.Stale = map[int32]tables.Stale{}
	}
	shown := tables.Stale{Records: s.Records}
	if s.Behind > 0 {
		shown.Behind = s.Behind.Round(time.Millisecond).String()
	}
	p.Stale[n] = shown
}
