package join

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/record"
)

// TestStreamGlobalTableAgainstAMap joins a stream with a global table by a field of its records, in any order of time and
// with records that come twice: a record sees of the table what was given to it last, whatever their times.
func TestStreamGlobalTableAgainstAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := Type(rapid.IntRange(0, 1).Draw(t, "type"))
		byField := rapid.Bool().Draw(t, "by field")
		cfg := StreamTableConfig{Table: Source{Store: "g"}, Type: typ, Join: enrich}
		if byField {
			cfg.Key = func(r *record.Record) ([]byte, error) { return fieldOf(r.Value), nil }
		}
		w, out := newWorld(t, stores{"g": {store.Spec{}}}), lines{}
		defer w.close(t)
		j := NewStreamTable(cfg)
		w.open(t, "j", j, out.emit)
		table := map[string]string{}
		var all []update
		for i, n := 0, rapid.IntRange(1, 25).Draw(t, "n"); i < n; i++ {
			u := drawGlobal(t, i, all)
			all = append(all, u)
			if u.restart {
				j = NewStreamTable(cfg)
				w.open(t, "j", j, out.emit)
			}
			if u.side == 1 {
				UpdateGlobal(w.state.KeyValue("g"), rec(u.key, u.value, u.at))
				if delete(table, u.key); u.key != "-" && u.value != "-" {
					table[u.key] = u.value
				}
				same(t, out.take(), nil)
				continue
			}
			w.feed(t, j, 0, rec(u.key, u.value, u.at))
			same(t, out.take(), globalResult(u, table, typ, byField))
		}
	})
}

// fieldOf is the key that a record of the stream names: what its value begins with, none if it begins with a question mark.
func fieldOf(value []byte) []byte {
	if len(value) > 0 && value[0] == '?' {
		return nil
	}
	return value[:min(1, len(value))]
}

// drawGlobal is a record for the stream or the table, now and then one that came before.
func drawGlobal(t *rapid.T, i int, before []update) update {
	if len(before) > 0 && rapid.IntRange(0, 4).Draw(t, "again") == 0 {
		return rapid.SampledFrom(before).Draw(t, "which")
	}
	u := drawUpdate(t, i)
	if u.side == 0 && u.value != "-" {
		u.value = rapid.SampledFrom([]string{"", "a", "b", "?"}).Draw(t, "field") + u.value
	}
	return u
}

// globalResult is what a record of the stream must give.
func globalResult(u update, table map[string]string, typ Type, byField bool) []string {
	key := u.key
	if byField {
		key = text(fieldOf([]byte(u.value)))
	}
	right, found := table[key]
	switch {
	case u.value == "-", !byField && key == "-", !found && typ == Inner:
		return nil
	case !found:
		right = "-"
	}
	shown := u.key
	if shown == "-" {
		shown = "" // no key: enrich shows it as empty
	}
	return []string{fmt.Sprintf("%s=[%s %s %s] was - @%d", u.key, shown, u.value, right, u.at)}
}
