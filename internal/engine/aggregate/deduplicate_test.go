package aggregate

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/record"
)

func openDeduplicate(t failer, within, grace time.Duration) *bench {
	t.Helper()
	o := DeduplicateOptions{Within: within, Grace: grace, ID: func(r *record.Record) ([]byte, bool, error) {
		if bytes.Equal(r.Value, []byte("!")) {
			return nil, false, errors.New("no id")
		}
		return r.Value, string(r.Value) != "-", nil
	}}
	if err := o.Check(); err != nil {
		t.Fatal(err)
	}
	return newBench(t, o.Stores(), func() processor.Processor { return NewDeduplicate(o) })
}

// TestDuplicatesAgreeWithTheTwin keeps all that went through for ever and looks at each.
func TestDuplicatesAgreeWithTheTwin(t *testing.T) {
	type passed struct {
		key, id string
		at      int64
	}
	rapid.Check(t, func(t *rapid.T) {
		within, grace := int64(rapid.IntRange(1, 15).Draw(t, "within")), int64(rapid.IntRange(0, 15).Draw(t, "grace"))
		b := openDeduplicate(t, time.Duration(within)*ms, time.Duration(grace)*ms)
		var through []passed
		clock, now := int64(0), int64(-1<<62)
		for i := range rapid.IntRange(1, 40).Draw(t, "records") {
			clock += int64(rapid.SampledFrom([]int{0, 1, 2, 5, 20}).Draw(t, "step"))
			when := clock - int64(rapid.SampledFrom([]int{0, 0, 1, 3, 10, 30}).Draw(t, "behind"))
			now = max(now, when)
			r := passed{rapid.SampledFrom([]string{"k", "kk", ""}).Draw(t, "key"), rapid.SampledFrom([]string{"1", "k1", "-"}).Draw(t, "id"), when}
			want := "0"
			for _, p := range through {
				if r.id != "-" && p.key == r.key && p.id == r.id && max(p.at-when, when-p.at) <= within {
					want = ""
				}
			}
			if r.id != "-" && when < now-grace {
				want = "1"
			}
			if want == "0" {
				through = append(through, r)
			}
			switch rapid.IntRange(0, 9).Draw(t, "trouble") {
			case 0:
				b.restart()
			case 1:
				b.commit()
			case 2:
				b.undo(rec(r.key, r.id, when+30))
			}
			have := ""
			for _, e := range b.do(rec(r.key, r.id, when)) {
				have += string(rune('0' + e.port))
			}
			if have != want {
				t.Fatalf("record %d %+v, stream time %d: ports %q, want %q", i, r, now, have, want)
			}
		}
	})
}

func TestARecordWhoseIDFailsIsAnError(t *testing.T) {
	b := openDeduplicate(t, time.Second, 0)
	if _, err := b.try(0, rec("k", "!", 1)); err == nil {
		t.Error("it passes")
	}
}

func TestDeduplicateOptionsAreChecked(t *testing.T) {
	id := func(*record.Record) ([]byte, bool, error) { return nil, false, nil }
	for name, o := range map[string]DeduplicateOptions{
		"no id":          {Within: time.Second},
		"no time":        {ID: id},
		"negative grace": {ID: id, Within: time.Second, Grace: -1},
	} {
		if err := o.Check(); err == nil || !strings.HasPrefix(err.Error(), "check ") || NewDeduplicate(o).Open(nil) == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
