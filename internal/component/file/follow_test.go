package file

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/internal/component"
)

func following(t *testing.T) *source {
	return newSource(t, SpoutConfig{Path: "app.log", Follow: true})
}

func TestFollowWaitsForTheEndOfALine(t *testing.T) {
	s := following(t)
	s.write("app.log", "one\ntw")
	sp := s.open(nil)
	got, position := read(t, sp, 1)
	wantText(t, got, "one")
	s.append("app.log", "o\nthree\nfo")
	got, _ = read(t, sp, 2)
	wantText(t, got, "two\nthree")
	got, _ = read(t, s.open(position), 2)
	wantText(t, got, "two\nthree")
}

func TestFollowEndsWithItsContext(t *testing.T) {
	s := following(t)
	s.write("app.log", "")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.open(nil).Next(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
}

func TestFollowReadsARotatedFileToItsEnd(t *testing.T) {
	s := following(t)
	s.write("app.log", "one\n")
	sp := s.open(nil)
	got, _ := read(t, sp, 1)
	wantText(t, got, "one")
	s.append("app.log", "two\nthree") // the last line lacks its newline, and nobody will write it
	s.rename("app.log", "app.log.1")
	s.write("app.log", "four\n")
	got, position := read(t, sp, 3)
	wantText(t, got, "two\nthree\nfour")
	s.append("app.log", "five\n")
	got, _ = read(t, s.open(position), 1)
	wantText(t, got, "five")
}

func TestFollowFindsAFileThatWasRotatedWhileNothingRan(t *testing.T) {
	s := following(t)
	s.write("app.log", "one\ntwo\n")
	_, position := read(t, s.open(nil), 1)
	s.rename("app.log", "app.log.2")
	later := time.Now()
	for i, name := range []string{"app.log.1", "app.log"} { // rotated twice
		s.write(name, []string{"three\nfour\n", "five\n"}[i])
		later = later.Add(time.Second)
		if err := os.Chtimes(s.path(name), later, later); err != nil {
			t.Fatal(err)
		}
	}
	s.write("app.log.0.gz", "not looked at\n")
	for range 3 { // also when it is stopped in the middle of a renamed file
		got, next := read(t, s.open(position), 1)
		want := map[string]string{"two": "three\nfour\nfive", "three": "four\nfive", "four": "five"}[got]
		rest, _ := read(t, s.open(next), strings.Count(want, "\n")+1)
		wantText(t, rest, want)
		position = next
	}
}

func TestFollowBeginsAgainAfterTruncation(t *testing.T) {
	for _, tc := range []struct{ name, before, after, want string }{
		{"shorter", "one\ntwo\n", "new\n", "new"},
		{"as long but different", "one\n", "new\nmore\n", "new\nmore"},
		{"an unfinished line before it is not lost", "one\ntwo\nthr", "new\n", "thr\nnew"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := following(t)
			s.write("app.log", tc.before)
			sp := s.open(nil)
			read(t, sp, strings.Count(tc.before, "\n"))
			if strings.HasSuffix(tc.before, "thr") {
				poll(t, sp) // let it see the unfinished line
			}
			s.write("app.log", tc.after) // keeps the inode
			got, _ := read(t, sp, strings.Count(tc.want, "\n")+1)
			wantText(t, got, tc.want)
		})
	}
}

// poll lets a spout look for more, in vain.
func poll(t *testing.T, sp component.Spout) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	if _, err := sp.Next(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
}

func TestFollowAfterTruncationWhileNothingRan(t *testing.T) {
	s := following(t)
	s.write("app.log", "one\ntwo\n")
	_, position := read(t, s.open(nil), 2)
	s.write("app.log", "new\n")
	got, _ := read(t, s.open(position), 1)
	wantText(t, got, "new")
}

func TestFollowMovesOnToLaterFilesOfAPattern(t *testing.T) {
	s := newSource(t, SpoutConfig{Path: "day-*.jsonl", Follow: true})
	s.write("day-1.jsonl", "{\"n\":1}\n")
	sp := s.open(nil)
	read(t, sp, 1)
	s.append("day-1.jsonl", "{\"n\":2}")
	s.write("day-2.jsonl", "{\"n\":3}\n")
	got, position := read(t, sp, 2)
	wantText(t, got, "{\"n\":2}\n{\"n\":3}")
	if err := os.Remove(s.path("day-2.jsonl")); err != nil {
		t.Fatal(err)
	}
	s.write("day-3.jsonl", "{\"n\":4}\n")
	got, _ = read(t, s.open(position), 1)
	wantText(t, got, `{"n":4}`)
}

func TestFollowWaitsForAFileAndItsHeader(t *testing.T) {
	s := newSource(t, SpoutConfig{Path: "a.csv", Follow: true})
	sp := s.open(nil)
	_, err := sp.Next(t.Context(), 1)
	if err == nil || component.ClassOf(err) == component.Never || !strings.Contains(err.Error(), "there is no such file") {
		t.Fatalf("got %v, want an error that is retried", err)
	}
	s.write("a.csv", "n,")
	poll(t, sp)
	s.append("a.csv", "m\n1,2\n")
	got, _ := read(t, sp, 1)
	wantText(t, got, `{"n":"1","m":"2"}`)
}

func TestWhatEndsTheTopology(t *testing.T) {
	long := strings.Repeat("x", unitMax+1)
	for _, tc := range []struct {
		name    string
		config  SpoutConfig
		arrange func(s *source)
		want    string
	}{
		{"a missing file", SpoutConfig{Path: "no.jsonl"}, func(*source) {}, `no.jsonl": there is no such file`},
		{"a pattern that matches nothing", SpoutConfig{Path: "*.jsonl"}, func(*source) {}, "there is no such file"},
		{"a folder", SpoutConfig{Path: "sub"}, func(s *source) { _ = os.Mkdir(s.path("sub"), 0o755) }, "it is not a file"},
		{"a damaged gzip file", SpoutConfig{Path: "a.gz"}, func(s *source) { s.append("a.gz", "no gzip at all") }, "damaged gzip"},
		{"a compressed file that is followed", SpoutConfig{Path: "a.log", Follow: true}, func(s *source) { s.append("a.log", "\x1f\x8bxxx") }, "follow needs a plain file"},
		{"a line beyond the bound", SpoutConfig{Path: "a.jsonl"}, func(s *source) { s.write("a.jsonl", "{}\n"+long+"\n") }, "line 2 (byte 3): longer than 16 MB"},
		{"a header that names a column twice", SpoutConfig{Path: "a.csv"}, func(s *source) { s.write("a.csv", "a,a\n") }, `column "a" is there twice`},
		{"numbers in a column that is not there", SpoutConfig{Path: "a.csv", Numbers: []string{"c"}}, func(s *source) { s.write("a.csv", "a,b\n") }, `there is no column "c"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSource(t, tc.config)
			tc.arrange(s)
			sp := s.open(nil)
			var err error
			for err == nil {
				_, err = sp.Next(t.Context(), 10)
			}
			if component.ClassOf(err) != component.Never || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v (class %d), want a permanent error with %q", err, component.ClassOf(err), tc.want)
			}
		})
	}
}

func TestAGzipFileThatStopsInTheMiddleIsTriedAgain(t *testing.T) {
	s := newSource(t, SpoutConfig{Path: "a.jsonl.gz"})
	s.write("a.jsonl.gz", strings.Repeat("{\"n\":1}\n", 100))
	whole, err := os.ReadFile(s.path("a.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path("a.jsonl.gz"), whole[:len(whole)-6], 0o644); err != nil {
		t.Fatal(err)
	}
	sp, got := s.open(nil), 0
	var position []byte
	for err == nil {
		var b component.Batch
		if b, err = sp.Next(t.Context(), 1000); len(b.Records) > 0 {
			got, position = got+len(b.Records), b.Position
		}
	}
	if component.ClassOf(err) == component.Never || !strings.Contains(err.Error(), "stops in the middle") {
		t.Fatalf("got %v", err)
	}
	if err := os.WriteFile(s.path("a.jsonl.gz"), whole, 0o644); err != nil {
		t.Fatal(err)
	}
	if got += len(drain(t, s.open(position))); got != 100 {
		t.Errorf("read %d lines, want 100", got)
	}
}

func TestAnotherFileInPlaceOfTheOneBeingRead(t *testing.T) {
	for _, tc := range []struct {
		name    string
		arrange func(s *source)
		want    string // empty: it goes on
	}{
		{"the same content in a new file", func(s *source) { s.rename("a.jsonl", "old"); s.write("a.jsonl", "{\"n\":1}\n{\"n\":2}\n") }, ""},
		{"more at the end", func(s *source) { s.append("a.jsonl", "{\"n\":3}\n") }, ""},
		{"other content", func(s *source) { s.write("a.jsonl", "{\"n\":7}\n{\"n\":2}\n") }, "not the file that was read before"},
		{"less content", func(s *source) { s.write("a.jsonl", "{\"n\"") }, "not the file that was read before"},
		{"no file", func(s *source) { _ = os.Remove(s.path("a.jsonl")) }, "it is gone"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSource(t, SpoutConfig{Path: "*.jsonl"})
			s.write("a.jsonl", "{\"n\":1}\n{\"n\":2}\n")
			b, err := s.open(nil).Next(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			tc.arrange(s)
			b, err = s.open(b.Position).Next(t.Context(), 1)
			switch {
			case tc.want == "" && (err != nil || values(b.Records) != `{"n":2}`):
				t.Errorf("got %q, %v", values(b.Records), err)
			case tc.want != "" && (component.ClassOf(err) != component.Never || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got %v, want a permanent error with %q", err, tc.want)
			}
		})
	}
}

func TestAFileThatWasReadToItsEndMayGo(t *testing.T) {
	s := newSource(t, SpoutConfig{Path: "*.jsonl"})
	s.write("a.jsonl", "{\"n\":1}\n")
	b, err := s.open(nil).Next(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(s.path("a.jsonl"))
	if _, err := s.open(b.Position).Next(t.Context(), 1); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end", err)
	}
	s.write("b.jsonl", "{\"n\":2}\n")
	if got := values(drain(t, s.open(b.Position))); got != `{"n":2}` {
		t.Errorf("got %q", got)
	}
}

func TestKeyAndTime(t *testing.T) {
	for _, tc := range []struct{ line, key, time string }{
		{`{"k":"a\u00e9","t":"2024-02-03T04:05:06.5+01:00"}`, "aé", "2024-02-03T03:05:06.5Z"},
		{`{"k":12345678901234567890,"t":1700000000}`, "12345678901234567890", "2023-11-14T22:13:20Z"},
		{`{"k":{"x":1},"t":1700000000123}`, `{"x":1}`, "2023-11-14T22:13:20.123Z"},
		{`{"k":null,"t":"yesterday"}`, "", ""},
		{`{}`, "", ""},
		{`{"k":"a","t":"2011-07-19 17:17:00"}`, "a", "2011-07-19T16:17:00Z"},
	} {
		t.Run(tc.line, func(t *testing.T) {
			s := newSource(t, SpoutConfig{Path: "a.jsonl", Key: "k", Time: "t", TimeZone: "Europe/London"})
			s.write("a.jsonl", tc.line)
			before := time.Now()
			r := drain(t, s.open(nil))[0]
			if string(r.Key) != tc.key || (tc.key == "") != (r.Key == nil) {
				t.Errorf("key %q, want %q", r.Key, tc.key)
			}
			if tc.time == "" {
				if r.Time.Before(before) {
					t.Errorf("time %v is not that of reading", r.Time)
				}
			} else if got := r.Time.UTC().Format(time.RFC3339Nano); got != tc.time {
				t.Errorf("time %s, want %s", got, tc.time)
			}
		})
	}
}

func TestCheckSpout(t *testing.T) {
	for _, tc := range []struct {
		name   string
		config SpoutConfig
		path   string
	}{
		{"bad pattern", SpoutConfig{Path: "a[.jsonl"}, "path"},
		{"follow of gzip", SpoutConfig{Path: "a.jsonl.gz", Follow: true}, "follow"},
		{"line bound", SpoutConfig{Path: "a.jsonl", MaxLine: unitMax + 1}, "maxLine"},
		{"long delimiter", SpoutConfig{Path: "a.csv", Delimiter: ";;"}, "delimiter"},
		{"bad key", SpoutConfig{Path: "a.jsonl", Key: "a..b"}, "key"},
		{"key of text", SpoutConfig{Path: "a.log", Key: "a"}, "key"},
		{"csv settings elsewhere", SpoutConfig{Path: "a.jsonl", Numbers: []string{"a"}}, "format"},
		{"columns twice", SpoutConfig{Path: "a.csv", Columns: []string{"a", "a"}}, "columns"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.config.MaxLine == 0 {
				tc.config.MaxLine = 1 << 20
			}
			problems := checkSpout(&tc.config)
			if len(problems) != 1 || problems[0].Path != tc.path {
				t.Errorf("got %+v, want one problem at %q", problems, tc.path)
			}
		})
	}
}
