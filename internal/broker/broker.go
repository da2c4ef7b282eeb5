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
	Dir        string // data directory; created if missing
	Addr       string // host:port; empty is DefaultAddr, port 0 takes a free one
	Advertised string // host:port that clients are told to use; empty is the address that they connected to
	Partitions int    // of topics created without a count; 0 is DefaultPartitions
	// NoSync answers after a write instead of after its sync: safe when the process dies, not when the power fails.
	NoSync bool
	// Settings are Kafka's broker settings, by name.
	Settings map[string]string
	// Security; without it only loopback addresses are served, since nobody is asked who he is.
	Security server.Security
	Hooks    server.Hooks
	Log      *slog.Logger // nil logs nothing
}

// Broker is a running broker.
type Broker struct {
	addr    string
	dir     *directory
	server  *server.Server
	ln      net.Listener
	serving sync.WaitGroup
	close   sync.Once
	err     error
}

// Start takes the directory, listens and serves until Close. Nothing is read or written before the directory is ours.
// The errors a person can mend are *HeldError, *ForeignError, *FormatError and *PortError.
func Start(ctx context.Context, o Options) (*Broker, error) {
	o = o.withDefaults()
	if !guarded(o.Security) {
		if err := checkLoopback(ctx, o.Addr); err != nil {
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

// guarded says whether clients are asked who they are.
func guarded(s server.Security) bool {
	return len(s.Mechanisms) > 0 || s.TLS != nil && s.TLS.ClientCAs != nil
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

// open listens first, so that a port that is taken leaves the data alone, and serves when the log is mended.
func open(ctx context.Context, dir *directory, o Options) (*Broker, error) {
	ln, err := listen(ctx, o.Addr)
	if err != nil {
		return nil, err
	}
	addr := ln.Addr().String()
	if err := dir.announce(addr); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	start := time.Now()
	s, err := server.Open(ctx, serverOptions(dir, o))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the log in %q: %w", o.Dir, err), ln.Close())
	}
	o.Log.Debug("broker started", "addr", addr, "dir", o.Dir, "took", time.Since(start).Round(time.Millisecond))
	b := &Broker{addr: addr, dir: dir, server: s, ln: ln}
	b.serving.Go(func() {
		if err := s.Serve(ln); err != nil {
			o.Log.Error("broker stopped listening", "addr", addr, "err", err)
		}
	})
	return b, nil
}

func serverOptions(dir *directory, o Options) server.Options {
	settings := map[string]string{
		"num.partitions": strconv.Itoa(o.Partitions),
		// A crashed member must not hold its partitions for the six seconds Kafka demands at least.
		"group.min.session.timeout.ms": "1000",
	}
	maps.Copy(settings, o.Settings)
	return server.Options{
		FS: disk.OS(dir.path), ClusterID: dir.cluster, Advertised: o.Advertised, NoSync: o.NoSync, Settings: settings,
		Security: o.Security, Hooks: o.Hooks, ReserveBytes: reserveFor(dir.path), Log: o.Log,
	}
}

// Addr is the address the broker listens on.
func (b *Broker) Addr() string { return b.addr }

// Damages lists the partitions that serve nobody because their files were damaged.
func (b *Broker) Damages() []server.Damage { return b.server.Damages() }

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
