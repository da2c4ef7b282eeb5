package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
)

// event is what is sent: the nth record of its key, and a number of its own.
type event struct {
	Key string `json:"key"`
	N   int64  `json:"n"`
	ID  int64  `json:"id"`
}

// load sends events at a rate until ctx is done, with an idempotent producer. It returns how many the broker has
// acknowledged; with an error of a single one the run is void.
func load(ctx context.Context, cfg kafka.Config, o options) (sent int64, err error) {
	client, err := kgo.NewClient(append(cfg.Options(), kgo.MaxBufferedRecords(100_000))...)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	var failed atomic.Pointer[error]
	begin := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		due := int64(time.Since(begin).Seconds() * float64(o.rate))
		for ; sent < due; sent++ {
			client.Produce(context.Background(), eventRecord(sent, o.keys), func(_ *kgo.Record, err error) {
				if err != nil {
					failed.Store(&err)
				}
			})
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	flush, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := client.Flush(flush); err != nil {
		return sent, fmt.Errorf("send load: %w", err)
	}
	if err := failed.Load(); err != nil {
		return sent, fmt.Errorf("send load: %w", *err)
	}
	return sent, nil
}

func eventRecord(id int64, keys int) *kgo.Record {
	e := event{Key: fmt.Sprintf("k%d", id%int64(keys)), N: id / int64(keys), ID: id}
	value, _ := json.Marshal(e) // plain numbers and text
	return &kgo.Record{Topic: topicIn, Key: []byte(e.Key), Value: value}
}

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
