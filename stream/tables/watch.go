package tables

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Watch selects what is watched: one key, the keys of a prefix, or all.
type Watch struct {
	Key     []byte // nil: not one key only
	Prefix  []byte
	Current bool   // begin with the entries that are there
	After   string // Change.ID of the last one seen: go on behind it
}

// Change is an entry that was written, or deleted if it has no value.
type Change struct {
	Entry
	ID      string // where to go on with Watch.After
	Current bool   // it was there when the watch began
}

// The bounds of a watch on a connection that breaks.
const (
	watchPauseFirst = 100 * time.Millisecond
	watchPauseMax   = 2 * time.Second
	watchPatience   = 30 * time.Second
	watchLineMax    = answerMax
)

// Watch runs over the changes of a table from now on, in order for each key, until ctx is done, which is no error. If
// the process that tells them goes away it goes on with the next one that answers, for half a minute. Then, and before,
// a change may be told twice; none is left out, except that of several changes of a key compaction may leave the last.
func (h *Handle) Watch(ctx context.Context, w Watch) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		r := &watching{handle: h, watch: w, yield: yield}
		for lost := time.Now(); ; {
			before := r.seen
			err := r.once(ctx)
			switch {
			case r.stopped, ctx.Err() != nil:
				return
			case r.seen > before:
				lost = time.Now()
			}
			if isFinal(err) || time.Since(lost) > watchPatience {
				yield(Change{}, err)
				return
			}
			if !r.pause(ctx, r.seen > before) {
				return
			}
		}
	}
}

// watching is one run of Watch over as many connections as it takes.
type watching struct {
	handle  *Handle
	watch   Watch
	yield   func(Change, error) bool
	seen    int // lines, those that only say that somebody is there included
	stopped bool
	wait    time.Duration
}

// isFinal says whether asking again would not help.
func isFinal(err error) bool {
	if unreachable, ok := errors.AsType[*UnreachableError](err); ok && unreachable.wrong() != "" {
		return true
	}
	refused, ok := errors.AsType[*Error](err)
	return ok && refused.Code != NotReady && refused.Code != Busy && refused.Code != Failed
}

func (r *watching) pause(ctx context.Context, again bool) bool {
	r.wait = min(max(2*r.wait, watchPauseFirst), watchPauseMax)
	if again {
		r.wait = watchPauseFirst
	}
	t := time.NewTimer(r.wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// once follows one connection to its end.
func (r *watching) once(ctx context.Context) error {
	response, err := r.handle.client.open(ctx, r.path(), r.values())
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(make([]byte, 64<<10), watchLineMax)
	var id string
	for lines.Scan() && !r.stopped {
		r.seen++
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "id":
			id = value
		case "": // the end of an event, or of one that only says where to go on
			if id != "" {
				r.watch.After, r.watch.Current = id, false
			}
		case "data":
			if err := r.change(id, value); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read changes: %w", err)
	}
	return fmt.Errorf("read changes: %w", io.ErrUnexpectedEOF)
}

func (r *watching) change(id, data string) error {
	var shown ShownChange
	if err := json.Unmarshal([]byte(data), &shown); err != nil {
		return ours(err)
	}
	e, err := plain.Read(shown.Shown)
	if err != nil {
		return ours(err)
	}
	r.stopped = !r.yield(Change{Entry: e, ID: id, Current: shown.Current}, nil)
	return nil
}

// ShownChange is a Change in JSON.
type ShownChange struct {
	Shown
	Current bool `json:"current,omitempty"`
}

func (r *watching) path() string {
	if r.watch.Key != nil {
		return r.handle.keyPath(r.watch.Key)
	}
	return r.handle.path
}

func (r *watching) values() url.Values {
	v := Ask{}.values()
	v.Set("watch", "true")
	setKey(v, "prefix", r.watch.Prefix)
	if r.watch.Current {
		v.Set("current", "true")
	}
	if r.watch.After != "" {
		v.Set("resume", r.watch.After)
	}
	return v
}

// open asks for an answer that does not end.
func (c *Client) open(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	if err := checkLength(path, query); err != nil {
		return nil, err
	}
	last := errNoAddress
	for _, address := range c.addresses {
		response, err := c.do(ctx, address, http.MethodGet, path, query, nil)
		if err == nil && response.StatusCode == http.StatusOK {
			return response, nil
		}
		if err == nil {
			err = c.read(response, address, nil)
		}
		if last = err; !goesOn(err, http.MethodGet) {
			break
		}
	}
	return nil, last
}
