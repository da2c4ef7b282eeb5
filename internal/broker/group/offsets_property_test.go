package group

import (
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// history is the dumb twin of Offsets: everything that ever happened to one partition, looked through from the end.
type history []happening

type happening struct {
	what     string // commit, pend, end, abort, erase
	producer int64
	offset   int64
}

// at is the offset of the newest commit that counts: after the last erasure, by itself or by the end of its transaction.
func (h history) at() int64 {
	for i := len(h) - 1; i >= 0; i-- {
		switch x := h[i]; {
		case x.what == "erase":
			return -1
		case x.what == "commit", x.what == "pend" && h[i:].outcome(x.producer) == "end":
			return x.offset
		}
	}
	return -1
}

// outcome is how the first transaction of the producer that is open here ended.
func (h history) outcome(producer int64) string {
	for _, x := range h {
		if x.producer == producer && (x.what == "end" || x.what == "abort") {
			return x.what
		}
	}
	return ""
}

func (h history) unstable() bool {
	for i := len(h) - 1; i >= 0 && h[i].what != "erase"; i-- {
		if h[i].what == "pend" && h[i:].outcome(h[i].producer) == "" {
			return true
		}
	}
	return false
}

func TestOffsetsAreThoseOfTheirHistory(t *testing.T) {
	groups, topics := []string{"g", "h"}, []Topic{clicks, orders, clicks2}
	rapid.Check(t, func(t *rapid.T) {
		o := NewOffsets(0)
		twin := map[string]history{}
		tell := func(group string, topic Topic, x happening) {
			name := fmt.Sprint(group, topic)
			twin[name] = append(twin[name], x)
		}
		everywhere := func(x happening) {
			for _, g := range groups {
				for _, topic := range topics {
					tell(g, topic, x)
				}
			}
		}
		group := func() string { return rapid.SampledFrom(groups).Draw(t, "group") }
		topic := func() Topic { return rapid.SampledFrom(topics).Draw(t, "topic") }
		producer := func() int64 { return int64(rapid.IntRange(1, 3).Draw(t, "producer")) }
		next := int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"commit": func(*rapid.T) {
				g, x := group(), topic()
				next++
				e, _ := o.Commit(start, commitOf(g, x.Name, 0, next, ""), known(x))
				apply(t, o, e)
				tell(g, x, happening{"commit", 0, next})
			},
			"pend": func(*rapid.T) {
				g, x, p := group(), topic(), producer()
				next++
				e, _ := o.TxnCommit(start, pendingOf(p, g, x.Name, 0, next), known(x))
				apply(t, o, e)
				tell(g, x, happening{"pend", p, next})
			},
			"end": func(*rapid.T) {
				p, committed := producer(), rapid.Bool().Draw(t, "committed")
				o.End(p, committed)
				everywhere(happening{map[bool]string{true: "end", false: "abort"}[committed], p, 0})
			},
			"delete topic": func(*rapid.T) {
				x := topic()
				o.DropTopic(x.ID)
				for _, g := range groups {
					tell(g, x, happening{what: "erase"})
				}
			},
			"delete group": func(*rapid.T) {
				g := group()
				apply(t, o, o.DropGroup(g))
				for _, x := range topics {
					tell(g, x, happening{what: "erase"})
				}
			},
			"delete offset": func(*rapid.T) {
				g, x := group(), topic()
				b := newBuilder(OffsetsEntry{Group: g, Delete: true})
				b.add(slot{x, 0}, Offset{})
				apply(t, o, b.entry)
				tell(g, x, happening{what: "erase"})
			},
			"reopen": func(*rapid.T) {
				back := reopen(t, o)
				if !reflect.DeepEqual(o.groups, back.groups) {
					t.Fatalf("the snapshot of %+v makes %+v", o.groups, back.groups)
				}
				o = back
			},
			"": func(*rapid.T) {
				for _, g := range groups {
					for _, x := range topics {
						h := twin[fmt.Sprint(g, x)]
						if got, want := at(o, g, x, 0), h.at(); got != want {
							t.Fatalf("%s %v is at %d, want %d by %v", g, x, got, want, h)
						}
						if got, want := o.Unstable(g, x, 0), h.unstable(); got != want {
							t.Fatalf("%s %v unstable is %v by %v", g, x, got, h)
						}
					}
				}
			},
		})
	})
}
