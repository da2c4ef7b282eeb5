package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/router"
)

// StateTopic is the compacted topic through which all processes on a cluster share what was changed at run time:
//
//	route/SERVICE             a storedRoute: the service's route as it was last changed
//	endpoint/SERVICE/VERSION  a storedEndpoint: where a version that a node started listens
//	store/TOPOLOGY/STORE      a topology.Kept: what a store held when its topology last ran
//	stage/TOPOLOGY/STAGE      a storedStage: what its stage read and wrote then
const StateTopic = "_raven.state"

const (
	routePrefix    = "route/"
	endpointPrefix = "endpoint/"
)

// storedRoute is a route that was changed at run time.
type storedRoute struct {
	Spec       api.RouteSpec `json:"spec"`
	Generation int           `json:"generation"` // counts the changes of this route
	Changed    time.Time     `json:"changed"`
	Base       string        `json:"base"` // fingerprint of the files' route that was changed
}

type storedEndpoint struct {
	URLs []string `json:"urls"`
	Node string   `json:"node"` // who started it
}

// routeState is a service's route and where it comes from.
type routeState struct {
	file    api.RouteSpec // as the files say
	base    string        // its fingerprint
	changed *storedRoute  // as changed at run time; nil while the files hold
}

func (s *routeState) spec() api.RouteSpec {
	if s.changed != nil {
		return s.changed.Spec
	}
	return s.file
}

// state keeps the router in step with the files and the state topic. The files win over a change that was made to an
// earlier form of them: whoever edits a route's file means it.
type state struct {
	table  *kafka.Table
	router *router.Router
	node   string
	own    map[string]bool // keys of endpoints this process supervises: the table is not asked; does not change
	log    *slog.Logger
	stop   func() // ends the watch

	editing sync.Mutex // one change of routes at a time
	mu      sync.Mutex
	routes  map[string]*routeState
}

// openState reads the table and follows it. own lists the endpoint keys that this process alone decides on.
func openState(ctx context.Context, cfg kafka.Config, r *router.Router, node string, own map[string]bool, log *slog.Logger) (*state, error) {
	table, err := kafka.OpenTable(ctx, cfg, StateTopic)
	if err != nil {
		return nil, err
	}
	s := &state{table: table, router: r, node: node, log: log, routes: map[string]*routeState{}, own: own}
	for _, spec := range r.Routes() {
		s.routes[spec.Service] = &routeState{file: spec, base: fingerprint(spec)}
	}
	s.stop = table.Watch(s.apply)
	for key, value := range table.All() {
		s.apply(key, value)
	}
	return s, nil
}

func (s *state) close() {
	s.stop()
	s.table.Close()
}

// apply takes over one row. It also sees the rows of services that other processes know and this one does not.
func (s *state) apply(key string, value []byte) {
	var err error
	if service, ok := strings.CutPrefix(key, routePrefix); ok {
		err = s.applyRoute(service, value)
	}
	if id, ok := strings.CutPrefix(key, endpointPrefix); ok {
		err = s.applyEndpoint(key, id, value)
	}
	if err != nil {
		s.log.Warn("left out a change that another process made", "key", key, "err", err)
	}
}

func (s *state) applyRoute(service string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.routes[service]
	if known == nil {
		return nil
	}
	changed, err := decodeRoute(value)
	if err != nil {
		return err
	}
	if changed != nil && changed.Base != known.base {
		s.log.Info("the files' route was changed since it was changed at run time; the files hold", "service", service)
		changed = nil
	}
	next := routeState{file: known.file, base: known.base, changed: changed}
	if err := s.router.SetRoute(next.spec()); err != nil {
		return err
	}
	*known = next
	return nil
}

// decodeRoute reads a row; nil means that the files hold.
func decodeRoute(value []byte) (*storedRoute, error) {
	if value == nil {
		return nil, nil
	}
	var r storedRoute
	if err := json.Unmarshal(value, &r); err != nil {
		return nil, fmt.Errorf("read route: %w", err)
	}
	return &r, nil
}

func (s *state) applyEndpoint(key, id string, value []byte) error {
	service, version, _ := strings.Cut(id, "/")
	if s.own[key] || !slices.Contains(s.router.Versions(service), version) {
		return nil
	}
	var e storedEndpoint
	if value != nil {
		if err := json.Unmarshal(value, &e); err != nil {
			return fmt.Errorf("read endpoint: %w", err)
		}
	}
	return s.router.SetEndpoints(service, version, e.URLs)
}

// publishEndpoint tells this process at once and the others through the table where a version listens.
func (s *state) publishEndpoint(ctx context.Context, service, version string, urls []string) error {
	if err := s.router.SetEndpoints(service, version, urls); err != nil {
		return err
	}
	key := endpointKey(service, version)
	if len(urls) == 0 {
		return s.table.Delete(ctx, key)
	}
	value, err := json.Marshal(storedEndpoint{URLs: urls, Node: s.node})
	if err != nil {
		return fmt.Errorf("write endpoint: %w", err)
	}
	return s.table.Put(ctx, key, value)
}

// withdraw takes back what this process published: nobody listens there soon. What a crash leaves behind is replaced at
// the next start; until then calls there fail and wait.
func (s *state) withdraw(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for key := range s.own {
		if _, there := s.table.Get(key); !there {
			continue
		}
		if err := s.table.Delete(ctx, key); err != nil {
			s.log.Warn("left an endpoint behind", "key", key, "err", err)
		}
	}
}

func endpointKey(service, version string) string { return endpointPrefix + service + "/" + version }

// routeError says what is wrong with a route that a change would have made. Nothing was changed.
type routeError struct{ problem component.Problem }

func (e *routeError) Error() string { return e.problem.Message }

// editRoute changes the route of a known service by edit and returns when this process decides by it. Other processes follow as they read
// the table, within milliseconds.
func (s *state) editRoute(ctx context.Context, service string, edit func(api.RouteSpec) (api.RouteSpec, error)) error {
	s.editing.Lock()
	defer s.editing.Unlock()
	before, _ := s.route(service)
	spec, err := edit(before.spec())
	if err != nil {
		return err
	}
	if problems := router.CheckRoute(spec, s.router.Versions(service)); len(problems) > 0 {
		return &routeError{problems[0]}
	}
	next := storedRoute{Spec: spec, Generation: 1, Changed: time.Now().UTC(), Base: before.base}
	if before.changed != nil {
		next.Generation = before.changed.Generation + 1
	}
	value, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("write route: %w", err)
	}
	return s.table.PutSync(ctx, routePrefix+service, value)
}

// resetRoute takes back what was changed at run time.
func (s *state) resetRoute(ctx context.Context, service string) error {
	s.editing.Lock()
	defer s.editing.Unlock()
	return s.table.Delete(ctx, routePrefix+service)
}

func (s *state) route(service string) (routeState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.routes[service]
	if r == nil {
		return routeState{}, false
	}
	return *r, true
}

// fingerprint names a route as the files have it.
func fingerprint(spec api.RouteSpec) string {
	raw, err := json.Marshal(spec)
	if err != nil {
		return "" // plain data always has a form in JSON
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}
