package tables

import (
	"bytes"
	"context"
	"time"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/stream/tables"
)

// reading is one question put to one view.
type reading struct {
	*query
	spec store.Spec
	out  *collector
	ctx  context.Context // of the question: a scan ends with it
	seen int
}

// read puts the entries of a view that a question is about into the collector.
func (r *reading) read(stores Stores) error {
	switch r.spec.Kind {
	case store.KindKeyValue:
		r.keyValue(stores.KeyValue(r.spec.Name))
	case store.KindVersioned:
		r.versions(stores.Versions(r.spec.Name))
	case store.KindWindow:
		r.windows(stores.Windows(r.spec.Name))
	case store.KindSession:
		r.sessions(stores.Sessions(r.spec.Name))
	}
	if err := r.ctx.Err(); err != nil {
		return err
	}
	return stores.Err()
}

func (r *reading) keyValue(kv store.KeyValue) {
	if r.Form == formGet {
		if e, ok := kv.Get(r.Key); ok {
			r.one(e)
		}
		return
	}
	from, to := r.keys()
	for key, e := range kv.Range(from, to) {
		if !r.add(tables.Entry{Key: key, Value: e.Value, Time: e.Time}) {
			return
		}
	}
}

func (r *reading) one(e store.Entry) {
	r.out.add(tables.Entry{Key: r.Key, Value: e.Value, Time: e.Time})
}

func (r *reading) versions(v store.Versions) {
	switch r.Form {
	case formGet:
		if e, ok := v.Latest(r.Key); ok {
			r.one(e)
		}
	case formAsOf:
		if e, ok := v.AsOf(r.Key, r.Since); ok {
			r.one(e)
		}
	case formVersions:
		from, to := r.span()
		for e := range v.History(r.Key, from, to) {
			if !r.add(tables.Entry{Key: r.Key, Value: e.Value, Time: e.Time}) {
				return
			}
		}
	case formRange:
		from, to := r.keys()
		for key, e := range v.Range(from, to) {
			if !r.add(tables.Entry{Key: key, Value: e.Value, Time: e.Time}) {
				return
			}
		}
	}
}

func (r *reading) windows(w store.Windows) {
	from, to := r.span()
	if r.Behind != nil && r.Behind.Start.After(from) {
		from = r.Behind.Start
	}
	if r.Key != nil {
		for k, e := range w.Fetch(r.Key, from, to) {
			if !r.add(r.window(k, e)) {
				return
			}
		}
		return
	}
	for k, e := range w.All(from, to) { // in the store's own order, so that all have to be looked at
		if bytes.HasPrefix(k.Key, r.Prefix) && !r.add(r.window(k, e)) && r.ctx.Err() != nil {
			return
		}
	}
}

func (r *reading) window(k store.WindowKey, e store.Entry) tables.Entry {
	entry := tables.Entry{Key: k.Key, Value: e.Value, Time: e.Time, Start: k.Start, Seq: k.Seq}
	if r.spec.Window > 0 {
		entry.End = k.Start.Add(r.spec.Window)
	}
	return entry
}

func (r *reading) sessions(s store.Sessions) {
	from, to := r.span()
	if r.Behind != nil && r.Behind.End.After(from) {
		from = r.Behind.End
	}
	if r.Key != nil {
		for k, e := range s.Overlapping(r.Key, from, to) {
			if !r.add(session(k, e)) && r.ctx.Err() != nil { // by end only, not by end and start
				return
			}
		}
		return
	}
	for k, e := range s.All(from, to) {
		if bytes.HasPrefix(k.Key, r.Prefix) && !r.add(session(k, e)) && r.ctx.Err() != nil {
			return
		}
	}
}

func session(k store.SessionKey, e store.Entry) tables.Entry {
	return tables.Entry{Key: k.Key, Value: e.Value, Time: e.Time, Start: k.Start, End: k.End}
}

// checkEvery is how many entries are looked at between two looks at whether anybody still waits.
const checkEvery = 1024

// add offers an entry unless it was on an earlier page. It returns false when what follows in order need not be looked
// at, or nobody waits any more.
func (r *reading) add(e tables.Entry) bool {
	if r.seen++; r.seen%checkEvery == 0 && r.ctx.Err() != nil {
		return false
	}
	e.Time, e.Start, e.End = shownTime(e.Time), shownTime(e.Start), shownTime(e.End)
	if r.Behind != nil && r.Form.order(&e, r.Behind) <= 0 {
		return true
	}
	return r.out.add(e)
}

// shownTime keeps a time within what can be written: a record may claim any.
func shownTime(t time.Time) time.Time {
	switch t = t.UTC(); {
	case t.IsZero():
		return time.Time{}
	case t.Year() < 1:
		return firstShown
	case t.Year() > 9999:
		return lastShown
	}
	return t
}

// The ends of what RFC 3339 can write.
var (
	firstShown = time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)
	lastShown  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// keys is the range of keys that is left to read.
func (r *reading) keys() (from, to []byte) {
	from, to = r.From, r.To
	if r.Prefix != nil {
		from, to = within(from, to, r.Prefix)
	}
	if r.Behind != nil {
		if next := append(bytes.Clone(r.Behind.Key), 0); bytes.Compare(next, from) > 0 {
			from = next
		}
	}
	if to != nil && bytes.Compare(from, to) >= 0 {
		return to, to // empty
	}
	return from, to
}

// within narrows a range to the keys that begin with a prefix.
func within(from, to, prefix []byte) (lower, upper []byte) {
	if bytes.Compare(prefix, from) > 0 {
		from = prefix
	}
	if end := behindPrefix(prefix); end != nil && (to == nil || bytes.Compare(end, to) < 0) {
		to = end
	}
	return from, to
}

// behindPrefix is the first key behind all that begin with a prefix; nil if there is none.
func behindPrefix(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			next := bytes.Clone(prefix[:i+1])
			next[i]++
			return next
		}
	}
	return nil
}
