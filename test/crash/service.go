package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// service answers each call after a random while. It keeps count of the calls that came with a key it had answered
// before: the price of recovery, allowed and shown.
type service struct {
	server  *http.Server
	addr    string
	slowest time.Duration
	calls   atomic.Int64
	seen    sync.Map // idempotency keys
	again   atomic.Int64
}

func startService(ctx context.Context, slowest time.Duration) (*service, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start service: %w", err)
	}
	s := &service{addr: ln.Addr().String(), slowest: slowest}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.server.Serve(ln) }() // ends with close
	return s, nil
}

func (s *service) close() { _ = s.server.Close() }

// ServeHTTP answers which call it is.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20))
	n := s.calls.Add(1)
	if _, again := s.seen.LoadOrStore(r.Header.Get("Idempotency-Key"), true); again {
		s.again.Add(1)
	}
	time.Sleep(time.Millisecond + rand.N(s.slowest-time.Millisecond+1))
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"call":%d}`, n)
}
