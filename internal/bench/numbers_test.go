package bench

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestSeries(t *testing.T) {
	for name, c := range map[string]struct {
		in             Series
		median, spread float64
	}{
		"nothing":       {nil, 0, 0},
		"one":           {Series{4}, 4, 0},
		"odd, unsorted": {Series{30, 10, 20}, 20, 1},
		"even":          {Series{10, 20, 30, 40}, 25, 1.2},
		"an outlier":    {Series{10, 10, 10, 10, 1000}, 10, 99},
		"zeros":         {Series{0, 0, 0}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.in.Median(); got != c.median {
				t.Errorf("median %v, want %v", got, c.median)
			}
			if got := c.in.Spread(); got != c.spread {
				t.Errorf("spread %v, want %v", got, c.spread)
			}
		})
	}
	if s := (Series{3, 1, 2}); s.Median() != 2 || s[0] != 3 {
		t.Error("the median sorts what it was given")
	}
}

func TestQuantile(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = i + 1
	}
	for _, c := range []struct {
		name string
		in   []int
		q    float64
		want int
	}{
		{"nothing", nil, 0.5, 0},
		{"one", []int{7}, 0.99, 7},
		{"half of a hundred", hundred, 0.5, 50},
		{"99 % of a hundred", hundred, 0.99, 99},
		{"all", hundred, 1, 100},
		{"none", hundred, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := quantile(c.in, c.q); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestCourseLeavesTheStartOut(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	for _, c := range []struct {
		name string
		in   course
		want float64
	}{
		{"nothing", nil, 0},
		{"one commit has no length", course{{at(0), 100}}, 0},
		{"a single commit from the start", course{{at(0), 0}, {at(500), 100}}, 200},
		{"a late start does not count", course{{at(0), 0}, {at(5000), 100}, {at(6000), 1000}}, 900},
		{"a first commit below a tenth is skipped", course{{at(0), 50}, {at(4000), 200}, {at(5000), 1000}}, 800},
		{"a last commit that ends early is left out", course{{at(0), 0}, {at(5000), 100}, {at(6000), 900}, {at(7000), 1000}}, 800},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.in.rate(); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestCourseKeepsCommitsOnly(t *testing.T) {
	var way course
	for _, done := range []int64{0, 0, 10, 10, 20} {
		way.reach(done)
	}
	if len(way) != 3 {
		t.Errorf("%d points, want one for each change", len(way))
	}
}

func TestZipfDrawsAsItsFormulaSays(t *testing.T) {
	const n, draws, s = 1000, 200_000, 1.1
	z := newZipf(rand.New(rand.NewPCG(1, 1)), s, n)
	counts := make([]int, n)
	for range draws {
		counts[z.draw()]++
	}
	sum := 0.0
	for k := range n {
		sum += math.Pow(float64(k+1), -s)
	}
	for _, k := range []int{0, 1, 9, 99} {
		want := draws * math.Pow(float64(k+1), -s) / sum
		if got := float64(counts[k]); math.Abs(got-want) > 5*math.Sqrt(want) {
			t.Errorf("rank %d drawn %.0f times, want about %.0f", k, got, want)
		}
	}
}

func TestBound(t *testing.T) {
	const each = 10 * time.Millisecond
	for _, c := range []struct {
		name     string
		keys     map[string]int
		inFlight int
		want     time.Duration
	}{
		{"one key goes one by one", map[string]int{"a": 100}, 1024, time.Second},
		{"the hottest key decides", map[string]int{"a": 100, "b": 7, "c": 30}, 1024, time.Second},
		{"many keys are held up by the limit", map[string]int{"a": 10, "b": 10, "c": 10, "d": 10}, 2, 200 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newShape()
			for key, n := range c.keys {
				for range n {
					s.add([]byte(key), int32(key[0])%2)
				}
			}
			if got := s.bound(each, c.inFlight); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if one := s.oneByOne(each); one < c.want && c.inFlight > 2 {
				t.Errorf("one record of a partition at a time takes %s, less than the bound", one)
			}
		})
	}
}

func TestEventsAreOneKilobyteOfJSON(t *testing.T) {
	make1, make2 := events(), events()
	for i := range 100 {
		key, value := make1(i)
		if len(value) != kilobyte {
			t.Fatalf("event %d has %d bytes", i, len(value))
		}
		mustBeObject(t, value)
		if key2, value2 := make2(i); string(key) != string(key2) || string(value) != string(value2) {
			t.Fatalf("event %d differs from run to run", i)
		}
	}
}

func TestAnswersAreJudgedByTheRouteOfTheirTime(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	changes := []change{
		{what: "start", wants: always("v1")},
		{what: "switch", began: at(100), done: at(101), wants: always("v2")},
		{what: "back", began: at(200), done: at(201), wants: always("v1")},
	}
	for _, c := range []struct {
		name      string
		in        answered
		misrouted int
		old       float64 // of the first change
	}{
		{"before any change", answered{asked: at(10), received: at(15), version: "v1"}, 0, 0},
		{"wrong before any change", answered{asked: at(10), received: at(15), version: "v2"}, 1, 0},
		{"in flight over the change, old", answered{asked: at(98), received: at(103), version: "v1"}, 0, 3},
		{"in flight over the change, new", answered{asked: at(98), received: at(103), version: "v2"}, 0, 0},
		{"begun after the change, old", answered{asked: at(102), received: at(107), version: "v1"}, 1, 0},
		{"begun after the change, new", answered{asked: at(102), received: at(107), version: "v2"}, 0, 0},
		{"after the change back", answered{asked: at(202), received: at(207), version: "v1"}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r Changes
			r.count([]answered{c.in}, changes, time.Second)
			if r.Misrouted != c.misrouted || r.Changes[0].OldMillis != c.old {
				t.Errorf("misrouted %d, last old answer after %v ms", r.Misrouted, r.Changes[0].OldMillis)
			}
		})
	}
}
