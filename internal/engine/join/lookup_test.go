package join

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ravenswood.dev/internal/engine/store"
)

// TestAsOfAgainstAList joins a stream with what a table was at the time of each record, in any order of time.
func TestAsOfAgainstAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := TableConfig{Store: store.Spec{Kind: store.KindVersioned, Retention: time.Hour}}
		typ := Type(rapid.IntRange(0, 1).Draw(t, "type"))
		w, out := newWorld(t, stores{"t": table.Stores()}), lines{}
		defer w.close(t)
		j := NewStreamTable(StreamTableConfig{Table: Source{Store: "t", Versioned: true}, Type: typ, Join: enrich})
		p := NewTable(table)
		w.open(t, "j", j, out.emit)
		w.open(t, "t", p, (&lines{}).emit)
		var history []update
		for i, n := 0, rapid.IntRange(1, 25).Draw(t, "n"); i < n; i++ {
			u := drawUpdate(t, i)
			if u.side == 1 {
				w.feed(t, p, 0, rec(u.key, u.value, u.at))
				history = append(history, u)
				continue
			}
			w.feed(t, j, 0, rec(u.key, u.value, u.at))
			valid := update{value: "-", at: -1}
			for _, h := range history {
				if h.key == u.key && h.at <= u.at && h.at >= valid.at {
					valid = h
				}
			}
			var want []string
			if u.key != "-" && u.value != "-" && (valid.value != "-" || typ == Left) {
				want = []string{fmt.Sprintf("%s=[%s %s %s] was - @%d", u.key, u.key, u.value, valid.value, u.at)}
			}
			same(t, out.take(), want)
		}
	})
}
