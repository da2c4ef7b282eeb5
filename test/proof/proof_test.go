package proof_test

import (
	"slices"
	"testing"

	"ravenswood.dev/test/proof"
)

func TestAtStepReadsItsOrder(t *testing.T) {
	for _, c := range []struct {
		order    string
		hook, ok bool
	}{
		{"", false, true},
		{proof.Order(proof.KillAt, "after-flush", 3), true, true},
		{proof.Order(proof.StopAt, "after-flush", 3), true, true},
		{"after-flush:3", false, false},
		{"kill:after-flush", false, false},
		{"kill:after-flush:x", false, false},
		{"wake:after-flush:3", false, false},
	} {
		t.Run(c.order, func(t *testing.T) {
			hook, err := proof.AtStep(c.order)
			if (hook != nil) != c.hook || (err == nil) != c.ok {
				t.Errorf("hook %v, error %v", hook != nil, err)
			}
			if hook != nil {
				hook("before-flush") // another step: we are still here
				hook("after-flush")
			}
		})
	}
}

func TestFindingsKeepTheFirstOfEachKind(t *testing.T) {
	f := &proof.Findings{}
	for i := range 100 {
		f.Note("a %d", i)
	}
	f.Note("b")
	if got := f.First(); len(got) != proof.OfAKind+1 || got[0] != "a 0" || !slices.Contains(got, "b") {
		t.Errorf("kept %q", got)
	}
}
