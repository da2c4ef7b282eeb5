// Package router picks the version of a service that answers a call, and makes the call.
//
// The decision is a pure function over a compiled table (decide.go, table.go): the same request always gets the same
// answer, nothing is allocated, nothing is locked. Everything else is the shell around it: one core (exchange.go) with
// limit, breaker, retry budget, endpoints and numbers, and two faces on that core: component.Services for bolts in this
// process (call.go) and an HTTP proxy for programs in any language (proxy.go). Both faces decide identically; one list
// of cases in testdata/conformance runs against both.
//
// A Router is safe for concurrent use. Routes and endpoints may change at any moment: a call decides once, on the table
// of that moment, and finishes where it went.
//
// Do not assume that a call is made only once: the engine retries, and a connection that was never made is tried on
// another endpoint of the version. Services that must not repeat work use the Idempotency-Key.
package router
