package logger

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
)

// run sends records with these values through a bolt and returns what it logged, one line each, without the time.
func run(t *testing.T, c Config, values ...string) []string {
	t.Helper()
	d := Definition()
	if problems := d.Check(&c); problems != nil {
		t.Fatal(problems)
	}
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	b, err := d.NewBolt(&c, component.Env{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	for i, value := range values {
		in := &record.Record{Key: fmt.Appendf(nil, "k%d", i), Value: []byte(value), Format: record.JSON, Origin: record.Origin{Topic: "t", Offset: int64(i)}}
		var emitted *record.Record
		err := b.Process(context.Background(), in, func(_ int, r *record.Record) { emitted = r })
		if err != nil || emitted != in || string(in.Value) != value {
			t.Fatalf("record %d was not passed on unchanged: %v", i, err)
		}
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func TestLog(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		values []string
		want   []string
	}{
		{"the value", Config{}, []string{`{"a":1.10}`}, []string{`level=INFO msg=record key=k0 origin=t/0/0 value="{\"a\":1.10}"`}},
		{"a message", Config{Message: `event.a`, Level: "warn"}, []string{`{"a":1.10}`}, []string{`level=WARN msg=record key=k0 origin=t/0/0 message=1.10`}},
		{"each third", Config{Every: 3}, []string{"1", "2", "3", "4", "5"}, []string{`level=INFO msg=record key=k0 origin=t/0/0 value=1`, `level=INFO msg=record key=k3 origin=t/0/3 value=4`}},
		{"below the level", Config{Level: "debug"}, []string{"1"}, []string{""}},
		{"cut at whole characters", Config{Limit: 2}, []string{`"éé"`}, []string{`level=INFO msg=record key=k0 origin=t/0/0 value="\"… (6 bytes)"`}},
		{"not text", Config{}, []string{"\xff\x00"}, []string{`level=INFO msg=record key=k0 origin=t/0/0 value="(2 bytes)"`}},
		{"line breaks stay quoted", Config{}, []string{"a\nlevel=ERROR"}, []string{`level=INFO msg=record key=k0 origin=t/0/0 value="a\nlevel=ERROR"`}},
		{"a message that fails", Config{Message: `event.x`}, []string{`{}`}, []string{`level=INFO msg=record key=k0 origin=t/0/0 error="evaluate \"event.x\": no such field \"x\""`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if have := run(t, c.config, c.values...); strings.Join(have, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("have\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestCheck(t *testing.T) {
	for path, c := range map[string]Config{
		"every": {Every: -1}, "limit": {Limit: MaxLimit + 1}, "level": {Level: "loud"}, "message": {Message: "evnt"},
	} {
		if problems := Definition().Check(&c); len(problems) != 1 || problems[0].Path != path {
			t.Errorf("%s: %+v", path, problems)
		}
	}
}

func TestExamples(t *testing.T) {
	for _, e := range Definition().Spec.Examples {
		var node struct{ Log Config }
		if err := yaml.Unmarshal([]byte(e.YAML), &node); err != nil {
			t.Errorf("%s: %v", e.Title, err)
		}
		if problems := Definition().Check(&node.Log); problems != nil {
			t.Errorf("%s: %v", e.Title, problems)
		}
	}
}
