package tables

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"ravenswood.dev/stream/tables"
)

// parts is what one process says of some partitions.
type parts struct {
	By      string                 `json:"by"`
	Entries []tables.Entry         `json:"entries"` // in the order of the form
	More    bool                   `json:"more,omitempty"`
	Stale   map[int32]tables.Stale `json:"stale,omitempty"`
	Refused map[int32]reason       `json:"refused,omitempty"`
}

// reason is why a process says nothing of a partition.
type reason string

// The reasons.
const (
	elsewhere reason = "elsewhere" // it does not have it
	restoring reason = "restoring" // what it has is behind, which was not wanted
)

// answer is what a question gets in the end.
type answer struct {
	entries []tables.Entry
	more    bool
	stale   *tables.Stale
	by      string // one of those who answered
}

// askPause is how long a question waits before it asks again when nobody was ready, unless it hears of a change before.
const askPause = 100 * time.Millisecond

// resortAfter is how long a question waits for a task that is being restored before it takes what the task has so far:
// mostly it is ready before that, and a store that is half restored lacks more than any copy.
const resortAfter = time.Second

// ask asks whoever has the partitions that a question is about, again while they move and the question can wait.
func (s *Service) ask(ctx context.Context, t *target, q *query) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, q.Wait+answerTimeout)
	defer cancel()
	once := s.round
	if t.global() {
		once = s.askGlobal
	}
	for begun := time.Now(); ; {
		changed, waited := t.engine.Changed(), time.Since(begun)
		resort := waited >= min(q.Wait/2, resortAfter)
		a, err := once(ctx, t, q, resort)
		if err == nil || !passing(err) || resort && waited > q.Wait {
			return a, err
		}
		if stopped := either(ctx, changed, askPause); stopped != nil {
			return nil, err
		}
	}
}

// passing says whether the same question may be answered in a moment.
func passing(err error) bool {
	e, ok := errors.AsType[*tables.Error](err)
	return ok && (e.Code == tables.NotReady || e.Code == tables.OnlyStale)
}

// either returns when something changed, or some time has passed.
func either(ctx context.Context, changed <-chan struct{}, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

func (s *Service) askGlobal(ctx context.Context, t *target, q *query, _ bool) (*answer, error) {
	p, err := s.here(ctx, t, q, []int32{0})
	if err != nil {
		return nil, err
	}
	if len(p.Refused) > 0 {
		return nil, notReady(t, 0, p.Refused[0])
	}
	return &answer{entries: p.Entries, more: p.More, by: s.id}, nil
}

// round asks everybody once; with resort, also for stores that are not restored yet.
func (s *Service) round(ctx context.Context, t *target, q *query, resort bool) (*answer, error) {
	owners := t.engine.Owners(t.table.Stage)
	if len(owners) == 0 {
		return nil, &tables.Error{Status: http.StatusServiceUnavailable, Code: tables.NotReady,
			Message: fmt.Sprintf("ask table %q of topology %q: it is not known yet who has it", t.table.Name, t.plan.Name), Hint: "ask again in a moment"}
	}
	r := &asking{service: s, target: t, query: q, resort: resort, down: map[string]bool{}}
	if q.Key != nil {
		r.want(partitionOf(q.Key, len(owners)), owners)
	} else {
		for p := range owners {
			r.want(int32(p), owners)
		}
	}
	for len(r.open) > 0 {
		if err := r.step(ctx); err != nil {
			return nil, err
		}
	}
	return r.merge(), nil
}

// asking is one round: each partition has a list of who might answer, the best first.
type asking struct {
	service *Service
	target  *target
	query   *query
	resort  bool

	open []*candidates
	down map[string]bool // processes that did not answer at all
	got  []*parts
}

// candidates is who might answer for a partition.
type candidates struct {
	partition int32
	left      []candidate
	copies    bool   // there are copies that may be behind, which were not asked
	last      reason // of whoever was asked last
	err       error
}

type candidate struct {
	Instance
	stale bool // it may answer from a copy that is behind
}

func (r *asking) want(p int32, owners []Owner) {
	o, c := owners[p], &candidates{partition: p, last: elsewhere}
	if o.Active.ID != "" {
		c.left = append(c.left, candidate{o.Active, false})
	}
	if !r.query.Stale {
		c.copies = len(o.Standbys) > 0
	} else {
		for _, standby := range o.Standbys {
			c.left = append(c.left, candidate{standby, true})
		}
		if r.resort && o.Active.ID != "" {
			c.left = append(c.left, candidate{o.Active, true})
		}
	}
	r.open = append(r.open, c)
}

// errNobody is the end of a partition's candidates.
func (c *candidates) errNobody(t *target) error {
	if c.copies || c.last == restoring {
		return &tables.Error{Status: http.StatusServiceUnavailable, Code: tables.OnlyStale,
			Message: fmt.Sprintf("ask table %q of topology %q: partition %d is being handed over, and only a copy that is behind could answer", t.table.Name, t.plan.Name, c.partition),
			Hint:    "ask again in a moment, or take what there is: without fresh and after"}
	}
	err := notReady(t, c.partition, c.last)
	if c.err != nil {
		err.Message += ": " + c.err.Error()
	}
	if _, misfit := errors.AsType[*misfitError](c.err); misfit {
		err.Hint = "all processes of a topology need the same token for tables, and must believe each other's certificates"
	}
	return err
}

func notReady(t *target, p int32, why reason) *tables.Error {
	words := map[reason]string{elsewhere: "nobody who has it answers", restoring: "it is being restored"}[why]
	return &tables.Error{Status: http.StatusServiceUnavailable, Code: tables.NotReady,
		Message: fmt.Sprintf("ask table %q of topology %q: partition %d: %s", t.table.Name, t.plan.Name, p, words),
		Hint:    "ask again in a moment; `raven status` shows what is restored"}
}

// step asks the next candidate of every open partition, all processes at once.
func (r *asking) step(ctx context.Context) error {
	groups, err := r.groups()
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, fanOutMax)
	for _, g := range groups {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			g.answer, g.err = r.service.put(ctx, r.target, r.query, g)
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return tooSlow(r.target, err)
	}
	r.open = nil
	for _, g := range groups {
		if err := r.take(g); err != nil {
			return err
		}
	}
	return nil
}

// tooSlow says that the time for an answer is over, or that nobody waits for it any more.
func tooSlow(t *target, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &tables.Error{Status: http.StatusGatewayTimeout, Code: tables.NotReady,
		Message: fmt.Sprintf("ask table %q of topology %q: no answer came in time", t.table.Name, t.plan.Name), Hint: "ask for less at a time, or again"}
}

// group is the partitions that one process is asked for together.
type group struct {
	to      candidate
	members []*candidates
	last    bool // of one of them: nobody is left if this one does not answer
	answer  *parts
	err     error
}

func (g *group) partitions() []int32 {
	var list []int32
	for _, m := range g.members {
		list = append(list, m.partition)
	}
	return list
}

func (r *asking) groups() ([]*group, error) {
	byWho := map[candidate]*group{}
	var all []*group
	for _, c := range r.open {
		for len(c.left) > 0 && r.down[c.left[0].ID] {
			c.left = c.left[1:]
		}
		if len(c.left) == 0 {
			return nil, c.errNobody(r.target)
		}
		to := c.left[0]
		c.left = c.left[1:]
		g := byWho[to]
		if g == nil {
			g = &group{to: to}
			byWho[to] = g
			all = append(all, g)
		}
		g.members, g.last = append(g.members, c), g.last || len(c.left) == 0
	}
	return all, nil
}

// take keeps what a process said and opens again the partitions it said nothing of.
func (r *asking) take(g *group) error {
	if g.err != nil {
		if final(g.err) {
			return g.err
		}
		r.down[g.to.ID] = true
		for _, m := range g.members {
			m.err = g.err
			r.open = append(r.open, m)
		}
		return nil
	}
	r.got = append(r.got, g.answer)
	for _, m := range g.members {
		if why, refused := g.answer.Refused[m.partition]; refused {
			m.last = why
			r.open = append(r.open, m)
		}
	}
	return nil
}

// final says whether another process would say the same.
func final(err error) bool {
	e, ok := errors.AsType[*tables.Error](err)
	return ok && (e.Code == tables.TooEarly || e.Code == tables.BadRequest)
}

// merge puts together what was said.
func (r *asking) merge() *answer {
	a, out := &answer{}, newCollector(r.query.Form, r.query.Limit)
	for _, p := range r.got {
		for _, e := range p.Entries {
			out.add(e)
		}
		if len(p.Refused) == 0 || len(p.Entries) > 0 || a.by == "" {
			a.by = p.By
		}
		a.stale = worst(a.stale, p.Stale)
	}
	for _, p := range r.got {
		if p.More && len(p.Entries) > 0 {
			out.stopBehind(&p.Entries[len(p.Entries)-1])
			a.more = true
		}
	}
	entries, more := out.page()
	a.entries, a.more = entries, a.more || more
	return a
}

// worst sums up staleness: the most records, the longest time.
func worst(so *tables.Stale, more map[int32]tables.Stale) *tables.Stale {
	for _, p := range partitionsOf(more) {
		s := more[p]
		if so == nil {
			so = &tables.Stale{Records: s.Records}
		}
		so.Partitions = append(so.Partitions, p)
		if so.Records >= 0 {
			so.Records = max(so.Records, s.Records)
		}
		if s.Records < 0 {
			so.Records = s.Records
		}
		before, _ := time.ParseDuration(so.Behind)
		if behind, err := time.ParseDuration(s.Behind); err == nil && behind > before {
			so.Behind = s.Behind
		}
	}
	return so
}
