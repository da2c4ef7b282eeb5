package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"ravenswood.dev/internal/admin"
	"ravenswood.dev/internal/lifecycle"
	"ravenswood.dev/internal/supervise"
)

// startProcesses starts the services' local processes and does not wait for them. Where they listen is published as
// soon as there is a state table to publish it in.
func (n *Node) startProcesses(ctx context.Context) error {
	list := n.ownProcesses()
	if len(list) == 0 {
		return nil
	}
	var life context.Context // of the part that runs them
	s, err := supervise.New(supervise.Options{
		Processes:  list,
		OnEndpoint: func(service, version, url string) { n.publish(life, service, version, []string{url}) },
		OnDown:     func(service, version string) { n.publish(life, service, version, nil) },
		Log:        n.options.Log, Output: n.options.Output,
	})
	if err != nil {
		return err
	}
	n.supervisor = s
	if err := n.metrics.Register(&processCollector{n}); err != nil {
		return fmt.Errorf("register metrics of processes: %w", err)
	}
	return n.group.Start(ctx, lifecycle.Part{Name: "service processes", StopWithin: s.StopWithin(), Run: func(ctx context.Context, ready func()) error {
		life = ctx
		ready()
		return s.Run(ctx)
	}})
}

// ownProcesses are the processes this node runs.
func (n *Node) ownProcesses() []supervise.Process {
	if !n.options.Supervise {
		return nil
	}
	var all []supervise.Process
	for i := range n.set.Services {
		all = append(all, supervise.ProcessesOf(&n.set.Services[i].Service, n.set.Services[i].Dir)...)
	}
	for i := range all {
		all[i].Env = withoutToken(all[i].Env)
	}
	return all
}

// withoutToken keeps the token for tables, which may be in our environment, from the services, unless their files say that
// they get it.
func withoutToken(env map[string]string) map[string]string {
	if _, told := env[TablesTokenVariable]; told || os.Getenv(TablesTokenVariable) == "" {
		return env
	}
	env = maps.Clone(env)
	if env == nil {
		env = map[string]string{}
	}
	env[TablesTokenVariable] = ""
	return env
}

// ownEndpoints are the keys of the endpoints this node decides on.
func (n *Node) ownEndpoints() map[string]bool {
	own := map[string]bool{}
	for _, p := range n.ownProcesses() {
		own[endpointKey(p.Service, p.Version)] = true
	}
	return own
}

// publish says where a version listens, once there is a state table. While the node stops it says nothing: what was
// published is withdrawn then as a whole.
func (n *Node) publish(ctx context.Context, service, version string, urls []string) {
	select {
	case <-n.stateOpen:
	case <-ctx.Done():
		return
	}
	err := n.state.publishEndpoint(ctx, service, version, urls)
	if err != nil && ctx.Err() == nil {
		n.options.Log.Warn("other processes are not told where a service version listens", "service", service, "version", version, "err", err)
	}
}

// ServicesReady is closed once every local process of a service has been ready; nil if there are none.
func (n *Node) ServicesReady() <-chan struct{} {
	if n.supervisor == nil {
		return nil
	}
	return n.supervisor.Ready()
}

// processes is the state of the local processes.
func (n *Node) processes() []admin.ProcessStatus {
	all := []admin.ProcessStatus{}
	if n.supervisor == nil {
		return all
	}
	for _, p := range n.supervisor.Status() {
		all = append(all, admin.ProcessStatus{
			Service: p.Service, Version: p.Version, State: p.State, PID: p.PID, URL: p.URL, Restarts: p.Restarts, Error: p.Error,
		})
	}
	return all
}

func (n *Node) processesReady() error {
	var errs []error
	for _, p := range n.processes() {
		if p.State != string(supervise.Ready) {
			errs = append(errs, fmt.Errorf("run service %q version %q: it is %s", p.Service, p.Version, p.State))
		}
	}
	return errors.Join(errs...)
}

// componentStateDir is the folder the engine gives a component.
func componentStateDir(data, topology, node string) string {
	return filepath.Join(stateDir(data, topology), node)
}

func stateDir(data, topology string) string { return filepath.Join(data, "state", topology) }
