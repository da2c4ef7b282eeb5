package engine

import (
	"errors"
	"testing"
	"time"
)

func TestAWorkerFailsWhenItBeginsAgainAndAgain(t *testing.T) {
	var f failing
	now := time.Unix(1000, 0)
	fail := func(after time.Duration) {
		now = now.Add(after)
		f.note(1, errors.New("no space left"), now)
	}
	check := func(when string, want int) {
		t.Helper()
		got, ok := f.look(now)
		if ok != (want > 0) || ok && (got.Times != want || got.Worker != 1 || got.Error != "no space left" || !got.Last.Equal(now)) {
			t.Errorf("%s: %+v %v, want %d times", when, got, ok, want)
		}
	}
	check("at the start", 0)
	fail(0)
	fail(time.Second)
	check("after two", 0)
	fail(time.Second)
	check("after three", 3)
	fail(failingFor)
	check("after a fourth, within a minute", 4)
	fail(failingFor + time.Second)
	check("after one that came later", 0)
	fail(time.Second)
	fail(time.Second)
	now = now.Add(failingFor + time.Second)
	check("when it has worked for a while", 0)
}
