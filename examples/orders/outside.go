package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"ravenswood.dev/stream"
)

// counter is somebody outside, over HTTP: a payment provider, a post office. It does a thing once for each idempotency key,
// and gives whoever asks again the answer of the first time. It outlives the services, as the world does.
type counter struct {
	what   string               // the first part of its numbers
	refuse func(a asked) string // says why a thing is not done; nil: everything is
	// delay is called before an answer goes out, with how often the key was asked for; nil: nothing is. Ctx is done
	// when whoever asked is gone.
	delay func(ctx context.Context, key string, times int)

	mu      sync.Mutex
	answers map[string]answered // GUARDED_BY(mu); by key
	times   map[string]int      // GUARDED_BY(mu); how often a key was asked for
	done    map[string]int      // GUARDED_BY(mu); how often the thing was really done
}

// asked is what the counter is sent, answered what it says.
type asked struct {
	Customer string `json:"customer"`
	Cents    int64  `json:"cents,omitempty"`
	Text     string `json:"text,omitempty"`
}

type answered struct {
	Number  string `json:"number,omitempty"`
	Refused string `json:"refused,omitempty"`
}

func newCounter(what string) *counter {
	return &counter{what: what, answers: map[string]answered{}, times: map[string]int{}, done: map[string]int{}}
}

// ServeHTTP implements http.Handler.
func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var a asked
	key := r.Header.Get("Idempotency-Key")
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&a); err != nil || key == "" {
		http.Error(w, "want JSON and the header Idempotency-Key", http.StatusBadRequest)
		return
	}
	answer, n := c.answer(key, a)
	if c.delay != nil {
		c.delay(r.Context(), key, n)
	}
	_ = json.NewEncoder(w).Encode(answer) // who asked is gone: they ask again
}

// answer does the thing, unless it was done for the key before.
func (c *counter) answer(key string, a asked) (answered, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times[key]++
	known, ok := c.answers[key]
	if ok {
		return known, c.times[key]
	}
	if c.refuse != nil {
		known.Refused = c.refuse(a)
	}
	if known.Refused == "" {
		c.done[key]++
		known.Number = fmt.Sprintf("%s-%d", c.what, len(c.done))
	}
	c.answers[key] = known
	return known, c.times[key]
}

// seen is how often each key was asked for, and how often its thing was done.
func (c *counter) seen() (times, done map[string]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.times), maps.Clone(c.done)
}

// serve makes the counter answer on a port of this machine until stop is called.
func (c *counter) serve(ctx context.Context) (url string, stop func(), err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: c, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l) // ends with Close
	}()
	return "http://" + l.Addr().String(), func() { _ = server.Close(); <-ended }, nil
}

// remote asks a counter.
type remote struct{ url string }

var (
	_ charger = remote{}
	_ sender  = remote{}
)

// declinedError says that the provider does not charge.
type declinedError struct{ reason string }

func (e *declinedError) Error() string { return "charge: declined: " + e.reason }

func (r remote) charge(ctx context.Context, key, customer string, cents int64) (string, error) {
	return r.ask(ctx, key, asked{Customer: customer, Cents: cents})
}

func (r remote) send(ctx context.Context, key, to, text string) (string, error) {
	return r.ask(ctx, key, asked{Customer: to, Text: text})
}

// ask makes one attempt. That nobody answers is an outage: no order is to blame for it.
func (r remote) ask(ctx context.Context, key string, a asked) (string, error) {
	body, err := json.Marshal(a)
	if err != nil {
		return "", stream.Permanent(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		return "", stream.Permanent(err)
	}
	request.Header.Set("Idempotency-Key", key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", stream.Outage(err)
	}
	defer response.Body.Close()
	return read(response)
}

func read(response *http.Response) (string, error) {
	raw, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return "", stream.Outage(err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("ask %s: %s", response.Request.URL, response.Status)
	}
	var said answered
	if err := json.Unmarshal(raw, &said); err != nil {
		return "", fmt.Errorf("ask %s: %w", response.Request.URL, err)
	}
	if said.Refused != "" {
		return "", &declinedError{said.Refused}
	}
	if said.Number == "" {
		return "", errors.New("read answer: it has no number")
	}
	return said.Number, nil
}
