package stage_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"ravenswood.dev/internal/engine/stage"
	"ravenswood.dev/internal/record"
)

func TestATimeThatTheLogCannotKeepFailsItsRecord(t *testing.T) {
	for _, c := range []struct {
		name string
		at   time.Time
		good bool
	}{
		{"now", time.Now(), true},
		{"none", time.Time{}, true},
		{"the end of four digits", time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), false},
		{"before 1970", time.UnixMilli(-86400000), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			late, _ := task(t, &picky{}, time.Now)
			before := late.StreamTime()
			_, err := late.Process(context.Background(), []stage.Work{{Record: &record.Record{Value: []byte("good"), Time: c.at}}})
			var failed *stage.Error
			if errors.As(err, &failed) == c.good || !c.good && (failed.Bolt != "picky" || !late.StreamTime().Equal(before)) {
				t.Errorf("got %v, stream time %s", err, late.StreamTime())
			}
		})
	}
}
