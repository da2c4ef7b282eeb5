// Package tables asks the tables of running topologies, from any Go program: one key, ranges, windows, sessions,
// versions, changes from now on; and it writes records whose token a later question can wait for.
//
//	client := tables.NewClient(tables.Options{}, "127.0.0.1:19090")
//	users := tables.Of(client.Table("shop", "users"), stream.String(), stream.JSON[User]())
//	user, err := users.Get(ctx, "u-17", tables.Ask{})
//
// Any process of a topology answers for all of them: at its admin API on its own machine, and from elsewhere at its tables
// listener, if it has one, with a token:
//
//	client := tables.NewClient(tables.Options{Token: token}, "https://w1.example.com:19443", "https://w2.example.com:19443")
//
// A Client, and what is made of it, may be used concurrently.
//
// What is read is committed. It may be behind what was written a moment ago: a question that must see a write says so
// with Ask.After. While a task moves from one process to another a copy that is behind may answer; the answer says so,
// and Ask.Fresh refuses it.
package tables

import "time"

// Table is what there is to know of a table before it is asked.
type Table struct {
	Topology   string      `json:"topology"`
	Name       string      `json:"name"`
	Kind       string      `json:"kind"`   // key-value, window, session, versioned
	Values     Encoding    `json:"values"` // how its values are shown unless asked otherwise
	Global     bool        `json:"global,omitempty"`
	Retention  string      `json:"retention,omitempty"`
	Window     string      `json:"window,omitempty"`    // length of a window
	Changelog  string      `json:"changelog,omitempty"` // topic that a watch follows
	Partitions []Partition `json:"partitions"`
}

// Partition is who has a part of a table.
type Partition struct {
	Active   string   `json:"active,omitempty"` // process that runs or restores it
	Standbys []string `json:"standbys,omitempty"`
}

// Entry is one entry of a table.
type Entry struct {
	Key   []byte    `json:"key"`
	Value []byte    `json:"value"`          // nil: deleted; only versions and changes show that
	Time  time.Time `json:"time"`           // event time of the record that made it
	Start time.Time `json:"start,omitzero"` // of a window or session
	End   time.Time `json:"end,omitzero"`   // of a window (exclusive) or session (inclusive)
	Seq   uint64    `json:"seq,omitempty"`  // tells records in a join's buffer apart
}

// Stale says how far the copy that answered was behind.
type Stale struct {
	Records    int64   `json:"records"`              // -1: not known
	Behind     string  `json:"behind,omitempty"`     // such as 120ms; empty: not known
	Partitions []int32 `json:"partitions,omitempty"` // of an answer that many gave: whose parts are behind
}

// Ask says what an answer must be like. The zero value takes what there is.
type Ask struct {
	Fresh bool          // only the running task's own stores will do
	After Token         // the answer must hold what these records did
	Wait  time.Duration // how long to wait for that, and for a task that is moving; 0 takes 2s, the most is 30s
}

// Answer is one entry and where it came from.
type Answer struct {
	Entry
	Partition int32
	By        string // the process whose store it was
	Stale     *Stale // nil: the running task's own
}

// Page is some entries, in order.
type Page struct {
	Entries []Entry
	Next    string // cursor of what follows; empty: nothing
	Stale   *Stale // the worst of all who answered; nil: none was behind
}

// Range selects entries of a key-value or versioned table. The zero value is all of them.
type Range struct {
	Ask
	From, To []byte // inclusive, exclusive; nil: no bound
	Prefix   []byte
	Limit    int    // of a page; 0 takes 100, the most is 10,000
	Cursor   string // Page.Next of the page before
}

// Span selects windows, sessions or versions by time.
type Span struct {
	Ask
	From, To time.Time // inclusive; zero: no bound
	Prefix   []byte    // of keys, when all keys are asked for
	Limit    int
	Cursor   string
}

// The bounds of a question.
const (
	LimitDefault = 100
	LimitMax     = 10_000
	WaitDefault  = 2 * time.Second
	WaitMax      = 30 * time.Second
)
