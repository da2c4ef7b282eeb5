// Package broker runs the embedded default: a single-node Kafka broker inside this process, durable in one directory,
// on one loopback address, so that Ravenswood needs no other software and any Kafka client can join in.
//
// A Broker is safe for concurrent use. Nobody outside this package may know what answers the protocol: everything else
// talks to Addr through package kafka, and only package node and tests import this one.
//
// Not to be assumed: that acknowledged records survive a power loss (they survive the death of the process, since
// they are handed to the operating system before they are acknowledged), and that the address asks who you are (there
// is no authentication, which is why only loopback addresses are served).
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// DefaultAddr is where the broker listens unless told otherwise. It is not Kafka's 9092, so that a real Kafka on the
// same machine is neither blocked nor taken for ours.
const DefaultAddr = "127.0.0.1:19092"

// DefaultPartitions is the number of partitions of a topic that is created without saying how many.
const DefaultPartitions = 8

// Options say where the broker keeps its data and where it listens.
type Options struct {
	Dir        string       // data directory; created if missing
	Addr       string       // loopback host:port; empty is DefaultAddr, port 0 takes a free one
	Partitions int          // of topics created without a count; 0 is DefaultPartitions
	Log        *slog.Logger // nil logs nothing
}

// Broker is a running broker.
type Broker struct {
	addr    string
	dir     *directory
	cluster *kfake.Cluster
	log     *logger
	inner   *kgo.Client // for what the broker does through its own address
	stop    context.CancelFunc
	running sync.WaitGroup
	close   sync.Once
	err     error
}

// Start takes the directory, listens and serves until Close. Nothing is read or written before the directory is ours.
// The errors a person can mend are *HeldError, *ForeignError, *FormatError and *PortError.
func Start(ctx context.Context, o Options) (*Broker, error) {
	o = o.withDefaults()
	if err := checkLoopback(ctx, o.Addr); err != nil {
		return nil, err
	}
	dir, err := openDirectory(o.Dir, o.Addr)
	if err != nil {
		return nil, err
	}
	b, err := serve(ctx, dir, o)
	if err != nil {
		return nil, errors.Join(err, dir.release())
	}
	return b, nil
}

func (o Options) withDefaults() Options {
	if o.Addr == "" {
		o.Addr = DefaultAddr
	}
	if o.Partitions == 0 {
		o.Partitions = DefaultPartitions
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func serve(ctx context.Context, dir *directory, o Options) (*Broker, error) {
	auto := &autoCreator{log: o.Log}
	ln, err := listen(ctx, o.Addr, auto.before)
	if err != nil {
		return nil, err
	}
	addr := ln.Addr().String()
	if err := dir.announce(addr); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	start := time.Now()
	if err := dir.settle(o.Log); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	failures := &logger{log: o.Log}
	cluster, err := kfake.NewCluster(clusterOptions(dir.data(), ln, failures, o)...)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the log in %q: %w", o.Dir, err), ln.Close())
	}
	inner, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ClientID("raven-broker"))
	if err != nil {
		cluster.Close()
		return nil, fmt.Errorf("serve %q: %w", addr, err)
	}
	admin := kadm.NewClient(inner)
	auto.serve(admin)
	o.Log.Debug("broker started", "addr", addr, "dir", o.Dir, "took", time.Since(start).Round(time.Millisecond))
	b := &Broker{addr: addr, dir: dir, cluster: cluster, log: failures, inner: inner}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	b.stop = stop
	b.running.Go(func() { retain(run, admin, o.Log) })
	return b, nil
}

// clusterOptions is everything that is particular to what answers the protocol today.
func clusterOptions(data string, ln net.Listener, log *logger, o Options) []kfake.Opt {
	return []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ClusterID("ravenswood"),
		kfake.DataDir(data),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return ln, nil }),
		kfake.WithLogger(log),
		kfake.DefaultNumPartitions(o.Partitions),
		// A crashed member must not hold its partitions for the six seconds Kafka demands at least.
		kfake.GroupMinSessionTimeout(time.Second),
		kfake.BrokerConfigs(brokerConfigs(o)),
	}
}

func brokerConfigs(o Options) map[string]string {
	return map[string]string{
		"num.partitions":         strconv.Itoa(o.Partitions),
		"log.cleaner.backoff.ms": never,
		// Ten years. After Kafka's seven days a topology that was not running would begin again from the start.
		"offsets.retention.minutes":            "5256000",
		"group.consumer.heartbeat.interval.ms": "500",
		"group.consumer.session.timeout.ms":    "10000",
	}
}

// Addr is the address the broker listens on and tells its clients.
func (b *Broker) Addr() string { return b.addr }

// Close stops serving, writes what is kept in memory (producer windows, group members, open transactions) and gives
// the directory back. Later calls return the first one's error.
func (b *Broker) Close() error {
	b.close.Do(func() {
		b.stop()
		b.running.Wait()
		b.inner.Close()
		before := b.log.errors.Load()
		b.cluster.Close()
		if b.log.errors.Load() > before {
			b.dir.killed = true // what is on disk is what a kill would have left
			b.err = errors.New("close the log: not everything could be written; the next start repairs it")
		}
		b.err = errors.Join(b.err, b.dir.release())
	})
	return b.err
}
