package node

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/topology"
)

// What holds unless told otherwise.
const (
	DefaultAdmin  = "127.0.0.1:19090"
	DefaultBroker = broker.DefaultAddr

	DefaultPartitions = broker.DefaultPartitions
)

// Options says what this process is to run.
type Options struct {
	Dir        string              // the resource files
	Set        *manifest.Set       // the resources themselves, instead of Dir
	Registry   *component.Registry // the components they may use
	Data       string              // folder of what the node keeps: log, state, whereabouts
	Brokers    []string            // the cluster; empty runs the embedded broker on the data folder
	Listen     string              // the embedded broker's address; empty takes DefaultBroker
	Broker     BrokerOptions       // how else it serves
	ID         string              // names this process among those running the same topologies; the same after a restart
	Topologies bool                // run the topologies
	Supervise  bool                // run the services' local processes
	Admin      string              // the admin API's address; empty takes DefaultAdmin, or a free one if that is taken
	Tables     TablesOptions       // how processes on other machines ask for tables
	Proxy      string              // serve the routes as an HTTP proxy here; empty does not
	Whereabout bool                // write down where broker and admin API are, for the other commands
	Started    time.Time           // when the process began, for the time until the first result
	Output     io.Writer           // where the services' own output goes, each line with its service's name
	Log        *slog.Logger
	At         func(step string) // called at named steps of a commit, for crash tests; nil does nothing
	// Snapshots is where copies of stores are kept for machines that are new: a folder that all processes share, or a URL of
	// object storage such as s3://bucket/prefix?region=eu-central-1. Empty keeps none.
	Snapshots     string
	SnapshotEvery time.Duration // 0: 10 min
	Unsafe        engine.Unsafe // guarantees switched off, for tests that show that they are needed. No flag reaches it

	// Embedded changes how the embedded broker is started, for crash tests; nil changes nothing. No flag reaches it.
	Embedded func(*broker.Options)
}

// ProblemsError says that the resource files have errors. Nothing was started.
type ProblemsError struct {
	Dir      string
	Problems []manifest.Problem
}

func (e *ProblemsError) Error() string {
	return fmt.Sprintf("read %q: the files have errors", e.Dir)
}

// AdvisedError is an error with one sentence about what to do.
type AdvisedError struct {
	Err    error
	Advice string
}

func (e *AdvisedError) Error() string { return e.Err.Error() }
func (e *AdvisedError) Unwrap() error { return e.Err }

func advise(err error, format string, args ...any) error {
	return &AdvisedError{Err: err, Advice: fmt.Sprintf(format, args...)}
}

// advised adds what to do to the errors of starting that a person can mend, unless it was said already.
func advised(err error) error {
	if _, ok := errors.AsType[*AdvisedError](err); ok {
		return err
	}
	if held, ok := errors.AsType[*broker.HeldError](err); ok {
		return advise(err, "stop that process, or choose another folder with --data; `raven worker DIR --id ID --brokers %s` joins it", held.Addr)
	}
	if port, ok := errors.AsType[*broker.PortError](err); ok {
		return advise(err, "see which with `ss -ltnp`, listen elsewhere with --listen, or use what listens at %s with --brokers", port.Addr)
	}
	if _, ok := errors.AsType[*broker.ForeignError](err); ok {
		return advise(err, "choose an empty or a new folder with --data")
	}
	if _, ok := errors.AsType[*kafka.UnreachableError](err); ok {
		return advise(err, "check --brokers; leave it out to use the embedded broker")
	}
	if _, ok := errors.AsType[*kafka.PartitionsError](err); ok {
		return advise(err, "declare the topic with the partitions it has; partitions are never changed behind your back")
	}
	if unlike, ok := errors.AsType[*topology.PartitionsError](err); ok {
		return advise(err, "%s", unlike.Hint)
	}
	if foreign, ok := errors.AsType[*topology.ForeignError](err); ok {
		return advise(err, "%s", foreign.Hint)
	}
	return err
}
