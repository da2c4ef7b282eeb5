package call

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/document"
)

// batcher puts calls together, one open batch per version. It has no goroutine: the record that opens a batch waits,
// makes the call and tells the others.
//
//	open ──full, or the first record has waited──▶ sent ──▶ answered, each record its own
//	                                                   └──▶ refused: each record calls alone
type batcher struct {
	size     int
	wait     time.Duration
	services component.Services

	mu   sync.Mutex
	open map[string]*batch // by version
}

// batch is a list of calls. Its calls are guarded by the batcher's mutex until it is closed to new ones; the results are
// written by the first record before done is closed.
type batch struct {
	calls []component.Call
	bytes int
	full  chan struct{}
	done  chan struct{}

	answer  component.Answer
	answers [][]byte
	err     error
}

// errAlone says that a batch was refused and its records must call alone.
var errAlone = errors.New("batch refused")

func newBatcher(size int, wait time.Duration, services component.Services) *batcher {
	return &batcher{size: size, wait: wait, services: services, open: map[string]*batch{}}
}

// call asks about one record as part of a batch.
func (b *batcher) call(ctx context.Context, c component.Call) (component.Answer, error) {
	for {
		mine, at := b.join(c)
		if at == 0 {
			b.lead(ctx, c.Version, mine)
		}
		select {
		case <-mine.done:
		case <-ctx.Done():
			return component.Answer{}, ctx.Err()
		}
		switch {
		case errors.Is(mine.err, errAlone):
			return b.alone(ctx, c)
		case givenUp(mine.err) && ctx.Err() == nil:
			continue // it was the first record's caller who gave up, not ours
		case mine.err != nil:
			return component.Answer{}, mine.err
		}
		return mine.answerOf(at)
	}
}

// givenUp says whether an error is only that some caller gave up.
func givenUp(err error) bool { return errors.Is(err, context.Canceled) }

// join adds a call to the open batch of its version and returns its place in it.
func (b *batcher) join(c component.Call) (*batch, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	mine := b.open[c.Version]
	if mine == nil {
		mine = &batch{full: make(chan struct{}), done: make(chan struct{})}
		b.open[c.Version] = mine
	}
	at := len(mine.calls)
	mine.calls = append(mine.calls, c)
	if mine.bytes += len(c.Body); len(mine.calls) == b.size || mine.bytes >= maxBatchBytes {
		delete(b.open, c.Version)
		close(mine.full)
	}
	return mine, at
}

// lead waits until the batch is full or its time is up, and sends it.
func (b *batcher) lead(ctx context.Context, version string, mine *batch) {
	timer := time.NewTimer(b.wait)
	defer timer.Stop()
	select {
	case <-mine.full:
	case <-timer.C:
	case <-ctx.Done():
	}
	b.mu.Lock()
	if b.open[version] == mine {
		delete(b.open, version)
	}
	b.mu.Unlock()
	defer close(mine.done)
	mine.answer, mine.err = b.services.Call(ctx, together(mine.calls))
	if mine.err == nil && !mine.answer.Degraded {
		mine.answers, mine.err = split(mine.answer.Body, len(mine.calls))
	}
	if mine.err != nil && component.ClassOf(mine.err) == component.Never {
		mine.err = fmt.Errorf("%w: %w", errAlone, mine.err)
	}
}

// together makes one call of several. The first record decides for all: they were put together because the route sends
// them all to one version, which is set.
func together(calls []component.Call) component.Call {
	c := calls[0]
	c.Headers = nil
	c.Body = []byte{'['}
	sum := sha256.New()
	for i := range calls {
		if i > 0 {
			c.Body = append(c.Body, ',')
		}
		c.Body = append(c.Body, calls[i].Body...)
		sum.Write([]byte(calls[i].IdempotencyKey + "\n"))
	}
	c.Body = append(c.Body, ']')
	c.IdempotencyKey = "batch/" + hex.EncodeToString(sum.Sum(nil)[:16])
	return c
}

// split takes a batch's answer apart.
func split(answer []byte, want int) ([][]byte, error) {
	if kind := document.KindOf(answer); kind != document.KindList {
		return nil, component.Permanent(fmt.Errorf("read answer to a batch: want a list, have %s", kind))
	}
	parts := make([][]byte, 0, want)
	for part := range document.Elements(answer) {
		if parts = append(parts, part); len(parts) > want {
			break
		}
	}
	if len(parts) != want {
		return nil, component.Permanent(fmt.Errorf("read answer to a batch of %d: it has another number of elements", want))
	}
	return parts, nil
}

// answerOf is one record's part of the answer. A fallback answers each record by itself.
func (m *batch) answerOf(at int) (component.Answer, error) {
	answer := m.answer
	if answer.Degraded {
		return answer, nil
	}
	answer.Body = m.answers[at]
	if text, failed := elementError(answer.Body); failed {
		return component.Answer{}, component.Permanent(fmt.Errorf("call service %q version %q: the answer to this record of a batch is an error: %q", m.calls[at].Service, answer.Version, text))
	}
	return answer, nil
}

// elementError reads an element that is {"error": …} and nothing else.
func elementError(element []byte) (text string, failed bool) {
	if !bytes.HasPrefix(bytes.TrimSpace(element), []byte("{")) {
		return "", false
	}
	var o document.Object
	if o.Read(element) != nil || o.Len() != 1 {
		return "", false
	}
	raw, ok := o.Get("error")
	if !ok {
		return "", false
	}
	if document.KindOf(raw) == document.KindString {
		text, _ = document.Text(raw)
	} else {
		text = string(raw)
	}
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return text, true
}

// alone asks about one record in a batch of its own, so that a refusal hits the record that earned it.
func (b *batcher) alone(ctx context.Context, c component.Call) (component.Answer, error) {
	one := &batch{calls: []component.Call{c}}
	single := together(one.calls)
	single.IdempotencyKey = c.IdempotencyKey
	var err error
	if one.answer, err = b.services.Call(ctx, single); err != nil {
		return component.Answer{}, err
	}
	if !one.answer.Degraded {
		if one.answers, err = split(one.answer.Body, 1); err != nil {
			return component.Answer{}, err
		}
	}
	return one.answerOf(0)
}
