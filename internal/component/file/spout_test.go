package file

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
)

// source is a folder of files and the settings of a spout that reads it.
type source struct {
	t      *testing.T
	dir    string
	config SpoutConfig
}

func newSource(t *testing.T, c SpoutConfig) *source {
	if c.MaxLine == 0 {
		c.MaxLine = 1 << 20
	}
	return &source{t: t, dir: t.TempDir(), config: c}
}

func (s *source) path(name string) string { return filepath.Join(s.dir, name) }

func (s *source) write(name, content string) {
	s.t.Helper()
	if strings.HasSuffix(name, ".gz") {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = io.WriteString(w, content)
		_ = w.Close()
		content = b.String()
	}
	if err := os.WriteFile(s.path(name), []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *source) append(name, content string) {
	s.t.Helper()
	f, err := os.OpenFile(s.path(name), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteString(content); err != nil {
		s.t.Fatal(err)
	}
}

func (s *source) rename(from, to string) {
	s.t.Helper()
	if err := os.Rename(s.path(from), s.path(to)); err != nil {
		s.t.Fatal(err)
	}
}

// open opens a spout at a position.
func (s *source) open(position []byte) component.Spout {
	s.t.Helper()
	if problems := checkSpout(&s.config); len(problems) > 0 {
		s.t.Fatalf("check: %v", problems)
	}
	sp, err := newSpout(&s.config, component.Env{Topology: "t", Name: "in", Dir: s.dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		s.t.Fatal(err)
	}
	sp.(*spout).poll = time.Millisecond
	if err := sp.Open(s.t.Context(), position); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = sp.Close() })
	return sp
}

// drain reads to the end and returns the records.
func drain(t *testing.T, sp component.Spout) []*record.Record {
	t.Helper()
	var all []*record.Record
	for {
		b, err := sp.Next(t.Context(), 3)
		all = append(all, b.Records...)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func values(rs []*record.Record) string {
	var vs []string
	for _, r := range rs {
		vs = append(vs, string(r.Value))
	}
	return strings.Join(vs, "\n")
}

// read returns the next n records of a spout that follows, and the position after them.
func read(t *testing.T, sp component.Spout, n int) (string, []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var all []*record.Record
	var position []byte
	for len(all) < n {
		b, err := sp.Next(ctx, n-len(all))
		if err != nil {
			t.Fatalf("after %q: %v", values(all), err)
		}
		all, position = append(all, b.Records...), b.Position
	}
	return values(all), position
}

func wantText(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestFormats(t *testing.T) {
	for _, tc := range []struct {
		name, file, content string
		config              SpoutConfig
		want                string
		formats             string // one letter per record: j, t, r
	}{
		{name: "json lines keep their bytes", file: "a.jsonl", content: "{\"a\": 1.10}\n\n{\"b\":12345678901234567890}\r\n  \n{\"c\":1}", want: "{\"a\": 1.10}\n{\"b\":12345678901234567890}\n{\"c\":1}", formats: "jjj"},
		{name: "a byte order mark is not content", file: "a.jsonl", content: "\ufeff{\"a\":1}\n", want: `{"a":1}`, formats: "j"},
		{name: "a line that is not JSON is handed on raw", file: "a.jsonl", content: "{\"a\":1}\n{broken\n{\"b\":1}\n", want: "{\"a\":1}\n{broken\n{\"b\":1}", formats: "jrj"},
		{name: "lines keep everything but the line end", file: "a.log", content: " x \n\ny\r\nz\r", want: " x \n\ny\nz\r", formats: "tttt"},
		{name: "gzip", file: "a.jsonl.gz", content: "{\"a\":1}\n{\"b\":1}\n", want: "{\"a\":1}\n{\"b\":1}", formats: "jj"},
		{name: "csv", file: "a.csv", content: "id,name\n1,\"x, \"\"y\"\"\nz\"\r\n2,\n", want: "{\"id\":\"1\",\"name\":\"x, \\\"y\\\"\\nz\"}\n{\"id\":\"2\",\"name\":\"\"}", formats: "jj"},
		{name: "csv numbers keep their digits", file: "a.csv", content: "\ufeffid,price\nx,1.10\ny,\nz,12e\n", config: SpoutConfig{Numbers: []string{"price"}}, want: "{\"id\":\"x\",\"price\":1.10}\n{\"id\":\"y\",\"price\":null}\nz,12e", formats: "jjr"},
		{name: "csv without header", file: "a.csv", content: "1;2\n;3\n", config: SpoutConfig{Columns: []string{"a", "b"}, Delimiter: ";", EmptyNull: true}, want: "{\"a\":\"1\",\"b\":\"2\"}\n{\"a\":null,\"b\":\"3\"}", formats: "jj"},
		{name: "tabs", file: "a.tsv", content: "a\tb\n5\" disk\ty,z\n", want: `{"a":"5\" disk","b":"y,z"}`, formats: "j"},
		{name: "csv rows that do not fit are handed on raw", file: "a.csv", content: "a,b\n1\n1,2,3\n\"x\"y,1\n1,2\n", want: "1\n1,2,3\n\"x\"y,1\n{\"a\":\"1\",\"b\":\"2\"}", formats: "rrrj"},
		{name: "a quote that never ends costs one line", file: "a.csv", content: "a,b\n\"1,2\n3,4\n", want: "\"1,2\n{\"a\":\"3\",\"b\":\"4\"}", formats: "rj"},
		{name: "header only", file: "a.csv", content: "a,b", want: ""},
		{name: "empty", file: "a.csv", content: "", want: ""},
		{name: "a line above maxLine is handed on raw", file: "a.jsonl", content: "{\"a\":\"0123456789\"}\n{\"a\":1}\n", config: SpoutConfig{MaxLine: 10}, want: "{\"a\":\"0123456789\"}\n{\"a\":1}", formats: "rj"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.config.Path = tc.file
			s := newSource(t, tc.config)
			s.write(tc.file, tc.content)
			got := drain(t, s.open(nil))
			wantText(t, values(got), tc.want)
			formats := ""
			for _, r := range got {
				formats += map[record.Format]string{record.JSON: "j", record.Text: "t", record.Raw: "r"}[r.Format]
				if _, flagged := r.Header(HeaderProblem); flagged != (r.Format == record.Raw) {
					t.Errorf("%q: problem header %v, format %s", r.Value, flagged, r.Format)
				}
			}
			wantText(t, formats, tc.formats)
		})
	}
}

func TestGoesOnAfterEveryRecord(t *testing.T) {
	for _, tc := range []struct{ name, pattern string }{
		{"plain files", "*.jsonl"}, {"gzip files", "*.jsonl.gz"}, {"CSV files", "*.csv"}, {"gzip CSV files", "*.csv.gz"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSource(t, SpoutConfig{Path: tc.pattern})
			var want []string
			for f := range 3 {
				var b strings.Builder
				if strings.Contains(tc.pattern, "csv") {
					b.WriteString("n\n")
				}
				for i := range 5 {
					if line := fmt.Sprintf("%d-%d", f, i); strings.Contains(tc.pattern, "csv") {
						b.WriteString(line + "\n")
						want = append(want, `{"n":"`+line+`"}`)
					} else {
						b.WriteString(`{"n":"` + line + `"}` + "\n")
						want = append(want, `{"n":"`+line+`"}`)
					}
				}
				s.write(strings.Replace(tc.pattern, "*", fmt.Sprintf("f%d", f), 1), b.String())
			}
			for most := 1; most <= 7; most++ {
				var got []string
				var position []byte
				for {
					b, err := s.open(position).Next(t.Context(), most)
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					got, position = append(got, values(b.Records)), b.Position
				}
				wantText(t, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}
