// Package broker runs the embedded default: a single-node Kafka broker inside this process, durable in one directory, so
// that Ravenswood needs no other software and any Kafka client can join in.
//
// This package owns the directory and the port and puts the parts together; the protocol is package server, over the cores
// in the folders beside it (docs/internals/broker.md).
//
// A Broker is safe for concurrent use. Everything else talks to Addr through package kafka, and only package node and tests
// import this one. Acknowledged records survive the death of the process and, unless Options.NoSync, a loss of power.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"strconv"
	"sync"
	"time"

	"ravenswood.dev/internal/broker/disk"
	"ravenswood.dev/internal/broker/server"
)

// DefaultAddr is where the broker listens unless told otherwise. It is not Kafka's 9092, so that a real Kafka on the
// same machine is neither blocked nor taken for ours.
const DefaultAddr = "127.0.0.1:19092"

// DefaultPartitions is the number of partitions of a topic that is created without saying how many.
const DefaultPartitions = 8

// Options say where the broker keeps its data and whom it serves.
type Options struct {
	Dir string // data directory; created if missing
	Listener
	More       []Listener // further addresses
	Partitions int        // of topics created without a count; 0 is DefaultPartitions
	// NoSync answers after a write instead of after its sync: safe when the process dies, not when the power fails.
	NoSync bool
	// Settings are Kafka's broker settings, by name.
	Settings map[string]string
	Security server.Security
	Hooks    server.Hooks
	// Files wraps the files of the log, for crash tests: what it returns is used instead. Nil changes nothing.
	Files func(disk.FS) disk.FS
	Log   *slog.Logger // nil logs nothing
}

// A Listener is an address with how clients come in there. One where nobody is asked who he is must be a loopback address.
type Listener struct {
	Addr string // host:port; empty is DefaultAddr, port 0 takes a free one
	server.Listener
}

// Broker is a running broker.
type Broker struct {
	addr    string
	addrs   []string
	dir     *directory
	server  *server.Server
	serving sync.WaitGroup
	close   sync.Once
	err     error
}

// Start takes the directory, listens and serves until Close. Nothing is read or written before the directory is ours.
// The errors a person can mend are *HeldError, *ForeignError, *FormatError and *PortError.
func Start(ctx context.Context, o Options) (*Broker, error) {
	o = o.withDefaults()
	for _, l := range o.listeners() {
		if l.Guarded() {
			continue
		}
		if err := checkLoopback(ctx, l.Addr); err != nil {
			return nil, err
		}
	}
	dir, err := openDirectory(o.Dir, o.Addr)
	if err != nil {
		return nil, err
	}
	b, err := open(ctx, dir, o)
	if err != nil {
		return nil, errors.Join(err, dir.release())
	}
	return b, nil
}

func (o Options) listeners() []Listener { return append([]Listener{o.Listener}, o.More...) }

func (o Options) withDefaults() Options {
	if o.Addr == "" {
		o.Addr = DefaultAddr
	}
	if o.Partitions == 0 {
		o.Partitions = DefaultPartitions
	}
	if o.Files == nil {
		o.Files = func(files disk.FS) disk.FS { return files }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// open listens first, so that a port that is taken leaves the data alone, and serves when the log is mended.
func open(ctx context.Context, dir *directory, o Options) (*Broker, error) {
	lns, err := listenAll(ctx, o.listeners())
	if err != nil {
		return nil, err
	}
	addr := lns[0].Addr().String()
	if err := dir.announce(addr); err != nil {
		return nil, errors.Join(err, closeAll(lns))
	}
	start := time.Now()
	s, err := server.Open(ctx, serverOptions(dir, o))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the log in %q: %w", o.Dir, err), closeAll(lns))
	}
	o.Log.Debug("broker started", "addr", addr, "dir", o.Dir, "took", time.Since(start).Round(time.Millisecond))
	b := &Broker{addr: addr, dir: dir, server: s}
	for i, l := range o.listeners() {
		b.serving.Go(func() {
			if err := s.Serve(lns[i], l.Listener); err != nil {
				o.Log.Error("broker stopped listening", "addr", lns[i].Addr(), "err", err)
			}
		})
		b.addrs = append(b.addrs, lns[i].Addr().String())
	}
	return b, nil
}

func listenAll(ctx context.Context, all []Listener) ([]net.Listener, error) {
	var lns []net.Listener
	for _, l := range all {
		ln, err := listen(ctx, l.Addr)
		if err != nil {
			return nil, errors.Join(err, closeAll(lns))
		}
		lns = append(lns, ln)
	}
	return lns, nil
}

func closeAll(lns []net.Listener) error {
	var all []error
	for _, ln := range lns {
		all = append(all, ln.Close())
	}
	return errors.Join(all...)
}

func serverOptions(dir *directory, o Options) server.Options {
	settings := map[string]string{
		"num.partitions": strconv.Itoa(o.Partitions),
		// A crashed member must not hold its partitions for the six seconds Kafka demands at least.
		"group.min.session.timeout.ms": "1000",
	}
	maps.Copy(settings, o.Settings)
	return server.Options{
		FS: o.Files(disk.OS(dir.path)), ClusterID: dir.cluster, NoSync: o.NoSync, Settings: settings,
		Security: o.Security, Hooks: o.Hooks, ReserveBytes: reserveFor(dir.path), Log: o.Log,
	}
}

// Addr is the address that the broker listens on; of several, the first.
func (b *Broker) Addr() string { return b.addr }

// Addrs are all of them, Options.Listener first.
func (b *Broker) Addrs() []string { return b.addrs }

// Damages lists the partitions that serve nobody because their files were damaged.
func (b *Broker) Damages() []server.Damage { return b.server.Damages() }

// JournalError is why commits and changes are refused until the broker is started again; nil if they are not.
func (b *Broker) JournalError() error { return b.server.JournalError() }

// DiskFull tells whether produces are refused because there is no room.
func (b *Broker) DiskFull() bool { return b.server.DiskFull() }

// Close stops serving, writes what lets the next start read nothing, and gives the directory back. Later calls return the
// first one's error.
func (b *Broker) Close() error {
	b.close.Do(func() {
		b.err = b.server.Close()
		b.serving.Wait()
		b.err = errors.Join(b.err, b.dir.release())
	})
	return b.err
}
