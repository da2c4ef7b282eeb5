package router

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"ravenswood.dev/internal/document"
)

// The bounds of shadow calls of one service. Beyond them a shadow call is dropped and counted: it is a sample.
const (
	mirrorInFlight = 256
	mirrorBytes    = 32 << 20
	keptDiffs      = 20
)

// mirror makes shadow calls of one service and compares their answers. A shadow call starts when the real answer is
// there, holds copies of everything, and has nothing to do with the real call any more: no slot, no breaker, no budget.
type mirror struct {
	ctx     context.Context
	service *service
	slots   chan struct{}
	bytes   atomic.Int64
	running sync.WaitGroup

	equal, different, failed, dropped atomic.Int64

	mu    sync.Mutex
	diffs []Difference // oldest first, at most keptDiffs
}

// Difference is one shadow answer that was not like the real one.
type Difference struct {
	Time    time.Time `json:"time"`
	Request string    `json:"request"` // the idempotency key, or nothing
	Version string    `json:"version"` // of the shadow
	Path    string    `json:"path"`    // the first place that differs
	Real    string    `json:"real"`    // what was there, shortened
	Shadow  string    `json:"shadow"`
}

func newMirror(ctx context.Context, s *service) *mirror {
	return &mirror{ctx: ctx, service: s, slots: make(chan struct{}, min(s.spec.InFlight, mirrorInFlight))}
}

// offer makes a shadow call of an answered request in the background, or drops it.
func (m *mirror) offer(at *route, r *request, answer []byte) {
	spec := at.spec.Mirror
	if spec == nil { // the route changed since the decision
		return
	}
	size := int64(len(r.body) + len(answer))
	select {
	case m.slots <- struct{}{}:
	default:
		m.count(&m.dropped, "dropped")
		return
	}
	if m.bytes.Add(size) > mirrorBytes || m.ctx.Err() != nil {
		m.bytes.Add(-size)
		<-m.slots
		m.count(&m.dropped, "dropped")
		return
	}
	v := m.service.versions[spec.Version]
	shadow := shadowOf(r, m.service.name, v.name)
	answer = bytes.Clone(answer)
	m.running.Go(func() {
		defer func() { m.bytes.Add(-size); <-m.slots }()
		m.call(v, shadow, r.idempotencyKey, answer, spec.Ignore)
	})
}

// shadowOf copies a request. The marker lets a service skip its side effects; without the idempotency key it cannot
// take the shadow for the real call or the other way round.
func shadowOf(r *request, service, version string) *request {
	h := r.header.Clone()
	h.Del("Idempotency-Key")
	h.Set(HeaderMirror, "1")
	stamp(h, service, version)
	return &request{method: r.method, path: r.path, query: r.query, header: h, body: bytes.Clone(r.body), timeout: r.timeout}
}

func (m *mirror) call(v *version, r *request, name string, want []byte, ignore []string) {
	got, err := m.send(v, r)
	if err != nil {
		m.count(&m.failed, "failed")
		return
	}
	d, equal := compare(want, got, ignore)
	if equal {
		m.count(&m.equal, "equal")
		return
	}
	d.Time, d.Request, d.Version = time.Now(), bounded(name, excerptBytes), v.name
	m.keep(d) // before it is counted: who sees the count finds the difference
	m.count(&m.different, "different")
}

func (m *mirror) send(v *version, r *request) ([]byte, *Error) {
	list := *v.endpoints.list.Load()
	if len(list) == 0 {
		return nil, &Error{Code: CodeNoEndpoint}
	}
	ctx, cancel := context.WithTimeout(m.ctx, r.timeout)
	defer cancel()
	at := v.endpoints.pick(list, time.Now(), nil)
	resp, err := m.service.transport.RoundTrip(at.request(ctx, r))
	if err != nil {
		return nil, fromNetwork(m.ctx, ctx, err)
	}
	defer resp.Body.Close()
	return readAnswer(resp, int64(m.service.spec.MaxAnswer))
}

func (m *mirror) count(n *atomic.Int64, result string) {
	n.Add(1)
	m.service.metrics.mirrored(result)
}

func (m *mirror) keep(d Difference) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.diffs) == keptDiffs {
		m.diffs = append(m.diffs[:0], m.diffs[1:]...)
	}
	m.diffs = append(m.diffs, d)
}

func (m *mirror) wait() { m.running.Wait() }

// wantsBody says whether a real answer is worth keeping for a comparison.
func (m *mirror) wantsBody(resp *http.Response) bool {
	return resp.StatusCode >= 200 && resp.StatusCode < 300 && resp.ContentLength <= int64(m.service.spec.MaxAnswer)
}

// compare says whether two answers are equal as JSON: order of members and spaces do not count, numbers are compared as
// written, and the ignored fields are taken out of both.
func compare(a, b []byte, ignore []string) (Difference, bool) {
	if bytes.Equal(a, b) {
		return Difference{}, true
	}
	for _, path := range ignore {
		a, b = without(a, path), without(b, path)
	}
	path, x, y, same := firstDifference(a, b)
	return Difference{Path: path, Real: bounded(x, excerptBytes), Shadow: bounded(y, excerptBytes)}, same
}

// without takes a field out; an answer that cannot have such a field stays as it is.
func without(answer []byte, path string) []byte {
	p, err := document.ParsePath(path)
	if err != nil {
		return answer
	}
	if rest, err := document.Delete(answer, p); err == nil {
		return rest
	}
	return answer
}
