package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/test/kafka/apache"
	"ravenswood.dev/test/proof"
)

// cluster is the broker under test.
type cluster interface {
	addr() string
	restart(ctx context.Context, down time.Duration) error // ours with kill -9; the same data after a while
	// commitLate commits an open transaction so that its offsets are shown and its markers are not there yet; write writes
	// them, and must be called.
	commitLate(ctx context.Context, t *transaction) (write func(context.Context) error, err error)
	close() error
	log() string
}

// The brokers there are.
const (
	ownBroker   = "raven"
	kafkaBroker = "kafka"
)

const brokerPatience = 60 * time.Second // for a start

func startCluster(ctx context.Context, kind, dir string) (cluster, error) {
	if kind == kafkaBroker {
		return startKafka(ctx, dir)
	}
	return startOwn(ctx, dir)
}

// own is our broker in a process of its own.
type own struct {
	dir string
	at  string
	p   *proof.Process
}

func startOwn(ctx context.Context, dir string) (*own, error) {
	addr, err := proof.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	b := &own{dir: dir, at: addr}
	return b, b.start(ctx)
}

func (b *own) start(ctx context.Context) error {
	p, err := proof.Start("broker", b.log(), envDir+"="+filepath.Join(b.dir, "broker"), envAddr+"="+b.at)
	if err != nil {
		return err
	}
	b.p = p
	ctx, cancel := context.WithTimeout(ctx, brokerPatience)
	defer cancel()
	if _, err := p.FirstLine(ctx); err != nil {
		p.Kill()
		return fmt.Errorf("start broker: %w (see %s)", err, b.log())
	}
	return nil
}

func (b *own) addr() string { return b.at }
func (b *own) log() string  { return filepath.Join(b.dir, "broker.log") }

func (b *own) restart(ctx context.Context, down time.Duration) error {
	b.p.Kill()
	proof.Sleep(ctx, down)
	return b.start(context.WithoutCancel(ctx))
}

func (b *own) close() error {
	b.p.Kill()
	return nil
}

// foreign is Apache Kafka.
type foreign struct{ *apache.Cluster }

func startKafka(ctx context.Context, dir string) (*foreign, error) {
	c, err := apache.Start(ctx, apache.Options{Dir: filepath.Join(dir, "kafka")})
	if err != nil {
		return nil, errors.Join(err, apache.Missing())
	}
	return &foreign{c}, nil
}

func (f *foreign) addr() string { return f.Addrs()[0] }
func (f *foreign) log() string  { return f.Logs()[0] }
func (f *foreign) close() error { return f.Close() }

// restart ends it in order. One that is killed, and is alone, may lose markers for good: it thinks that it leads everything
// before it is let into its own cluster again, decides transactions that timed out meanwhile, and then finds no leader
// for their partitions, "likely deleted already". Whoever reads committed waits there for ever. It does the same with
// transactions that clients end in this moment, so workers are let through when everything has a leader: see shut.
func (f *foreign) restart(ctx context.Context, down time.Duration) error {
	if err := f.Stop(1); err != nil {
		return err
	}
	proof.Sleep(ctx, down)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), brokerPatience)
	defer cancel()
	if err := f.Restart(ctx, 1); err != nil {
		return err
	}
	return f.awaitLeaders(ctx)
}

// awaitLeaders waits until every partition has a leader, and who keeps groups and transactions answers.
func (f *foreign) awaitLeaders(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(f.addr()))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	for ctx.Err() == nil {
		if led(ctx, admin) {
			return nil
		}
		proof.Sleep(ctx, 100*time.Millisecond)
	}
	return fmt.Errorf("wait for leaders: %w", ctx.Err())
}

func led(ctx context.Context, admin *kadm.Client) bool {
	topics, err := admin.ListTopicsWithInternal(ctx)
	if err != nil || len(topics) == 0 || topics.Error() != nil {
		return false
	}
	ends, err := admin.ListEndOffsets(ctx, topics.Names()...)
	if err != nil || ends.Error() != nil {
		return false
	}
	groups, err := admin.DescribeGroups(ctx)
	if err != nil || groups.Error() != nil {
		return false
	}
	open, err := admin.ListTransactions(ctx, nil, nil)
	return err == nil && open != nil
}

// commitLate writes the marker of the offsets by hand and leaves the others to the end of the transaction, which is still
// to come: a broker that is left to itself writes all of them at once. A worker would take it for what it is, open and nobody's,
// and end it; so it is claimed.
func (f *foreign) commitLate(ctx context.Context, t *transaction) (write func(context.Context) error, err error) {
	offsets := t.topics[offsetsTopic]
	if len(offsets) == 0 {
		return nil, fmt.Errorf("write the marker of the offsets of %q: it has none", t.id)
	}
	if err := t.claim(ctx); err != nil {
		return nil, err
	}
	topics := kadm.TopicsSet{offsetsTopic: offsets}
	answers, err := kadm.NewClient(t.client).WriteTxnMarkers(ctx, kadm.TxnMarkers{ProducerID: t.producer, ProducerEpoch: t.epoch, Commit: true, Topics: topics})
	if err != nil {
		return nil, fmt.Errorf("write the marker of the offsets of %q: %w", t.id, err)
	}
	answers.EachPartition(func(p kadm.TxnMarkersPartitionResponse) { err = errors.Join(err, p.Err) })
	if err != nil {
		return nil, fmt.Errorf("write the marker of the offsets of %q: %w", t.id, err)
	}
	return t.commit, nil
}

const offsetsTopic = "__consumer_offsets"
