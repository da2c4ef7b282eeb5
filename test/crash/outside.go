package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/test/proof"
)

// What the load from outside uses, beside the input of the topology.
const (
	topicPlain  = "plain"  // fed by a producer without transactions
	topicCopied = "copied" // what the copier makes of it
	topicSmall  = "small"  // fed one record at a time
	topicLatest = "latest" // compacted
	groupCopier = "outside.copier"
	groupKept   = "outside.kept"

	partitionsOutside = 4
	transactors       = 6
)

var topicsTxn = []string{"txn-a", "txn-b"}

func loadTopics() (all []kafka.TopicWish) {
	for _, name := range append([]string{topicPlain, topicCopied, topicSmall}, topicsTxn...) {
		all = append(all, kafka.TopicWish{Name: name, Partitions: partitionsOutside})
	}
	return append(all, kafka.TopicWish{Name: topicLatest, Partitions: 2, Config: map[string]string{
		"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "segment.bytes": "65536", "segment.ms": "1000",
	}})
}

// outside is everybody who uses the log from outside. They live on when the node dies.
type outside struct {
	input   *feed // of the topology
	plain   *feed
	small   *feed
	latest  *feed
	txns    []*transactor
	books   []*book
	copier  *copier
	keeper  *keeper
	watcher *watcher

	findings  *proof.Findings
	stopFeeds context.CancelFunc
	stopRest  context.CancelFunc
	feeds     sync.WaitGroup
	rest      sync.WaitGroup
}

func newOutside(cfg kafka.Config, o options, seed uint64, f *proof.Findings) *outside {
	c := &copier{cfg: cfg, group: groupCopier, from: topicPlain, to: topicCopied}
	l := &outside{
		input:   &feed{cfg: cfg, topic: topicIn, rate: o.rate, keys: o.keys},
		plain:   &feed{cfg: cfg, topic: topicPlain, rate: o.rate, keys: 100, opts: []kgo.Opt{kgo.ProducerBatchCompression(kgo.ZstdCompression())}},
		small:   &feed{cfg: cfg, topic: topicSmall, rate: o.rate / 4, keys: 20, opts: []kgo.Opt{kgo.ProducerBatchMaxBytes(512)}},
		latest:  &feed{cfg: cfg, topic: topicLatest, rate: o.rate / 2, keys: 200},
		copier:  c,
		keeper:  &keeper{cfg: cfg, group: groupKept, topic: topicSmall, partitions: partitionsOutside, copier: c, findings: f},
		watcher: newWatcher(cfg, append([]string{topicIn, topicOut, topicPlain, topicCopied, topicSmall}, topicsTxn...), f),

		findings: f,
	}
	for _, each := range l.allFeeds() {
		each.opts = append(each.opts, impatient())
	}
	for i := range transactors {
		b := &book{producer: i}
		l.books = append(l.books, b)
		l.txns = append(l.txns, &transactor{
			cfg: cfg, book: b, topics: topicsTxn, partitions: partitionsOutside, rng: rand.New(rand.NewPCG(seed, uint64(100+i))),
		})
	}
	return l
}

func (l *outside) allFeeds() []*feed { return []*feed{l.input, l.plain, l.small, l.latest} }

// start lets everybody run, until endFeeds and stop.
func (l *outside) start(ctx context.Context) {
	feeding, stopFeeds := context.WithCancel(ctx)
	running, stopRest := context.WithCancel(ctx)
	l.stopFeeds, l.stopRest = stopFeeds, stopRest
	for _, f := range l.allFeeds() {
		l.feeds.Go(l.guard(feeding, f.run))
	}
	for _, t := range l.txns {
		l.feeds.Go(l.guard(feeding, t.run))
	}
	for _, run := range []func(context.Context) error{l.copier.run, l.keeper.run, l.watcher.run} {
		l.rest.Go(l.guard(running, run))
	}
}

func (l *outside) guard(ctx context.Context, run func(context.Context) error) func() {
	return func() {
		if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			l.findings.Note("%v", err)
		}
	}
}

// endFeeds ends those who bring something new, and returns when they have their answers.
func (l *outside) endFeeds() {
	l.stopFeeds()
	l.feeds.Wait()
}

// stop ends everybody.
func (l *outside) stop() {
	l.endFeeds()
	l.stopRest()
	l.rest.Wait()
}

func (l *outside) progress() string {
	var sent, acked int64
	for _, f := range l.allFeeds() {
		s, a, _, _ := f.counts()
		sent, acked = sent+s, acked+a
	}
	return fmt.Sprintf("%d sent, %d acknowledged, %d transactions, %d rounds copied", sent, acked, l.tally().Committed, l.copier.rounds.Load())
}

func (l *outside) tally() (n txnCounts) {
	for _, b := range l.books {
		b.tally(&n)
	}
	return n
}
