package store

// Reader is a State as queries see it: what is committed. It may be used by any number of goroutines. Its views panic
// when they are written to.
type Reader struct {
	state *State
	views map[string]any
}

// Reader returns a reader of the State, for as long as it is open.
func (s *State) Reader() *Reader {
	r := &Reader{state: s, views: map[string]any{}}
	for _, t := range s.tables {
		r.views[t.spec.Name] = newView(t, &committed{t}, nil)
	}
	return r
}

// KeyValue returns the view of a store. Names and kinds that are not there panic, as for State; so do the other views.
func (r *Reader) KeyValue(name string) KeyValue { return viewOf[KeyValue](r.views, name) }

// Windows is KeyValue for window stores.
func (r *Reader) Windows(name string) Windows { return viewOf[Windows](r.views, name) }

// Sessions is KeyValue for session stores.
func (r *Reader) Sessions(name string) Sessions { return viewOf[Sessions](r.views, name) }

// Versions is KeyValue for versioned stores.
func (r *Reader) Versions(name string) Versions { return viewOf[Versions](r.views, name) }

// Specs lists the stores, by name.
func (r *Reader) Specs() []Spec { return r.state.Specs() }

// Err says why answers can't be trusted: the State has failed, or is closed.
func (r *Reader) Err() error {
	if err := r.state.Err(); err != nil {
		return err
	}
	r.state.mu.RLock()
	defer r.state.mu.RUnlock()
	if r.state.closed {
		return ErrClosed
	}
	return nil
}

// committed is a store as it is committed: the base, under the layer that is on its way into it.
type committed struct{ table *table }

var _ reading = (*committed)(nil)

func (c *committed) get(key []byte) (cell, bool) {
	t := c.table
	t.state.mu.RLock()
	published := t.published
	t.state.mu.RUnlock()
	if it := published.get(key); it != nil {
		return cell{it.value, it.at}, it.mark == present
	}
	value, at, ok, err := t.base.get(key, nil)
	if err != nil {
		t.fail(err)
	}
	return cell{value, at}, ok
}

// cursor takes layer and base under one lock: a base that has moved on under an older layer would show a mixture.
func (c *committed) cursor() cursor {
	t := c.table
	t.state.mu.RLock()
	defer t.state.mu.RUnlock()
	var sources []cursor
	if t.published != nil {
		sources = append(sources, newLayerCursor(t.published, false))
	}
	return withBase(t, sources, nil)
}

func (c *committed) horizon() int64 {
	c.table.state.mu.RLock()
	defer c.table.state.mu.RUnlock()
	return c.table.horizonAt(c.table.state.observedBase)
}

func (c *committed) fail(err error) { c.table.fail(err) }
