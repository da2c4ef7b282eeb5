package tables

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/stream/tables"
)

const (
	aliveEvery    = 10 * time.Second // a line without a change, so that both ends see a broken connection
	changeTimeout = 20 * time.Second // for a client to take a line
)

// watch is one client that is told the changes of a table.
//
// They are read from the table's changelog, read_committed, by whichever process was asked: no other process has a part
// in it, so it goes on while tasks move. What it tells may be a moment ahead of the stores.
type watch struct {
	service *Service
	target  *target
	coding  tables.Coding
	key     []byte // nil: all keys with the prefix
	prefix  []byte
	current bool
	source  bool // the changelog is a topic of records, not of a store's changes

	topic string

	mu   sync.Mutex          // held while a line is written, once two want to
	next map[int32]int64     // GUARDED_BY(mu); by partition of the changelog: everything before was told
	out  http.ResponseWriter // GUARDED_BY(mu)
	ctrl *http.ResponseController
}

// serveWatch tells changes until the client goes, or this process stops.
func (s *Service) serveWatch(w http.ResponseWriter, r *http.Request, t *target, p *params) error {
	watch, err := s.readWatch(w, r, t, p)
	if err != nil {
		return err
	}
	if err := s.watches.enter(); err != nil {
		return err
	}
	defer s.watches.leave()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() { // ends with the request
		select {
		case <-s.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	resume := p.values.Get("resume")
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		resume = id
	}
	if err := watch.begin(ctx, resume); err != nil {
		return err
	}
	if err := watch.run(ctx); err != nil && ctx.Err() == nil {
		s.logger.Info("a watch of a table ended", "topology", t.plan.Name, "table", t.table.Name, "err", err)
	}
	return nil
}

func (s *Service) readWatch(w http.ResponseWriter, r *http.Request, t *target, p *params) (*watch, error) {
	watch := &watch{service: s, target: t, topic: t.changelog(), out: w, ctrl: http.NewResponseController(w), source: t.global()}
	if r.PathValue("key") != "" {
		watch.key = p.bytes("key", p.path)
	} else {
		watch.prefix = p.prefix()
	}
	watch.coding, watch.current = p.coding, p.flag("current")
	p.get("resume")
	if err := p.end(); err != nil {
		return nil, err
	}
	if watch.topic == "" {
		return nil, badRequest("watch table %q of topology %q: it has no changelog", t.table.Name, t.plan.Name)
	}
	if !t.global() {
		for _, st := range t.plan.Stages[t.table.Stage].Stores {
			watch.source = watch.source || st.Name == t.table.Store.Name && st.Source
		}
	}
	return watch, nil
}

// begin finds where to read from: behind what the client has seen, or from now on.
func (w *watch) begin(ctx context.Context, resume string) error {
	stable, err := w.service.log.Stable(ctx, w.topic)
	if err != nil {
		return &tables.Error{Status: http.StatusBadGateway, Code: tables.Failed, Message: fmt.Sprintf("watch table %q of topology %q: %s", w.target.table.Name, w.target.plan.Name, err)}
	}
	w.next = map[int32]int64{}
	for _, p := range partitionsOf(stable) {
		if w.key == nil || w.target.global() || partitionOf(w.key, len(stable)) == p {
			w.next[p] = stable[p]
		}
	}
	seen, err := tables.ParseToken(resume)
	if err != nil {
		return badRequest("watch table %q of topology %q: read resume: %s", w.target.table.Name, w.target.plan.Name, err)
	}
	for _, c := range seen.Places() {
		if c.Topic != w.topic {
			return badRequest("watch table %q of topology %q: read resume: %s is not of its changelog", w.target.table.Name, w.target.plan.Name, clip(c.String()))
		}
		if _, mine := w.next[c.Partition]; mine {
			w.next[c.Partition] = c.Offset
			w.current = false // it was told before
		}
	}
	return nil
}

// run tells what is there, if that is wanted, then what changes. Where to follow was fixed before, so nothing is missed;
// a change in between may be told twice.
func (w *watch) run(ctx context.Context) error {
	_ = w.ctrl.SetReadDeadline(time.Time{})
	h := w.out.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	w.out.WriteHeader(http.StatusOK)
	if err := w.line(": watching %s\n\n", w.target.table.Name); err != nil {
		return err
	}
	if w.current {
		if err := w.tellCurrent(ctx); err != nil {
			return err
		}
	}
	if err := w.place(); err != nil { // a client that loses us before there is a change knows where to go on
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var alive sync.WaitGroup
	defer alive.Wait()
	from := maps.Clone(w.next)
	alive.Go(func() { cancel(w.keepAlive(ctx)) })
	err := w.service.log.Follow(ctx, w.topic, from, w.tell)
	cancel(err)
	return errors.Join(err, context.Cause(ctx))
}

func (w *watch) keepAlive(ctx context.Context) error {
	t := time.NewTicker(aliveEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			w.mu.Lock()
			err := w.place()
			w.mu.Unlock()
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// tellCurrent tells what the table holds, page by page.
func (w *watch) tellCurrent(ctx context.Context) error {
	q := &query{Form: manyOf(w.target.table.Store.Kind), Prefix: w.prefix, Limit: tables.LimitMax, Wait: tables.WaitDefault, Stale: true}
	if w.key != nil {
		q.Key = w.key
		if q.Form == formRange {
			q.Form = formGet
		}
	}
	for {
		a, err := w.service.ask(ctx, w.target, q)
		if err != nil {
			return err
		}
		for _, e := range a.entries {
			if err := w.event(e, "", true); err != nil {
				return err
			}
		}
		if !a.more || q.one() || len(a.entries) == 0 {
			return nil
		}
		q.Behind = &a.entries[len(a.entries)-1]
	}
}

// tell tells one record of the changelog, if it is about what is watched.
func (w *watch) tell(r *kgo.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next[r.Partition] = r.Offset + 1
	e, ok := w.read(r)
	if !ok || w.key != nil && !bytes.Equal(e.Key, w.key) || !bytes.HasPrefix(e.Key, w.prefix) {
		return nil
	}
	return w.event(e, w.id(), false)
}

// read says what a record means. One that means nothing is left out: in a user's topic there may be anything.
func (w *watch) read(r *kgo.Record) (tables.Entry, bool) {
	if r.Key == nil {
		return tables.Entry{}, false
	}
	if w.source {
		return tables.Entry{Key: r.Key, Value: r.Value, Time: shownTime(kafka.EventTime(r))}, true
	}
	m, ok, err := w.target.table.Store.ReadChange(store.Change{Key: r.Key, Value: r.Value, Time: kafka.EventTime(r)})
	if err != nil {
		w.service.logger.Warn("a record of a changelog cannot be read", "topic", r.Topic, "partition", r.Partition, "offset", r.Offset, "err", err)
		return tables.Entry{}, false
	}
	return tables.Entry{Key: m.Key, Value: m.Value, Time: shownTime(m.Time), Start: shownTime(m.Start), End: shownTime(m.End), Seq: m.Seq}, ok
}

// id says where to go on: the next offset of each partition.
func (w *watch) id() string {
	places := make([]string, 0, len(w.next))
	for _, p := range partitionsOf(w.next) {
		places = append(places, tables.Coordinate{Topic: w.topic, Partition: p, Offset: w.next[p]}.String())
	}
	return strings.Join(places, ",")
}

func (w *watch) event(e tables.Entry, id string, current bool) error {
	var b bytes.Buffer
	if id != "" {
		b.WriteString("id: " + id + "\n")
	}
	b.WriteString("data: ")
	enc := json.NewEncoder(&b) // it writes one line, whatever is in the value
	enc.SetEscapeHTML(false)
	if err := enc.Encode(tables.ShownChange{Shown: w.coding.Show(w.target.shown(e)), Current: current}); err != nil {
		return fmt.Errorf("write a change: %w", err)
	}
	return w.line("%s\n", b.Bytes())
}

// place says where to go on, and that somebody is there. It is no event.
func (w *watch) place() error { return w.line("id: %s\n\n", w.id()) }

func (w *watch) line(format string, args ...any) error {
	_ = w.ctrl.SetWriteDeadline(time.Now().Add(changeTimeout)) // a recorder in a test has none
	if _, err := fmt.Fprintf(w.out, format, args...); err != nil {
		return err
	}
	return w.ctrl.Flush()
}
