package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"ravenswood.dev/internal/admin"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/router"
)

var _ admin.Node = (*Node)(nil)

// Status is the numbers of now.
func (n *Node) Status() admin.Status {
	s := admin.Status{Node: n.nodeStatus(), Topologies: []admin.TopologyStatus{}, Services: []router.ServiceStatus{}, Processes: []admin.ProcessStatus{}}
	for _, r := range n.topologies {
		t := r.topologyStatus()
		t.DeadWaiting = n.letters.of(r.plan.Name)
		s.Topologies = append(s.Topologies, t)
	}
	s.Services = append(s.Services, n.router.Status()...)
	s.Processes = append(s.Processes, n.processes()...)
	return s
}

func (n *Node) nodeStatus() admin.NodeStatus {
	s := admin.NodeStatus{
		ID: n.options.ID, PID: os.Getpid(), Started: n.options.Started, Brokers: n.kafka.Brokers,
		Embedded: len(n.options.Brokers) == 0, Dir: n.options.Dir, Data: n.options.Data,
	}
	s.Conditions = conditions(n.broker)
	for _, r := range n.topologies {
		s.Conditions = append(s.Conditions, restoring(r.status())...)
		s.Conditions = append(s.Conditions, inFuture(r.status(), time.Now())...)
		s.Conditions = append(s.Conditions, failing(r.status())...)
	}
	if err := n.Ready(); err != nil {
		s.Ready = err.Error()
	}
	return s
}

// topologyStatus is the engine's own, with the error that ended it.
func (r *running) topologyStatus() admin.TopologyStatus {
	s := admin.TopologyStatus{Status: r.status()}
	if err := r.failed(); err != nil {
		s.State, s.Error = "failed", err.Error()
	}
	return s
}

// Routes lists the routes as they are decided by here.
func (n *Node) Routes() []admin.RouteView {
	views := []admin.RouteView{}
	for _, spec := range n.router.Routes() {
		views = append(views, n.routeView(spec.Service))
	}
	return views
}

func (n *Node) routeView(service string) admin.RouteView {
	r, _ := n.state.route(service)
	v := admin.RouteView{Service: service, Versions: n.router.Versions(service), Route: r.spec(), Source: admin.SourceFiles}
	if c := r.changed; c != nil {
		v.Source, v.Generation, v.Changed = admin.SourceRunTime, c.Generation, &c.Changed
	}
	return v
}

// EditRoute changes a route in every process of the cluster and returns when this one decides by it.
func (n *Node) EditRoute(ctx context.Context, service string, edit admin.Edit) (admin.RouteChange, error) {
	start := time.Now()
	if _, ok := n.state.route(service); !ok {
		return admin.RouteChange{}, n.unknownService(service)
	}
	change := admin.RouteChange{Before: n.routeView(service)}
	var err error
	if edit == nil {
		err = n.state.resetRoute(ctx, service)
	} else {
		err = n.state.editRoute(ctx, service, edit)
	}
	if err != nil {
		return admin.RouteChange{}, editError(service, err)
	}
	change.After = n.routeView(service)
	change.Millis = float64(time.Since(start).Microseconds()) / 1000
	return change, nil
}

func (n *Node) unknownService(service string) error {
	var names []string
	for _, spec := range n.router.Routes() {
		names = append(names, spec.Service)
	}
	e := &admin.Error{Status: http.StatusNotFound, Message: fmt.Sprintf("change route of service %q: there is no such service", service)}
	if near := manifest.Closest(service, names); near != "" {
		e.Hint = fmt.Sprintf("did you mean %q?", near)
	} else {
		e.Hint = "there are " + strings.Join(names, ", ")
	}
	return e
}

// editError turns what is wrong with a change into an answer.
func editError(service string, err error) error {
	if wrong, ok := errors.AsType[*routeError](err); ok {
		message := fmt.Sprintf("change route of service %q: %s", service, wrong.problem.Message)
		return &admin.Error{Status: http.StatusUnprocessableEntity, Message: message, Hint: hintForm(wrong.problem.Hint)}
	}
	return err
}

// hintForm makes a sentence what follows "hint: ".
func hintForm(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + strings.TrimSuffix(s[1:], ".")
}
