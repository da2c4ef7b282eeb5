package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/test/proof"
)

func TestAuditOfTransactions(t *testing.T) {
	// One producer, one transaction of three records; what is readable of it is given by index.
	for _, c := range []struct {
		name     string
		end      outcome
		readable []int
		want     auditCounts
	}{
		{"committed and whole", committed, []int{0, 1, 2}, auditCounts{rows: 3}},
		{"committed and gone", committed, nil, auditCounts{lost: 3}},
		{"committed and torn", committed, []int{0, 2}, auditCounts{rows: 2, lost: 1, torn: 1}},
		{"committed and doubled", committed, []int{0, 1, 1, 2}, auditCounts{rows: 4, duplicated: 1}},
		{"committed and out of order", committed, []int{1, 0, 2}, auditCounts{rows: 3, disordered: 1}},
		{"unknown and whole", unknown, []int{0, 1, 2}, auditCounts{rows: 3}},
		{"unknown and not there", unknown, nil, auditCounts{}},
		{"unknown and torn", unknown, []int{1}, auditCounts{rows: 1, torn: 1}},
		{"aborted", aborted, nil, auditCounts{}},
		{"aborted and readable", aborted, []int{0, 1, 2}, auditCounts{rows: 3, abortedIn: 3}},
		{"aborted and readable in part", aborted, []int{0}, auditCounts{rows: 1, abortedIn: 1, torn: 1}},
		{"left open and readable", open, []int{0, 1, 2}, auditCounts{rows: 3, abortedIn: 3}},
		{"a record too many", committed, []int{0, 1, 2, 3}, auditCounts{rows: 4, foreign: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, f := &book{}, &proof.Findings{}
			b.end(b.begin(3), c.end)
			a := newAudit([]*book{b}, f)
			for i, index := range c.readable {
				r := part{Index: index}.record("t", 0)
				r.Offset = int64(i)
				if err := a.visit(0, r); err != nil {
					t.Fatal(err)
				}
			}
			a.close()
			if a.auditCounts != c.want {
				t.Errorf("got %+v, want %+v", a.auditCounts, c.want)
			}
			counts := c.want
			counts.rows = 0
			if clean := counts == (auditCounts{}); clean != (len(f.First()) == 0) {
				t.Errorf("findings %q", f.First())
			}
		})
	}
}

func TestAuditKeepsPartitionsApart(t *testing.T) {
	b, f := &book{}, &proof.Findings{}
	b.end(b.begin(2), committed)
	a := newAudit([]*book{b}, f)
	first, second := part{Index: 0}.record("t", 0), part{Index: 1}.record("t", 1)
	for i, r := range []*kgo.Record{second, first} { // of two partitions, either may be read first
		if err := errors.Join(a.visit(0, r), a.visit(1, part{Producer: 9}.record("t", int32(i)))); err != nil {
			t.Fatal(err)
		}
	}
	if a.close(); a.disordered != 0 || a.foreign != 2 || a.lost != 0 {
		t.Errorf("got %+v", a.auditCounts)
	}
	if err := a.visit(0, &kgo.Record{Value: []byte("{")}); err == nil {
		t.Error("a record that is no JSON is no error")
	}
}

func TestBookCountsWhatClientsWereTold(t *testing.T) {
	b := &book{}
	for _, end := range []outcome{committed, committed, aborted, unknown, open} {
		b.end(b.begin(1), end)
	}
	var got txnCounts
	b.tally(&got)
	if want := (txnCounts{Committed: 2, Aborted: 1, Unknown: 1, Abandoned: 1}); got != want {
		t.Errorf("got %+v", got)
	}
}

func TestReaderNoticesWhatChanges(t *testing.T) {
	record := func(offset int64, value string) *kgo.Record {
		return &kgo.Record{Topic: "t", Offset: offset, Value: []byte(value)}
	}
	a0, b1, c2 := record(0, "a"), record(1, "b"), record(2, "c")
	for _, c := range []struct {
		name       string
		saw, later []*kgo.Record
		want       sightings
	}{
		{"all stays", []*kgo.Record{a0, b1}, []*kgo.Record{a0, b1}, sightings{seen: 2}},
		{"more comes", []*kgo.Record{a0}, []*kgo.Record{a0, b1, c2}, sightings{seen: 1}},
		{"offsets that nobody can read", []*kgo.Record{a0, c2}, []*kgo.Record{a0, c2}, sightings{seen: 2}},
		{"the last is gone", []*kgo.Record{a0, b1}, []*kgo.Record{a0}, sightings{seen: 2, gone: 1}},
		{"one between is gone", []*kgo.Record{a0, b1, c2}, []*kgo.Record{a0, c2}, sightings{seen: 3, gone: 1}},
		{"all is gone", []*kgo.Record{a0, b1}, nil, sightings{seen: 2, gone: 2}},
		{"another in its place", []*kgo.Record{a0, b1}, []*kgo.Record{a0, record(1, "x")}, sightings{seen: 2, gone: 1}},
		{"one was passed over", []*kgo.Record{a0, c2}, []*kgo.Record{a0, b1, c2}, sightings{seen: 2, late: 1}},
		{"one again", []*kgo.Record{a0, b1, b1}, []*kgo.Record{a0, b1}, sightings{seen: 2, rewound: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &proof.Findings{}
			w := newWatcher(kafka.Config{}, nil, f)
			for _, r := range c.saw {
				w.see(r)
			}
			for _, r := range c.later {
				w.recall(r)
			}
			w.close()
			if got := w.counts(); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if clean := c.want.gone+c.want.late+c.want.rewound == 0; clean != (len(f.First()) == 0) {
				t.Errorf("findings %q", f.First())
			}
		})
	}
}

func TestWhatWasNotAcknowledgedMayBeMissing(t *testing.T) {
	f := &feed{topic: "t", keys: 2, acked: make([]bool, 4)}
	for _, id := range []int64{0, 1, 2} {
		f.answered(id, nil)
	}
	f.answered(3, errors.New("refused"))
	h := f.history("t")
	h.add(event{"k0", 0, 0}, "")
	if lost := h.lost(); lost != 2 {
		t.Errorf("lost %d, want 2", lost)
	}
	sent, acked, refused, cause := f.counts()
	if sent != 4 || acked != 3 || refused != 1 || cause == nil {
		t.Errorf("sent %d, acknowledged %d, refused %d: %v", sent, acked, refused, cause)
	}
	if got := f.newest(); got["k0"] != 1 || got["k1"] != 0 {
		t.Errorf("newest of each key: %v", got)
	}
}

func TestVerdictOnTheNode(t *testing.T) {
	plain := trial{broker: ownBroker, delivery: exactlyOnce}
	unsynced, repeating, other := plain, plain, plain
	unsynced.noSync, unsynced.power, unsynced.breaks = true, true, true
	repeating.delivery, repeating.breaks = atLeastOnce, true
	other.broker, other.breaks = kfakeName, true
	for _, c := range []struct {
		name                         string
		change                       func(*nodeResult)
		kept, unsynced, twice, other bool
	}{
		{"nothing wrong", func(*nodeResult) {}, true, false, false, false},
		{"lost", func(r *nodeResult) { r.Lost = 1 }, false, true, false, true},
		{"doubled", func(r *nodeResult) { r.Duplicated = 1 }, false, false, true, true},
		{"torn", func(r *nodeResult) { r.Torn = 1 }, false, false, false, true},
		{"aborted and readable", func(r *nodeResult) { r.AbortedIn = 1 }, false, false, false, true},
		{"out of order", func(r *nodeResult) { r.Order = 1 }, false, false, false, true},
		{"refused", func(r *nodeResult) { r.Refused = 1 }, false, false, false, true},
		{"foreign", func(r *nodeResult) { r.Foreign = 1 }, false, false, false, true},
		{"gone", func(r *nodeResult) { r.Gone = 1 }, false, false, false, true},
		{"passed over", func(r *nodeResult) { r.Late = 1 }, false, false, false, true},
		{"seen again", func(r *nodeResult) { r.Rewound = 1 }, false, false, false, true},
		{"offsets forgotten", func(r *nodeResult) { r.Forgotten = 1 }, false, false, false, true},
		{"database and topic differ", func(r *nodeResult) { r.Same = false }, false, false, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, as := range []struct {
				trial trial
				want  bool
			}{{plain, c.kept}, {unsynced, c.unsynced}, {repeating, c.twice}, {other, c.other}} {
				r := newNodeResult(as.trial)
				r.Same = true
				c.change(&r)
				if r.conclude(time.Second, &proof.Findings{}, nil); r.OK != as.want {
					t.Errorf("as %+v: %v", as.trial, r.OK)
				}
			}
		})
	}
	r := newNodeResult(plain)
	r.Same = true
	if r.conclude(time.Second, &proof.Findings{}, errors.New("it did not start")); r.OK || r.Error == "" {
		t.Error("a run that did not end is good")
	}
}

func TestLivesOfTheNodeAreShort(t *testing.T) {
	f := newNodeFates(3, 200, exactlyOnce)
	byName := map[string]int{}
	for end, ok := f.next(); ok; end, ok = f.next() {
		byName[end.name()]++
		if end.step == "" && end.after > 1500*time.Millisecond || end.count > 6 {
			t.Errorf("a long life: %+v", end)
		}
	}
	for _, name := range append([]string{"random"}, steps...) {
		if byName[name] == 0 {
			t.Errorf("no death at %q: %v", name, byName)
		}
	}
}

func TestPlanOfRuns(t *testing.T) {
	for _, c := range []struct {
		args []string
		runs int
	}{
		{nil, 6},
		{[]string{"--control-kills", "0"}, 3},
		{[]string{"--what", "node"}, 1},
		{[]string{"--what", "workers"}, 2},
		{[]string{"--what", "workers", "--delivery", "at-least-once"}, 1},
		{[]string{"--what", "node", "--broker", "kfake"}, 1},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			o, err := parse(c.args)
			if err != nil || len(o.runs()) != c.runs {
				t.Errorf("%d runs, error %v", len(o.runs()), err)
			}
		})
	}
}

func TestTheCommandThatDoesItAgain(t *testing.T) {
	for _, args := range [][]string{
		{"--kills", "7", "--seed", "9"},
		{"--kills", "7", "--seed", "9", "--power-loss", "--no-sync"},
		{"--kills", "7", "--seed", "9", "--broker", "kfake"},
		{"--kills", "7", "--seed", "9", "--delivery", "at-least-once"},
	} {
		o, err := parse(append([]string{"--what", "node"}, args...))
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(strings.Fields(strings.TrimPrefix(o.asked().command(), "go run ./test/crash ")))
		if err != nil || again.asked() != o.asked() {
			t.Errorf("%v: again %+v (%v)", args, again.asked(), err)
		}
	}
}

func TestFreeAddressIsNotOneThatClientsGet(t *testing.T) {
	addr, err := proof.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(addr)
	var number int
	if _, err := fmt.Sscan(port, &number); err != nil || number < 20000 || number >= 32768 {
		t.Errorf("address %q", addr)
	}
}
