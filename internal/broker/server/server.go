package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"ravenswood.dev/internal/broker/config"
	"ravenswood.dev/internal/broker/disk"
	"ravenswood.dev/internal/broker/journal"
)

// Node is the number of the only node.
const Node int32 = 0

// Options of a server. The zero value of a field means its default.
type Options struct {
	// FS is where everything is kept. One server at a time; the caller has locked it.
	FS disk.FS
	// ClusterID is what clients are told; it stays with the data.
	ClusterID string
	// NoSync answers after the write instead of after the sync: safe from the death of the process, not from power loss.
	NoSync bool
	// Settings are those of the broker given at the start, by Kafka's names.
	Settings map[string]string
	// Security says what clients may do.
	Security Security
	// Inflated bounds what one batch may inflate to in bytes; default 256 MiB.
	Inflated int
	// ReserveBytes are held back on the disk, so that commits go on when it is full; default 16 MiB, negative is none.
	ReserveBytes int64
	// CheckpointBytes of journal are written before it is begun anew; default 16 MiB.
	CheckpointBytes int64
	// Hooks let others look and step in.
	Hooks Hooks
	// Log; nil logs nothing.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Inflated == 0 {
		o.Inflated = 256 << 20
	}
	if o.ReserveBytes == 0 {
		o.ReserveBytes = 16 << 20
	}
	if o.CheckpointBytes == 0 {
		o.CheckpointBytes = 16 << 20
	}
	if o.ClusterID == "" {
		o.ClusterID = "ravenswood"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// A Server is the broker: open files, and whatever connections it was given.
type Server struct {
	o       Options
	fs      disk.FS
	log     *slog.Logger
	apis    map[int16]api
	epoch   int32 // leader epoch of everything that is written
	journal *journalFile
	gate    sync.RWMutex // held for writing by a checkpoint, for reading by everything that changes what the journal keeps
	sync    *syncer

	topics   *catalog
	settings settings
	txns     *transactions
	groups   *groups
	security *security
	sessions *sessionCache
	buffers  buffers
	budget   *budget
	disk     diskState
	damage   damageList

	served  bool           // recovery is complete; closing may say that all was closed in order
	running sync.WaitGroup // background work
	serving sync.WaitGroup // connections
	stop    context.CancelCauseFunc
	ctx     context.Context // of everything in the background; ends with Close
}

// ErrClosed ends what a server does for clients when it is closed.
var ErrClosed = errors.New("the broker is shutting down")

// Open reads what is on the disk, mends what a crash left, and starts the work in the background. It serves nobody yet.
func Open(ctx context.Context, o Options) (*Server, error) {
	o = o.withDefaults()
	if err := config.CheckBroker(o.Settings); err != nil {
		return nil, err
	}
	s, err := open(ctx, o)
	if err != nil && (s.filled(err) || s.DiskFull()) {
		s, err = open(ctx, o) // the reserve was given up, which is what it is for
	}
	if err != nil {
		return nil, err
	}
	s.served = true
	s.background()
	return s, nil
}

// open is Open without the work in the background. The server of a failed one is of no use but to say why.
func open(ctx context.Context, o Options) (*Server, error) {
	s := &Server{o: o, fs: o.FS, log: o.Log, topics: newCatalog(), apis: allAPIs(), sync: newSyncer(o.NoSync), sessions: newSessionCache()}
	s.settings.set(config.Sources{Start: o.Settings})
	s.ctx, s.stop = context.WithCancelCause(context.WithoutCancel(ctx))
	s.security, s.txns, s.groups = newSecurity(s, o.Security), newTransactions(s), newGroups(s)
	s.budget = newBudget(requestBudget(s.settings.broker()))
	if err := s.recover(ctx); err != nil {
		return s, errors.Join(err, s.giveBack())
	}
	return s, nil
}

// defaultRequestBudget bounds the requests that are worked on when no setting does.
const defaultRequestBudget = 256 << 20

func requestBudget(b config.Broker) int64 {
	if b.RequestBytesInFlightMax > 0 {
		return max(b.RequestBytesInFlightMax, int64(b.RequestBytesMax))
	}
	return max(defaultRequestBudget, int64(b.RequestBytesMax))
}

// background starts what happens by itself: timeouts, retention, compaction, checkpoints, a look at a full disk.
func (s *Server) background() {
	s.running.Go(func() { s.txns.run(s.ctx) })
	s.running.Go(func() { s.groups.run(s.ctx) })
	s.running.Go(func() { s.clean(s.ctx) })
	s.running.Go(func() { s.forgetProducers(s.ctx) })
	s.running.Go(func() { s.keepJournalShort(s.ctx) })
	s.running.Go(func() { s.watchDisk(s.ctx) })
}

// Serve answers connections from a listener until it is closed or the server is. It may be called for several.
func (s *Server) Serve(ln net.Listener, l Listener) error {
	if err := l.check(); err != nil {
		return fmt.Errorf("serve %q: %w", ln.Addr(), err)
	}
	stop := context.AfterFunc(s.ctx, func() { ln.Close() })
	defer stop()
	for {
		nc, err := ln.Accept()
		if err != nil {
			if s.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			if temporary(err) && s.pause(100*time.Millisecond) {
				continue
			}
			return fmt.Errorf("accept a connection at %q: %w", ln.Addr(), err)
		}
		if !s.security.admit(nc) {
			nc.Close()
			continue
		}
		c := s.newConn(nc, &l)
		s.serving.Go(func() {
			defer s.security.leave(nc)
			if sleep(s.ctx, s.security.arrived(c.host)) {
				c.run(s.ctx)
			}
		})
	}
}

// temporary says whether accepting may work again: too many open files, or a client that was gone already.
func temporary(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && !ne.Timeout() && !errors.Is(err, net.ErrClosed)
}

// pause waits, and returns false when the server is closed meanwhile.
func (s *Server) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// Close ends all connections and writes what lets the next start read nothing.
func (s *Server) Close() error {
	s.stop(ErrClosed)
	s.serving.Wait()
	s.running.Wait()
	s.sync.quiet()
	return s.giveBack()
}

// giveBack gives the files back, in order.
func (s *Server) giveBack() error {
	s.stop(ErrClosed)
	var all []error
	orderly := true
	for _, p := range s.topics.partitions() {
		err := p.close()
		orderly = orderly && err == nil
		if err != nil && p.fenced() == nil { // of a fenced one it was said before
			all = append(all, fmt.Errorf("close %s: %w", p, err))
		}
	}
	if s.journal != nil && s.served && orderly {
		all = append(all, s.noteEpoch(true))
	}
	if s.journal != nil {
		all = append(all, s.journal.Close())
	}
	return errors.Join(all...)
}

// journalFile is the journal as something that rounds sync.
type journalFile struct{ *journal.Journal }

func (j *journalFile) sync() error { return j.Sync() }
