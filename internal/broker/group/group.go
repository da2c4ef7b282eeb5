package group

import (
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Defaults of Options.
const (
	DefaultMinSession   = 6 * time.Second
	DefaultMaxSession   = 30 * time.Minute
	DefaultInitialDelay = 50 * time.Millisecond
	DefaultMaxMembers   = 1000
	DefaultMaxBytes     = 4 << 20
)

// Options of a group. The zero value of each field but NewID means its default.
type Options struct {
	// MinSession and MaxSession bound the session timeout that a member may ask for. Default: 6 s and 30 min, Kafka's.
	MinSession, MaxSession time.Duration
	// InitialDelay is how long the first rebalance of an empty group waits for more members. Default: 50 ms. Kafka's 3 s
	// spare a large cluster that deploys a hundred consumers a few needless rebalances; here it would only be a pause
	// at every start. Negative: none.
	InitialDelay time.Duration
	// MaxMembers bounds the members, and separately the ids handed out to those who have not come back. Default: 1000.
	MaxMembers int
	// MaxBytes bounds what the members of a group say about themselves, and separately what the leader assigns, in
	// sum. Default: 4 MiB, so that both together fit an entry of the journal.
	MaxBytes int
	// NewID gives a string that was never given before and cannot be guessed: the end of a member id.
	NewID func() string
}

func (o Options) filled() Options {
	fill(&o.MinSession, DefaultMinSession)
	fill(&o.MaxSession, DefaultMaxSession)
	fill(&o.InitialDelay, DefaultInitialDelay)
	fill(&o.MaxMembers, DefaultMaxMembers)
	fill(&o.MaxBytes, DefaultMaxBytes)
	return o
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Ticket names a request that may be answered later. The caller chooses them: never 0, never the same twice.
type Ticket uint64

// Client is who sent a request, for those who look at a group.
type Client struct{ ID, Host string }

// Effect is something that the caller has to do: an Answer or a Save.
type Effect interface{ effect() }

// Answer is the response to the request of a ticket. Every ticket gets exactly one, unless it is Gone before.
type Answer struct {
	Ticket   Ticket
	Response kmsg.Response
}

// Save is an entry for the journal.
type Save struct{ Entry Entry }

func (Answer) effect() {}
func (Save) effect()   {}

// Group is one consumer group.
//
//	        join                     everyone joined, or time is up
//	Empty ────────▶ PreparingRebalance ─────────────────▶ CompletingRebalance
//	  ▲                ▲  │  ▲     ▲                              │  │
//	  │  nobody is left│  │  │     └──── member came, went, ──────┘  │ leader's
//	  └────────────────┼──┘  │           joined anew                 │ assignment
//	  │                │     │                                       ▼
//	  │ deleted        │     └──── member came, went, changed ──── Stable
//	  ▼                └ restart in the middle of a rebalance
//	Dead
//
// A generation begins with CompletingRebalance and is the only one that counts until the next one begins.
type Group struct {
	name string
	o    Options

	state State
	since time.Time // when state began

	generation   int32
	protocolType string // of the members, or of the last ones
	protocol     string // chosen for this generation; empty unless CompletingRebalance or Stable
	leader       string // member id; empty without members

	roster
	pending map[string]time.Time // member ids handed out to those who have not come back, and until when they may

	joinBy time.Time     // PreparingRebalance: when it goes on without those who have not joined
	first  bool          // PreparingRebalance from Empty: wait until joinBy even when all have joined
	grown  bool          // somebody came since joinBy was set; asks for another delay of the first rebalance
	rest   time.Duration // by how much joinBy of a first rebalance may still move
	syncBy time.Time     // until when those who joined this generation must have asked for their assignment; zero: all have

	left  bool   // somebody went in this step
	saved *Entry // the last one said
	out   []Effect
}

// New makes an empty group that nobody knows of yet.
func New(name string, o Options) *Group {
	return &Group{name: name, o: o.filled(), roster: newRoster(), pending: map[string]time.Time{}}
}

// MaxName bounds the id of a group, in bytes.
const MaxName = 1024

// CheckName refuses what cannot be the id of a group with members. (Kafka accepts the empty name for commits; so may the
// caller.)
func CheckName(name string) *kerr.Error {
	if name == "" || len(name) > MaxName || !utf8.ValidString(name) {
		return kerr.InvalidGroupID
	}
	return nil
}

// Name is the group's id.
func (g *Group) Name() string { return g.name }

// State is where the group stands.
func (g *Group) State() State { return g.state }

// Known reports whether the group is more than an object: it has or had members. One that is not may be dropped.
func (g *Group) Known() bool {
	return g.state != Empty || g.generation > 0 || len(g.pending) > 0
}

// EmptySince is when the last member went. Not ok: there are members, or there may soon be.
func (g *Group) EmptySince() (since time.Time, ok bool) {
	return g.since, g.state == Empty && len(g.pending) == 0
}

func (g *Group) say(t Ticket, r kmsg.Response) {
	g.out = append(g.out, Answer{t, r})
}

// take ends a step: what it said.
func (g *Group) take() []Effect {
	out := g.out
	g.out = nil
	g.check()
	return out
}
