package router

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/document"
)

// excerptBytes is how much of a bad answer an error shows; drainBytes is how much more is read so that the connection
// can be used again, which matters most when a service answers nothing but errors.
const (
	excerptBytes = 200
	drainBytes   = 64 << 10
)

// Call makes one call; see component.Services for the classes of its errors. Underneath every error is an *Error.
func (r *Router) Call(ctx context.Context, c component.Call) (component.Answer, error) {
	s, d, err := r.decide(c)
	if err != nil {
		return component.Answer{}, err.marked()
	}
	s.metrics.decided(d)
	v := s.versions[d.Version]
	req := s.newRequest(&c, v)
	var body []byte
	err = s.exchange(ctx, v, req, func(resp *http.Response) (failure *Error) {
		body, failure = readAnswer(resp, int64(s.spec.MaxAnswer))
		return failure
	})
	if err != nil {
		return s.degraded(err)
	}
	if d.Mirror {
		s.mirror.offer(s.route.Load(), req, body)
	}
	return component.Answer{Body: body, Version: v.name}, nil
}

// degraded gives the fallback answer if the service is down and has one.
func (s *service) degraded(err *Error) (component.Answer, error) {
	if s.fallback == nil || !err.down() {
		return component.Answer{}, err.marked()
	}
	return component.Answer{Body: s.fallback, Degraded: true}, nil
}

// Decide says where a call would go and why, without calling.
func (r *Router) Decide(c component.Call) (Decision, error) {
	_, d, err := r.decide(c)
	if err != nil {
		return Decision{}, err.marked()
	}
	return d, nil
}

// Choose is Decide for bolts that merge calls.
func (r *Router) Choose(c component.Call) (string, error) {
	d, err := r.Decide(c)
	return d.Version, err
}

func (r *Router) decide(c component.Call) (*service, Decision, *Error) {
	s := r.services[c.Service]
	if s == nil {
		return nil, Decision{}, &Error{Service: c.Service, Code: CodeUnknownService, Detail: r.unknown()}
	}
	d := s.route.Load().table.Decide(&Input{Event: c.Event, Key: c.Key, Headers: c.Headers, Origin: c.IdempotencyKey})
	if c.Version != "" {
		d.Version = c.Version
	}
	if s.versions[d.Version] == nil {
		return nil, Decision{}, &Error{Service: c.Service, Version: d.Version, Code: CodeUnknownVersion, Detail: "the service has no such version"}
	}
	return s, d, nil
}

func (s *service) newRequest(c *component.Call, v *version) *request {
	h := make(http.Header, 6+len(c.Headers))
	copyRecordHeaders(h, c.Headers)
	h["Content-Type"] = jsonType
	h["Accept"] = jsonType
	h["User-Agent"] = userAgent
	if c.IdempotencyKey != "" {
		h["Idempotency-Key"] = []string{c.IdempotencyKey}
	}
	stamp(h, s.name, v.name)
	r := &request{method: s.spec.Method, header: h, body: c.Body, idempotencyKey: c.IdempotencyKey, timeout: c.Timeout}
	if r.body == nil {
		r.body = c.Event
	}
	orElse(&r.timeout, time.Duration(s.spec.Timeout))
	return r
}

// readAnswer reads a JSON answer of at most max bytes.
func readAnswer(resp *http.Response, most int64) ([]byte, *Error) {
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, readRefusal(resp)
	}
	if resp.ContentLength > most {
		return nil, tooLarge(most)
	}
	body, err := readBounded(resp, most)
	switch {
	case err != nil:
		return nil, bodyBroke(err)
	case int64(len(body)) > most:
		return nil, tooLarge(most)
	}
	if err := document.Valid(body); err != nil {
		return nil, notJSON(resp, body, err)
	}
	return body, nil
}

// readBounded reads one byte more than is allowed, so that too much is known from just enough.
func readBounded(resp *http.Response, most int64) ([]byte, error) {
	if resp.ContentLength < 0 {
		return io.ReadAll(io.LimitReader(resp.Body, most+1))
	}
	body := make([]byte, resp.ContentLength)
	_, err := io.ReadFull(resp.Body, body)
	return body, err
}

func readRefusal(resp *http.Response) *Error {
	excerpt, err := io.ReadAll(io.LimitReader(resp.Body, excerptBytes))
	if err == nil {
		_, _ = io.CopyN(io.Discard, resp.Body, drainBytes) // for the connection's sake only
	}
	return fromStatus(resp, excerpt)
}

func tooLarge(most int64) *Error {
	return &Error{Code: CodeTooLarge, Detail: fmt.Sprintf("the answer is larger than %d bytes", most)}
}

func notJSON(resp *http.Response, body []byte, err error) *Error {
	e := &Error{Code: CodeNotJSON, Status: resp.StatusCode, Err: err}
	if len(body) == 0 {
		e.Detail = fmt.Sprintf("answered %d with nothing, want JSON", resp.StatusCode)
		return e
	}
	e.Detail = fmt.Sprintf("the answer is not JSON: %s: %q", err, bounded(string(body[:min(len(body), excerptBytes)]), excerptBytes))
	return e
}
