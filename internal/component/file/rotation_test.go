package file

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/internal/component"
)

// TestFollowMissesAndRepeatsNothing writes and rotates a log in ways drawn by chance, with a spout that is stopped and
// opened anew, or does not get to read for several rotations.
func TestFollowMissesAndRepeatsNothing(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			l := &rotatedLog{source: following(t), random: rand.New(rand.NewPCG(seed, 0)), clock: time.Now().Add(-time.Hour)}
			l.source.write("app.log", "")
			var got []string
			var position []byte
			sp := l.source.open(nil)
			l.append("line %d\n", l.lines) // before the first position, a rotated file is none of ours
			got, position = take(t, sp, 1, 5*time.Second, got, position)
			for range 60 {
				switch l.random.IntN(8) {
				case 0, 1:
					l.append("line %d\n", l.lines)
				case 2:
					l.append("line ", 0)
					l.append("%d\n", l.lines)
				case 3, 4:
					l.rotate()
				case 5:
					sp = l.source.open(position)
				default:
					got, position = take(t, sp, 1+l.random.IntN(3), 3*time.Millisecond, got, position)
				}
			}
			for deadline := time.Now().Add(time.Second); len(got) < l.lines && time.Now().Before(deadline); {
				got, position = take(t, sp, 100, 20*time.Millisecond, got, position)
			}
			got, _ = take(t, sp, 100, 5*time.Millisecond, got, position)
			var want []string
			for i := range l.lines {
				want = append(want, fmt.Sprintf("line %d", i))
			}
			wantText(t, strings.Join(got, "\n"), strings.Join(want, "\n"))
		})
	}
}

// take reads what there is within a time.
func take(t *testing.T, sp component.Spout, most int, within time.Duration, got []string, position []byte) ([]string, []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	b, err := sp.Next(ctx, most)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if len(b.Records) > 0 {
		got, position = append(got, strings.Split(values(b.Records), "\n")...), b.Position
	}
	return got, position
}

// rotatedLog writes app.log and keeps all that it was.
type rotatedLog struct {
	source    *source
	random    *rand.Rand
	clock     time.Time // each write is a second after the one before: file systems do not tell moments apart
	lines     int
	rotations int
}

func (l *rotatedLog) append(format string, n int) {
	text := format
	if strings.Contains(format, "%d") {
		text = fmt.Sprintf(format, n)
		l.lines++
	}
	l.source.append("app.log", text)
	l.touch()
}

func (l *rotatedLog) touch() {
	l.clock = l.clock.Add(time.Second)
	_ = os.Chtimes(l.source.path("app.log"), l.clock, l.clock)
}

func (l *rotatedLog) rotate() {
	for i := l.rotations; i > 0; i-- {
		l.source.rename(fmt.Sprintf("app.log.%d", i), fmt.Sprintf("app.log.%d", i+1))
	}
	l.source.rename("app.log", "app.log.1")
	l.rotations++
	l.source.write("app.log", "")
	l.touch()
}
