package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ravenswood.dev/api"
	host "ravenswood.dev/internal/node"
)

// Delivery is the guarantee a topology gives.
type Delivery = api.Delivery

// The two deliveries.
const (
	ExactlyOnce = api.ExactlyOnce // results, state and what was read are committed together
	AtLeastOnce = api.AtLeastOnce // nothing is lost, a crash may repeat results
)

// Options say how a topology runs. The zero value runs it on this machine alone, with an embedded broker.
type Options struct {
	// Brokers are addresses of an Apache Kafka cluster, or of a raven broker. None starts the embedded broker, which keeps
	// its log in Dir.
	Brokers []string
	// Listen is the embedded broker's address; empty takes a free port of this machine.
	Listen string
	// ID names this process among those that run the same topology. It must be the same after a restart. Empty takes the
	// host's name, or "local" with the embedded broker.
	ID string
	// Dir is the folder of stores, and of the embedded broker's log; empty takes .raven in the working directory. One
	// process at a time may use it.
	Dir string

	Delivery       Delivery      // empty: ExactlyOnce
	Workers        int           // in this process; each has a share of the partitions. 0: 1
	CommitInterval time.Duration // between commits; results can be read after one. 0: 100 ms
	DrainTimeout   time.Duration // how long a stop waits for what is in hand. 0: 10 s
	Standbys       int           // copies of the stores that other processes keep up to date
	// Snapshots is where copies of stores are kept for machines that are new: a folder that all processes share, or
	// s3://bucket/prefix?region=... Empty keeps none: a new machine reads the changelogs.
	Snapshots     string
	SnapshotEvery time.Duration // 0: 10 min

	// Tables lets programs on other machines, and the other processes of the topology there, ask for its tables.
	Tables TablesOptions

	AdminAddr string                // of the admin API, this machine only; empty takes the usual address, or a free one
	Log       *slog.Logger          // nil: nothing is logged
	Metrics   prometheus.Registerer // gets the numbers of the topology; nil: they are at /metrics of the admin API only

	// Started is called once the topology has begun to work: tasks with much to restore may be at that, and Conditions says how
	// far they are, while the others work. Run does not go on before it returns.
	Started func(r Running)
	// Ready is called once every task that this process has been given has its stores and works. Run does not go on before it
	// returns. Tasks that are given to the process later restore without another call; see Conditions.
	Ready func(r Running)
}

// TablesOptions say how processes on several machines ask each other for tables. The zero value lets only programs of this
// machine ask, by the admin API. All processes of a topology need the same token. Files that change are read again.
type TablesOptions struct {
	Listen    string // address of a listener for questions about tables, nothing else: "0.0.0.0:19443"; empty: there is none
	Advertise string // host:port that the other processes are told to ask at; empty: Listen
	// TokenFile holds, on one line, what whoever asks must show and this process shows others; empty: the environment's
	// RAVEN_TABLES_TOKEN. It has at least 16 characters. While the token changes there may be two lines: both are
	// accepted, the first is shown.
	TokenFile string
	TLSCert   string // PEM files of the listener; the certificate is for the host of Advertise
	TLSKey    string
	TLSCA     string // PEM file of the authorities that the others' certificates are believed by; empty: the system's
	// Plain does without TLS between machines. Whoever can read the network then has the token and the answers.
	Plain bool
}

// Running is a topology that runs.
type Running struct {
	n    *host.Node
	name string
}

// Brokers are the addresses of the cluster: the embedded broker's if there is one.
func (r Running) Brokers() []string { return r.n.Kafka().Brokers }

// Admin is the address of the admin API, where tables can be asked.
func (r Running) Admin() string { return r.n.Admin() }

// TablesURL is where programs on other machines ask for tables; empty without Options.Tables.
func (r Running) TablesURL() string { return r.n.TablesURL() }

// Condition is something that lasts and that a person has to look after.
type Condition struct {
	Code  string // stable, kebab-case: "broker-disk-full"
	Title string
	Text  string
	Hint  string // what to do; may be empty
}

func (c Condition) String() string { return c.Title + ": " + c.Text }

// Conditions are what a person has to look after now; none when all is well. The condition "restoring" says which tasks do
// not work yet, with records, bytes and time left; it goes away by itself.
func (r Running) Conditions() []Condition {
	var all []Condition
	s := r.n.Status()
	for _, c := range s.Node.Conditions {
		all = append(all, Condition{c.Code, c.Title, c.Text, c.Hint})
	}
	for _, t := range s.Topologies {
		if t.Error != "" {
			all = append(all, Condition{"topology-failed", fmt.Sprintf("topology %q has stopped", r.name), t.Error, "mend the cause, then start the program again"})
		}
		if t.DeadWaiting > 0 {
			all = append(all, Condition{"dead-letters", fmt.Sprintf("topology %q has dead letters", r.name),
				fmt.Sprintf("%d records could not be worked on", t.DeadWaiting), "look at them with `raven dead-letters list " + r.name + "`"})
		}
	}
	return all
}

// Run works until ctx is done, then finishes what is in hand, commits and returns nil. Any other return says why the
// topology could not run or stopped: a *BuildError if it is wrong.
func (t *Topology) Run(ctx context.Context, o Options) error {
	b, err := t.build()
	if err != nil {
		return err
	}
	start := t.nodeOptions(b, o)
	for _, w := range b.warnings {
		start.Log.Warn(w.Message, "topology", t.name, "code", w.Code, "hint", w.Hint)
	}
	n, err := host.Up(ctx, start)
	if err != nil {
		return hinted(fmt.Errorf("start topology %q: %w", t.name, err))
	}
	err = t.serve(ctx, n, o)
	return errors.Join(err, n.Stop(), n.Failed())
}

// Node is what Run starts, for tools of this repository that disturb it.
func (t *Topology) Node(o Options) (host.Options, error) {
	b, err := t.build()
	if err != nil {
		return host.Options{}, err
	}
	return t.nodeOptions(b, o), nil
}

func (t *Topology) nodeOptions(b *built, o Options) host.Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Dir == "" {
		o.Dir = ".raven"
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	return host.Options{
		Set: b.set(t.name, o.apply), Registry: b.registry, Data: o.Dir, Brokers: o.Brokers, Listen: o.Listen, ID: o.id(),
		Topologies: true, Tables: host.TablesOptions(o.Tables), Admin: o.AdminAddr, Whereabout: true, Started: time.Now(), Output: os.Stderr, Log: o.Log,
		Snapshots: o.Snapshots, SnapshotEvery: o.SnapshotEvery,
	}
}

func (o Options) id() string {
	if o.ID != "" {
		return o.ID
	}
	if len(o.Brokers) == 0 {
		return "local"
	}
	if host, err := os.Hostname(); err == nil {
		return host
	}
	return "worker"
}

// apply sets what the options say of the topology; what is zero stays as it is.
func (o Options) apply(s *api.TopologySpec) {
	if o.Delivery != "" {
		s.Delivery = o.Delivery
	}
	if o.Workers != 0 {
		s.Workers = o.Workers
	}
	if o.CommitInterval != 0 {
		s.Commit = api.Duration(o.CommitInterval)
	}
	if o.DrainTimeout != 0 {
		s.DrainTimeout = api.Duration(o.DrainTimeout)
	}
	s.Standbys = o.Standbys
}

// serve tells when the topology works, and waits for its end.
func (t *Topology) serve(ctx context.Context, n *host.Node, o Options) error {
	if o.Metrics != nil {
		if err := o.Metrics.Register(n.Metrics()); err != nil {
			return fmt.Errorf("run topology %q: register metrics: %w", t.name, err)
		}
		defer o.Metrics.Unregister(n.Metrics())
	}
	if o.Started != nil && ctx.Err() == nil {
		o.Started(Running{n, t.name})
	}
	if err := awaitReady(ctx, n); err != nil {
		return err
	}
	if o.Ready != nil && ctx.Err() == nil {
		o.Ready(Running{n, t.name})
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-n.Ended():
		return err
	}
}

// awaitReady waits until the node is ready, has failed, or is to stop.
func awaitReady(ctx context.Context, n *host.Node) error {
	const often = 10 * time.Millisecond
	tick := time.NewTicker(often)
	defer tick.Stop()
	for n.Ready() != nil {
		select {
		case <-ctx.Done():
			return nil
		case err := <-n.Ended():
			return err
		case <-tick.C:
		}
	}
	return nil
}

// hinted adds what to do to an error, where it is known.
func hinted(err error) error {
	if a, ok := errors.AsType[*host.AdvisedError](err); ok {
		return fmt.Errorf("%w (%s)", err, inGo(a.Advice))
	}
	if wrong, ok := errors.AsType[*host.OptionsError](err); ok {
		var all []error
		for _, p := range wrong.Problems {
			all = append(all, fmt.Errorf("%s (%s)", inGo(p.Err.Error()), inGo(p.Advice)))
		}
		return errors.Join(all...)
	}
	if wrong, ok := errors.AsType[*host.ProblemsError](err); ok && len(wrong.Problems) > 0 {
		return fmt.Errorf("%w: %s", err, wrong.Problems[0].Message)
	}
	return err
}
