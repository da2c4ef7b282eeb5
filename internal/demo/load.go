package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Message is an event of the demo.
type Message struct {
	MessageDate time.Time `json:"messageDate"`
	MessageID   string    `json:"messageId"`
	UserID      string    `json:"userId"`
	Value       int       `json:"value"`
}

// Speed is how hard a load is.
type Speed struct {
	Name     string
	Parallel int           // messages on their way at a time
	Pause    time.Duration // between two messages of one sender
	Summary  string
}

// Speeds lists the speeds, slowest first.
func Speeds() []Speed {
	return []Speed{
		{"slow", 1, 2 * time.Second, "one message every two seconds"},
		{"fast", 1, 0, "one at a time: send, wait for the acknowledgement, send the next"},
		{"faster", 10, 0, "ten at a time"},
		{"insane", 100, 0, "a hundred at a time"},
	}
}

// ParseSpeed finds a speed by name.
func ParseSpeed(name string) (Speed, error) {
	var names []string
	for _, s := range Speeds() {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Speed{}, fmt.Errorf("read speed %q: want %s", name, strings.Join(names, ", "))
}

// Load sends messages through Send until Count are sent or ctx is done.
type Load struct {
	Speed Speed
	Count int64 // 0 is no end
	Users int   // ids are u1 to u<Users>
	Send  func(ctx context.Context, key, value []byte) error

	claimed atomic.Int64
	sent    atomic.Int64
}

// Sent is how many messages were acknowledged so far.
func (l *Load) Sent() int64 { return l.sent.Load() }

// Run sends. It returns nil when the count is reached or ctx is done, else the first error of Send.
func (l *Load) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	run := strings.ToLower(rand.Text()[:8]) // ids of two runs never meet
	var senders sync.WaitGroup
	for range l.Speed.Parallel {
		senders.Go(func() {
			if err := l.sender(ctx, run); err != nil {
				cancel(err)
			}
		})
	}
	senders.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

func (l *Load) sender(ctx context.Context, run string) error {
	for ctx.Err() == nil {
		n := l.claimed.Add(1)
		if l.Count > 0 && n > l.Count {
			return nil
		}
		if err := l.send(ctx, run, n); err != nil {
			return err
		}
		if l.Speed.Pause > 0 {
			pause(ctx, l.Speed.Pause)
		}
	}
	return nil
}

// send does not give up a message that is on its way when ctx ends: whether it arrived would stay unknown.
func (l *Load) send(ctx context.Context, run string, n int64) error {
	key := fmt.Sprintf("u%d", 1+mathrand.IntN(l.Users))
	value, err := json.Marshal(Message{
		MessageDate: time.Now().UTC().Truncate(time.Millisecond),
		MessageID:   fmt.Sprintf("%s-%d", run, n),
		UserID:      key,
		Value:       mathrand.IntN(1000),
	})
	if err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := l.Send(last, []byte(key), value); err != nil {
		return err
	}
	l.sent.Add(1)
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
