package main

import (
	"fmt"
	"testing"

	"ravenswood.dev/test/proof"
)

// lines are a day of two accounts: a gives 5 to b, twice.
func lines() []posting {
	line := func(id, amount, n, balance int64) posting {
		return posting{move{Transfer: id, Amount: amount, Opening: 100, Version: n}, standing{n, balance}, 3, id}
	}
	return []posting{line(1, -5, 1, 95), line(1, 5, 1, 105), line(2, -5, 2, 90), line(2, 5, 2, 110)}
}

// owners of the lines.
func owner(p posting) string {
	if p.Amount < 0 {
		return "a"
	}
	return "b"
}

func TestAuditFindsWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(all []posting) []posting
		want  func(c *counts) *int64
	}{
		{"a line that is there twice", func(all []posting) []posting { return append(all, all[3]) }, func(c *counts) *int64 { return &c.Duplicated }},
		{"a line that is missing", func(all []posting) []posting { return all[1:] }, func(c *counts) *int64 { return &c.Lost }},
		{"a side that is missing at the end", func(all []posting) []posting { return all[:3] }, func(c *counts) *int64 { return &c.Lost }},
		{"a state that was set back", func(all []posting) []posting { all[2].standing = standing{1, 95}; return all }, func(c *counts) *int64 { return &c.Duplicated }},
		{"a balance that does not add up", func(all []posting) []posting { all[2].Balance = 91; return all }, func(c *counts) *int64 { return &c.Sums }},
		{"sides that are not equal", func(all []posting) []posting { all[1].Amount, all[1].Balance = 6, 106; return all }, func(c *counts) *int64 { return &c.Sums }},
		{"transfers out of order", func(all []posting) []posting { all[2].Offset = 0; return all }, func(c *counts) *int64 { return &c.Order }},
		{"a table that goes back", func(all []posting) []posting { all[2].Version = 0; return all }, func(c *counts) *int64 { return &c.Order }},
		{"a partition that cannot be", func(all []posting) []posting { all[2].Partition = partitions; return all }, func(c *counts) *int64 { return &c.Order }},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := audited(c.spoil(lines()))
			if *c.want(&a.counts) == 0 {
				t.Errorf("not found: %+v\n%v", a.counts, a.findings.First())
			}
		})
	}
	if a := audited(lines()); a.counts.wrong() != 0 {
		t.Errorf("nothing is wrong, found %+v\n%v", a.counts, a.findings.First())
	}
}

func audited(all []posting) *audit {
	a := newAudit(&proof.Findings{})
	for i, p := range all {
		a.posting(owner(p), p, fmt.Sprint(i))
	}
	r := &replayed{transfers: map[int64]transfer{1: {ID: 1, Amount: 5}, 2: {ID: 2, Amount: 5}}, book: map[string]standing{"a": {2, 90}, "b": {2, 110}}}
	for id := range r.transfers {
		a.settled(settled{ID: id, Amount: 5}, "settled")
	}
	a.close(r)
	return a
}

func TestAuditFindsWrongJoinsAndWindows(t *testing.T) {
	r := &replayed{transfers: map[int64]transfer{1: {ID: 1, Amount: 5}}, volumes: map[window]volume{{"r", 0}: {2, 10}}}
	for _, c := range []struct {
		name string
		say  func(a *audit)
		want func(c *counts) *int64
	}{
		{"a transfer that is settled twice", func(a *audit) { a.settled(settled{ID: 1, Amount: 5}, ""); a.settled(settled{ID: 1, Amount: 5}, "") }, func(c *counts) *int64 { return &c.Duplicated }},
		{"a transfer that met something else", func(a *audit) { a.settled(settled{ID: 1, Amount: 5, Code: 9}, "") }, func(c *counts) *int64 { return &c.Joins }},
		{"a window that counts one twice", func(a *audit) {
			a.volume(window{"r", 0}, volume{1, 5}, "")
			a.volume(window{"r", 0}, volume{3, 15}, "")
		}, func(c *counts) *int64 { return &c.Windows }},
		{"a window that is set back", func(a *audit) { a.volume(window{"r", 0}, volume{1, 5}, ""); a.volume(window{"r", 0}, volume{1, 5}, "") }, func(c *counts) *int64 { return &c.Windows }},
		{"a window of nothing", func(a *audit) {
			a.volume(window{"r", 0}, volume{1, 5}, "")
			a.volume(window{"r", 0}, volume{2, 10}, "")
			a.volume(window{"r", 5000}, volume{1, 5}, "")
		}, func(c *counts) *int64 { return &c.Windows }},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAudit(&proof.Findings{})
			c.say(a)
			a.close(r)
			if *c.want(&a.counts) == 0 {
				t.Errorf("not found: %+v\n%v", a.counts, a.findings.First())
			}
		})
	}
}
