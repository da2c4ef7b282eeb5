// Package engine runs a plan: it owns workers, tasks, lanes and commits.
package engine

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/topology"
)

// Env is what a running topology is given.
type Env struct {
	Kafka    kafka.Config
	ID       string // names this process among those running the topology; must be the same after a restart
	Services component.Services
	StateDir string // folder for what components keep between starts
	Log      *slog.Logger
	Metrics  prometheus.Registerer // nil: numbers are kept for Status only
	// At is called at named steps of a commit; crash tests kill the process there. Nil does nothing.
	At func(step string)
}

// Engine runs one plan in this process.
type Engine struct{}

// New prepares a plan to run: it opens the components, no more.
func New(plan *topology.Plan, env Env) (*Engine, error) { return nil, errors.New("not built yet") }

// Run works until ctx is done, then drains within the plan's bound and returns nil; any other return is the error
// that stopped the topology. The topics of the plan must exist.
func (e *Engine) Run(ctx context.Context) error { return nil }

// Status is the numbers of now.
func (e *Engine) Status() Status { return Status{} }

// Status is what one process knows of a topology.
type Status struct {
	Topology    string           `json:"topology"`
	Delivery    string           `json:"delivery"`
	State       string           `json:"state"` // starting, running, stopping, stopped, failed
	Error       string           `json:"error,omitempty"`
	In          int64            `json:"in"`          // records read and committed
	Out         int64            `json:"out"`         // records written to topic sinks and committed
	Dead        int64            `json:"dead"`        // records that became dead letters
	InPerSecond float64          `json:"inPerSecond"` // over the last ten seconds
	InFlight    int64            `json:"inFlight"`    // records read, not yet committed
	Lag         int64            `json:"lag"`         // records before the last stable offset that are not committed yet
	Parked      int64            `json:"parked"`      // records waiting for their key
	ParkedKeys  []ParkedKey      `json:"parkedKeys,omitempty"`
	Oldest      *Oldest          `json:"oldest,omitempty"`
	Tasks       []TaskStatus     `json:"tasks"`
	Bolts       []BoltStatus     `json:"bolts"`
	Deliveries  []DeliveryStatus `json:"deliveries,omitempty"`
	Feeds       []FeedStatus     `json:"feeds,omitempty"`
}

// ParkedKey is a key whose records wait.
type ParkedKey struct {
	Key     string    `json:"key"`
	Records int       `json:"records"`
	Since   time.Time `json:"since"`
	Bolt    string    `json:"bolt"`
	Cause   string    `json:"cause"`
}

// Oldest is the record that holds back a commit the longest.
type Oldest struct {
	Topic     string        `json:"topic"`
	Partition int32         `json:"partition"`
	Offset    int64         `json:"offset"`
	Key       string        `json:"key"`
	Bolt      string        `json:"bolt"`
	Age       time.Duration `json:"ageNanos"`
}

// TaskStatus is one partition in work.
type TaskStatus struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Worker    int    `json:"worker"`
	State     string `json:"state"`     // running, paused
	Committed int64  `json:"committed"` // next offset to read after a restart
	Stable    int64  `json:"stable"`    // last stable offset
	InFlight  int    `json:"inFlight"`
}

// BoltStatus is the work of one bolt.
type BoltStatus struct {
	Bolt    string  `json:"bolt"`
	Records int64   `json:"records"`
	Errors  int64   `json:"errors"`
	Retries int64   `json:"retries"`
	P50     float64 `json:"p50Millis"`
	P99     float64 `json:"p99Millis"`
}

// DeliveryStatus is the work of one outside sink.
type DeliveryStatus struct {
	Sink    string `json:"sink"`
	Records int64  `json:"records"` // delivered by this process since its start
	Lag     int64  `json:"lag"`
	Error   string `json:"error,omitempty"` // why it waits, if it does
}

// FeedStatus is the work of one outside spout.
type FeedStatus struct {
	Spout   string `json:"spout"`
	Records int64  `json:"records"`
	Ended   bool   `json:"ended"`
	Error   string `json:"error,omitempty"`
}
