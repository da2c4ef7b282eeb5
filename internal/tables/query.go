package tables

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/stream/tables"
)

// form is what is asked.
type form string

// The forms. Those of many entries come in the order that follows.
const (
	formGet      form = "get"      // the entry of a key
	formAsOf     form = "as-of"    // the version of a key at a time
	formRange    form = "range"    // key
	formWindows  form = "windows"  // start, key, seq
	formSessions form = "sessions" // end, start, key
	formVersions form = "versions" // time
)

// query is a question as one process puts it to another.
type query struct {
	Form   form          `json:"form"`
	Key    []byte        `json:"key"`  // null: all keys
	From   []byte        `json:"from"` // of keys, inclusive; null: no bound
	To     []byte        `json:"to"`   // exclusive
	Prefix []byte        `json:"prefix,omitempty"`
	Since  time.Time     `json:"since,omitzero"` // of times, both inclusive; zero: no bound
	Until  time.Time     `json:"until,omitzero"`
	Limit  int           `json:"limit"`
	Behind *tables.Entry `json:"behind,omitempty"` // what comes in order after this entry, whose value does not matter
	After  string        `json:"after,omitempty"`  // a token
	Wait   time.Duration `json:"wait"`
	Stale  bool          `json:"stale,omitempty"` // a copy that is behind will do
}

// one says whether the question is for a single entry.
func (q *query) one() bool { return q.Form == formGet || q.Form == formAsOf }

// fits checks that a table of some kind can be asked this.
func (q *query) fits(table string, kind store.Kind) error {
	able := map[form][]store.Kind{
		formGet: {store.KindKeyValue, store.KindVersioned}, formAsOf: {store.KindVersioned}, formVersions: {store.KindVersioned},
		formRange: {store.KindKeyValue, store.KindVersioned}, formWindows: {store.KindWindow}, formSessions: {store.KindSession},
	}
	if slices.Contains(able[q.Form], kind) {
		return nil
	}
	e := badRequest("ask table %q for %s: it is a %s table", table, q.Form.words(), kind)
	e.Hint = map[store.Kind]string{
		store.KindKeyValue:  "ask for /KEY (`raven table get`), or for a range with ?from=, ?to= or ?prefix= (`raven table range`)",
		store.KindWindow:    "ask for /KEY/windows, or without a key for those of all keys (`raven table windows`)",
		store.KindSession:   "ask for /KEY/sessions, or without a key for those of all keys (`raven table sessions`)",
		store.KindVersioned: "ask for /KEY, with ?asOf= for another time than now (`raven table get --as-of`), or for /KEY/versions (`raven table versions`)",
	}[kind]
	return e
}

func (f form) words() string {
	return map[form]string{
		formGet: "the entry of a key", formAsOf: "a key at a time", formRange: "a range of keys", formWindows: "windows",
		formSessions: "sessions", formVersions: "versions",
	}[f]
}

// manyOf is the form in which all keys of a table are listed.
func manyOf(kind store.Kind) form {
	switch kind {
	case store.KindWindow:
		return formWindows
	case store.KindSession:
		return formSessions
	}
	return formRange
}

// order compares entries the way the form lists them.
func (f form) order(a, b *tables.Entry) int {
	switch f {
	case formWindows:
		return cmp.Or(a.Start.Compare(b.Start), bytes.Compare(a.Key, b.Key), cmp.Compare(a.Seq, b.Seq))
	case formSessions:
		return cmp.Or(a.End.Compare(b.End), a.Start.Compare(b.Start), bytes.Compare(a.Key, b.Key))
	case formVersions:
		return a.Time.Compare(b.Time)
	}
	return bytes.Compare(a.Key, b.Key)
}

// cursorOf names an entry so that a later question can go on behind it.
func cursorOf(e tables.Entry) string {
	e.Value = nil
	raw, err := json.Marshal(e)
	if err != nil {
		return "" // times beyond the year 9999: the list ends there
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// parseCursor reads what cursorOf wrote. A wrong one selects the wrong entries, nothing worse.
func parseCursor(s string) (*tables.Entry, error) {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	e := &tables.Entry{}
	if err == nil {
		err = json.Unmarshal(raw, e)
	}
	if err != nil {
		return nil, badRequest("read cursor: it is not what an answer gave as next")
	}
	return e, nil
}

// span is the times a question is about, as stores take them.
func (q *query) span() (from, to time.Time) {
	from, to = q.Since, q.Until
	if from.IsZero() {
		from = earliest
	}
	if to.IsZero() {
		to = latest
	}
	return from, to
}

// The ends of time for stores, which count milliseconds, with room to add a retention.
var (
	earliest = time.UnixMilli(math.MinInt64 / 4)
	latest   = time.UnixMilli(math.MaxInt64 / 4)
)

func badRequest(format string, args ...any) *tables.Error {
	return &tables.Error{Status: 400, Code: tables.BadRequest, Message: fmt.Sprintf(format, args...)}
}
