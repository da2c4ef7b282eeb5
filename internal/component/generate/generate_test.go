package generate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.yaml.in/yaml/v3"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
)

func spoutOf(t testing.TB, c Config) component.Spout {
	t.Helper()
	d := Definition()
	if problems := d.Check(&c); problems != nil {
		t.Fatal(problems)
	}
	s, err := d.NewSpout(&c, component.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// take reads n records from a position on and returns them with the last position.
func take(t testing.TB, c Config, position []byte, n int) (all []*record.Record, last []byte) {
	t.Helper()
	s := spoutOf(t, c)
	defer s.Close()
	if err := s.Open(context.Background(), position); err != nil {
		t.Fatal(err)
	}
	for len(all) < n {
		b, err := s.Next(context.Background(), n-len(all))
		if err != nil {
			t.Fatal(err)
		}
		all, last = append(all, b.Records...), b.Position
	}
	return all, last
}

func texts(records []*record.Record) string {
	var b strings.Builder
	for _, r := range records {
		fmt.Fprintf(&b, "%s %s", r.Key, r.Value)
		for _, h := range r.Headers {
			fmt.Fprintf(&b, " %s=%s", h.Key, h.Value)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

var everything = Config{
	Seed: 7, Key: `event.user`, Headers: map[string]string{"kind": `pick(["a", "b"])`, "seq": `seq`, "none": `null`},
	Value: `{"seq": seq, "user": "u-" + string(randomInt(1, 100)), "x": random(), "z": zipf(10000, 1.1), "s": randomString(5), "id": uuid(), "big": randomInt(-9223372036854775808, 9223372036854775807)}`,
}

// The numbers below are part of the contract: a seed means the same records in every version.
func TestSeedMakesTheseRecords(t *testing.T) {
	records, _ := take(t, everything, nil, 3)
	const want = `u-98 {"seq":0,"user":"u-98","x":0.41629772335398585,"z":433,"s":"O4exb","id":"77778426-f22d-44cb-93bb-2ef1776fa49d","big":-626376900733574880} kind=b seq=0
u-51 {"seq":1,"user":"u-51","x":0.6878488940464597,"z":1857,"s":"aJFzv","id":"39767573-f7b3-4c58-a6dd-f8f238834258","big":46027158169284182} kind=a seq=1
u-58 {"seq":2,"user":"u-58","x":0.38055220388972355,"z":70,"s":"Cu65V","id":"fd31b872-cc46-4d2e-871e-6231b03222b7","big":3795771212237746183} kind=b seq=2
`
	if have := texts(records); have != want {
		t.Errorf("have\n%s\nwant\n%s", have, want)
	}
}

func TestResumesExactlyAtItsPosition(t *testing.T) {
	whole, _ := take(t, everything, nil, 50)
	head, position := take(t, everything, nil, 20)
	tail, _ := take(t, everything, position, 30)
	if texts(whole) != texts(append(head, tail...)) {
		t.Error("20 records and 30 after a restart are not the 50 of one run")
	}
}

func TestAnotherSeedMakesOtherRecords(t *testing.T) {
	other := everything
	other.Seed = 8
	a, _ := take(t, everything, nil, 20)
	b, _ := take(t, other, nil, 20)
	for i := range a {
		if string(a[i].Value) == string(b[i].Value) {
			t.Errorf("record %d is the same: %s", i, a[i].Value)
		}
	}
}

func TestHeadersDoNotChangeTheValue(t *testing.T) {
	bare := everything
	bare.Headers, bare.Key = nil, ""
	a, _ := take(t, everything, nil, 5)
	b, _ := take(t, bare, nil, 5)
	for i := range a {
		if string(a[i].Value) != string(b[i].Value) {
			t.Errorf("record %d: %s and %s", i, a[i].Value, b[i].Value)
		}
	}
}

func TestChanceIsSpreadAsPromised(t *testing.T) {
	records, _ := take(t, Config{Value: `{"i": randomInt(1, 4), "x": random(), "p": pick(["a", "b"]), "z": zipf(100, 1.5), "u": uuid()}`}, nil, 4000)
	ints, picks, small, ids, sum := map[int]int{}, map[string]int{}, 0, map[string]bool{}, 0.0
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for _, r := range records {
		var v struct {
			I, Z int
			X    float64
			P, U string
		}
		if err := json.Unmarshal(r.Value, &v); err != nil {
			t.Fatal(err)
		}
		ints[v.I]++
		picks[v.P]++
		ids[v.U] = true
		sum += v.X
		if v.Z == 0 {
			small++
		}
		if v.X < 0 || v.X >= 1 || v.Z < 0 || v.Z >= 100 || !uuid.MatchString(v.U) {
			t.Fatalf("out of range: %s", r.Value)
		}
	}
	for i := 1; i <= 4; i++ {
		if ints[i] < 850 || ints[i] > 1150 {
			t.Errorf("%d came %d times in 4000", i, ints[i])
		}
	}
	if len(ints) != 4 || picks["a"] < 1800 || picks["b"] < 1800 || len(ids) != 4000 || small < 1000 || sum < 1900 || sum > 2100 {
		t.Errorf("ints %v picks %v ids %d zeros of zipf %d sum %f", ints, picks, len(ids), small, sum)
	}
}

func TestCountEndsForGood(t *testing.T) {
	s := spoutOf(t, Config{Value: "seq", Count: 3})
	if err := s.Open(context.Background(), []byte("1")); err != nil {
		t.Fatal(err)
	}
	b, err := s.Next(context.Background(), 10)
	if err != nil || texts(b.Records) != " 1\n 2\n" || string(b.Position) != "3" {
		t.Errorf("%s at %s, %v", texts(b.Records), b.Position, err)
	}
	if b, err := s.Next(context.Background(), 10); !errors.Is(err, io.EOF) || b.Records != nil {
		t.Errorf("%v, %v", b, err)
	}
}

func TestRate(t *testing.T) {
	for _, c := range []struct {
		rate float64
		want []int // records after each second
	}{
		{0.5, []int{0, 1, 1, 2}}, {1, []int{1, 2, 3}}, {30, []int{30, 60, 90}}, {5000, []int{5000, 10000}}, {123456, []int{123456}},
	} {
		t.Run(fmt.Sprint(c.rate), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := spoutOf(t, Config{Value: "seq", Rate: c.rate})
				start := time.Now()
				if err := s.Open(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				total, calls := 0, 0
				for second, want := range c.want {
					end := start.Add(time.Duration(second+1)*time.Second + tick/2)
					ctx, cancel := context.WithDeadline(t.Context(), end)
					for ctx.Err() == nil {
						b, err := s.Next(ctx, 10_000)
						if err != nil && ctx.Err() == nil {
							t.Fatal(err)
						}
						total += len(b.Records)
						calls++
					}
					cancel()
					if total < want*98/100 || float64(total) > float64(want)+c.rate*tick.Seconds() {
						t.Errorf("%d records after %d s, want %d", total, second+1, want)
					}
				}
				if calls > 105*len(c.want) {
					t.Errorf("%d calls in %d s", calls, len(c.want))
				}
			})
		})
	}
}

func TestALongStopIsNotMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := spoutOf(t, Config{Value: "seq", Rate: 100})
		if err := s.Open(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // sleep: the clock of synctest; nobody reads for an hour
		b, err := s.Next(t.Context(), 100_000)
		if err != nil || len(b.Records) != 100 {
			t.Errorf("%d records after an hour, %v; want one second's", len(b.Records), err)
		}
		again := spoutOf(t, Config{Value: "seq", Rate: 100})
		if err := again.Open(t.Context(), b.Position); err != nil {
			t.Fatal(err)
		}
		if b, err := again.Next(t.Context(), 100_000); err != nil || len(b.Records) != 1 {
			t.Errorf("%d records at once after a restart, %v; want 1", len(b.Records), err)
		}
	})
}

func TestNextReturnsSoonAfterCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := spoutOf(t, Config{Value: "seq", Rate: 0.001})
		if err := s.Open(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := s.Next(ctx, 1); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestFailuresArePermanent(t *testing.T) {
	if err := spoutOf(t, Config{Value: "1"}).Open(context.Background(), []byte("x")); component.ClassOf(err) != component.Never {
		t.Errorf("position: %v", err)
	}
	for config, want := range map[*Config]string{
		{Value: `randomInt(5, 1)`}:     `generate record 0: make value: evaluate "randomInt(5, 1)": randomInt(5, 1): the first number is larger than the second`,
		{Value: `pick([])`}:            `generate record 0: make value: evaluate "pick([])": pick: the list is empty`,
		{Value: `zipf(10, 1.0)`}:       `generate record 0: make value: evaluate "zipf(10, 1.0)": zipf(10, 1): want at least 1 and a number above 1`,
		{Value: `randomString(99999)`}: `generate record 0: make value: evaluate "randomString(99999)": randomString(99999): want 0 to 10000`,
		{Value: `{}`, Key: `event.a`}:  `generate record 0: make key: evaluate "event.a": no such field "a"`,
	} {
		s := spoutOf(t, *config)
		if err := s.Open(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Next(context.Background(), 1); component.ClassOf(err) != component.Never || err.Error() != want {
			t.Errorf("have %v\nwant %s", err, want)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		path   string
		config Config
	}{
		{"value", Config{}}, {"value", Config{Value: "event"}}, {"value", Config{Value: "randomint(1, 2)"}}, {"key", Config{Value: "1", Key: "evnt"}},
		{"headers.a", Config{Value: "1", Headers: map[string]string{"a": "{}"}}}, {"headers.raven-a", Config{Value: "1", Headers: map[string]string{"raven-a": "1"}}},
		{"rate", Config{Value: "1", Rate: -1}}, {"rate", Config{Value: "1", Rate: 1e9}}, {"rate", Config{Value: "1", Rate: 1e-9}}, {"count", Config{Value: "1", Count: -1}},
	} {
		problems := Definition().Check(&c.config)
		if len(problems) != 1 || problems[0].Path != c.path {
			t.Errorf("%+v: %+v", c.config, problems)
		}
	}
}

func TestExamples(t *testing.T) {
	for _, e := range Definition().Spec.Examples {
		var node struct{ Generate Config }
		if err := yaml.Unmarshal([]byte(e.YAML), &node); err != nil {
			t.Errorf("%s: %v", e.Title, err)
		}
		node.Generate.Rate = 0
		records, _ := take(t, node.Generate, nil, 10)
		if !json.Valid(records[9].Value) || records[9].Key == nil {
			t.Errorf("%s: %s", e.Title, texts(records))
		}
	}
}

func BenchmarkGenerate(b *testing.B) {
	s := spoutOf(b, Config{Key: "event.userId", Value: `{"messageId": "m-" + string(seq), "messageDate": now, "userId": "u-" + string(randomInt(1, 100)), "value": randomInt(0, 1000)}`})
	if err := s.Open(context.Background(), nil); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Next(context.Background(), 1); err != nil {
			b.Fatal(err)
		}
	}
}
