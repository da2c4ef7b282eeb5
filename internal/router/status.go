package router

import (
	"slices"
	"time"

	"ravenswood.dev/api"
)

// ServiceStatus is a service's numbers of now.
type ServiceStatus struct {
	Service  string          `json:"service"`
	Route    api.RouteSpec   `json:"route"`
	InFlight int             `json:"inFlight"` // slots taken, waiting for a breaker or an answer
	Versions []VersionStatus `json:"versions"`
	Mirror   *MirrorStatus   `json:"mirror,omitempty"`
}

// VersionStatus is one version's numbers. Latencies, share and recent counts are of the last minute.
type VersionStatus struct {
	Version       string           `json:"version"`
	Calls         int64            `json:"calls"`
	Errors        int64            `json:"errors"`
	CallsMinute   int64            `json:"callsLastMinute"`
	ErrorsMinute  int64            `json:"errorsLastMinute"`
	Share         float64          `json:"share"` // of the service's calls, 0 to 1
	P50           float64          `json:"p50Millis"`
	P99           float64          `json:"p99Millis"`
	InFlight      int64            `json:"inFlight"`
	Breaker       string           `json:"breaker"` // closed, open, half-open, off
	BreakerOpenMS int64            `json:"breakerOpenMillis,omitempty"`
	Endpoints     []EndpointStatus `json:"endpoints"`
}

// EndpointStatus is one address of a version.
type EndpointStatus struct {
	URL     string `json:"url"`
	Ejected bool   `json:"ejected,omitempty"` // left out for a while
}

// MirrorStatus is the counts of shadow calls since the start and the last differences, newest last.
type MirrorStatus struct {
	Equal       int64        `json:"equal"`
	Different   int64        `json:"different"`
	Failed      int64        `json:"failed"`
	Dropped     int64        `json:"dropped"`
	Differences []Difference `json:"differences,omitempty"`
}

// Status is the numbers of all services, by name.
func (r *Router) Status() []ServiceStatus {
	now := time.Now()
	var all []ServiceStatus
	for _, name := range r.names {
		all = append(all, r.services[name].status(now))
	}
	return all
}

func (s *service) status(now time.Time) ServiceStatus {
	out := ServiceStatus{Service: s.name, Route: cloneRoute(s.route.Load().spec), InFlight: len(s.slots), Mirror: s.mirror.status()}
	total := int64(0)
	for _, name := range s.order {
		v := s.versions[name].status(now)
		total += v.CallsMinute
		out.Versions = append(out.Versions, v)
	}
	for i := range out.Versions {
		if total > 0 {
			out.Versions[i].Share = float64(out.Versions[i].CallsMinute) / float64(total)
		}
	}
	return out
}

func (v *version) status(now time.Time) VersionStatus {
	sum := v.recent.sum(now)
	out := VersionStatus{
		Version: v.name, Calls: sum.calls, Errors: sum.errors, CallsMinute: sum.callsMin, ErrorsMinute: sum.errorsMin,
		P50: millis(sum.quantile(0.5)), P99: millis(sum.quantile(0.99)),
		InFlight: v.inFlight.Load(), Breaker: v.breaker.state(), BreakerOpenMS: v.breaker.remaining().Milliseconds(),
		Endpoints: []EndpointStatus{},
	}
	for _, e := range *v.endpoints.list.Load() {
		out.Endpoints = append(out.Endpoints, EndpointStatus{URL: e.shown, Ejected: e.ejected(now)})
	}
	return out
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// status is nil for a service that was never mirrored.
func (m *mirror) status() *MirrorStatus {
	m.mu.Lock()
	diffs := slices.Clone(m.diffs)
	m.mu.Unlock()
	out := &MirrorStatus{m.equal.Load(), m.different.Load(), m.failed.Load(), m.dropped.Load(), diffs}
	if out.Equal+out.Different+out.Failed+out.Dropped == 0 {
		return nil
	}
	return out
}
