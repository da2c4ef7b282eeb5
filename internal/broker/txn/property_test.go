package txn_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"pgregory.net/rapid"

	"ravenswood.dev/internal/broker/txn"
)

// attempt is one transaction as its client knows it.
type attempt struct {
	name    string
	written int    // records and offsets that the client was told are there
	told    string // commit or abort: what the client was told; empty: nothing
	asked   string // commit or abort: what the client asked for; empty: it gave up or was fenced before
}

// client is a producer that may lose answers, come again, or be a zombie of another with the same id.
type client struct {
	id    string
	bump  bool
	p     txn.Producer
	ready bool
	given bool // p was given once
	open  *attempt
	next  map[txn.TopicPartition]int32
	added map[string]bool // explicitly, by clients whose epoch stays
	lost  *request        // EndTxn whose answer is not known: it is sent again
	past  []request       // EndTxns of before, which the network may deliver late
}

type request struct {
	p      txn.Producer
	commit bool
	a      *attempt
}

// model drives clients against a world and remembers what each was told.
type model struct {
	*rapid.T
	w        *world
	clients  []*client
	attempts []*attempt
	epochs   map[int64]int16
	died     bool
}

var (
	modelPartitions = []txn.TopicPartition{{Topic: "a", Partition: 0}, {Topic: "a", Partition: 1}, {Topic: "b", Partition: 0}}
	modelGroups     = []string{"g", "h"}
)

func TestTransactionsAreWholeOverCrashesRetriesAndZombies(t *testing.T) {
	for i := range 8 {
		t.Run(fmt.Sprint(i), testWhole)
	}
}

func testWhole(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{T: rt, w: newWorld(), epochs: map[int64]int16{}}
		for i, id := range []string{"x", "x", "y", "z"} {
			m.clients = append(m.clients, &client{id: id, bump: i%2 == 0 || rapid.Bool().Draw(rt, "bump")})
		}
		for range rapid.IntRange(1, 150).Draw(rt, "steps") {
			m.act()
			m.whole()
		}
		m.quiet()
	})
}

// act is one random thing.
func (m *model) act() {
	m.w.now = m.w.now.Add(time.Second)
	if rapid.IntRange(0, 5).Draw(m.T, "fuse?") == 0 {
		m.w.fuse = rapid.IntRange(1, 8).Draw(m.T, "fuse")
	}
	m.died = m.w.living(m.actOnce)
	m.w.fuse = 0
	if m.died {
		m.restart()
	}
}

func (m *model) actOnce() {
	c := rapid.SampledFrom(m.clients).Draw(m.T, "client")
	switch rapid.SampledFrom([]string{
		"work", "work", "work", "work", "work", "work", "end", "end", "late", "init", "tick", "checkpoint", "restart", "refused",
	}).Draw(m.T, "act") {
	case "work":
		m.work(c)
	case "end":
		m.end(c)
	case "late":
		m.late(c)
	case "init":
		m.init(c)
	case "tick":
		m.w.now = m.w.now.Add(time.Duration(rapid.IntRange(0, 70).Draw(m.T, "seconds")) * time.Second)
		m.w.tick()
	case "checkpoint":
		m.w.checkpoint()
	case "restart":
		m.restart()
	case "refused":
		if c.open != nil && c.lost == nil {
			_ = m.w.endRefused(c.id, c.p, true, c.bump)
		}
	}
}

func (m *model) restart() {
	if _, err := m.w.restart(rapid.Bool().Draw(m.T, "power")); err != nil {
		m.Fatalf("restart: %v", err)
	}
}

// init is the start of the client, or its way out of an error.
func (m *model) init(c *client) {
	was := txn.NoProducer
	if c.given && rapid.Bool().Draw(m.T, "again") {
		was = c.p
	}
	*c = client{id: c.id, bump: c.bump, past: c.past, given: c.given, p: c.p}
	p, err := m.w.init(c.id, time.Minute, was)
	if err == kerr.ProducerFenced { //nolint:errorlint // kerr gives the very value
		c.given = false
	}
	if err != nil {
		return
	}
	c.given = true
	m.given(p)
	c.p, c.ready, c.next, c.added = p, true, map[txn.TopicPartition]int32{}, map[string]bool{}
}

// given checks that a producer epoch is new or the same.
func (m *model) given(p txn.Producer) {
	if was, ok := m.epochs[p.ID]; ok && p.Epoch < was {
		m.Fatalf("producer %d got epoch %d after %d", p.ID, p.Epoch, was)
	}
	m.epochs[p.ID] = p.Epoch
}

// work writes a record or offsets.
func (m *model) work(c *client) {
	switch {
	case !c.ready:
		m.init(c)
		return
	case c.lost != nil:
		m.endAgain(c)
		return
	case c.open == nil:
		c.open = &attempt{name: fmt.Sprintf("%s%d", c.id, len(m.attempts))}
		m.attempts = append(m.attempts, c.open)
	}
	a := c.open
	tag := fmt.Sprintf("%s.%d", a.name, a.written)
	at := rapid.SampledFrom(modelPartitions).Draw(m.T, "at")
	var err error
	if rapid.IntRange(0, 3).Draw(m.T, "offsets?") == 0 {
		err = m.offsets(c, rapid.SampledFrom(modelGroups).Draw(m.T, "group"), tag)
	} else {
		err = m.record(c, at, tag)
	}
	if err != nil {
		m.failed(c, err)
		return
	}
	a.written++
}

func (m *model) record(c *client, at txn.TopicPartition, tag string) error {
	if !c.bump && !c.added[at.String()] {
		fx, err := m.w.c.AddPartitions(m.w.now, c.id, c.p, []txn.TopicPartition{at})
		m.w.carryOut(fx)
		if err != nil {
			return err
		}
		c.added[at.String()] = true
	}
	// A record whose answer gets lost is sent again only by luck here, so its sequence counts as used up and the client
	// gives up, as one does whose delivery timed out.
	lost := true
	defer func() {
		if lost {
			c.ready = false
		}
	}()
	err := m.w.produce(c.id, c.p, at, c.next[at], c.bump, tag)
	lost = false
	if err == nil {
		c.next[at]++
	}
	return err
}

func (m *model) offsets(c *client, g, tag string) error {
	if !c.bump && !c.added[g] {
		fx, err := m.w.c.AddOffsets(m.w.now, c.id, c.p, g)
		m.w.carryOut(fx)
		if err != nil {
			return err
		}
		c.added[g] = true
	}
	return m.w.commitOffsets(c.id, c.p, g, c.bump, tag)
}

// failed is what a client makes of an error: it comes again, or begins anew.
func (m *model) failed(c *client, err error) {
	if err != kerr.ConcurrentTransactions { //nolint:errorlint // kerr gives the very value
		c.ready, c.open = false, nil
	}
}

// end asks for the end of the open transaction.
func (m *model) end(c *client) {
	switch {
	case c.lost != nil:
		m.endAgain(c)
	case c.ready && c.open != nil && c.open.written > 0:
		commit := rapid.IntRange(0, 3).Draw(m.T, "commit?") > 0
		c.lost = &request{p: c.p, commit: commit, a: c.open}
		c.open.asked = result(commit)
		m.endAgain(c)
	}
}

// endAgain sends the EndTxn whose answer is not known.
func (m *model) endAgain(c *client) {
	r := c.lost
	p, err := m.w.end(c.id, r.p, r.commit, c.bump)
	if rapid.IntRange(0, 4).Draw(m.T, "lost answer?") == 0 {
		return
	}
	if err == kerr.ConcurrentTransactions { //nolint:errorlint // kerr gives the very value
		return
	}
	c.lost, c.open, c.added = nil, nil, map[string]bool{}
	if err != nil {
		c.ready = false
		return
	}
	r.a.told = result(r.commit)
	if c.bump {
		m.given(p)
		c.p, c.next = p, map[txn.TopicPartition]int32{}
		c.past = append(c.past, *r)
	}
}

// late delivers an EndTxn once more, or the other way round, long after its answer. Only clients whose epoch grows are
// safe from that.
func (m *model) late(c *client) {
	if len(c.past) == 0 {
		return
	}
	r := rapid.SampledFrom(c.past).Draw(m.T, "late")
	_, _ = m.w.end(c.id, r.p, rapid.Bool().Draw(m.T, "commit"), true)
}

func result(commit bool) string {
	if commit {
		return "commit"
	}
	return "abort"
}

// fates says what became of each attempt, by looking at the logs in the dumbest way.
func (m *model) fates() map[string][]string {
	all := map[string][]string{}
	for at, p := range m.w.parts {
		for i, s := range p.log {
			if s.tag != "" {
				a, _, _ := strings.Cut(s.tag, ".")
				all[a] = append(all[a], fmt.Sprintf("%s at %v", fate(p.log[i:], s.h.ProducerID), at))
			}
		}
	}
	for name, g := range m.w.groups {
		add := func(tag, fate string) {
			a, _, _ := strings.Cut(tag, ".")
			all[a] = append(all[a], fate+" in "+name)
		}
		for _, tag := range g.committed {
			add(tag, "commit")
		}
		for _, tag := range g.dropped {
			add(tag, "abort")
		}
		for _, o := range g.pending {
			add(o.tag, "open")
		}
	}
	return all
}

// fate is the next marker of the producer.
func fate(log []stored, producer int64) string {
	for _, s := range log {
		if s.h.ProducerID == producer && s.h.Control() {
			return result(mustMarker(s.raw).Commit)
		}
	}
	return "open"
}

// whole checks that no attempt has two fates and that clients were told the truth.
func (m *model) whole() {
	fates := m.fates()
	for _, a := range m.attempts {
		var kinds []string
		for _, f := range fates[a.name] {
			kind, _, _ := strings.Cut(f, " ")
			kinds = append(kinds, kind)
		}
		slices.Sort(kinds)
		kinds = slices.Compact(kinds)
		switch {
		case len(kinds) > 1:
			m.Fatalf("transaction %s is torn: %v", a.name, fates[a.name])
		case a.told != "" && len(kinds) == 1 && kinds[0] != a.told:
			m.Fatalf("client was told %s of %s, which is %v", a.told, a.name, fates[a.name])
		case a.told == "commit" && len(fates[a.name]) < a.written:
			m.Fatalf("transaction %s has %d of %d: %v", a.name, len(fates[a.name]), a.written, fates[a.name])
		case slices.Contains(kinds, "commit") && a.asked != "commit":
			m.Fatalf("nobody asked to commit %s: %v", a.name, fates[a.name])
		}
	}
}

// quiet lets all timeouts pass and checks that nothing is left open.
func (m *model) quiet() {
	m.restart()
	for range 3 {
		m.w.now = m.w.now.Add(time.Hour)
		m.w.tick()
	}
	for at, p := range m.w.parts {
		if open := p.producers.Open(); len(open) > 0 {
			m.Fatalf("%v still has %v", at, open)
		}
	}
	for name, g := range m.w.groups {
		if len(g.pending) > 0 {
			m.Fatalf("group %s still has %v", name, g.pending)
		}
	}
	m.whole()
}
