package router

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ravenswood.dev/internal/component"
)

// Code says what went wrong with a call, for metrics, the proxy's answers and tests. It is stable.
type Code string

// The codes.
const (
	CodeUnknownService Code = "unknown-service"
	CodeUnknownVersion Code = "unknown-version"
	CodeStatus         Code = "answer-status"    // the service answered outside 200-299
	CodeRedirect       Code = "answer-redirect"  // redirects are not followed: the address in the Service is wrong
	CodeTooLarge       Code = "answer-too-large" // larger than maxAnswer
	CodeNotJSON        Code = "answer-not-json"
	CodeTimeout        Code = "timeout"
	CodeConnection     Code = "connection"   // the connection broke before a whole answer came
	CodeUnreachable    Code = "unreachable"  // no endpoint of the version accepts connections
	CodeNoEndpoint     Code = "no-endpoint"  // the version has no endpoint (yet)
	CodeBreakerOpen    Code = "breaker-open" // the version failed too often lately
	CodeRetryBudget    Code = "retry-budget" // too many retries to this service lately
	CodeCanceled       Code = "canceled"     // the caller gave up; says nothing about the service
	CodeBodyTooLarge   Code = "body-too-large"
	CodeBodyBroken     Code = "body-broken"
)

// Error is a call that failed.
type Error struct {
	Service    string
	Version    string // empty if none was chosen
	Code       Code
	Status     int           // the HTTP status, if there was an answer
	RetryAfter time.Duration // what the answer asked for; 0 if nothing
	Detail     string        // the cause in words
	Err        error         // what was underneath; may be nil
}

// RetryIn is what the answer asked for; the engine waits that long before the next attempt.
func (e *Error) RetryIn() time.Duration { return e.RetryAfter }

func (e *Error) Error() string {
	if e.Version == "" {
		return fmt.Sprintf("call service %q: %s", e.Service, e.Detail)
	}
	return fmt.Sprintf("call service %q version %q: %s", e.Service, e.Version, e.Detail)
}

func (e *Error) Unwrap() error { return e.Err }

// class says what the error means for the record that was called for.
func (e *Error) class() component.Class {
	switch e.Code {
	case CodeStatus:
		if passing(e.Status) {
			return component.Transient
		}
		return component.Never
	case CodeUnknownService, CodeUnknownVersion, CodeRedirect, CodeTooLarge, CodeNotJSON, CodeBodyTooLarge, CodeBodyBroken:
		return component.Never
	case CodeUnreachable, CodeNoEndpoint, CodeBreakerOpen, CodeRetryBudget:
		return component.Down
	}
	return component.Transient
}

// passing says whether a status may be another one next time. 408, 425 and 429 are the 4xx by which a server says so.
func passing(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// down says whether the service as a whole is down, which is when a fallback may answer. A spent retry budget makes a
// record wait as an outage does, but the service may well be answering others.
func (e *Error) down() bool { return e.class() == component.Down && e.Code != CodeRetryBudget }

// burdened says whether the call cost the service something and will come again: what the retry budget is about. A call
// that an open breaker kept back has not; after an outage, all who waited start afresh.
func (e *Error) burdened() bool {
	return e.Code == CodeTimeout || e.Code == CodeConnection || e.Code == CodeStatus && passing(e.Status)
}

// marked is the error as the engine wants it: with its class on.
func (e *Error) marked() error {
	switch e.class() {
	case component.Never:
		return component.Permanent(e)
	case component.Down:
		return component.Outage(e)
	}
	return e
}

// fromNetwork turns what the HTTP client said into an Error without service and version.
func fromNetwork(caller, attempt context.Context, err error) *Error {
	switch {
	case caller.Err() != nil:
		return &Error{Code: CodeCanceled, Detail: "given up by the caller: " + context.Cause(caller).Error(), Err: caller.Err()}
	case attempt.Err() != nil:
		return &Error{Code: CodeTimeout, Detail: context.Cause(attempt).Error(), Err: attempt.Err()}
	}
	return &Error{Code: CodeConnection, Detail: "connection failed: " + oneLine(err.Error()), Err: err}
}

// neverSent says whether a request surely did not reach anybody, so that another endpoint may have it.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// fromStatus turns an answer outside 200-299 into an Error. The excerpt is the beginning of its body.
func fromStatus(resp *http.Response, excerpt []byte) *Error {
	e := &Error{Code: CodeStatus, Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header)}
	e.Detail = fmt.Sprintf("answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		e.Code = CodeRedirect
		e.Detail += fmt.Sprintf(" to %q, redirects are not followed", bounded(resp.Header.Get("Location"), 200))
		return e
	}
	if len(excerpt) > 0 {
		e.Detail += fmt.Sprintf(": %q", excerpt)
	}
	return e
}

// retryAfter reads the seconds form of Retry-After; the date form is left alone, clocks differ.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, 3600)) * time.Second
}

func oneLine(s string) string { return bounded(strings.Join(strings.Fields(s), " "), 300) }

func bounded(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
