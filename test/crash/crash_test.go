package main

import (
	"database/sql"
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"
)

func TestHistoryFindsWhatIsWrong(t *testing.T) {
	// Two keys, four events: a0 b0 a1 b1.
	a0, b0, a1, b1 := event{"a", 0, 0}, event{"b", 0, 1}, event{"a", 1, 2}, event{"b", 1, 3}
	for _, c := range []struct {
		name                                  string
		in                                    []event
		lost, duplicated, disordered, foreign int64
	}{
		{"all as sent", []event{a0, b0, a1, b1}, 0, 0, 0, 0},
		{"keys may overtake each other", []event{b0, b1, a0, a1}, 0, 0, 0, 0},
		{"nothing", nil, 4, 0, 0, 0},
		{"one lost", []event{a0, b0, b1}, 1, 0, 0, 0},
		{"one repeated at once", []event{a0, a0, b0, a1, b1}, 0, 1, 0, 0},
		{"one repeated later", []event{a0, b0, a1, b1, a0}, 0, 1, 0, 0},
		{"order within a key", []event{a1, a0, b0, b1}, 0, 0, 1, 0},
		{"an event of somebody else", []event{a0, b0, a1, b1, {"c", 0, 4}}, 0, 0, 0, 1},
		{"lost, repeated and out of order", []event{b1, b0, a1, a1}, 1, 1, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHistory("test", 4)
			for _, e := range c.in {
				h.add(e, "somewhere")
			}
			lost := h.lost()
			if lost != c.lost || h.duplicated != c.duplicated || h.disordered != c.disordered || h.foreign != c.foreign {
				t.Errorf("lost %d, duplicated %d, disordered %d, foreign %d", lost, h.duplicated, h.disordered, h.foreign)
			}
			if clean := c.lost+c.duplicated+c.disordered+c.foreign == 0; clean != (len(h.firsts) == 0) {
				t.Errorf("findings %q", h.firsts)
			}
		})
	}
}

func TestHistoriesOfTwoOutputsAreCompared(t *testing.T) {
	of := func(ids ...int64) *history {
		h := newHistory("test", 3)
		for _, id := range ids {
			h.add(event{"k", id, id}, "")
		}
		return h
	}
	for _, c := range []struct {
		name string
		a, b *history
		want bool
	}{
		{"the same", of(0, 1, 2), of(0, 1, 2), true},
		{"the same in another order", of(0, 1), of(1, 0), true},
		{"one more", of(0, 1, 2), of(0, 1), false},
		{"one twice", of(0, 1, 1), of(0, 1), false},
		{"as many, but others", of(0, 1), of(1, 2), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := same(c.a, c.b); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestDatabaseIsReadInTheOrderOfItsRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.db")
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if n := countEvents(t.Context(), path); n != 0 {
		t.Errorf("%d events before there is a table", n)
	}
	_, err = db.ExecContext(t.Context(), `CREATE TABLE results (id INTEGER, key TEXT, n INTEGER);
		INSERT INTO results VALUES (1, 'a', 1), (0, 'a', 0), (1, 'a', 1)`)
	if err != nil {
		t.Fatal(err)
	}
	h, err := readDatabase(t.Context(), path, 2)
	if err != nil {
		t.Fatal(err)
	}
	if h.rows != 3 || h.disordered != 1 || h.duplicated != 1 {
		t.Errorf("rows %d, disordered %d, duplicated %d", h.rows, h.disordered, h.duplicated)
	}
	if n := countEvents(t.Context(), path); n != 2 {
		t.Errorf("%d different events, want 2", n)
	}
}

func TestVerdict(t *testing.T) {
	good := result{Sent: 10, InTopic: 10, InSQLite: 10, Same: true}
	for _, c := range []struct {
		name          string
		change        func(*result)
		once, control bool
	}{
		{"nothing wrong: kept, but no use as a control", func(*result) {}, true, false},
		{"lost", func(r *result) { r.Lost = 1 }, false, false},
		{"repeated: what the control must find", func(r *result) { r.Duplicated = 1 }, false, true},
		{"repeated and lost", func(r *result) { r.Duplicated, r.Lost = 1, 1 }, false, false},
		{"out of order", func(r *result) { r.Order = 1 }, false, false},
		{"something nobody sent", func(r *result) { r.Foreign = 1 }, false, false},
		{"database and topic differ", func(r *result) { r.Same = false }, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := good
			c.change(&r)
			if r.keptExactlyOnce() != c.once || r.repeatedOnly() != c.control {
				t.Errorf("kept exactly-once %v, good control %v", r.keptExactlyOnce(), r.repeatedOnly())
			}
		})
	}
}

func TestFatesAreUsedUpAndTheSameForASeed(t *testing.T) {
	draw := func() (all []fate) {
		f := newFates(7, 50, 2, exactlyOnce)
		for end, ok := f.next(); ok; end, ok = f.next() {
			all = append(all, end)
		}
		return all
	}
	first := draw()
	if !slices.Equal(first, draw()) {
		t.Error("the same seed draws other fates")
	}
	pauses, byStep := 0, map[string]int{}
	for _, end := range first {
		byStep[end.step]++
		if end.pause {
			pauses++
		}
	}
	if len(first) != 52 || pauses != 2 {
		t.Errorf("%d fates, %d pauses", len(first), pauses)
	}
	for _, step := range steps {
		if byStep[step] == 0 {
			t.Errorf("no death at step %s in 50: %v", step, byStep)
		}
	}
}

func TestTheControlDiesWhereRepetitionsComeFrom(t *testing.T) {
	f := newFates(7, 20, 0, atLeastOnce)
	at := 0
	for end, ok := f.next(); ok; end, ok = f.next() {
		if end.step == "after-flush" {
			at++
		} else if end.step != "" {
			t.Errorf("death at step %q", end.step)
		}
	}
	if at < 10 {
		t.Errorf("%d of 20 deaths after the flush", at)
	}
}

func TestEventsOfAKeyAreNumbered(t *testing.T) {
	next := map[string]int64{}
	for id := range int64(25) {
		r := eventRecord("in", id, 10)
		var e event
		if err := json.Unmarshal(r.Value, &e); err != nil {
			t.Fatal(err)
		}
		if e.ID != id || e.Key != string(r.Key) || e.N != next[e.Key] {
			t.Errorf("event %d is %+v, want n %d", id, e, next[e.Key])
		}
		next[e.Key]++
	}
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args []string
		ok   bool
	}{
		{nil, true},
		{[]string{"--kills", "10", "--delivery", "at-least-once"}, true},
		{[]string{"--delivery", "maybe"}, false},
		{[]string{"--kills", "many"}, false},
	} {
		if _, err := parse(c.args); (err == nil) != c.ok {
			t.Errorf("%q: %v", c.args, err)
		}
	}
}
