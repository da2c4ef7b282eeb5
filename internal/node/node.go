// Package node is the assembly: resource files in, running services out, in order of what needs what. It is the only
// room that knows all others, and besides tests the only one that imports the broker.
//
// The order of start is that of need; stop goes the other way:
//
//	broker ─▶ processes of services ─▶ state table, router ─▶ topologies ─▶ proxy, admin API
//
// Nobody waits longer than they must: the services' processes come up while topics are made and topologies start, and
// calls wait for their endpoints.
//
// A Node's methods may be called from any goroutine. Do not assume that Up returns with every service healthy: Ready
// tells.
package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/engine"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/lifecycle"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/router"
	"ravenswood.dev/internal/supervise"
	"ravenswood.dev/internal/tables"
	"ravenswood.dev/internal/telemetry"
	"ravenswood.dev/internal/topology"
)

// Node is everything that runs in this process. Make one with Up, and Stop it.
type Node struct {
	options Options
	set     *manifest.Set
	plans   []*topology.Plan
	group   *lifecycle.Group
	kafka   kafka.Config
	metrics *prometheus.Registry

	router     *router.Router
	supervisor *supervise.Supervisor // nil without local processes
	state      *state
	stateOpen  chan struct{} // closed when state is there
	topologies []*running
	firsts     *firsts
	letters    *letters
	tables     *tables.Service
	closeGate  context.CancelFunc // keeps outside spouts from bringing more
	gate       context.Context
	broker     *broker.Broker // the embedded one; nil with a cluster
	admin      string         // address of the admin API; empty for none
	adminAt    net.Listener   // where it listens from the beginning, so that other processes can be told
	proxy      string

	access    tablesAccess // how processes ask each other between machines
	tablesAt  net.Listener // where they ask this one; nil: only this machine does, by the admin API
	tablesURL string       // what they are told
}

// Up starts what the options ask for. On an error nothing is left running.
func Up(ctx context.Context, o Options) (*Node, error) {
	n := &Node{options: o, group: lifecycle.New(o.Log), metrics: telemetry.NewRegistry(), stateOpen: make(chan struct{})}
	n.gate, n.closeGate = context.WithCancel(context.WithoutCancel(ctx))
	if err := n.start(ctx); err != nil {
		return nil, advised(errors.Join(err, n.Stop()))
	}
	return n, nil
}

func (n *Node) start(ctx context.Context) error {
	if err := n.read(); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{
		n.checkOptions, n.startCluster, n.startProcesses, n.prepare, n.startState, n.claimStores, n.openAdmin, n.openTablesListener,
		n.startTopologies, n.startTables, n.startLetters, n.startProxy, n.startAdmin, n.startTablesListener,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return n.tellWhereabouts()
}

// read takes in the files. Warnings are the linter's business.
func (n *Node) read() error {
	set, problems := n.resources()
	plans, more := topology.Build(set, n.options.Registry)
	problems = manifest.Sort(append(problems, more...))
	if manifest.HasErrors(problems) {
		return &ProblemsError{Dir: n.options.Dir, Problems: problems}
	}
	n.set = set
	if n.options.Topologies {
		n.plans = plans
	}
	return nil
}

func (n *Node) resources() (*manifest.Set, []manifest.Problem) {
	if n.options.Set != nil {
		return n.options.Set, nil
	}
	return manifest.Load(n.options.Dir, n.options.Registry)
}

func (n *Node) startCluster(ctx context.Context) error {
	n.kafka = kafka.Config{Brokers: n.options.Brokers, ClientID: "raven-" + n.options.ID, Log: n.options.Log}
	if len(n.options.Brokers) > 0 {
		return nil
	}
	numbers := newBrokerNumbers()
	b, err := startBroker(ctx, n.options, numbers.tap())
	if err != nil {
		return err
	}
	n.broker, numbers.broker = b, b
	n.metrics.MustRegister(numbers)
	n.kafka.Brokers = []string{b.Addr()}
	return n.group.Start(ctx, lifecycle.Part{Name: "broker", StopWithin: 20 * time.Second, Run: func(ctx context.Context, ready func()) error {
		ready()
		<-ctx.Done()
		return b.Close()
	}})
}

// prepare makes sure that cluster and topics are as the plans need them, and the router is ready to be told.
func (n *Node) prepare(ctx context.Context) error {
	if err := checkCluster(ctx, n.kafka, n.plans); err != nil {
		return err
	}
	seen, err := look(ctx, n.kafka, slices.ContainsFunc(n.plans, keepsState))
	if err != nil {
		return err
	}
	if err := applyTopics(ctx, n.kafka, topology.Diff(n.plans, n.set, seen)); err != nil {
		return err
	}
	return n.watchFirsts(ctx)
}

// startState makes the router and keeps it in step with what was and is changed at run time.
func (n *Node) startState(ctx context.Context) error {
	r, err := router.New(serviceResources(n.set), routeResources(n.set), router.Options{Log: n.options.Log, Metrics: n.metrics})
	if err != nil {
		return err
	}
	n.router = r
	s, err := openState(ctx, n.kafka, r, n.options.ID, n.ownEndpoints(), n.options.Log)
	if err != nil {
		return errors.Join(err, r.Close())
	}
	n.state = s
	close(n.stateOpen)
	return n.group.Start(ctx, lifecycle.Part{Name: "routes", Run: func(ctx context.Context, ready func()) error {
		ready()
		<-ctx.Done()
		s.withdraw(context.WithoutCancel(ctx))
		s.close()
		return r.Close()
	}})
}

func serviceResources(set *manifest.Set) []*api.Service {
	var all []*api.Service
	for i := range set.Services {
		all = append(all, &set.Services[i].Service)
	}
	return all
}

func routeResources(set *manifest.Set) []*api.Route {
	var all []*api.Route
	for i := range set.Routes {
		all = append(all, &set.Routes[i].Route)
	}
	return all
}

func (n *Node) startTopologies(ctx context.Context) error {
	if len(n.plans) == 0 {
		return nil
	}
	var plans []*topology.Plan
	for _, p := range n.plans {
		plans = append(plans, gated(n.gate, p))
	}
	env := engine.Env{Kafka: n.kafka, ID: n.options.ID, Host: n.toldHost(), Services: n.router, Log: n.options.Log, Metrics: n.metrics, At: n.options.At, Unsafe: n.options.Unsafe, Snapshots: n.options.Snapshots, SnapshotEvery: n.options.SnapshotEvery}
	all, err := openTopologies(plans, env, n.options.Data)
	if err != nil {
		return err
	}
	n.topologies = all
	return n.group.Start(ctx, lifecycle.Part{Name: "topologies", StopWithin: drainBound(plans), Run: func(ctx context.Context, ready func()) error {
		ready()
		return runTopologies(ctx, all)
	}})
}

func (n *Node) tellWhereabouts() error {
	if !n.options.Whereabout {
		return nil
	}
	return WriteWhereabouts(n.options.Data, Whereabouts{PID: os.Getpid(), Brokers: n.kafka.Brokers, Admin: n.admin})
}

// Stop ends everything in reverse order, each part within its bound: the topologies drain first. It may be called
// twice.
func (n *Node) Stop() error {
	n.closeGate()
	err := n.group.Stop()
	if n.adminAt != nil {
		_ = n.adminAt.Close() // it is closed already if it was served
	}
	if n.tablesAt != nil {
		_ = n.tablesAt.Close()
	}
	if n.options.Whereabout {
		err = errors.Join(err, RemoveWhereabouts(n.options.Data))
	}
	return err
}

// Ended gives the error of the first part that ended by itself.
func (n *Node) Ended() <-chan error { return n.group.Ended() }

// Failed is the errors of topologies that stopped by themselves; nil if there are none.
func (n *Node) Failed() error { return failures(n.topologies) }

// Kafka is the cluster the node works on.
func (n *Node) Kafka() kafka.Config { return n.kafka }

// Metrics are the numbers that the admin API shows at /metrics.
func (n *Node) Metrics() *prometheus.Registry { return n.metrics }

// Admin is the address of the admin API; empty if there is none.
func (n *Node) Admin() string { return n.admin }

// Proxy is the address of the HTTP proxy; empty if there is none.
func (n *Node) Proxy() string { return n.proxy }

// Topologies lists the names of the topologies that run here.
func (n *Node) Topologies() []string {
	var names []string
	for _, p := range n.plans {
		names = append(names, p.Name)
	}
	return names
}

// Ready returns nil if all that this process is to run runs, all tasks of its topologies included, else what does not.
func (n *Node) Ready() error {
	var errs []error
	for _, r := range n.topologies {
		s := r.status()
		if why := s.NotReady(); why != "" {
			errs = append(errs, fmt.Errorf("run topology %q: %s", r.plan.Name, why))
		}
	}
	return errors.Join(append(errs, n.processesReady())...)
}
