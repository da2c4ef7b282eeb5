package bench

import (
	"math"
	"math/rand/v2"
	"sort"
	"time"
)

// zipf draws ranks 0..n-1, rank k with probability proportional to (k+1)^-s, by the inverse of the cumulative
// distribution: exact for any s.
type zipf struct {
	chance     *rand.Rand
	cumulative []float64
}

func newZipf(chance *rand.Rand, s float64, n int) *zipf {
	z := &zipf{chance: chance, cumulative: make([]float64, n)}
	sum := 0.0
	for k := range n {
		sum += math.Pow(float64(k+1), -s)
		z.cumulative[k] = sum
	}
	return z
}

func (z *zipf) draw() int {
	at := z.chance.Float64() * z.cumulative[len(z.cumulative)-1]
	return sort.SearchFloat64s(z.cumulative, at)
}

// shape is what matters of an input for how fast it can be worked on.
type shape struct {
	records   int
	byKey     map[string]int
	partition map[int32]int
}

func newShape() *shape { return &shape{byKey: map[string]int{}, partition: map[int32]int{}} }

func (s *shape) add(key []byte, partition int32) {
	s.records++
	s.byKey[string(key)]++
	s.partition[partition]++
}

// hottest is how many records the key with the most of them has.
func (s *shape) hottest() (most int) {
	for _, n := range s.byKey {
		most = max(most, n)
	}
	return most
}

// bound is the shortest time in which the input can be worked on if each record takes so long, records of a key go one
// after the other, and so many at most are in work: no engine can be faster.
func (s *shape) bound(each time.Duration, inFlight int) time.Duration {
	byKey := time.Duration(s.hottest()) * each
	byLimit := time.Duration(float64(s.records) * float64(each) / float64(inFlight))
	return max(byKey, byLimit)
}

// oneByOne is the shortest time of an engine that works on one record of a partition at a time.
func (s *shape) oneByOne(each time.Duration) time.Duration {
	longest := 0
	for _, n := range s.partition {
		longest = max(longest, n)
	}
	return time.Duration(longest) * each
}

func (s *shape) rate(in time.Duration) float64 { return float64(s.records) / in.Seconds() }
