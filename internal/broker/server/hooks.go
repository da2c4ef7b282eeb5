package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/broker/batch"
)

// Hooks let others look and step in. Each may be nil. They are called from many goroutines and must not keep what they
// are given; a slow one holds up the connection that it is called for.
type Hooks struct {
	// Batch is asked about every batch before it is written, raw as it was sent. An error refuses the batch with
	// INVALID_RECORD and its text. Schemas are checked here.
	Batch func(topic string, partition int32, h batch.Header, raw []byte) error
	// Fault is asked about every request. Experiments make things go wrong here.
	Fault func(Request) Fault
	// Done is told of every request when its answer is ready.
	Done func(Request, time.Duration)
	// Bytes is told of what was produced and fetched.
	Bytes func(client string, produced, fetched int)
	// Decided is told that a transaction has ended for good, when its offsets are shown and before the first of its markers
	// is written: Kafka promises no order between the two, and a test that must meet this moment waits here. It returns
	// when ctx ends, with the server. Without the hook offsets are shown after the markers.
	Decided func(ctx context.Context, id string, commit bool)
}

// A Request is what hooks learn of a request.
type Request struct {
	Kind    string // name of the request, as in Kafka's protocol
	Client  string // client id
	User    string
	Version int16
	Body    kmsg.Request // not to be changed
}

// A Fault is what is to go wrong. The zero value is nothing.
type Fault struct {
	Delay time.Duration // before the request is worked on
	Drop  bool          // close the connection instead of working on it
	// Mute works on the request and closes the connection instead of answering: the client cannot know what happened.
	Mute bool
	// Answer is sent instead of working on the request; nil works on it.
	Answer kmsg.Response
}

// errFault closes a connection because an experiment says so.
var errFault = errors.New("fault injected")

func (r *request) seen() Request {
	return Request{Kind: kmsg.NameForKey(r.key), Client: r.client, User: r.principal.Name(), Version: r.version, Body: r.body}
}

// faulty works on a request, unless something is to go wrong.
func (s *Server) faulty(ctx context.Context, r *request, handle func(*Server, context.Context, *request) (answer, error)) (answer, error) {
	if s.o.Hooks.Fault == nil {
		return handle(s, ctx, r)
	}
	f := s.o.Hooks.Fault(r.seen())
	if f.Delay > 0 && !sleep(ctx, f.Delay) {
		return nil, context.Cause(ctx)
	}
	switch {
	case f.Drop:
		return nil, errFault
	case f.Answer != nil:
		return now(f.Answer), nil
	}
	a, err := handle(s, ctx, r)
	if err == nil && f.Mute {
		r.last = true
		return muted(a), nil
	}
	return a, err
}

// muted waits for an answer and does not send it.
func muted(a answer) answer {
	return func(ctx context.Context) kmsg.Response {
		a(ctx)
		return nil
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// observed tells the hook how long a request took.
func (s *Server) observed(r *request, a answer) answer {
	if s.o.Hooks.Done == nil {
		return a
	}
	start := time.Now()
	return func(ctx context.Context) kmsg.Response {
		response := a(ctx)
		s.o.Hooks.Done(r.seen(), time.Since(start))
		return response
	}
}

// checkBatch asks the hook whether a batch may be written.
func (s *Server) checkBatch(p *partition, h batch.Header, raw []byte) error {
	if s.o.Hooks.Batch == nil {
		return nil
	}
	if err := s.o.Hooks.Batch(p.topic.name, p.index, h, raw); err != nil {
		return &detailed{kerr.InvalidRecord, fmt.Sprintf("topic %q refuses the batch: %v", p.topic.name, err)}
	}
	return nil
}

// counted tells the hook of bytes.
func (s *Server) counted(client string, produced, fetched int) {
	if s.o.Hooks.Bytes != nil {
		s.o.Hooks.Bytes(client, produced, fetched)
	}
}
