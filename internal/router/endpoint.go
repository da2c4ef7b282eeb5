package router

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How endpoints are left out. An endpoint that failed ejectAfter calls in a row gets none for ejectBase, doubled with
// each time it comes back and fails again, at most ejectMost.
const (
	ejectAfter = 5
	ejectBase  = 2 * time.Second
	ejectMost  = time.Minute
)

// endpoint is one address of a version.
type endpoint struct {
	base     *url.URL
	call     *url.URL // base with the service's path
	address  string   // as it was given
	shown    string   // without a password
	user     *url.Userinfo
	failures atomic.Int32 // in a row
	until    atomic.Int64 // Unix nanoseconds until which it is left out; 0 if it never was
	times    atomic.Int32 // how often it was left out since it last worked
}

func newEndpoint(address, path string) (*endpoint, error) {
	base, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("read address: %w", err) // url.Error names the address
	}
	if (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, fmt.Errorf("read address %q: want http://host:port or https://host:port", base.Redacted())
	}
	e := &endpoint{address: address, base: base, shown: base.Redacted(), user: base.User}
	at, query, _ := strings.Cut(path, "?")
	e.call = e.at(at, query)
	return e, nil
}

// at is the endpoint's address with a path below it.
func (e *endpoint) at(path, query string) *url.URL {
	u := *e.base
	u.User = nil
	u.RawQuery = query
	if path != "" && path != "/" {
		return withPath(&u, strings.TrimRight(u.EscapedPath(), "/")+"/"+strings.TrimLeft(path, "/"))
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return &u
}

// withPath sets an escaped path so that it is sent as it is written.
func withPath(u *url.URL, escaped string) *url.URL {
	plain, err := url.PathUnescape(escaped)
	if err != nil {
		plain = escaped
	}
	u.Path, u.RawPath = plain, escaped
	return u
}

func (e *endpoint) ejected(now time.Time) bool { return e.until.Load() > now.UnixNano() }

func (e *endpoint) worked() {
	if e.failures.Load() != 0 {
		e.failures.Store(0)
	}
	if e.times.Load() != 0 {
		e.times.Store(0)
	}
}

// endpoints is where a version runs. The list is replaced as a whole; calls in flight keep theirs.
type endpoints struct {
	list atomic.Pointer[[]*endpoint]
	next atomic.Uint32

	mu    sync.Mutex
	there chan struct{} // closed when a version without endpoints gets one
}

func newEndpoints() *endpoints {
	e := &endpoints{there: make(chan struct{})}
	e.list.Store(&[]*endpoint{})
	return e
}

func (e *endpoints) set(list []*endpoint) {
	e.mu.Lock()
	defer e.mu.Unlock()
	had := len(*e.list.Load()) > 0
	e.list.Store(&list)
	switch {
	case !had && len(list) > 0:
		close(e.there)
	case had && len(list) == 0:
		e.there = make(chan struct{})
	}
}

// at finds the endpoint of an address; nil if there is none.
func (e *endpoints) at(address string) *endpoint {
	for _, c := range *e.list.Load() {
		if c.address == address {
			return c
		}
	}
	return nil
}

// wait returns the endpoints, waiting a moment for the first one: a local process that is being restarted is back soon.
func (e *endpoints) wait(ctx context.Context, most time.Duration) []*endpoint {
	if list := *e.list.Load(); len(list) > 0 {
		return list
	}
	e.mu.Lock()
	there := e.there
	e.mu.Unlock()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-there:
	case <-timer.C:
	case <-ctx.Done():
	}
	return *e.list.Load()
}

// pick goes round among the endpoints that are not left out. If all are (which eject prevents for one list, but lists
// change), it goes round among all.
func (e *endpoints) pick(list []*endpoint, now time.Time, tried map[*endpoint]bool) *endpoint {
	if len(list) == 1 {
		return list[0]
	}
	start := int(e.next.Add(1) % uint32(len(list)))
	var spare *endpoint
	for i := range list {
		c := list[(start+i)%len(list)]
		if tried[c] {
			continue
		}
		if !c.ejected(now) {
			return c
		}
		spare = c
	}
	return spare
}

// failed counts a failure and leaves the endpoint out after enough of them, unless it is the last one left.
func (e *endpoints) failed(list []*endpoint, bad *endpoint, now time.Time) {
	if bad.failures.Add(1) < ejectAfter || len(list) == 1 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if bad.ejected(now) || !othersLeft(list, bad, now) {
		return
	}
	pause := min(ejectBase<<min(bad.times.Load(), 10), ejectMost)
	bad.times.Add(1)
	bad.failures.Store(ejectAfter - 1) // back on trial: the next failure leaves it out again, for longer
	bad.until.Store(now.Add(pause).UnixNano())
}

func othersLeft(list []*endpoint, but *endpoint, now time.Time) bool {
	for _, c := range list {
		if c != but && !c.ejected(now) {
			return true
		}
	}
	return false
}

// request makes the HTTP request for this endpoint.
func (e *endpoint) request(ctx context.Context, r *request) *http.Request {
	u := e.call
	if r.path != "" || r.query != "" {
		u = e.at(r.path, r.query)
	}
	req := &http.Request{
		Method: r.method, URL: u, Host: u.Host, Header: r.header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		ContentLength: int64(len(r.body)), Body: http.NoBody,
	}
	if len(r.body) > 0 {
		req.GetBody = bodyOf(r.body) // lets net/http send again what a connection gone stale never took
		req.Body, _ = req.GetBody()
	}
	req = req.WithContext(ctx)
	if e.user != nil && r.header.Get("Authorization") == "" {
		req.Header = req.Header.Clone() // the next endpoint must not inherit it
		password, _ := e.user.Password()
		req.SetBasicAuth(e.user.Username(), password)
	}
	return req
}
