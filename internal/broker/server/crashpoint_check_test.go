package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/disk"
	"ravenswood.dev/internal/broker/txn"
)

// seen is what readers could see of a partition at the moment of a crash.
type seen struct {
	id              topicID
	durable, stable int64
}

// A crash is a moment with what it leaves on the disk, and with what was known then.
type crash struct {
	name  string // what was going on
	fs    *disk.Memory
	know  func() *facts
	seen  map[at]seen
	seed  uint64
	again bool // crash once more in the recovery
}

// recover starts a server on what is left and compares it with the facts.
func (c crash) check(o Options) error {
	var second *crash
	if c.again {
		second = c.crashAgain()
	}
	if second != nil {
		if err := second.check(o); err != nil {
			return fmt.Errorf("%s, then %s: %w", c.name, second.name, err)
		}
	}
	k := checker{crash: c, facts: c.know(), log: &complaints{}}
	if err := k.run(o); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return nil
}

// crashAgain starts a server and ends it at a random change.
func (c crash) crashAgain() *crash {
	rng := rand.New(rand.NewPCG(c.seed, 2))
	left, at := c.fs.Kill(), 1+rng.IntN(40)
	var second *crash
	var mu sync.Mutex
	left.Hook = func(op disk.Op) {
		mu.Lock()
		defer mu.Unlock()
		if at--; at != 0 {
			return
		}
		again := crash{name: fmt.Sprintf("killed again at %s", describe(op)), fs: left.Kill(), know: c.know, seen: c.seen, seed: c.seed + 1}
		if rng.IntN(2) == 0 {
			again.name, again.fs = "power lost at "+describe(op), left.PowerLoss(rng)
		}
		second = &again
	}
	if s, err := Open(context.Background(), Options{FS: left, ReserveBytes: -1}); err == nil {
		_ = s.Close()
	}
	mu.Lock()
	defer mu.Unlock()
	return second
}

func describe(op disk.Op) string {
	middle := ""
	if op.Middle {
		middle = " (middle)"
	}
	return fmt.Sprintf("%v %s%s", op.Kind, op.Name, middle)
}

// complaints collects what a server logs as an error: a crash is no reason for one.
type complaints struct {
	mu   sync.Mutex
	list []string
}

func (c *complaints) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (c *complaints) WithAttrs([]slog.Attr) slog.Handler           { return c }
func (c *complaints) WithGroup(string) slog.Handler                { return c }
func (c *complaints) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, text)
	return nil
}

// A checker compares one started server with the facts.
type checker struct {
	crash
	direct
	facts   *facts
	log     *complaints
	decided *bool // whether the uncertain transaction turned out to be committed
}

func (k *checker) run(o Options) (err error) {
	o.FS, o.Log = k.fs, slog.New(k.log)
	s, err := Open(context.Background(), o)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	k.s = s
	for _, step := range []func() error{k.topics, k.logs, k.hidden, k.retries, k.owners, k.read, k.offsets, k.groups, k.newIDs} {
		if err = step(); err != nil {
			break
		}
	}
	err = errors.Join(err, s.Close())
	if len(k.log.list) > 0 {
		err = errors.Join(err, fmt.Errorf("the log says %q", k.log.list))
	}
	return err
}

// topics: those that exist are there with their settings, the others are gone with their files.
func (k *checker) topics() error {
	for name, t := range k.facts.topics {
		got := k.s.topics.named(name)
		switch {
		case got == nil && t.created && !t.removing:
			return fmt.Errorf("topic %s is gone", name)
		case got == nil:
			continue
		case t.created && got.id != t.id:
			return fmt.Errorf("topic %s is another one", name)
		case len(got.all()) != len(t.parts):
			return fmt.Errorf("topic %s has %d partitions", name, len(got.all()))
		case !slices.ContainsFunc(t.settings, func(m map[string]string) bool { return maps.Equal(m, *got.settings.Load()) }):
			return fmt.Errorf("topic %s has settings %v, want %v", name, *got.settings.Load(), t.settings)
		}
	}
	for _, t := range k.s.topics.sorted() {
		if k.facts.topics[t.name] == nil {
			return fmt.Errorf("topic %s is there", t.name)
		}
	}
	return k.files()
}

func (k *checker) files() error {
	names, err := k.fs.List(topicsDir)
	if err != nil {
		return nil //nolint:nilerr // no topic was ever made
	}
	for _, name := range names {
		ids, err := k.fs.List(topicsDir + "/" + name.Name)
		if err != nil {
			return err
		}
		for _, id := range ids {
			var known topicID
			if known.UnmarshalText([]byte(id.Name)) != nil || k.s.topics.withID(known) == nil {
				return fmt.Errorf("files of a topic %s that is gone: %s", name.Name, id.Name)
			}
		}
	}
	return nil
}

// here are the partitions of the model that exist.
func (k *checker) here() map[at]*partFacts {
	all := k.facts.all()
	maps.DeleteFunc(all, func(a at, _ *partFacts) bool { return k.s.topics.named(a.topic) == nil })
	return all
}

// logs: every record that was acknowledged is there once, in order, at its offset; what readers saw is there.
func (k *checker) logs() error {
	for a, p := range k.here() {
		log := k.s.topics.partition(a.topic, a.partition).log
		if start := log.Start(); start < p.start || start > p.startMax {
			return fmt.Errorf("%v begins at %d, want %d to %d", a, start, p.start, p.startMax)
		}
		if was := k.seen[a]; was.id == k.s.topics.named(a.topic).id {
			if log.End() < was.durable {
				return fmt.Errorf("%v ends at %d, readers saw %d", a, log.End(), was.durable)
			}
			if stable := k.s.topics.partition(a.topic, a.partition).limit(true); stable < was.stable {
				return fmt.Errorf("%v is stable up to %d, readers of committed records saw %d", a, stable, was.stable)
			}
		}
		got, err := k.direct.read(a, log.Start(), false)
		if err != nil {
			return err
		}
		if err := k.compare(a, p, got, log.Start()); err != nil {
			return fmt.Errorf("%v: %w", a, err)
		}
	}
	return nil
}

// compare finds the batches that were sent, in order, in what is there.
func (k *checker) compare(a at, p *partFacts, got []stored, start int64) error {
	rest := got
	for i, b := range p.sent {
		there := 0
		for j, e := range b.records {
			if len(rest) > 0 && rest[0].value == e.value {
				if b.base >= 0 && rest[0].offset != b.base+int64(j) {
					return fmt.Errorf("%s lies at %d, was acknowledged at %d", e.value, rest[0].offset, b.base+int64(j))
				}
				rest, there = rest[1:], there+1
				continue
			}
			must, _ := k.facts.readable(b)
			gone := b.base >= 0 && b.base+int64(j) < start || p.compacted && (!must || k.facts.superseded(p, i, j))
			if b.base >= 0 && !gone {
				return fmt.Errorf("acknowledged record %s at %d is lost", e.value, b.base+int64(j))
			}
		}
		if b.base < 0 && there > 0 && there < len(b.records) {
			return fmt.Errorf("%d of %d records of a batch", there, len(b.records))
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("record %s at %d is there twice, out of order, or was never sent", rest[0].value, rest[0].offset)
	}
	return nil
}

// hidden: readers of committed records see nothing of a transaction that was not committed, while others are still open.
func (k *checker) hidden() error {
	for a, p := range k.here() {
		got, err := k.direct.read(a, k.s.topics.partition(a.topic, a.partition).log.Start(), true)
		if err != nil {
			return err
		}
		for _, r := range got {
			if b := p.holding(r.value); b != nil {
				if _, may := k.facts.readable(b); !may {
					return fmt.Errorf("%v: %s at %d was not committed", a, r.value, r.offset)
				}
			}
		}
	}
	return nil
}

// holding is the batch that has a record.
func (p *partFacts) holding(value string) *sentFacts {
	for _, b := range p.sent {
		if slices.ContainsFunc(b.records, func(e entry) bool { return e.value == value }) {
			return b
		}
	}
	return nil
}

// retries: a batch that is sent again is known again if it is there, and stored once if it is not; the next one is taken.
func (k *checker) retries() error {
	for a, p := range k.here() {
		last := map[txn.Producer]*sentFacts{}
		for _, b := range p.sent {
			if b.producer.ID >= 0 {
				last[b.producer] = b
			}
		}
		for producer, b := range last {
			if b.number == 0 {
				if err := k.retry(a, p, b); err != nil {
					return fmt.Errorf("%v: sequence %d of %v: %w", a, b.sequence, producer, err)
				}
			} else if t := k.facts.txns[b.number]; t.ending == undecided && k.facts.owners[t.id] == producer {
				if err := k.resend(a, b, t.id); err != nil {
					return fmt.Errorf("%v: sequence %d of transaction %s: %w", a, b.sequence, t.id, err)
				}
			}
		}
		slices.SortStableFunc(p.sent, func(a, b *sentFacts) int { return cmp.Compare(a.base, b.base) })
	}
	return nil
}

// resend sends a batch of an open transaction again.
func (k *checker) resend(a at, b *sentFacts, id string) error {
	bases, err := k.produce(b.version, id, map[at]sending{a: b.sending})
	if err == nil && b.base >= 0 && bases[a] != b.base {
		return fmt.Errorf("stored at %d, then at %d", b.base, bases[a])
	}
	b.base = bases[a]
	return err
}

func (k *checker) retry(a at, p *partFacts, b *sentFacts) error {
	bases, err := k.produce(9, "", map[at]sending{a: b.sending})
	if err != nil {
		return err
	}
	if b.base >= 0 && bases[a] != b.base {
		return fmt.Errorf("stored at %d, then at %d", b.base, bases[a])
	}
	b.base = bases[a] // acknowledged now
	next := sending{producer: b.producer, sequence: b.sequence + int32(len(b.records)), millis: b.millis, records: []entry{{"next", fmt.Sprint("next of ", b.producer)}}}
	if bases, err = k.produce(9, "", map[at]sending{a: next}); err != nil {
		return fmt.Errorf("the next batch: %w", err)
	}
	p.sent = append(p.sent, &sentFacts{sending: next, base: bases[a]})
	return nil
}

// owners: a transactional id goes on with a newer epoch, which ends what is open.
func (k *checker) owners() error {
	for id, was := range k.facts.owners {
		now, err := k.initProducer(id)
		if err != nil {
			return err
		}
		if now.ID == was.ID && now.Epoch <= was.Epoch || now.ID != was.ID && k.facts.given[now.ID] {
			return fmt.Errorf("transactional id %s has %v after %v", id, now, was)
		}
		k.facts.given[now.ID] = true
	}
	for _, t := range k.facts.txns {
		switch t.ending {
		case undecided, mayAbort:
			t.ending = aborted
		}
	}
	return nil
}

// read: readers of committed records see what was committed, whole, and nothing else.
func (k *checker) read() error {
	for a, p := range k.here() {
		part := k.s.topics.partition(a.topic, a.partition)
		if part.limit(true) != part.limit(false) {
			return fmt.Errorf("%v is stable up to %d of %d although nothing is open", a, part.limit(true), part.limit(false))
		}
		got, err := k.direct.read(a, part.log.Start(), true)
		if err != nil {
			return err
		}
		if err := k.expected(a, p, got, part.log.Start()); err != nil {
			return fmt.Errorf("%v, committed: %w", a, err)
		}
		if got, err = k.direct.read(a, part.log.Start(), false); err == nil {
			err = k.compare(a, p, got, part.log.Start())
		}
		if err != nil {
			return fmt.Errorf("%v: %w", a, err)
		}
	}
	return nil
}

func (k *checker) expected(a at, p *partFacts, got []stored, start int64) error {
	there := map[string]bool{}
	for _, r := range got {
		there[r.value] = true
	}
	_, uncertain := k.facts.uncertain()
	for i, b := range p.sent {
		must, may := k.facts.readable(b)
		for j, e := range b.records {
			removed := b.base >= 0 && b.base+int64(j) < start || p.compacted && k.facts.superseded(p, i, j)
			switch {
			case !may && there[e.value]:
				return fmt.Errorf("%s was not committed", e.value)
			case must && !there[e.value] && !removed:
				return fmt.Errorf("%s was committed and is not readable", e.value)
			case b.number != 0 && b.number == uncertain && b.base >= 0 && !removed:
				if err := k.decide(there[e.value], fmt.Sprintf("%v %s", a, e.value)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// decide notes whether the uncertain transaction is committed, which all of its parts agree on.
func (k *checker) decide(is bool, by string) error {
	if k.decided == nil {
		k.decided = &is
	}
	if *k.decided != is {
		return fmt.Errorf("a transaction is torn: committed is %v by %s", is, by)
	}
	return nil
}

// offsets: groups find what they committed, with the transaction that they committed it in.
func (k *checker) offsets() error {
	uncertain, _ := k.facts.uncertain()
	for key, allowed := range k.facts.offsets {
		got, err := k.committedOffset(key.group, key.at)
		if err != nil {
			return err
		}
		if uncertain != nil {
			if mine, ok := uncertain.offsets[key]; ok {
				if err := k.decide(got == mine, fmt.Sprintf("offset %d of %v", got, key.at)); err != nil {
					return err
				}
				allowed = append(slices.Clone(allowed), mine)
			}
		}
		if !slices.Contains(allowed, got) {
			return fmt.Errorf("group %s has offset %d of %v, want one of %d", key.group, got, key.at, allowed)
		}
		if p := k.s.topics.partition(key.at.topic, key.at.partition); p != nil && got > p.log.End() {
			return fmt.Errorf("group %s has offset %d of %v, which ends at %d", key.group, got, key.at, p.log.End())
		}
	}
	for _, t := range k.facts.txns {
		if t.ending != committed && t.ending != mayCommit {
			for key := range t.offsets {
				if len(k.facts.offsets[key]) == 0 {
					if got, err := k.committedOffset(key.group, key.at); err != nil || got != -1 {
						return fmt.Errorf("group %s has offset %d of a transaction that was not committed (%w)", key.group, got, err)
					}
				}
			}
		}
	}
	return nil
}

// groups: a member goes on, and no generation is given out twice.
func (k *checker) groups() error {
	for name, g := range k.facts.groups {
		if g.stable {
			if err := k.heartbeat(name, g.generation, g.member); err != nil {
				return fmt.Errorf("member of %s: %w", name, err)
			}
		}
		if g.member != "" {
			if err := k.leave(name, g.member); err != nil && (g.stable || !errors.Is(err, kerr.UnknownMemberID)) {
				return err
			}
		}
		if !g.stable {
			continue // a member that nobody knows may hold up the next round
		}
		joined, err := k.join(name)
		if err != nil {
			return err
		}
		if joined.Generation <= g.generation {
			return fmt.Errorf("group %s has generation %d again", name, joined.Generation)
		}
	}
	return nil
}

// newIDs: no producer id is given out twice.
func (k *checker) newIDs() error {
	p, err := k.initProducer("")
	if err != nil {
		return err
	}
	if k.facts.given[p.ID] {
		return fmt.Errorf("producer id %d was given out before", p.ID)
	}
	return nil
}

func (d direct) heartbeat(group string, generation int32, member string) error {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.Generation, req.MemberID = group, generation, member
	response, err := ask[*kmsg.HeartbeatResponse](d, 3, req)
	if err != nil {
		return err
	}
	return refused("heartbeat", response.ErrorCode)
}

func (d direct) leave(group, member string) error {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.MemberID = group, member
	response, err := ask[*kmsg.LeaveGroupResponse](d, 1, req)
	if err != nil {
		return err
	}
	return refused("leave", response.ErrorCode)
}

func (d direct) join(group string) (*kmsg.JoinGroupResponse, error) {
	protocol := kmsg.NewJoinGroupRequestProtocol()
	protocol.Name = "range"
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.ProtocolType, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = group, "consumer", 60_000, 60_000
	req.Protocols = append(req.Protocols, protocol)
	response, err := ask[*kmsg.JoinGroupResponse](d, 3, req)
	if err == nil {
		err = refused("join", response.ErrorCode)
	}
	return response, err
}
