package bench

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Series is one thing measured several times.
type Series []float64

// Median is the middle of the measurements.
func (s Series) Median() float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

// Spread is the distance between the largest and the smallest measurement, as a share of the median.
func (s Series) Spread() float64 {
	if len(s) == 0 || s.Median() == 0 {
		return 0
	}
	return (slices.Max(s) - slices.Min(s)) / s.Median()
}

// quantile is the value below which a share q of the sorted values lies.
func quantile[T cmp.Ordered](sorted []T, q float64) (v T) {
	if len(sorted) == 0 {
		return v
	}
	at := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(at, 0), len(sorted)-1)]
}

func micros(d time.Duration) float64 { return round(float64(d)/float64(time.Microsecond), 1) }
func millis(d time.Duration) float64 { return round(float64(d)/float64(time.Millisecond), 2) }

// round keeps as many digits after the point as a reader can use.
func round(v float64, digits int) float64 {
	p := math.Pow10(digits)
	return math.Round(v*p) / p
}

// course is how far something had come at which time.
type course []point

type point struct {
	at   time.Time
	done int64
}

func (c *course) reach(done int64) {
	if n := len(*c); n == 0 || (*c)[n-1].done != done {
		*c = append(*c, point{time.Now(), done})
	}
}

// rate is records a second between two commits: the first past a tenth of the way, so that neither joining a group nor
// cold code counts, and the last but one, since the last does not fill its interval. A way with fewer commits is taken
// as a whole.
func (c course) rate() float64 {
	if len(c) < 2 {
		return 0
	}
	from, to := 0, len(c)-1
	for from < to && c[from].done < c[to].done/10 {
		from++
	}
	if to-from >= 2 {
		to--
	}
	if from == to {
		from = 0
	}
	return float64(c[to].done-c[from].done) / c[to].at.Sub(c[from].at).Seconds()
}
