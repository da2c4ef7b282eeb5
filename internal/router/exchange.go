package router

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"ravenswood.dev/internal/component"
)

// endpointWait is how long a call waits for a version that has no endpoint yet.
const endpointWait = time.Second

// request is one call as it goes out, whichever face it came in by. It is not changed once it is made: a mirror may send
// it again.
type request struct {
	method         string
	path, query    string // both empty take the service's path
	header         http.Header
	body           []byte
	idempotencyKey string
	timeout        time.Duration
}

func bodyOf(b []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
}

// consumer takes an answer: it reads it, within bounds, and says what is wrong with it. The error it returns decides
// what the call counts as. It does not close the body.
type consumer func(*http.Response) *Error

// exchange makes one call to a version: wait for an endpoint, for a slot and for the breaker, send, let consume take the
// answer, and count. It is the one way out of this process for real calls of both faces.
func (s *service) exchange(ctx context.Context, v *version, r *request, consume consumer) *Error {
	err := s.admitted(ctx, v, r, consume)
	if err != nil {
		err.Service, err.Version = s.name, v.name
		if err.burdened() {
			s.failures.remember(r.idempotencyKey)
		}
	}
	s.metrics.result(v.name, s.resultOf(err))
	return err
}

// resultOf names a call's end for metrics.
func (s *service) resultOf(err *Error) string {
	switch {
	case err == nil:
		return resultOK
	case s.fallback != nil && err.down():
		return resultDegraded
	}
	return string(err.Code)
}

func (s *service) admitted(ctx context.Context, v *version, r *request, consume consumer) *Error {
	if err := s.withinBudget(r); err != nil {
		return err
	}
	list := v.endpoints.wait(ctx, endpointWait)
	if len(list) == 0 {
		return &Error{Code: CodeNoEndpoint, Detail: "the version has no endpoint"}
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if !v.breaker.admit() {
		return &Error{Code: CodeBreakerOpen, Detail: fmt.Sprintf("the breaker is open for another %s", v.breaker.remaining().Round(time.Millisecond))}
	}
	v.inFlight.Add(1)
	start := time.Now()
	err := s.attempt(ctx, v, list, r, consume)
	end := time.Now()
	v.inFlight.Add(-1)
	v.breaker.done(err)
	v.recent.add(end, end.Sub(start), err != nil)
	s.metrics.took(v.name, end.Sub(start))
	return err
}

func (s *service) withinBudget(r *request) *Error {
	now := time.Now()
	if !s.failures.take(r.idempotencyKey) {
		s.budget.first(now)
		return nil
	}
	if s.budget.retry(now) {
		return nil
	}
	s.failures.remember(r.idempotencyKey) // still a retry when it comes again
	return &Error{Code: CodeRetryBudget, Detail: "too many calls are retried, the retry budget is used up for now"}
}

// enter takes one of the service's slots.
func (s *service) enter(ctx context.Context) *Error {
	select {
	case s.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &Error{Code: CodeCanceled, Detail: "given up while waiting for one of the service's calls to finish", Err: ctx.Err()}
	}
}

func (s *service) leave() { <-s.slots }

// attempt sends the request to one endpoint after another as long as none took it, within the retry budget and within
// one timeout for all.
func (s *service) attempt(caller context.Context, v *version, list []*endpoint, r *request, consume consumer) *Error {
	ctx, cancel := context.WithTimeoutCause(caller, r.timeout, fmt.Errorf("no answer within %s", r.timeout))
	defer cancel()
	var tried map[*endpoint]bool
	for {
		at := v.endpoints.pick(list, time.Now(), tried)
		resp, err := s.transport.RoundTrip(at.request(ctx, r))
		if err == nil {
			return s.take(caller, ctx, v, list, at, resp, consume)
		}
		failure := fromNetwork(caller, ctx, err)
		if failure.Code != CodeCanceled {
			v.endpoints.failed(list, at, time.Now())
		}
		if failure.Code != CodeConnection || !neverSent(err) {
			return failure
		}
		if len(tried)+1 == len(list) {
			failure.Code = CodeUnreachable
			return failure
		}
		if !s.budget.retry(time.Now()) {
			return failure
		}
		if tried == nil {
			tried = map[*endpoint]bool{}
		}
		tried[at] = true
	}
}

func (s *service) take(caller, attempt context.Context, v *version, list []*endpoint, at *endpoint, resp *http.Response, consume consumer) *Error {
	defer resp.Body.Close()
	failure := consume(resp)
	if failure != nil && failure.Code == "" { // see bodyBroke
		failure = fromNetwork(caller, attempt, failure.Err)
	}
	switch {
	case failure == nil || failure.class() == component.Never:
		at.worked()
	case failure.Code != CodeCanceled:
		v.endpoints.failed(list, at, time.Now())
	}
	return failure
}

// bodyBroke is what a consumer returns if reading an answer failed; exchange finds out why.
func bodyBroke(err error) *Error { return &Error{Err: err} }
