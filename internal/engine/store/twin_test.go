package store

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// twin is a State as one would write it without caring for speed: maps that are copied whole.
type twin struct {
	observed int64
	tables   map[string]map[string]cell       // key-value
	windows  map[twinWindow]cell              //
	sessions map[twinSession]cell             //
	versions map[string]map[int64]twinVersion // by key and time
	offset   int64                            // the checkpoint
}

type twinWindow struct {
	key   string
	start int64
	seq   uint64
}

type twinSession struct {
	key        string
	start, end int64
}

type twinVersion struct {
	value   string
	deleted bool
}

// The stores of the twin, and their retention.
const (
	twinRetention = 2 * time.Minute
	tableStore    = "table"
	mortalStore   = "mortal" // a table with time to live
	windowStore   = "windows"
	sessionStore  = "sessions"
	versionStore  = "versions"
)

func twinSpecs() []Spec {
	return []Spec{
		{Name: tableStore},
		{Name: mortalStore, Retention: twinRetention},
		{Name: windowStore, Kind: KindWindow, Retention: twinRetention},
		{Name: sessionStore, Kind: KindSession, Retention: twinRetention},
		{Name: versionStore, Kind: KindVersioned, Retention: twinRetention},
	}
}

func newTwin() *twin {
	return &twin{
		observed: unknown, offset: -1,
		tables:   map[string]map[string]cell{tableStore: {}, mortalStore: {}},
		windows:  map[twinWindow]cell{},
		sessions: map[twinSession]cell{},
		versions: map[string]map[int64]twinVersion{},
	}
}

func (m *twin) clone() *twin {
	c := *m
	c.tables = map[string]map[string]cell{}
	for name, t := range m.tables {
		c.tables[name] = maps.Clone(t)
	}
	c.windows, c.sessions = maps.Clone(m.windows), maps.Clone(m.sessions)
	c.versions = map[string]map[int64]twinVersion{}
	for key, h := range m.versions {
		c.versions[key] = maps.Clone(h)
	}
	return &c
}

func (m *twin) horizon() int64 {
	if m.observed == unknown {
		return unknown
	}
	return m.observed - twinRetention.Milliseconds()
}

func (m *twin) lives(store string, at int64) bool { return store == tableStore || at >= m.horizon() }

// putVersion forgets what is gone of a key and then adds a version, unless that is gone at once.
func (m *twin) putVersion(key string, at int64, v twinVersion) {
	seen := m.history(key)
	h := map[int64]twinVersion{}
	for _, t := range seen {
		h[t] = m.versions[key][t]
	}
	m.versions[key] = h
	for _, t := range seen {
		if t > at && t <= m.horizon() {
			return
		}
	}
	h[at] = v
}

// history returns the times of a key's versions that are not gone, in order.
func (m *twin) history(key string) []int64 {
	times := slices.Sorted(maps.Keys(m.versions[key]))
	for i := len(times) - 1; i >= 0; i-- {
		if times[i] > m.horizon() {
			continue
		}
		if m.versions[key][times[i]].deleted {
			i++
		}
		return times[i:]
	}
	return times
}

// The answers, as text in the order in which a store must give them.

func (m *twin) tableRange(store, from string, to *string) []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(m.tables[store])) {
		c := m.tables[store][key]
		if key >= from && (to == nil || key < *to) && m.lives(store, c.at) {
			out = append(out, fmt.Sprintf("%q=%q@%d", key, c.value, c.at))
		}
	}
	return out
}

func (m *twin) tableGet(store, key string) string {
	c, ok := m.tables[store][key]
	if !ok || !m.lives(store, c.at) {
		return "none"
	}
	return fmt.Sprintf("%q@%d", c.value, c.at)
}

func (m *twin) fetch(key string, from, to int64) []string {
	var out []string
	for _, w := range slices.SortedFunc(maps.Keys(m.windows), compareWindows) {
		if w.key == key && w.start >= from && w.start <= to && m.lives(windowStore, w.start) {
			out = append(out, windowText(w, m.windows[w]))
		}
	}
	return out
}

func (m *twin) allWindows(from, to int64) []string {
	var out []string
	for w, c := range m.windows {
		if w.start >= from && w.start <= to && m.lives(windowStore, w.start) {
			out = append(out, windowText(w, c))
		}
	}
	slices.Sort(out)
	return out
}

func compareWindows(a, b twinWindow) int {
	return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.seq, b.seq), strings.Compare(a.key, b.key))
}

func windowText(w twinWindow, c cell) string {
	return fmt.Sprintf("%q %d %d=%q@%d", w.key, w.start, w.seq, c.value, c.at)
}

// sessionsOf returns the sessions of a key, or of all, by end; those of all in the order of their text.
func (m *twin) sessionsOf(key *string, from, to int64) []string {
	var out []string
	byEnd := func(a, b twinSession) int {
		return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.start, b.start))
	}
	for _, s := range slices.SortedFunc(maps.Keys(m.sessions), byEnd) {
		if (key == nil || *key == s.key) && s.end >= from && s.start <= to && m.lives(sessionStore, s.end) {
			out = append(out, sessionText(s, m.sessions[s]))
		}
	}
	if key == nil {
		slices.Sort(out)
	}
	return out
}

func sessionText(s twinSession, c cell) string {
	return fmt.Sprintf("%q %d-%d=%q@%d", s.key, s.start, s.end, c.value, c.at)
}

func (m *twin) asOf(key string, at int64) string {
	answer := "none"
	for _, t := range m.history(key) {
		if v := m.versions[key][t]; t <= at {
			answer = fmt.Sprintf("%q@%d", v.value, t)
			if v.deleted {
				answer = "none"
			}
		}
	}
	return answer
}

func (m *twin) historyText(key string, from, to int64) []string {
	var out []string
	for _, t := range m.history(key) {
		if v := m.versions[key][t]; t >= from && t <= to {
			out = append(out, fmt.Sprintf("%v %q@%d", v.deleted, v.value, t))
		}
	}
	return out
}

func (m *twin) latest(from string, to *string) []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(m.versions)) {
		if key < from || to != nil && key >= *to {
			continue
		}
		if s := m.asOf(key, 1<<60); s != "none" {
			out = append(out, fmt.Sprintf("%q=%s", key, s))
		}
	}
	return out
}
