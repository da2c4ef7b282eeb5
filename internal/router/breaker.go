package router

import (
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
)

// breaker stops calls to a version that keeps failing. The state machine is failsafe-go's:
//
//	closed ──share of failures within the window──▶ open ──after a while──▶ half-open
//	   ▲                                             ▲                        │
//	   └──────────── the trial call worked ──────────┼────────────────────────┤
//	                                                 └── the trial call failed ┘
//
// A nil breaker is always closed.
type breaker struct {
	cb circuitbreaker.CircuitBreaker[any]
}

func newBreaker(b api.Breaker) *breaker {
	if b.Failures == 0 {
		return nil
	}
	cb := circuitbreaker.NewBuilder[any]().
		WithFailureRateThreshold(float64(b.Failures)/places, uint(max(b.MinCalls, 1)), time.Duration(b.Window)).
		WithDelay(time.Duration(b.Open)).
		WithSuccessThreshold(1).
		Build()
	return &breaker{cb}
}

// admit says whether a call may go out. Every admitted call is told to done.
func (b *breaker) admit() bool { return b == nil || b.cb.TryAcquirePermit() }

// done records how an admitted call ended. What is permanent is the record's fault and shows a version that answers;
// everything else is the version's. A call its caller gave up says nothing, except that a trial call has not worked.
func (b *breaker) done(err *Error) {
	switch {
	case b == nil:
	case err == nil || err.class() == component.Never:
		b.cb.RecordSuccess()
	case err.Code == CodeCanceled:
		if b.cb.IsHalfOpen() {
			b.cb.RecordFailure()
		}
	default:
		b.cb.RecordFailure()
	}
}

// state is "closed", "open", "half-open", or "off".
func (b *breaker) state() string {
	if b == nil {
		return "off"
	}
	return b.cb.State().String()
}

// remaining is how long the breaker stays open.
func (b *breaker) remaining() time.Duration {
	if b == nil {
		return 0
	}
	return b.cb.RemainingDelay()
}
