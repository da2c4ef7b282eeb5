package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// service is an HTTP service in this process that answers its name after a while.
type service struct {
	name   string
	delay  time.Duration
	url    string
	server *http.Server

	calls    atomic.Int64
	first    atomic.Int64 // Unix nanoseconds of the first call
	repeated atomic.Int64
	seen     *sync.Map // idempotency keys; nil does not look
}

func startService(ctx context.Context, name string, delay time.Duration, seen *sync.Map) (*service, error) {
	s := &service{name: name, delay: delay, seen: seen}
	url, server, err := serve(ctx, s)
	s.url, s.server = url, server
	return s, err
}

// serve serves a handler on a free port of the loopback address.
func serve(ctx context.Context, h http.Handler) (url string, server *http.Server, err error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("start service: %w", err)
	}
	server = &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(ln) }() // ends when it is closed
	return "http://" + ln.Addr().String(), server, nil
}

func (s *service) close() { _ = s.server.Close() }

// ServeHTTP answers {"version":NAME}.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.calls.Add(1) == 1 {
		s.first.Store(time.Now().UnixNano())
	}
	if s.seen != nil {
		if _, again := s.seen.LoadOrStore(r.Header.Get("Idempotency-Key"), true); again {
			s.repeated.Add(1)
		}
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20))
	if s.delay > 0 {
		time.Sleep(s.delay)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"version":"`+s.name+`"}`)
}
