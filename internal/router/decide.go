package router

import (
	"strings"
	"sync"
	"unsafe"

	"github.com/cespare/xxhash/v2"

	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/record"
)

// Input is what a decision looks at. Nothing in it is changed or kept.
type Input struct {
	Event   []byte // valid JSON, or nothing; rules on fields never match without it
	Key     []byte // the record's key
	Headers []record.Header
	Origin  string // names the request if it has no key, so that a retry finds the same version; may be empty

	index *document.Object // of Event, if a table looks into it more than once
}

// field is the raw value of a field of the event.
func (in *Input) field(path document.Path) ([]byte, bool) {
	if in.index != nil {
		return in.index.Lookup(path)
	}
	return document.Get(in.Event, path)
}

// Decision is where a call goes and why.
type Decision struct {
	Version string
	Why     string // "switch", "rule NAME", "split" or "default"
	Mirror  bool   // the table's mirror version gets a shadow call
}

// What Decision.Why says besides the name of a rule.
const (
	WhySwitch  = "switch"
	WhySplit   = "split"
	WhyDefault = "default"
	whyRule    = "rule "
)

// places is how many places keys are hashed to; api.Percent counts in the same unit.
const places = 10_000

// table is a route, compiled. It does not change after it is made.
type table struct {
	switched string
	rules    []rule
	keyPath  document.Path // of the split key; nil takes the record's key
	split    hasher
	ranges   []placeRange // cumulative, in written order
	fallback string       // the default version
	lookups  int          // how many conditions and keys look into the event
	indexes  sync.Pool    // of *document.Object

	mirror      string // version; empty for none
	mirrorHash  hasher
	mirrorBelow uint64 // places below this are mirrored
}

type rule struct {
	why     string
	version string
	match   []condition
}

// condition is one compiled api.Match.
type condition struct {
	path   document.Path // of a field; nil for a header
	header string
	test   func(value string) bool // nil: only existence counts
	want   bool                    // what the existence check or the test must say
}

// placeRange gives the places below a bound, and not below the range before it, to a version.
type placeRange struct {
	below   uint64
	version string
}

// Decide says which version answers a request. It is pure and does not allocate, unless a field it looks at holds
// escaped characters.
//
// The order: the switch; the first rule whose conditions all hold; the split; the default.
func (t *table) Decide(in *Input) Decision {
	if t.lookups < 2 || len(in.Event) == 0 {
		return t.decide(in)
	}
	o, _ := t.indexes.Get().(*document.Object)
	if o == nil {
		o = new(document.Object)
	}
	indexed := *in
	if o.Read(in.Event) == nil {
		indexed.index = o
	}
	d := t.decide(&indexed)
	_ = o.Read(nothing) // lets go of the event
	t.indexes.Put(o)
	return d
}

// nothing is read so that an index holds on to no event. It never changes.
var nothing = []byte("{}")

func (t *table) decide(in *Input) Decision {
	d := t.decideVersion(in)
	d.Mirror = t.mirror != "" && t.mirror != d.Version && t.mirrored(in)
	return d
}

func (t *table) decideVersion(in *Input) Decision {
	if t.switched != "" {
		return Decision{Version: t.switched, Why: WhySwitch}
	}
	for i := range t.rules {
		if t.rules[i].matches(in) {
			return Decision{Version: t.rules[i].version, Why: t.rules[i].why}
		}
	}
	if len(t.ranges) > 0 {
		if version, ok := t.share(in); ok {
			return Decision{Version: version, Why: WhySplit}
		}
	}
	return Decision{Version: t.fallback, Why: WhyDefault}
}

// share finds the range that the request's place falls in. A version's range begins where the one before it ends, so
// a version that grows keeps every key it had; it takes new ones from those after it.
func (t *table) share(in *Input) (version string, ok bool) {
	key, ok := t.key(in)
	if !ok {
		return "", false
	}
	place := t.split.place(key)
	for i := range t.ranges {
		if place < t.ranges[i].below {
			return t.ranges[i].version, true
		}
	}
	return "", false
}

func (t *table) mirrored(in *Input) bool {
	if t.mirrorBelow >= places {
		return true
	}
	key, ok := t.key(in)
	return ok && t.mirrorHash.place(key) < t.mirrorBelow
}

// key is what sticks a request to a version: the chosen field, else the record's key, else what names the record, else
// the whole event. A request with none of these has no place and gets the default.
func (t *table) key(in *Input) (string, bool) {
	if t.keyPath != nil {
		if raw, ok := in.field(t.keyPath); ok && document.KindOf(raw) != document.KindNull {
			return text(raw), true
		}
	}
	switch {
	case len(in.Key) > 0:
		return view(in.Key), true
	case in.Origin != "":
		return in.Origin, true
	}
	return view(in.Event), len(in.Event) > 0
}

func (r *rule) matches(in *Input) bool {
	for i := range r.match {
		if !r.match[i].holds(in) {
			return false
		}
	}
	return true
}

func (c *condition) holds(in *Input) bool {
	value, exists := c.value(in)
	if c.test == nil {
		return exists == c.want
	}
	return (exists && c.test(value)) == c.want
}

func (c *condition) value(in *Input) (string, bool) {
	if c.path == nil {
		return headerValue(in.Headers, c.header)
	}
	raw, ok := in.field(c.path)
	if !ok {
		return "", false
	}
	return text(raw), true
}

// headerValue finds the last header of a name, as record.Record does, but without regard to case, as HTTP does.
func headerValue(headers []record.Header, name string) (string, bool) {
	for i := len(headers) - 1; i >= 0; i-- {
		if strings.EqualFold(headers[i].Key, name) {
			return view(headers[i].Value), true
		}
	}
	return "", false
}

// text is a value as it is compared: what a string says, anything else as written.
func text(raw []byte) string {
	if len(raw) > 0 && raw[0] == '"' {
		said, _ := document.Text(raw) // the event is valid
		return said
	}
	return view(raw)
}

// hasher places keys: XXH64 over the salt, a zero byte and the key, modulo 10,000. It is part of the product's contract:
// every process and every later release must place a key alike.
type hasher struct{ salted xxhash.Digest }

func newHasher(salt string) hasher {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.WriteString(salt) // never fails
	_, _ = d.Write([]byte{0})
	return hasher{d}
}

func (h *hasher) place(key string) uint64 {
	d := h.salted
	_, _ = d.WriteString(key)
	return d.Sum64() % places
}

// view reads bytes as a string without copying them. Safe here because a decision neither changes nor keeps its input.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
