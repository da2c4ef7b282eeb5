package tables_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/tables"
	client "ravenswood.dev/stream/tables"
)

func at(minutes int) time.Time { return time.UnixMilli(int64(minutes) * 60_000).UTC() }

// fill puts keys where they belong.
func (c *cluster) fill(t *testing.T, states []*store.State, entries map[string]string) {
	t.Helper()
	for n, s := range states {
		commit(t, s, func(s *store.State) {
			for k, v := range entries {
				if c.ownerOf(k) == int32(n) {
					s.KeyValue("users").Put([]byte(k), store.Entry{Value: []byte(v), Time: at(1)})
				}
			}
		})
	}
}

func TestAnyProcessAnswersForAKey(t *testing.T) {
	c := newCluster(t, 3, 8)
	states := c.spread(t)
	users := map[string]string{}
	for i := range 40 {
		users[fmt.Sprint("u", i)] = fmt.Sprintf(`{"n":%d}`, i)
	}
	c.fill(t, states, users)
	for _, p := range c.processes {
		for k, v := range users {
			a, err := p.client.Table("shop", "users").Get(t.Context(), []byte(k), client.Ask{})
			if err != nil || string(a.Value) != v || a.Stale != nil || !a.Time.Equal(at(1)) {
				t.Fatalf("asked %s for %s: got %+v, %v", p.id, k, a, err)
			}
			if want := c.processes[c.ownerOf(k)%3].id; a.By != want || a.Partition != c.ownerOf(k) {
				t.Errorf("asked %s for %s: %s answered for partition %d, want %s", p.id, k, a.By, a.Partition, want)
			}
		}
		if _, err := p.client.Table("shop", "users").Get(t.Context(), []byte("nobody"), client.Ask{}); !errors.Is(err, client.ErrNoKey) {
			t.Errorf("got %v", err)
		}
	}
}

// TestRangesAreThoseOfOneMap compares ranges and prefixes over many partitions and processes, page by page, with a map.
func TestRangesAreThoseOfOneMap(t *testing.T) {
	c := newCluster(t, 3, 7)
	states := c.spread(t)
	rapid.Check(t, func(rt *rapid.T) {
		key := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 'a', 'b', 0xff}), 0, 4)
		want := map[string]string{}
		for _, k := range rapid.SliceOfN(key, 0, 60).Draw(rt, "keys") {
			want[string(k)] = fmt.Sprint(len(want))
		}
		for _, s := range states {
			commit(t, s, func(s *store.State) {
				for k := range s.KeyValue("users").Range(nil, nil) {
					s.KeyValue("users").Delete(k, at(1))
				}
			})
		}
		c.fill(t, states, want)
		r := client.Range{Limit: rapid.IntRange(1, 20).Draw(rt, "limit")}
		if rapid.Bool().Draw(rt, "from") {
			r.From = key.Draw(rt, "from key")
		}
		if rapid.Bool().Draw(rt, "to") {
			r.To = key.Draw(rt, "to key")
		}
		if rapid.Bool().Draw(rt, "prefix") {
			r.Prefix = key.Draw(rt, "prefix key")
		}
		var got []string
		p := c.processes[rapid.IntRange(0, 2).Draw(rt, "process")]
		for e, err := range p.client.Table("shop", "users").All(t.Context(), r) {
			if err != nil {
				rt.Fatal(err)
			}
			got = append(got, string(e.Key)+"="+string(e.Value))
		}
		if naive := inRange(want, r); !slices.Equal(got, naive) {
			rt.Fatalf("range %+v: got %q, want %q", r, got, naive)
		}
	})
}

func inRange(all map[string]string, r client.Range) (in []string) {
	for _, k := range slices.Sorted(maps.Keys(all)) {
		key := []byte(k)
		if bytes.Compare(key, r.From) >= 0 && (r.To == nil || bytes.Compare(key, r.To) < 0) && bytes.HasPrefix(key, r.Prefix) {
			in = append(in, k+"="+all[k])
		}
	}
	return in
}

// TestWindowsAndSessionsComeInOrderPageByPage compares time tables with a sorted list, by key and for all keys.
func TestWindowsAndSessionsComeInOrderPageByPage(t *testing.T) {
	c := newCluster(t, 2, 5)
	states := c.spread(t)
	var windows, sessions []string // in order
	keys := []string{"a", "ab", "b", "c\x00d"}
	for hour := range 12 {
		for _, k := range keys {
			s := states[c.ownerOf(k)]
			commit(t, s, func(s *store.State) {
				entry := store.Entry{Value: fmt.Append(nil, hour), Time: at(hour*60 + 30)}
				s.Windows("hours").Put([]byte(k), at(hour*60), 0, entry)
				s.Sessions("visits").Put([]byte(k), at(hour*60), at(hour*60+10), entry)
			})
			windows = append(windows, fmt.Sprintf("%q %d-%d", k, hour*60, hour*60+60))
			sessions = append(sessions, fmt.Sprintf("%q %d-%d", k, hour*60, hour*60+10))
		}
	}
	kinds := []struct {
		table string
		ask   func(h *client.Handle, key []byte, s client.Span) (client.Page, error)
		all   []string
	}{
		{"hours", func(h *client.Handle, key []byte, s client.Span) (client.Page, error) {
			return h.Windows(t.Context(), key, s)
		}, windows},
		{"visits", func(h *client.Handle, key []byte, s client.Span) (client.Page, error) {
			return h.Sessions(t.Context(), key, s)
		}, sessions},
	}
	cases := []struct {
		name string
		key  []byte
		span client.Span
		want func(all []string) []string
	}{
		{"all keys", nil, client.Span{Limit: 7}, func(all []string) []string { return all }},
		{"one key", []byte("ab"), client.Span{Limit: 5}, func(all []string) []string { return only(all, `"ab" `) }},
		{"keys of a prefix", nil, client.Span{Prefix: []byte("a"), Limit: 3}, func(all []string) []string { return only(all, `"a`) }},
		{"a span of all keys", nil, client.Span{From: at(120), To: at(240), Limit: 100}, func(all []string) []string { return all[8:20] }},
		{"a span of one key", []byte("b"), client.Span{From: at(120), To: at(120)}, func(all []string) []string { return only(all[8:12], `"b"`) }},
	}
	for _, k := range kinds {
		for _, tc := range cases {
			t.Run(k.table+" of "+tc.name, func(t *testing.T) {
				var got []string
				for first := true; first || tc.span.Cursor != ""; first = false {
					page, err := k.ask(c.processes[0].client.Table("shop", k.table), tc.key, tc.span)
					if err != nil {
						t.Fatal(err)
					}
					for _, e := range page.Entries {
						got = append(got, fmt.Sprintf("%q %d-%d", e.Key, e.Start.UnixMilli()/60_000, e.End.UnixMilli()/60_000))
					}
					tc.span.Cursor = page.Next
				}
				if want := tc.want(k.all); !slices.Equal(got, want) {
					t.Errorf("got %q\nwant %q", got, want)
				}
			})
		}
	}
}

func only(all []string, prefix string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return !strings.HasPrefix(s, prefix) })
}

func TestVersionsAreAskedAsOfATime(t *testing.T) {
	c := newCluster(t, 2, 3)
	states := c.spread(t)
	commit(t, states[c.ownerOf("tea")], func(s *store.State) {
		v := s.Versions("prices")
		v.Put([]byte("tea"), store.Entry{Value: []byte("1"), Time: at(10)})
		v.Put([]byte("tea"), store.Entry{Time: at(20)})
		v.Put([]byte("tea"), store.Entry{Value: []byte("3"), Time: at(30)})
	})
	prices := c.processes[1].client.Table("shop", "prices")
	for minute, want := range map[int]string{9: "", 10: "1", 19: "1", 20: "", 31: "3"} {
		a, err := prices.AsOf(t.Context(), []byte("tea"), at(minute), client.Ask{})
		if want == "" && errors.Is(err, client.ErrNoKey) {
			continue
		}
		if err != nil || string(a.Value) != want {
			t.Errorf("as of minute %d: got %q, %v, want %q", minute, a.Value, err, want)
		}
	}
	if a, err := prices.Get(t.Context(), []byte("tea"), client.Ask{}); err != nil || string(a.Value) != "3" {
		t.Errorf("got %+v, %v", a, err)
	}
	var got []string
	span := client.Span{Limit: 2}
	for range 2 {
		page, err := prices.Versions(t.Context(), []byte("tea"), span)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			got = append(got, fmt.Sprintf("%d %s %v", e.Time.Minute(), e.Value, e.Value == nil))
		}
		span.Cursor = page.Next
	}
	if want := []string{"10 1 false", "20  true", "30 3 false"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if page, err := prices.Range(t.Context(), client.Range{Prefix: []byte("t")}); err != nil || len(page.Entries) != 1 || string(page.Entries[0].Value) != "3" {
		t.Errorf("got %+v, %v", page, err)
	}
}

// TestACopyAnswersWhileATaskMoves goes through a hand-over: what is said, by whom, and what fresh makes of it.
func TestACopyAnswersWhileATaskMoves(t *testing.T) {
	cases := []struct {
		name  string
		setup func(t *testing.T, c *cluster)
		value string // of an answer that may be stale; empty: none comes
		stale *client.Stale
		fresh client.Code // of what is said to who wants it fresh; empty: the value
	}{
		{"the owner runs", func(t *testing.T, c *cluster) {
			put(t, c.own(t, c.processes[1], 0), `"owner"`)
			put(t, c.standby(t, c.processes[2], 0), `"copy"`)
		}, `"owner"`, nil, ""},
		{"the owner restores and there is a copy", func(t *testing.T, c *cluster) {
			restore(t, c, c.processes[1])
			put(t, c.standby(t, c.processes[2], 0), `"copy"`)
		}, `"copy"`, &client.Stale{Records: 7, Behind: "120ms", Partitions: []int32{0}}, client.OnlyStale},
		{"the copy is where the question is asked", func(t *testing.T, c *cluster) {
			restore(t, c, c.processes[1])
			put(t, c.standby(t, c.processes[0], 0), `"copy"`)
		}, `"copy"`, &client.Stale{Records: 7, Behind: "120ms", Partitions: []int32{0}}, client.OnlyStale},
		{"the owner restores and nobody has a copy", func(t *testing.T, c *cluster) { restore(t, c, c.processes[1]) }, `"restoring"`, &client.Stale{Records: 99, Partitions: []int32{0}}, client.OnlyStale},
		{"the owner cannot be reached", func(t *testing.T, c *cluster) {
			c.own(t, c.processes[1], 0)
			c.processes[1].server.Close()
			put(t, c.standby(t, c.processes[2], 0), `"copy"`)
		}, `"copy"`, &client.Stale{Records: 7, Behind: "120ms", Partitions: []int32{0}}, client.OnlyStale},
		{"the owner answers nobody", func(t *testing.T, c *cluster) {
			c.own(t, c.processes[1], 0)
			c.owners[0].Active.Address = ""
		}, "", nil, client.NotReady},
		{"the owner has lost it without saying so", func(t *testing.T, c *cluster) {
			c.own(t, c.processes[1], 0)
			c.processes[1].change(func() { clear(c.processes[1].running) })
		}, "", nil, client.NotReady},
		{"nobody has it", func(*testing.T, *cluster) {}, "", nil, client.NotReady},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := newCluster(t, 3, 1)
			for _, p := range c.processes {
				p.lag = tables.Staleness{Records: 7, Behind: 120 * time.Millisecond}
			}
			tc.setup(t, c)
			users := c.processes[0].client.Table("shop", "users")
			a, err := users.Get(t.Context(), []byte("k"), client.Ask{Wait: time.Millisecond})
			page, rangeErr := users.Range(t.Context(), client.Range{Ask: client.Ask{Wait: time.Millisecond}})
			switch {
			case tc.value == "":
				if code(err) != client.NotReady || code(rangeErr) != client.NotReady {
					t.Errorf("got %+v, %v; %+v, %v", a, err, page, rangeErr)
				}
			case err != nil || rangeErr != nil || string(a.Value) != tc.value || len(page.Entries) != 1 || string(page.Entries[0].Value) != tc.value:
				t.Errorf("got %s, %v; %+v, %v", a.Value, err, page, rangeErr)
			case !same(a.Stale, tc.stale) || !same(page.Stale, tc.stale):
				t.Errorf("got stale %+v and %+v, want %+v", a.Stale, page.Stale, tc.stale)
			}
			a, err = users.Get(t.Context(), []byte("k"), client.Ask{Fresh: true, Wait: time.Millisecond})
			if code(err) != tc.fresh || tc.fresh == "" && string(a.Value) != tc.value {
				t.Errorf("fresh: got %s, %v, want %q", a.Value, err, tc.fresh)
			}
		})
	}
}

func put(t *testing.T, s *store.State, value string) {
	t.Helper()
	commit(t, s, func(s *store.State) {
		s.KeyValue("users").Put([]byte("k"), store.Entry{Value: []byte(value), Time: at(1)})
	})
}

// restore makes a process the owner of partition 0, and not ready.
func restore(t *testing.T, c *cluster, p *process) {
	t.Helper()
	s := c.own(t, p, 0)
	put(t, s, `"restoring"`)
	p.change(func() { p.running[0], p.restoring[0] = nil, s })
}

func code(err error) client.Code {
	if e, ok := errors.AsType[*client.Error](err); ok {
		return e.Code
	}
	if err != nil {
		return client.Code(err.Error())
	}
	return ""
}

func same(a, b *client.Stale) bool {
	return (a == nil) == (b == nil) && (a == nil || a.Records == b.Records && a.Behind == b.Behind && slices.Equal(a.Partitions, b.Partitions))
}

// TestAQuestionWaitsForATaskThatMoves asks while nobody has the task, which then comes up.
// TestAProcessThatHangsIsNotWaitedForLong has an owner that takes questions and never answers, as one that was paused does.
func TestAProcessThatHangsIsNotWaitedForLong(t *testing.T) {
	c := newCluster(t, 3, 1)
	c.own(t, c.processes[1], 0)
	put(t, c.standby(t, c.processes[2], 0), `1`)
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or nobody notices that the asker is gone
		<-r.Context().Done()
	}))
	defer hangs.Close()
	c.mu.Lock()
	c.owners[0].Active.Address = hangs.Listener.Addr().String()
	c.mu.Unlock()
	begun := time.Now()
	a, err := c.processes[0].client.Table("shop", "users").Get(t.Context(), []byte("k"), client.Ask{Wait: client.WaitMax})
	if took := time.Since(begun); err != nil || a.Stale == nil || a.By != "p2" || took > 10*time.Second {
		t.Errorf("got %+v, %v after %s", a, err, took)
	}
}

func TestAQuestionWaitsForATaskThatMoves(t *testing.T) {
	c := newCluster(t, 2, 1)
	answered := make(chan error, 1)
	go func() {
		_, err := c.processes[0].client.Table("shop", "users").Get(t.Context(), []byte("k"), client.Ask{Fresh: true, Wait: 20 * time.Second})
		answered <- err
	}()
	put(t, c.own(t, c.processes[1], 0), `1`)
	c.processes[0].change(func() {})
	select {
	case err := <-answered:
		if err != nil && !errors.Is(err, client.ErrNoKey) { // the task was there before the entry was
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the question still waits")
	}
}

// TestAQuestionIsPassedOnOnce lets two processes believe that the other one has everything.
func TestAQuestionIsPassedOnOnce(t *testing.T) {
	c := newCluster(t, 2, 4)
	for n := range c.owners {
		c.owners[n].Active = c.processes[1].instance() // who does not have it
	}
	if _, err := c.processes[0].client.Table("shop", "users").Range(t.Context(), client.Range{Ask: client.Ask{Fresh: true, Wait: time.Nanosecond}}); code(err) != client.NotReady {
		t.Errorf("got %v", err)
	}
	if a, b := c.processes[0].asked, c.processes[1].asked; a != 0 || b != 1 {
		t.Errorf("the processes were asked %d and %d times, want none and once", a, b)
	}
	status, said := get(t, c.processes[0], "/v1/topologies/shop/tables/users/k", func(r *http.Request) { r.Header.Set("Raven-Asked-By", "p9") })
	if status != http.StatusLoopDetected {
		t.Errorf("got %d %v", status, said)
	}
}

// TestPagesAreBounded writes values of which only a few fit into a page, all in one process, and small ones between
// them in the other: its page must not go on behind what the first one had no room for.
func TestPagesAreBounded(t *testing.T) {
	c := newCluster(t, 2, 4)
	states := c.spread(t)
	large, users := `"`+strings.Repeat("x", 3<<20)+`"`, map[string]string{}
	left := 4
	for i := range 30 {
		key := fmt.Sprintf("u%02d", i)
		users[key] = `"small"`
		if left > 0 && c.ownerOf(key)%2 == 0 {
			users[key] = large
			left--
		}
	}
	users["u99"] = `"` + strings.Repeat("y", 9<<20) + `"` // alone more than a page
	c.fill(t, states, users)
	var seen []string
	r := client.Range{Limit: client.LimitMax}
	for first := true; first || r.Cursor != ""; first = false {
		page, err := c.processes[0].client.Table("shop", "users").Range(t.Context(), r)
		if err != nil || len(page.Entries) == 0 {
			t.Fatalf("got %d entries, %v", len(page.Entries), err)
		}
		size := 0
		for _, e := range page.Entries {
			seen, size = append(seen, string(e.Key)), size+len(e.Value)
		}
		if size > 8<<20 && len(page.Entries) > 1 {
			t.Errorf("a page of %d entries has %d bytes", len(page.Entries), size)
		}
		r.Cursor = page.Next
	}
	if want := slices.Sorted(maps.Keys(users)); !slices.Equal(seen, want) {
		t.Errorf("got %q, want %q", seen, want)
	}
}
