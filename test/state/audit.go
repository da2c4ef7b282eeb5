package main

import (
	"time"

	"ravenswood.dev/test/proof"
)

// audit checks the output records, in the order in which a committed reader gets them. It knows what a book is, and nothing
// of how this one is kept. It is not safe for concurrent use.
type audit struct {
	findings *proof.Findings
	accounts map[string]*accountSeen
	sides    map[int64]sidesSeen
	met      map[int64]settled
	volumes  map[window]volume
	counts   counts
}

// counts are what the audit has found.
type counts struct {
	Records    int64 `json:"records"` // read and checked
	Lost       int64 `json:"lost"`
	Duplicated int64 `json:"duplicated"`
	Order      int64 `json:"order_violations"`
	Sums       int64 `json:"wrong_sums"`
	Windows    int64 `json:"wrong_windows"`
	Joins      int64 `json:"wrong_joins"`
	Tables     int64 `json:"wrong_tables"` // entries of the final stores that are not those of the replay
}

// wrong is how much of it there is.
func (c counts) wrong() int64 {
	return c.Lost + c.Duplicated + c.Order + c.Sums + c.Windows + c.Joins + c.Tables
}

// accountSeen is how far an account has come.
type accountSeen struct {
	standing
	version int64
	offsets [partitions]int64 // of the last transfer by the partition it came from
}

// sidesSeen are the amounts of a transfer's two sides, zero for one that was not seen.
type sidesSeen struct{ taken, given int64 }

// window is a region's window by its start.
type window struct {
	region string
	start  int64 // milliseconds
}

func windowOf(region string, at time.Time) window {
	return window{region, at.Truncate(windowSize).UnixMilli()}
}

func newAudit(f *proof.Findings) *audit {
	return &audit{findings: f, accounts: map[string]*accountSeen{}, sides: map[int64]sidesSeen{}, met: map[int64]settled{}, volumes: map[window]volume{}}
}

// posting takes the next line of an account; where says which record it is. After something wrong it goes on from what
// it was told, so that one mistake is counted once.
func (a *audit) posting(name string, p posting, where string) {
	a.counts.Records++
	seen := a.account(name, p)
	switch {
	case p.N <= seen.N:
		a.counts.Duplicated++
		a.findings.Note("%s: account %s has line %d again, after %d (transfer %d)", where, name, p.N, seen.N, p.Transfer)
	case p.N > seen.N+1:
		a.counts.Lost += p.N - seen.N - 1
		a.findings.Note("%s: account %s has line %d after %d (transfer %d)", where, name, p.N, seen.N, p.Transfer)
	case p.Balance != seen.Balance+p.Amount:
		a.counts.Sums++
		a.findings.Note("%s: account %s had %d and has %d after %+d (line %d)", where, name, seen.Balance, p.Balance, p.Amount, p.N)
	}
	a.order(name, p, seen, where)
	a.side(p, where)
	seen.standing, seen.version = p.standing, max(seen.version, p.Version)
}

func (a *audit) account(name string, p posting) *accountSeen {
	seen := a.accounts[name]
	if seen == nil {
		seen = &accountSeen{standing: standing{Balance: p.Opening}}
		for i := range seen.offsets {
			seen.offsets[i] = -1
		}
		a.accounts[name] = seen
	}
	return seen
}

// order checks that transfers of one partition reach an account in their order, and that the table never goes back.
func (a *audit) order(name string, p posting, seen *accountSeen, where string) {
	if p.Partition < 0 || p.Partition >= partitions {
		a.counts.Order++
		a.findings.Note("%s: account %s: a transfer came from partition %d", where, name, p.Partition)
		return
	}
	if last := seen.offsets[p.Partition]; p.Offset <= last {
		a.counts.Order++
		a.findings.Note("%s: account %s got the transfer at %d/%d after that at %d", where, name, p.Partition, p.Offset, last)
	}
	seen.offsets[p.Partition] = max(seen.offsets[p.Partition], p.Offset)
	if p.Version < seen.version {
		a.counts.Order++
		a.findings.Note("%s: account %s is joined with version %d after %d", where, name, p.Version, seen.version)
	}
}

// side checks that each side of a transfer is there once, and that they are equal.
func (a *audit) side(p posting, where string) {
	seen := a.sides[p.Transfer]
	mine, other := &seen.given, &seen.taken
	if p.Amount < 0 {
		mine, other = other, mine
	}
	switch {
	case *mine != 0:
		a.counts.Duplicated++
		a.findings.Note("%s: transfer %d moves %+d again", where, p.Transfer, p.Amount)
	case *other != 0 && *other+p.Amount != 0:
		a.counts.Sums++
		a.findings.Note("%s: the sides of transfer %d are %+d and %+d", where, p.Transfer, *other, p.Amount)
	}
	*mine = p.Amount
	a.sides[p.Transfer] = seen
}

// settled takes the next transfer that has met its confirmation.
func (a *audit) settled(s settled, where string) {
	a.counts.Records++
	if _, twice := a.met[s.ID]; twice {
		a.counts.Duplicated++
		a.findings.Note("%s: transfer %d is settled again", where, s.ID)
	}
	a.met[s.ID] = s
}

// volume takes the next change of a window: each posting makes one.
func (a *audit) volume(w window, v volume, where string) {
	a.counts.Records++
	if before := a.volumes[w]; v.Count != before.Count+1 || v.Moved <= before.Moved {
		a.counts.Windows++
		a.findings.Note("%s: region %s at %d has count %d, %d moved, after %d, %d", where, w.region, w.start, v.Count, v.Moved, before.Count, before.Moved)
	}
	a.volumes[w] = v
}

// close compares with what a replay of the input gives.
func (a *audit) close(r *replayed) {
	for id, t := range r.transfers {
		a.closeTransfer(id, t, r.codes[id])
	}
	for name, want := range r.book {
		if got := a.accounts[name]; got == nil || got.standing != want {
			a.counts.Sums++
			a.findings.Note("account %s ends with %+v, the replay has %+v", name, got, want)
		}
	}
	for w, want := range r.volumes {
		if got := a.volumes[w]; got != want {
			a.counts.Windows++
			a.findings.Note("region %s at %d ends with %+v, the replay has %+v", w.region, w.start, got, want)
		}
	}
	if n := len(a.volumes) - len(r.volumes); n > 0 {
		a.counts.Windows += int64(n)
		a.findings.Note("%d windows of no posting", n)
	}
}

func (a *audit) closeTransfer(id int64, t transfer, code int64) {
	for _, side := range []int64{a.sides[id].taken, a.sides[id].given} {
		if side == 0 {
			a.counts.Lost++
			a.findings.Note("a side of transfer %d is missing", id)
		}
	}
	switch s, ok := a.met[id]; {
	case !ok:
		a.counts.Lost++
		a.findings.Note("transfer %d has not met its confirmation", id)
	case s != settled{id, t.Amount, code}:
		a.counts.Joins++
		a.findings.Note("transfer %d of %d met code %d as %+v", id, t.Amount, code, s)
	}
}
