package router

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ravenswood.dev/internal/telemetry"
)

// resultOK is the result label of a call that was answered, resultDegraded of one that the fallback answered.
const (
	resultOK       = "ok"
	resultDegraded = "degraded"
)

// metrics is a router's own set of Prometheus collectors, so that several routers can live in one process.
type metrics struct {
	calls     *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	decisions *prometheus.CounterVec
	mirrors   *prometheus.CounterVec
	live      *liveCollector
	at        prometheus.Registerer
}

func newMetrics() *metrics {
	return &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: telemetry.ServiceCalls, Help: "Calls to a service by version and result; a result other than ok and degraded is the code of the error.",
		}, []string{telemetry.LabelService, telemetry.LabelVersion, telemetry.LabelResult}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: telemetry.ServiceSeconds, Help: "Time from sending a call until its whole answer was read, or until it failed.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{telemetry.LabelService, telemetry.LabelVersion}),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: telemetry.RouteDecisions, Help: "Decisions of a route by version and reason.",
		}, []string{telemetry.LabelService, telemetry.LabelVersion, telemetry.LabelWhy}),
		mirrors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: telemetry.Mirrored, Help: "Shadow calls by result: equal, different, failed, dropped.",
		}, []string{telemetry.LabelService, telemetry.LabelResult}),
	}
}

// register hands the collectors over; on a name that is taken it takes back what it handed over.
func (m *metrics) register(at prometheus.Registerer, r *Router) error {
	if at == nil {
		return nil
	}
	m.live, m.at = newLiveCollector(r), at
	for i, c := range m.all() {
		if err := at.Register(c); err != nil {
			for _, done := range m.all()[:i] {
				at.Unregister(done)
			}
			m.at = nil
			return fmt.Errorf("register metrics of the router: %w", err)
		}
	}
	return nil
}

func (m *metrics) unregister() {
	if m.at == nil {
		return
	}
	for _, c := range m.all() {
		m.at.Unregister(c)
	}
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.calls, m.seconds, m.decisions, m.mirrors, m.live}
}

// serviceMetrics is the metrics with a service's name filled in.
type serviceMetrics struct {
	calls     *prometheus.CounterVec
	seconds   prometheus.ObserverVec
	decisions *prometheus.CounterVec
	mirrors   *prometheus.CounterVec
}

func (m *metrics) service(name string) *serviceMetrics {
	labels := prometheus.Labels{"service": name}
	return &serviceMetrics{
		calls:     m.calls.MustCurryWith(labels),
		seconds:   m.seconds.MustCurryWith(labels),
		decisions: m.decisions.MustCurryWith(labels),
		mirrors:   m.mirrors.MustCurryWith(labels),
	}
}

func (s *serviceMetrics) result(version, result string) {
	s.calls.WithLabelValues(version, result).Inc()
}

func (s *serviceMetrics) took(version string, d time.Duration) {
	s.seconds.WithLabelValues(version).Observe(d.Seconds())
}

func (s *serviceMetrics) decided(d Decision) { s.decisions.WithLabelValues(d.Version, d.Why).Inc() }

func (s *serviceMetrics) mirrored(result string) { s.mirrors.WithLabelValues(result).Inc() }

// liveCollector reads what is true at the moment of a scrape.
type liveCollector struct {
	router   *Router
	inFlight *prometheus.Desc
	breaker  *prometheus.Desc
}

func newLiveCollector(r *Router) *liveCollector {
	labels := []string{telemetry.LabelService, telemetry.LabelVersion}
	return &liveCollector{
		router:   r,
		inFlight: prometheus.NewDesc(telemetry.ServiceFlight, "Calls in flight.", labels, nil),
		breaker:  prometheus.NewDesc(telemetry.BreakerState, "State of a version's breaker: 0 closed or off, 1 half-open, 2 open.", labels, nil),
	}
}

// Describe is for Prometheus.
func (c *liveCollector) Describe(to chan<- *prometheus.Desc) {
	to <- c.inFlight
	to <- c.breaker
}

// Collect is for Prometheus.
func (c *liveCollector) Collect(to chan<- prometheus.Metric) {
	for _, name := range c.router.names {
		s := c.router.services[name]
		for _, version := range s.order {
			v := s.versions[version]
			to <- prometheus.MustNewConstMetric(c.inFlight, prometheus.GaugeValue, float64(v.inFlight.Load()), name, version)
			to <- prometheus.MustNewConstMetric(c.breaker, prometheus.GaugeValue, breakerLevel(v.breaker.state()), name, version)
		}
	}
}

func breakerLevel(state string) float64 {
	switch state {
	case "half-open":
		return 1
	case "open":
		return 2
	}
	return 0
}
