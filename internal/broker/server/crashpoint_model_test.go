package server

import (
	"slices"

	"ravenswood.dev/internal/broker/txn"
)

// A fact is what the client of the crash-point test knows after an answer, or may find although it has no answer.
// It is told the facts before it, and whether there was an answer.
type fact func(f *facts, answered bool)

// facts are what must be true of a broker, as far as its client was told.
type facts struct {
	topics  map[string]*topicFacts
	txns    map[int]*txnFacts
	offsets map[groupAt][]int64     // allowed: the one acknowledged, and those on their way
	owners  map[string]txn.Producer // of transactional ids
	given   map[int64]bool          // producer ids
	groups  map[string]*groupFacts
}

type groupAt struct {
	group string
	at    at
}

type topicFacts struct {
	id       topicID
	created  bool                // answered
	removing bool                // may be gone
	settings []map[string]string // allowed
	parts    []*partFacts
}

type partFacts struct {
	sent      []*sentFacts
	start     int64 // the log begins here or later,
	startMax  int64 // and here at the latest
	compacted bool  // records that a later one replaced may be gone
}

// sentFacts is a batch that was sent.
type sentFacts struct {
	sending
	number  int   // of its transaction; 0: none
	version int16 // of the request
	base    int64 // -1 without an answer
}

// groupFacts is a group with one member.
type groupFacts struct {
	generation int32
	member     string
	stable     bool // nothing is under way
}

// An ending is what is known of how a transaction ends.
type ending int

const (
	undecided ending = iota
	mayCommit
	committed
	mayAbort
	aborted
)

type txnFacts struct {
	id      string
	ending  ending
	offsets map[groupAt]int64
}

// known makes facts of what was answered, and of what was asked and has no answer.
func known(history []fact, pending fact) *facts {
	f := &facts{
		topics: map[string]*topicFacts{}, txns: map[int]*txnFacts{}, offsets: map[groupAt][]int64{},
		owners: map[string]txn.Producer{}, given: map[int64]bool{}, groups: map[string]*groupFacts{},
	}
	for _, learn := range history {
		learn(f, true)
	}
	if pending != nil {
		pending(f, false)
	}
	return f
}

func (f *facts) part(a at) *partFacts { return f.topics[a.topic].parts[a.partition] }

// all are the partitions of the model, in order.
func (f *facts) all() map[at]*partFacts {
	all := map[at]*partFacts{}
	for name, t := range f.topics {
		for i, p := range t.parts {
			all[at{name, int32(i)}] = p
		}
	}
	return all
}

func (f *facts) create(name string, id topicID, parts int, settings map[string]string, answered bool) {
	t := &topicFacts{id: id, created: answered, settings: []map[string]string{settings}}
	for range parts {
		t.parts = append(t.parts, &partFacts{})
	}
	f.topics[name] = t
}

func (f *facts) remove(name string, answered bool) {
	f.topics[name].removing = true
	for k := range f.offsets {
		if k.at.topic == name {
			f.offsets[k] = append(f.offsets[k], -1)
			if answered {
				f.offsets[k] = []int64{-1}
			}
		}
	}
	if answered {
		delete(f.topics, name)
	}
}

func (f *facts) configure(name string, settings map[string]string, answered bool) {
	t := f.topics[name]
	t.settings = append(t.settings, settings)
	if answered {
		t.settings = []map[string]string{settings}
	}
}

func (f *facts) write(to at, b sending, number int, version int16, base int64) {
	p := f.part(to)
	p.sent = append(p.sent, &sentFacts{sending: b, number: number, version: version, base: base})
}

func (f *facts) commit(k groupAt, offset int64, answered bool) {
	if len(f.offsets[k]) == 0 {
		f.offsets[k] = []int64{-1}
	}
	f.offsets[k] = append(f.offsets[k], offset)
	if answered {
		f.offsets[k] = []int64{offset}
	}
}

// end decides a transaction. A client that was answered has its offsets committed, too.
func (f *facts) end(number int, commit, answered bool) {
	t := f.txns[number]
	switch {
	case commit && answered:
		t.ending = committed
		for k, offset := range t.offsets {
			f.commit(k, offset, true)
		}
	case commit:
		t.ending = mayCommit
	case answered:
		t.ending = aborted
	default:
		t.ending = mayAbort
	}
}

// begins says where a log begins.
func (f *facts) begins(a at, offset int64, answered bool) {
	p := f.part(a)
	p.startMax = max(p.startMax, offset)
	if answered {
		p.start, p.startMax = offset, offset
	}
}

// uncertain is the transaction that may be committed or not, and its number.
func (f *facts) uncertain() (*txnFacts, int) {
	for number, t := range f.txns {
		if t.ending == mayCommit {
			return t, number
		}
	}
	return nil, 0
}

// readable says whether a reader of committed records must see a batch, and whether it may.
func (f *facts) readable(b *sentFacts) (must, may bool) {
	if b.number == 0 {
		return b.base >= 0, true
	}
	switch f.txns[b.number].ending {
	case committed:
		return true, true
	case mayCommit:
		return false, true
	default:
		return false, false
	}
}

// superseded says whether a later record that readers of committed records see has the key.
func (f *facts) superseded(p *partFacts, batch, record int) bool {
	key := p.sent[batch].records[record].key
	if slices.ContainsFunc(p.sent[batch].records[record+1:], func(e entry) bool { return e.key == key }) {
		return true
	}
	for _, later := range p.sent[batch+1:] {
		if must, _ := f.readable(later); must && slices.ContainsFunc(later.records, func(e entry) bool { return e.key == key }) {
			return true
		}
	}
	return false
}
