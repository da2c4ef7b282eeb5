package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/test/crash/power"
	"ravenswood.dev/test/proof"
)

// nodeResult is what one run of the one process has shown.
type nodeResult struct {
	Run       string         `json:"run"`
	Broker    string         `json:"broker"`
	Delivery  string         `json:"delivery"`
	PowerLoss bool           `json:"power_loss"`
	NoSync    bool           `json:"no_sync"`
	Kills     int            `json:"kills"`
	KillsAt   map[string]int `json:"kills_at"` // by the way they came

	WereUp  int   `json:"were_up"`         // lives that were up before they ended; the others were killed while they started
	StartMS int64 `json:"start_ms_median"` // of these
	Slowest int64 `json:"start_ms_max"`

	Sent    int64     `json:"sent"` // records of producers without transactions
	Acked   int64     `json:"acked"`
	Refused int64     `json:"refused"`
	Txns    txnCounts `json:"transactions"`
	Copied  int64     `json:"copy_rounds"`
	Offsets int64     `json:"offset_commits"`

	Lost       int64        `json:"lost"`
	Duplicated int64        `json:"duplicated"`
	Torn       int64        `json:"torn"`
	AbortedIn  int64        `json:"aborted_readable"`
	Order      int64        `json:"order_violations"`
	Foreign    int64        `json:"foreign"`             // records nobody sent
	Watched    int64        `json:"watched"`             // records that a reader saw while all went on
	Gone       int64        `json:"seen_then_gone"`      // of these
	Late       int64        `json:"passed_over"`         // not seen by that reader where it had been, and there later
	Rewound    int64        `json:"seen_again"`          // by that reader
	Forgotten  int64        `json:"offsets_lost"`        // answers below what was acknowledged
	InTopic    int64        `json:"in_topic"`            // results
	InSQLite   int64        `json:"in_sqlite"`           //
	Same       bool         `json:"sqlite_equals_topic"` //
	Losses     power.Losses `json:"losses"`              // of power: what was done to files
	CallsAgain int64        `json:"calls_repeated"`      // with an idempotency key seen before: allowed

	Seconds  float64  `json:"seconds"`
	Seed     uint64   `json:"seed"`
	Negative bool     `json:"negative_control"`
	Error    string   `json:"error,omitempty"` // why the run did not come to its end
	Findings []string `json:"findings,omitempty"`
	Again    string   `json:"again,omitempty"` // the command that does it again
	OK       bool     `json:"ok"`
}

func newNodeResult(t trial) nodeResult {
	return nodeResult{
		Run: t.name, Broker: t.broker, Delivery: t.delivery, PowerLoss: t.power, NoSync: t.noSync, KillsAt: map[string]int{},
		Seed: t.seed, Negative: t.breaks,
	}
}

// violations are all that must be zero.
func (r *nodeResult) violations() int64 {
	return r.Refused + r.Lost + r.Duplicated + r.Torn + r.AbortedIn + r.Order + r.Foreign + r.Gone + r.Late + r.Rewound + r.Forgotten
}

// kept says whether every promise was.
func (r *nodeResult) kept() bool { return r.Error == "" && r.violations() == 0 && r.Same }

// conclude judges. A control is good when it found what it is there for: with syncs off a loss of power loses, without
// transactions something is there twice, and the other broker breaks some promise.
func (r *nodeResult) conclude(took time.Duration, f *proof.Findings, err error) {
	r.Seconds = took.Round(100 * time.Millisecond).Seconds()
	if err != nil {
		r.Error = err.Error()
	}
	r.Findings = f.First()
	switch {
	case !r.Negative:
		r.OK = r.kept() && len(r.Findings) == 0
	case r.Broker != ownBroker:
		r.OK = r.violations() > 0 || !r.Same
	case r.NoSync:
		r.OK = r.Lost > 0
	default:
		r.OK = r.Duplicated > 0 && r.Lost == 0
	}
	proof.Say("%s: %d kills, %d acknowledged, %d transactions; %d violations, ok: %v", r.Run, r.Kills, r.Acked, r.Txns.Committed, r.violations(), r.OK)
}

// count takes over what everybody outside has counted.
func (h *nodeHarness) count() {
	if n := len(h.starts); n > 0 {
		slices.Sort(h.starts)
		h.result.WereUp, h.result.StartMS, h.result.Slowest = n, h.starts[n/2], h.starts[n-1]
	}
	if h.load == nil {
		return
	}
	r, l := &h.result, h.load
	for _, f := range l.allFeeds() {
		sent, acked, refused, cause := f.counts()
		r.Sent, r.Acked, r.Refused = r.Sent+sent, r.Acked+acked, r.Refused+refused
		if cause != nil {
			h.findings.Note("%v", cause)
		}
	}
	r.Txns, r.Copied, r.Offsets, r.Forgotten = l.tally(), l.copier.rounds.Load(), l.keeper.commits.Load(), l.keeper.forgotten.Load()
	saw := l.watcher.counts()
	r.Watched, r.Gone, r.Late, r.Rewound = saw.seen, saw.gone, saw.late, saw.rewound
}

// check reads everything and judges it. What cannot be read does not keep the rest from being judged.
func (h *nodeHarness) check(ctx context.Context) error {
	var all []error
	for _, one := range []func(context.Context) error{h.checkFeeds, h.checkTransactions, h.checkLatest, h.load.keeper.close} {
		all = append(all, one(ctx))
	}
	if err := errors.Join(all...); err != nil {
		return err
	}
	h.load.watcher.close()
	return nil
}

// checkFeeds reads what came of the records that were sent without transactions.
func (h *nodeHarness) checkFeeds(ctx context.Context) error {
	l := h.load
	outputs := map[string]*feed{topicIn: l.input, topicOut: l.input, topicPlain: l.plain, topicCopied: l.plain, topicSmall: l.small}
	histories := map[string]*history{}
	for _, topic := range []string{topicIn, topicOut, topicPlain, topicCopied, topicSmall} {
		found := outputs[topic].history(topic)
		if err := h.read(ctx, topic, found.visit); err != nil {
			return err
		}
		histories[topic] = found
		h.sum(found)
	}
	stored := l.input.history("sqlite")
	if err := stored.visitRows(ctx, h.database); err != nil {
		return err
	}
	h.sum(stored)
	r, out := &h.result, histories[topicOut]
	r.InTopic, r.InSQLite, r.Same = out.rows, stored.rows, same(out, stored)
	// What came out must be what is in, whether its producer heard of it or not; and so with the copy.
	if !same(histories[topicIn], out) && r.Duplicated == 0 {
		h.findings.Note("topic %q and what came of it are not the same events", topicIn)
	}
	if !same(histories[topicPlain], histories[topicCopied]) && r.Duplicated == 0 {
		h.findings.Note("topic %q and its copy are not the same events", topicPlain)
	}
	return nil
}

// read visits a topic to its end; the watcher compares with what it saw.
func (h *nodeHarness) read(ctx context.Context, topic string, visit func(*kgo.Record) error) error {
	ctx, cancel := context.WithTimeout(ctx, h.patience(endPatience))
	defer cancel()
	err := kafka.ReadToEnd(ctx, h.cfg, topic, nil, func(r *kgo.Record) error {
		if topic != topicLatest { // from there records go as they must
			h.load.watcher.recall(r)
		}
		return visit(r)
	})
	if err != nil {
		return fmt.Errorf("check topic %q: %w", topic, err)
	}
	return nil
}

func (h *nodeHarness) sum(found *history) {
	r := &h.result
	r.Lost += found.lost()
	r.Duplicated += found.duplicated
	r.Order += found.disordered
	r.Foreign += found.foreign
	for _, line := range found.firsts {
		h.findings.Note("%s", line)
	}
}

func (h *nodeHarness) checkTransactions(ctx context.Context) error {
	a := newAudit(h.load.books, h.findings)
	for i, topic := range topicsTxn {
		if err := h.read(ctx, topic, func(r *kgo.Record) error { return a.visit(i, r) }); err != nil {
			return err
		}
	}
	a.close()
	r := &h.result
	r.Lost += a.lost
	r.Duplicated += a.duplicated
	r.Order += a.disordered
	r.Foreign += a.foreign
	r.Torn += a.torn
	r.AbortedIn += a.abortedIn
	return nil
}

// checkLatest reads the compacted topic: of every key, the newest acknowledged record or a newer one must be there.
func (h *nodeHarness) checkLatest(ctx context.Context) error {
	last := map[string]event{}
	err := h.read(ctx, topicLatest, func(r *kgo.Record) error {
		var e event
		if err := json.Unmarshal(r.Value, &e); err != nil {
			return fmt.Errorf("read %s/%d/%d: %w", r.Topic, r.Partition, r.Offset, err)
		}
		if before, ok := last[e.Key]; ok && e.N <= before.N {
			h.result.Order++
			h.findings.Note("%s/%d/%d: key %s has n %d after %d", r.Topic, r.Partition, r.Offset, e.Key, e.N, before.N)
		}
		last[e.Key] = e
		return nil
	})
	if err != nil {
		return err
	}
	for key, want := range h.load.latest.newest() {
		if got, ok := last[key]; !ok || got.N < want {
			h.result.Lost++
			h.findings.Note("topic %q: key %s has n %d, and %d was acknowledged", topicLatest, key, got.N, want)
		}
	}
	return nil
}

// newest is the last number of each key that was acknowledged.
func (f *feed) newest() map[string]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[string]int64{}
	for id, ok := range f.acked {
		if ok {
			all[fmt.Sprintf("k%d", id%f.keys)] = int64(id / f.keys)
		}
	}
	return all
}
