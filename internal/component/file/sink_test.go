package file

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
)

var p0 = component.Partition{Topic: "in", Partition: 0}

func openTestSink(t *testing.T, dir string, c SinkConfig) *sink {
	t.Helper()
	if c.RollSize == 0 {
		c.RollSize = 1 << 20
	}
	c.Path = "out"
	s, err := newSink(&c, component.Env{Topology: "t", Name: "out", Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s.(*sink)
}

func texts(values ...string) []*record.Record {
	var rs []*record.Record
	for _, v := range values {
		rs = append(rs, &record.Record{Value: []byte(v), Format: record.JSON})
	}
	return rs
}

func deliver(s component.Sink, from int64, values ...string) error {
	return s.Deliver(context.Background(), p0, from, from+int64(len(values)), texts(values...))
}

func mustDeliver(t *testing.T, s component.Sink, from int64, values ...string) {
	t.Helper()
	if err := deliver(s, from, values...); err != nil {
		t.Fatalf("deliver from %d: %v", from, err)
	}
}

// contents are the files of a folder, sorted, as "name: line line".
func contents(t *testing.T, dir string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "out", "in-*"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		var r io.Reader = f
		if strings.HasSuffix(path, ".gz") {
			if r, err = gzip.NewReader(f); err != nil {
				t.Fatal(err)
			}
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		all = append(all, filepath.Base(path)+": "+strings.Join(strings.Fields(string(b)), " "))
	}
	return strings.Join(all, "\n")
}

func wantPosition(t *testing.T, s component.Sink, want int64) {
	t.Helper()
	got, ok, err := s.Position(t.Context(), p0)
	if err != nil || !ok || got != want {
		t.Errorf("position %d, %v, %v; want %d", got, ok, err, want)
	}
}

func TestSinkWritesLinesAndRolls(t *testing.T) {
	dir := t.TempDir()
	s := openTestSink(t, dir, SinkConfig{RollSize: 8, RollEvery: api1h})
	now := time.Now()
	s.now = func() time.Time { return now }
	if _, ok, err := s.Position(t.Context(), p0); ok || err != nil {
		t.Fatalf("position at first: %v, %v", ok, err)
	}
	mustDeliver(t, s, 5, `1`, `2`)
	mustDeliver(t, s, 7, `3333`)
	mustDeliver(t, s, 8, `4`) // 9 bytes are enough
	mustDeliver(t, s, 9)
	now = now.Add(time.Hour)
	mustDeliver(t, s, 9, `5`)
	wantPosition(t, s, 10)
	wantText(t, contents(t, dir), "in-0-000001.jsonl: 1 2 3333\nin-0-000002.jsonl: 4\nin-0-000003.jsonl: 5")
}

const api1h = 3600e9

func TestATopicThatWasMadeAnewBeginsAnew(t *testing.T) {
	dir := t.TempDir()
	s := openTestSink(t, dir, SinkConfig{RollSize: 100, RollEvery: api1h})
	before, after := component.Partition{Topic: "in", Log: "a"}, component.Partition{Topic: "in", Log: "b"}
	if err := s.Deliver(t.Context(), before, 0, 100, []*record.Record{{Value: []byte("1")}}); err != nil {
		t.Fatal(err)
	}
	if at, ok, err := s.Position(t.Context(), after); ok || err != nil {
		t.Errorf("position in the new log is %d, %v, %v, want none", at, ok, err)
	}
	if err := s.Deliver(t.Context(), after, 0, 5, []*record.Record{{Value: []byte("2")}}); err != nil {
		t.Error(err)
	}
	wantText(t, contents(t, dir), "in-0-000001.jsonl: 1 2")
}

func TestSinkGzipCanBeReadAtAnyTime(t *testing.T) {
	dir := t.TempDir()
	s := openTestSink(t, dir, SinkConfig{Compress: "gzip"})
	mustDeliver(t, s, 0, `1`, `2`)
	wantText(t, contents(t, dir), "in-0-000001.jsonl.gz: 1 2")
	mustDeliver(t, s, 2, `3`)
	wantText(t, contents(t, dir), "in-0-000001.jsonl.gz: 1 2 3")
}

func TestSinkKeepsEachRecordOnOneLine(t *testing.T) {
	for _, tc := range []struct {
		name string
		r    record.Record
		want string // empty: rejected
	}{
		{"pretty JSON", record.Record{Value: []byte("{\r\n  \"a\": 1\n}"), Format: record.JSON}, "{    \"a\": 1 }\n"},
		{"a tombstone", record.Record{Format: record.JSON}, "null\n"},
		{"an empty text", record.Record{Value: []byte{}, Format: record.Text}, "\n"},
		{"a text", record.Record{Value: []byte("a\rb"), Format: record.Text}, "a\rb\n"},
		{"a text of two lines", record.Record{Value: []byte("a\nb"), Format: record.Text}, ""},
		{"raw bytes with a newline", record.Record{Value: []byte("a\n"), Format: record.Raw}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			s := openTestSink(t, dir, SinkConfig{})
			err := s.Deliver(t.Context(), p0, 0, 2, append(texts("1"), &tc.r))
			var rejected *component.RejectedError
			if tc.want == "" {
				if !errors.As(err, &rejected) || rejected.Index != 1 {
					t.Fatalf("got %v, want record 1 rejected", err)
				}
				wantText(t, contents(t, dir), "")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			b, _ := os.ReadFile(filepath.Join(dir, "out", "in-0-000001.jsonl"))
			wantText(t, string(b), "1\n"+tc.want)
		})
	}
}

// TestSinkAfterACrash leaves the folder as a kill at each step of a delivery would.
func TestSinkAfterACrash(t *testing.T) {
	for _, tc := range []struct {
		name  string
		crash func(dir string) error
		want  string
	}{
		{"before anything", func(string) error { return nil }, "in-0-000001.jsonl: 1 2"},
		{"while writing the file", func(dir string) error { return appendTo(dir, "in-0-000001.jsonl", "2\npart of") }, "in-0-000001.jsonl: 1 2"},
		{"while writing the checkpoint", func(dir string) error {
			return errors.Join(appendTo(dir, "in-0-000001.jsonl", "2\n"), appendTo(dir, ".in-0.checkpoint.new", `{"next":`))
		}, "in-0-000001.jsonl: 1 2"},
		{"after making the next file", func(dir string) error { return appendTo(dir, "in-0-000002.jsonl", "") }, "in-0-000001.jsonl: 1 2\nin-0-000002.jsonl: "},
		{"the file was moved away", func(dir string) error { return os.Remove(filepath.Join(dir, "in-0-000001.jsonl")) }, "in-0-000002.jsonl: 2"},
	} {
		for _, reopened := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, reopened %v", tc.name, reopened), func(t *testing.T) {
				dir := t.TempDir()
				s := openTestSink(t, dir, SinkConfig{})
				mustDeliver(t, s, 0, `1`)
				if err := tc.crash(filepath.Join(dir, "out")); err != nil {
					t.Fatal(err)
				}
				if reopened {
					s = openTestSink(t, dir, SinkConfig{})
				}
				wantPosition(t, s, 1)
				mustDeliver(t, s, 1, `2`)
				wantText(t, contents(t, dir), tc.want)
			})
		}
	}
}

func appendTo(dir, name, content string) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	return errors.Join(err, f.Close())
}

// TestSinkAfterAFailure makes each step of a delivery fail for real, and mends it again.
func TestSinkAfterAFailure(t *testing.T) {
	for _, step := range []string{".in-0.checkpoint.new", ".in-0.checkpoint"} {
		t.Run(step, func(t *testing.T) {
			dir := t.TempDir()
			s := openTestSink(t, dir, SinkConfig{})
			mustDeliver(t, s, 0, `1`)
			path := filepath.Join(dir, "out", step)
			kept, _ := os.ReadFile(path)
			_ = os.Remove(path)
			if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o755); err != nil {
				t.Fatal(err)
			}
			err := deliver(s, 1, `2`)
			if err == nil || errors.Is(err, component.ErrMoved) || errors.As(err, new(*component.RejectedError)) {
				t.Fatalf("got %v, want an error that is retried", err)
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if kept != nil {
				_ = os.WriteFile(path, kept, 0o644)
			}
			mustDeliver(t, s, 1, `2`)
			wantText(t, contents(t, dir), "in-0-000001.jsonl: 1 2")
		})
	}
}

func TestSinkNeverOverwritesFilesItDoesNotKnow(t *testing.T) {
	dir := t.TempDir()
	s := openTestSink(t, dir, SinkConfig{})
	if err := appendTo(filepath.Join(dir, "out"), "in-0-000001.jsonl", "precious\n"); err != nil {
		t.Fatal(err)
	}
	mustDeliver(t, s, 0, `1`)
	wantText(t, contents(t, dir), "in-0-000001.jsonl: precious\nin-0-000002.jsonl: 1")
}

func TestSinkSaysWhenItsFileWasCut(t *testing.T) {
	dir := t.TempDir()
	s := openTestSink(t, dir, SinkConfig{})
	mustDeliver(t, s, 0, `1`)
	if err := os.Truncate(filepath.Join(dir, "out", "in-0-000001.jsonl"), 1); err != nil {
		t.Fatal(err)
	}
	if err := deliver(s, 1, `2`); err == nil || !strings.Contains(err.Error(), "somebody cut it") {
		t.Errorf("got %v", err)
	}
}

// TestTwoSinksOnOnePartition lets several sinks, as in several processes, race for every offset.
func TestTwoSinksOnOnePartition(t *testing.T) {
	dir := t.TempDir()
	const last = 60
	var writers sync.WaitGroup
	for range 3 {
		s := openTestSink(t, dir, SinkConfig{RollSize: 20})
		writers.Go(func() {
			for {
				next, _, err := s.Position(context.Background(), p0)
				if err == nil && next < last {
					err = deliver(s, next, fmt.Sprint(next))
				}
				if err != nil && !errors.Is(err, component.ErrMoved) {
					t.Error(err)
					return
				}
				if next >= last {
					return
				}
			}
		})
	}
	writers.Wait()
	var got, want []string
	for _, word := range strings.Fields(contents(t, dir)) {
		if !strings.HasSuffix(word, ":") {
			got = append(got, word)
		}
	}
	for i := range last {
		want = append(want, fmt.Sprint(i))
	}
	wantText(t, strings.Join(got, " "), strings.Join(want, " "))
}

func TestALockedPartitionIsWaitedFor(t *testing.T) {
	dir := t.TempDir()
	a, b := openTestSink(t, dir, SinkConfig{}), openTestSink(t, dir, SinkConfig{})
	p, err := a.hold(t.Context(), p0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := b.Deliver(ctx, p0, 0, 1, texts("1")); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another process") {
		t.Errorf("got %v", err)
	}
	p.release()
	mustDeliver(t, b, 0, `1`)
}
