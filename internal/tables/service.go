package tables

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"ravenswood.dev/stream/tables"
)

// Options is what a Service works with.
type Options struct {
	ID      string          // of this process, as in the engines' Instances
	Engines func() []Engine // what runs here now; called for every question
	Log     Log             // the log, for waiting, watching and writing
	Peers   Peers           // how the other processes are asked
	Logger  *slog.Logger    // nil: nothing is logged
}

// The bounds of what a Service does at once, and how long it waits for others.
const (
	questionsMax  = 256              // asked here, waiting ones included
	partsMax      = 512              // asked by other processes
	watchesMax    = 64               // each has a connection to the log of its own
	fanOutMax     = 16               // processes asked at a time for one question
	answerTimeout = 10 * time.Second // for an answer, on top of what the question may wait
	dialTimeout   = 2 * time.Second
)

// Service answers questions. Close ends its watches, so that a server can be shut down.
type Service struct {
	id      string
	engines func() []Engine
	log     Log
	logger  *slog.Logger
	peers   Peers
	client  *http.Client
	faults  complaints

	questions, parts, watches gate
	closed                    chan struct{}
	closing                   sync.Once
}

// New makes a Service.
func New(o Options) *Service {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{
		id: o.ID, engines: o.Engines, log: o.Log, logger: o.Logger, peers: o.Peers, client: newPeerClient(o.Peers.TLS),
		questions: make(gate, questionsMax), parts: make(gate, partsMax), watches: make(gate, watchesMax),
		closed: make(chan struct{}),
	}
}

// Close ends what would not end by itself.
func (s *Service) Close() error {
	s.closing.Do(func() {
		close(s.closed)
		s.client.CloseIdleConnections()
	})
	return nil
}

// gate lets so many in at a time, and nobody wait before it: a question that cannot be answered soon is better asked
// of another process.
type gate chan struct{}

func (g gate) enter() error {
	select {
	case g <- struct{}{}:
		return nil
	default:
		return &tables.Error{Status: http.StatusServiceUnavailable, Code: tables.Busy, Message: "ask a table: too many questions at once", Hint: "ask again, or another process"}
	}
}

func (g gate) leave() { <-g }
