// Package generate is the spout that makes records by expressions, at a rate, the same ones for the same seed.
//
// An instance is used by one goroutine at a time. It must not be assumed that records come exactly at their rate: they
// never come faster, and at most a second of them is made up for when what follows was slow.
package generate

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
)

//go:embed generate.md
var doc string

// MaxRate is the highest rate that may be asked for; 0 has no limit.
const MaxRate = 10_000_000

// Config is the settings of the spout.
type Config struct {
	Value   string            `yaml:"value" required:"true" doc:"Expression for the value, as JSON." example:"{\"id\": \"m-\" + string(seq), \"at\": now, \"n\": randomInt(0, 1000)}"`
	Key     string            `yaml:"key" doc:"Expression for the key; it sees the value as event. Empty makes none." example:"event.id"`
	Headers map[string]string `yaml:"headers" doc:"Headers: name to expression, which sees the value as event."`
	Rate    float64           `yaml:"rate" default:"0" doc:"Records a second; 0 makes them as fast as they are taken." example:"100"`
	Count   int64             `yaml:"count" default:"0" doc:"How many records are made in all, over all starts; 0 never ends." example:"1000"`
	Seed    int64             `yaml:"seed" default:"1" doc:"Another seed makes other records."`
}

// Definition is the component.
func Definition() component.Definition {
	return component.DefineSpout(component.Spec{
		Name:    "generate",
		Summary: "Makes records by expressions, at a rate, reproducibly.",
		Doc:     doc,
		Examples: []component.Example{
			{Title: "Messages", YAML: `generate:
  rate: 100
  key: event.userId
  value: '{"messageId": "m-" + string(seq), "messageDate": now, "userId": "u-" + string(randomInt(1, 100)), "value": randomInt(0, 1000)}'`},
			{Title: "A thousand records with few busy keys", YAML: `generate: {count: 1000, key: string(event.user), value: '{"user": zipf(10000, 1.1), "kind": pick(["new", "edit", "log"])}'}`},
		},
	}, validate, open)
}

func validate(c *Config) []component.Problem {
	var problems []component.Problem
	add := func(path, message string) {
		problems = append(problems, component.Problem{Path: path, Code: "value-invalid", Message: message})
	}
	if !(c.Rate >= 0 && c.Rate <= MaxRate) {
		add("rate", fmt.Sprintf("read rate \"%v\": want 0 to %d", c.Rate, MaxRate))
	}
	if c.Rate > 0 && c.Rate < 1e-6 {
		add("rate", fmt.Sprintf("read rate \"%v\": want 0, or at least 0.000001", c.Rate))
	}
	if c.Count < 0 {
		add("count", fmt.Sprintf("read count \"%d\": must not be negative", c.Count))
	}
	_, found := compileShape(c)
	return append(problems, found...)
}

type spout struct {
	shape *shape
	count uint64 // 0 never ends
	next  uint64 // the number of the next record
	pace  pace
}

func open(c *Config, _ component.Env) (component.Spout, error) {
	shape, problems := compileShape(c)
	if problems != nil {
		return nil, fmt.Errorf("open generate: %s", problems[0].Message)
	}
	return &spout{shape: shape, count: uint64(c.Count), pace: pace{rate: c.Rate}}, nil
}

// Open implements component.Spout. A position is the number of the next record.
func (s *spout) Open(_ context.Context, position []byte) error {
	if position != nil {
		next, err := strconv.ParseUint(string(position), 10, 63)
		if err != nil {
			return component.Permanent(fmt.Errorf("open generate: read position %q: want a number", position))
		}
		s.next = next
	}
	s.pace.begin(time.Now())
	return nil
}

// Next implements component.Spout.
func (s *spout) Next(ctx context.Context, most int) (component.Batch, error) {
	left := uint64(math.MaxInt)
	if s.count > 0 {
		if s.next >= s.count {
			return component.Batch{}, io.EOF
		}
		left = s.count - s.next
	}
	n, err := s.pace.wait(ctx, int(min(uint64(max(most, 1)), left)))
	if err != nil {
		return component.Batch{}, err
	}
	records, err := s.make(n)
	if err != nil {
		return component.Batch{}, component.Permanent(err)
	}
	return component.Batch{Records: records, Position: strconv.AppendUint(nil, s.next, 10)}, nil
}

func (s *spout) make(n int) ([]*record.Record, error) {
	records := make([]*record.Record, 0, n)
	for range n {
		r, err := s.shape.make(s.next, time.Now())
		if err != nil {
			return nil, fmt.Errorf("generate record %d: %w", s.next, err)
		}
		records = append(records, r)
		s.next++
	}
	return records, nil
}

// Close implements component.Spout.
func (s *spout) Close() error { return nil }

// tick is how long records gather to a batch, and maxDebt how much of a delay is made up for.
const (
	tick    = 10 * time.Millisecond
	maxDebt = time.Second
)

// pace lets records through at a rate: record k of a start is due at start + k/rate.
type pace struct {
	rate  float64 // a second; 0 is no limit
	start time.Time
	done  int64 // records let through since start
}

func (p *pace) begin(now time.Time) { p.start, p.done = now, 0 }

// wait returns how many records are due, at least one, after waiting for at least a tick's worth of them.
func (p *pace) wait(ctx context.Context, most int) (int, error) {
	if err := ctx.Err(); err != nil || p.rate == 0 {
		return most, err
	}
	for {
		now := time.Now()
		p.forgive(now)
		if due := p.due(now); due >= 1 {
			n := int(min(due, int64(most)))
			p.done += int64(n)
			return n, nil
		}
		if err := sleep(ctx, max(p.at(p.done+1).Sub(now), tick)); err != nil {
			return 0, err
		}
	}
}

func (p *pace) due(now time.Time) int64 {
	return int64(math.Floor(now.Sub(p.start).Seconds()*p.rate+1e-9)) - p.done
}

// at is when so many records since start are due.
func (p *pace) at(n int64) time.Time {
	return p.start.Add(time.Duration(math.Ceil(float64(n) / p.rate * float64(time.Second))))
}

// forgive drops a debt beyond maxDebt, which is what a long stop leaves, but never the one record that is due.
func (p *pace) forgive(now time.Time) {
	if now.Sub(p.at(p.done+1)) > maxDebt {
		first := p.at(1).Sub(p.start)
		p.start, p.done = now.Add(-max(maxDebt, first)), 0
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
