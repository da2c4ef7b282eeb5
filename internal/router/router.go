package router

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/topology"
)

// Options is what a Router is given besides services and routes. The zero value works.
type Options struct {
	Log     *slog.Logger          // nil: silent
	Metrics prometheus.Registerer // nil: numbers are kept for Status only
	TLS     *tls.Config           // for https endpoints; nil: the system's roots
	MaxBody int64                 // largest request body the proxy takes; 0: 8 MB
}

// Router calls services by name. Make one with New, and Close it.
type Router struct {
	services map[string]*service
	names    []string // sorted
	log      *slog.Logger
	metrics  *metrics
	maxBody  int64
	stop     context.CancelFunc
}

var (
	_ component.Services = (*Router)(nil)
	_ component.Chooser  = (*Router)(nil)
	_ io.Closer          = (*Router)(nil)
)

// service is one service with everything that protects it. The set of services and versions never changes while a
// Router lives; their routes and endpoints do.
type service struct {
	name      string
	spec      api.ServiceSpec
	versions  map[string]*version
	order     []string // versions as written
	route     atomic.Pointer[route]
	slots     chan struct{}
	budget    *budget
	failures  *failures
	mirror    *mirror
	fallback  []byte // nil for none
	transport *http.Transport
	metrics   *serviceMetrics
}

// route is a service's route and the table made of it.
type route struct {
	spec  api.RouteSpec
	table *table
}

// version is one version of a service.
type version struct {
	name      string
	endpoints *endpoints
	breaker   *breaker
	recent    recent
	inFlight  atomic.Int64
}

// New makes a router for the services. A service with several versions must have a route; one with a single version
// needs none. Versions that are local processes have no endpoint until SetEndpoints says so.
func New(services []*api.Service, routes []*api.Route, opts Options) (*Router, error) {
	ctx, stop := context.WithCancel(context.Background())
	r := &Router{services: map[string]*service{}, log: opts.Log, maxBody: opts.MaxBody, metrics: newMetrics(), stop: stop}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.maxBody == 0 {
		r.maxBody = 8 << 20
	}
	if err := errors.Join(r.addServices(ctx, services, opts), r.addRoutes(routes)); err != nil {
		stop()
		return nil, err
	}
	r.names = slices.Sorted(maps.Keys(r.services))
	if err := r.metrics.register(opts.Metrics, r); err != nil {
		stop()
		return nil, err
	}
	return r, nil
}

func (r *Router) addServices(ctx context.Context, services []*api.Service, opts Options) error {
	var errs []error
	for _, s := range services {
		if _, twice := r.services[s.Metadata.Name]; twice {
			errs = append(errs, fmt.Errorf("add service %q: there are two of that name", s.Metadata.Name))
			continue
		}
		made, err := r.newService(ctx, s.Metadata.Name, s.Spec, opts)
		if err != nil {
			errs = append(errs, fmt.Errorf("add service %q: %w", s.Metadata.Name, err))
			continue
		}
		r.services[made.name] = made
	}
	return errors.Join(errs...)
}

func (r *Router) addRoutes(routes []*api.Route) error {
	var errs []error
	seen := map[string]bool{}
	for _, route := range routes {
		if seen[route.Spec.Service] {
			errs = append(errs, fmt.Errorf("add route of service %q: there are two", route.Spec.Service))
			continue
		}
		seen[route.Spec.Service] = true
		errs = append(errs, r.SetRoute(route.Spec))
	}
	for _, s := range r.services {
		if s.route.Load() == nil && !seen[s.name] {
			errs = append(errs, fmt.Errorf("add service %q: it has %d versions and no route that chooses", s.name, len(s.order)))
		}
	}
	return errors.Join(errs...)
}

func (r *Router) newService(ctx context.Context, name string, spec api.ServiceSpec, opts Options) (*service, error) {
	spec = withDefaults(spec)
	s := &service{
		name: name, spec: spec, versions: map[string]*version{},
		slots: make(chan struct{}, spec.InFlight), budget: newBudget(spec.Retries), failures: new(failures),
		transport: newTransport(spec, opts.TLS), metrics: r.metrics.service(name),
	}
	s.mirror = newMirror(ctx, s)
	if spec.Fallback != nil {
		if err := document.Valid([]byte(spec.Fallback.Answer)); err != nil {
			return nil, fmt.Errorf("read fallback answer %q: %w", bounded(spec.Fallback.Answer, 100), err)
		}
		s.fallback = []byte(spec.Fallback.Answer)
	}
	for _, v := range spec.Versions {
		if err := s.addVersion(v); err != nil {
			return nil, err
		}
	}
	if len(s.order) == 0 {
		return nil, errors.New("it has no version")
	}
	if len(s.order) == 1 {
		only := api.RouteSpec{Service: name, Default: s.order[0]}
		s.route.Store(&route{only, compile(only)})
	}
	return s, nil
}

func (s *service) addVersion(v api.ServiceVersion) error {
	if s.versions[v.Name] != nil {
		return fmt.Errorf("add version %q: there are two of that name", v.Name)
	}
	made := &version{name: v.Name, endpoints: newEndpoints(), breaker: newBreaker(s.spec.Breaker)}
	s.versions[v.Name] = made
	s.order = append(s.order, v.Name)
	addresses := v.URLs
	if v.URL != "" {
		addresses = append([]string{v.URL}, v.URLs...)
	}
	return s.setEndpoints(made, addresses)
}

// setEndpoints replaces the addresses of a version. One that stays keeps its failures: being told again where a version
// runs is no reason to trust it.
func (s *service) setEndpoints(v *version, addresses []string) error {
	var list []*endpoint
	for _, a := range addresses {
		e := v.endpoints.at(a)
		if e == nil {
			var err error
			if e, err = newEndpoint(a, s.spec.Path); err != nil {
				return fmt.Errorf("set endpoints of version %q: %w", v.name, err)
			}
		}
		list = append(list, e)
	}
	v.endpoints.set(list)
	return nil
}

// withDefaults fills what a Service made in Go left out, by the same values as the tags of package api. A breaker is
// off only if it says so by some other field than zero. A retry budget of nothing at all is not taken at its word either:
// a record that failed once would wait for ever.
func withDefaults(s api.ServiceSpec) api.ServiceSpec {
	orElse(&s.Path, "/")
	orElse(&s.Method, http.MethodPost)
	orElse(&s.Timeout, api.Duration(2*time.Second))
	orElse(&s.MaxAnswer, 1<<20)
	orElse(&s.InFlight, 1024)
	orElse(&s.Breaker, api.Breaker{Failures: 5000})
	orElse(&s.Breaker.MinCalls, 20)
	orElse(&s.Breaker.Window, api.Duration(10*time.Second))
	orElse(&s.Breaker.Open, api.Duration(time.Second))
	orElse(&s.Retries, api.RetryBudget{Percent: 2000, PerSecond: 10})
	return s
}

func orElse[T comparable](at *T, value T) {
	var zero T
	if *at == zero {
		*at = value
	}
}

// newTransport makes a connection pool for one service, as large as its limit: net/http's own default of two idle
// connections per host would open and close one for nearly every call.
func newTransport(spec api.ServiceSpec, tls *tls.Config) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment, // leaves loopback addresses alone
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:        tls,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxIdleConnsPerHost:    spec.InFlight,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // an answer's limit is then the limit of what came over the wire
	}
}

// CheckRoute says everything that is wrong with a route for a service that has the given versions: the linter's check.
// Paths are within the route's spec.
func CheckRoute(spec api.RouteSpec, versions []string) []component.Problem {
	return topology.CheckRoute(spec, versions)
}

// SetRoute replaces a service's route. Calls in flight finish where they went; every later call sees the new route.
func (r *Router) SetRoute(spec api.RouteSpec) error {
	s := r.services[spec.Service]
	if s == nil {
		return fmt.Errorf("set route of service %q: %s", spec.Service, r.unknown())
	}
	if problems := CheckRoute(spec, s.order); len(problems) > 0 {
		return problemsError(problems)
	}
	spec = cloneRoute(spec)
	s.route.Store(&route{spec, compile(spec)})
	return nil
}

func problemsError(problems []component.Problem) error {
	var sentences []string
	for _, p := range problems {
		sentences = append(sentences, p.Message)
	}
	return errors.New(strings.Join(sentences, "; "))
}

// SetEndpoints says where a version runs from now on. With none, calls to it wait a moment and are then an outage.
func (r *Router) SetEndpoints(service, version string, urls []string) error {
	s, v, err := r.find(service, version)
	if err != nil {
		return err
	}
	return s.setEndpoints(v, urls)
}

func (r *Router) find(serviceName, versionName string) (*service, *version, error) {
	s := r.services[serviceName]
	if s == nil {
		return nil, nil, &Error{Service: serviceName, Code: CodeUnknownService, Detail: r.unknown()}
	}
	v := s.versions[versionName]
	if v == nil {
		return nil, nil, &Error{Service: serviceName, Code: CodeUnknownVersion, Detail: fmt.Sprintf("there is no version %q, it has %s", versionName, strings.Join(s.order, ", "))}
	}
	return s, v, nil
}

func (r *Router) unknown() string {
	if len(r.services) == 0 {
		return "there is no such service, none is declared"
	}
	return "there is no such service, there are " + strings.Join(slices.Sorted(maps.Keys(r.services)), ", ")
}

// Route is a service's route as it is now.
func (r *Router) Route(service string) (api.RouteSpec, bool) {
	s := r.services[service]
	if s == nil {
		return api.RouteSpec{}, false
	}
	return cloneRoute(s.route.Load().spec), true
}

// Routes lists all routes as they are now, by service.
func (r *Router) Routes() []api.RouteSpec {
	var all []api.RouteSpec
	for _, name := range r.names {
		spec, _ := r.Route(name)
		all = append(all, spec)
	}
	return all
}

// Versions lists a service's versions as they were written; nil if there is no such service.
func (r *Router) Versions(service string) []string {
	if s := r.services[service]; s != nil {
		return slices.Clone(s.order)
	}
	return nil
}

// InFlight is how many calls to the service one process may have in flight; 0 if there is no such service.
func (r *Router) InFlight(service string) int {
	if s := r.services[service]; s != nil {
		return s.spec.InFlight
	}
	return 0
}

// Close gives up shadow calls, waits for them, and closes idle connections. Calls must have returned before.
func (r *Router) Close() error {
	r.stop()
	for _, s := range r.services {
		s.mirror.wait()
		s.transport.CloseIdleConnections()
	}
	r.metrics.unregister()
	return nil
}
