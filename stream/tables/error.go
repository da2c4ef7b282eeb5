package tables

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
)

// Code says for good what is wrong, for programs.
type Code string

// The codes.
const (
	NoTopology Code = "no-topology" // the process does not run it
	NoTable    Code = "no-table"
	NoTopic    Code = "no-topic"
	NoKey      Code = "no-key" // the table has no such key, at that time if one was given
	BadRequest Code = "bad-request"
	Forbidden  Code = "forbidden"
	NotReady   Code = "not-ready"  // nobody who could answer was ready in time: try again
	OnlyStale  Code = "only-stale" // a copy that is behind could answer, which was not wanted
	TooEarly   Code = "too-early"  // the wait for a token ended before the table had it
	Busy       Code = "busy"       // too many questions at once: try again
	Failed     Code = "failed"     // the log or the store could not be used
)

// Error is how a process says no.
type Error struct {
	Status  int    `json:"-"`
	Code    Code   `json:"code"`
	Message string `json:"error"`
	Hint    string `json:"hint,omitempty"`
	Stale   *Stale `json:"stale,omitempty"` // with NoKey: who says so is behind
}

func (e *Error) Error() string { return e.Message }

// Is makes errors.Is(err, &Error{Code: NoKey}) work: an error is what its code says.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Message == ""
}

// The error that callers ask for most.
var ErrNoKey error = &Error{Code: NoKey}

// UnreachableError says that no process answers, or that who answers cannot be believed.
type UnreachableError struct {
	Address string
	Err     error
}

func (e *UnreachableError) Error() string {
	why := e.wrong()
	switch {
	case errors.Is(e.Err, errCutOff):
		why = errCutOff.Error()
	case why == "":
		why = "nobody answers there"
	}
	return fmt.Sprintf("ask the process at %q: %s", e.Address, why)
}

// wrong says what a person has to mend; empty: it may pass by itself.
func (e *UnreachableError) wrong() string {
	distrusted, ok := errors.AsType[*tls.CertificateVerificationError](e.Err)
	switch {
	case ok:
		return fmt.Sprintf("its certificate is not believed: %s", distrusted.Err)
	case errors.Is(e.Err, errAddress), errors.Is(e.Err, errTokenInTheClear):
		return e.Err.Error()
	case e.Err != nil && strings.HasSuffix(e.Err.Error(), "server gave HTTP response to HTTPS client"): // Go's own words
		return "it does not speak TLS"
	}
	return ""
}

func (e *UnreachableError) Unwrap() error { return e.Err }
