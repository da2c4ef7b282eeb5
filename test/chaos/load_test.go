package chaos_test

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

const (
	loadRate = 400 // records a second
	loadKeys = 60
)

// load sends events from outside with an idempotent producer until it is stopped.
type load struct {
	client *kgo.Client
	topic  string
	sent   atomic.Int64
	failed atomic.Pointer[error]
	cancel context.CancelFunc
	group  sync.WaitGroup
}

func startLoad(cfg kafka.Config, topic string) (*load, error) {
	client, err := kgo.NewClient(append(cfg.Options(), kgo.MaxBufferedRecords(100_000))...)
	if err != nil {
		return nil, fmt.Errorf("start load: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{client: client, topic: topic, cancel: cancel}
	l.group.Go(func() { l.run(ctx) })
	return l, nil
}

func (l *load) run(ctx context.Context) {
	begin := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		for due := int64(time.Since(begin).Seconds() * loadRate); l.sent.Load() < due; l.sent.Add(1) {
			l.client.Produce(context.Background(), eventRecord(l.topic, l.sent.Load()), l.promise)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func (l *load) promise(_ *kgo.Record, err error) {
	if err != nil {
		l.failed.CompareAndSwap(nil, &err)
	}
}

// stop returns how many events the brokers have acknowledged. If one was not, the story says nothing.
func (l *load) stop(ctx context.Context) (int64, error) {
	l.cancel()
	l.group.Wait()
	defer l.client.Close()
	if err := l.client.Flush(ctx); err != nil {
		return 0, fmt.Errorf("send load: %w", err)
	}
	if err := l.failed.Load(); err != nil {
		return 0, fmt.Errorf("send load: %w", *err)
	}
	return l.sent.Load(), nil
}

func eventRecord(topic string, id int64) *kgo.Record {
	e := event{Key: fmt.Sprintf("k%d", id%loadKeys), N: id / loadKeys, ID: id}
	value, _ := json.Marshal(e) // plain numbers and text
	return &kgo.Record{Topic: topic, Key: []byte(e.Key), Value: value}
}

// service answers each call after a few milliseconds. It keeps count of the calls that came with a key it had answered
// before: the price of recovery, allowed and shown.
type service struct {
	server *http.Server
	addr   string
	seen   sync.Map // idempotency keys
	again  atomic.Int64
}

func startService() (*service, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start service: %w", err)
	}
	s := &service{addr: ln.Addr().String()}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.server.Serve(ln) }() // ends with close
	return s, nil
}

// ServeHTTP says which service was called.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20))
	if _, again := s.seen.LoadOrStore(r.URL.Path+" "+r.Header.Get("Idempotency-Key"), true); again {
		s.again.Add(1)
	}
	time.Sleep(time.Millisecond + rand.N(15*time.Millisecond)) // sleep: a service takes its time; that is its job here
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"path":%q}`, r.URL.Path)
}
