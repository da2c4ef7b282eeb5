package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/check"
	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/record"
)

// SpoutConfig is the settings of the file spout.
type SpoutConfig struct {
	Path      string   `yaml:"path" required:"true" doc:"File, or pattern such as logs/*.jsonl whose files are read in sorted order; relative to the resource file. Gzip is recognised by itself." example:"events/*.jsonl.gz"`
	Format    string   `yaml:"format" default:"auto" enum:"auto|json-lines|csv|lines" doc:"What the files hold; auto goes by the name: .jsonl, .json and .ndjson, .csv and .tsv, everything else is lines of text."`
	Follow    bool     `yaml:"follow" default:"false" doc:"Keep reading as the file grows, is truncated or is rotated; with a pattern, move on when a file appears that sorts later."`
	Key       string   `yaml:"key" doc:"Path of the field whose value becomes the record's key." example:"user.id"`
	Time      string   `yaml:"time" doc:"Path of the field with the record's time, such as 2010-12-01T08:26:00Z or 2010-12-01 08:26, or seconds or milliseconds since 1970; empty, or a time that cannot be read, takes the time of reading." example:"createdAt"`
	TimeZone  string   `yaml:"timeZone" doc:"Where times are meant that name no zone; empty is UTC." example:"Europe/London"`
	MaxLine   api.Size `yaml:"maxLine" default:"1MB" doc:"Longest line that is looked into; a longer one is handed on as raw bytes and becomes a dead letter. Beyond 16MB the topology stops."`
	Columns   []string `yaml:"columns" doc:"CSV: names of the columns, for files without a header row."`
	Delimiter string   `yaml:"delimiter" doc:"CSV: the one character between fields; empty is a comma, or a tab for .tsv files." example:"\";\""`
	Numbers   []string `yaml:"numbers" doc:"CSV: columns whose values are numbers, kept as written; all others become strings." example:"[price, quantity]"`
	EmptyNull bool     `yaml:"emptyNull" default:"false" doc:"CSV: an empty field is null instead of an empty string. In number columns it always is."`
}

// The formats of files.
const (
	formatAuto  = "auto"
	formatJSON  = "json-lines"
	formatCSV   = "csv"
	formatLines = "lines"
)

// Spout is the file spout.
func Spout() component.Definition {
	return component.WithTimes(component.WithFormat(component.DefineSpout(component.Spec{
		Name:    "file",
		Summary: "Reads lines, JSON lines or CSV from files, plain or gzip, and goes on exactly where it stopped.",
		Doc:     spoutDoc,
		Examples: []component.Example{
			{Title: "All event files of a folder", YAML: `file: {path: "events/*.jsonl.gz", key: user.id}`},
			{Title: "A log that grows and is rotated", YAML: `file: {path: /var/log/app/app.log, follow: true}`},
			{Title: "CSV with a header row", YAML: `file: {path: orders.csv, delimiter: ";", numbers: [price], key: orderId}`},
		},
	}, checkSpout, newSpout), func(c *SpoutConfig) record.Format {
		if c.format() == formatLines {
			return record.Text
		}
		return record.JSON
	}), func(c *SpoutConfig) bool { return c.Time != "" })
}

// format is what the settings or the name say.
func (c *SpoutConfig) format() string {
	if c.Format != formatAuto && c.Format != "" {
		return c.Format
	}
	switch c.extension() {
	case ".jsonl", ".json", ".ndjson":
		return formatJSON
	case ".csv", ".tsv":
		return formatCSV
	default:
		return formatLines
	}
}

// extension is that of the name without .gz.
func (c *SpoutConfig) extension() string {
	return strings.ToLower(filepath.Ext(strings.TrimSuffix(c.Path, ".gz")))
}

func (c *SpoutConfig) delimiter() string {
	switch {
	case c.Delimiter != "":
		return c.Delimiter
	case c.extension() == ".tsv":
		return "\t"
	default:
		return ","
	}
}

func checkSpout(c *SpoutConfig) []component.Problem {
	var ps []component.Problem
	report := func(path, code, message, hint string) {
		ps = append(ps, component.Problem{Path: path, Code: code, Message: message, Hint: hint})
	}
	if _, err := filepath.Match(c.Path, ""); err != nil {
		report("path", "pattern-invalid", fmt.Sprintf("read path %q: %v", c.Path, err), `a "[" needs its "]"`)
	}
	if c.Follow && strings.HasSuffix(c.Path, ".gz") {
		report("follow", "value-invalid", fmt.Sprintf("read follow: %q is compressed, and a gzip file that is still written cannot be read", c.Path), "remove follow")
	}
	if c.MaxLine <= 0 || c.MaxLine > unitMax {
		report("maxLine", "value-invalid", fmt.Sprintf("read maxLine %q: must be more than 0 and at most %s", c.MaxLine, api.Size(unitMax)), "")
	}
	if d := c.delimiter(); len(d) != 1 || strings.ContainsAny(d, "\"\r\n") {
		report("delimiter", "value-invalid", fmt.Sprintf("read delimiter %q: want one ASCII character other than a quote or a line end", d), "")
	}
	for _, field := range [][2]string{{"key", c.Key}, {"time", c.Time}} {
		name, path := field[0], field[1]
		if _, err := fieldPath(path); err != nil {
			report(name, "path-invalid", err.Error(), "")
		} else if path != "" && c.format() == formatLines {
			report(name, "value-invalid", fmt.Sprintf("read %s %q: lines of text have no fields", name, path), "set format: json-lines or csv")
		}
	}
	ps = append(ps, check.TimeZone("timeZone", c.TimeZone)...)
	if _, err := newHeader(c.Columns, nil); err != nil {
		report("columns", "value-invalid", "read columns: "+err.Error(), "")
	}
	if c.format() != formatCSV && (len(c.Columns) > 0 || len(c.Numbers) > 0 || c.Delimiter != "" || c.EmptyNull) {
		report("format", "value-invalid", fmt.Sprintf("read format: columns, delimiter, numbers and emptyNull are for CSV, the format is %q", c.format()), "set format: csv")
	}
	return ps
}

func fieldPath(s string) (document.Path, error) {
	if s == "" {
		return nil, nil
	}
	return document.ParsePath(s)
}

// The bounds of a batch and of a wait.
const (
	batchBytes = 4 << 20
	pollPause  = 100 * time.Millisecond
)

// spout reads one file after another. Between files in is nil.
type spout struct {
	config *SpoutConfig
	env    component.Env
	parse  parser
	poll   time.Duration

	at      position // where the next record begins
	started bool     // at names a file
	resumed bool     // at is stored, and the file it was taken in must be found
	in      *input
	course  course
	last    error // said once the batch before it has been handed on
}

var _ component.Spout = (*spout)(nil)

func newSpout(c *SpoutConfig, env component.Env) (component.Spout, error) {
	key, err := fieldPath(c.Key)
	if err != nil {
		return nil, err
	}
	at, err := fieldPath(c.Time)
	if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("read timeZone %q: %w", c.TimeZone, err)
	}
	return &spout{config: c, env: env, poll: pollPause, parse: parser{
		format: c.format(), max: int(c.MaxLine), delimiter: c.delimiter()[0], emptyNull: c.EmptyNull, key: key, time: at, zone: zone,
	}}, nil
}

// Open takes the position over; files are opened by Next.
func (s *spout) Open(_ context.Context, stored []byte) error {
	at, err := decodePosition(stored)
	if err != nil {
		return component.Permanent(err)
	}
	s.at, s.started, s.resumed = at, stored != nil, stored != nil
	return nil
}

// Next returns the next records.
func (s *spout) Next(ctx context.Context, most int) (component.Batch, error) {
	for s.last == nil {
		if err := ctx.Err(); err != nil {
			return component.Batch{}, err
		}
		if s.in == nil {
			if err := s.enter(ctx); err != nil {
				return component.Batch{}, err
			}
			continue
		}
		if err := s.turn(); err != nil {
			return component.Batch{}, err
		}
		records, err := s.read(most)
		position, stampErr := s.stamp()
		if stampErr != nil {
			return component.Batch{}, stampErr
		}
		s.last = s.after(ctx, len(records) > 0, err)
		if len(records) > 0 {
			return component.Batch{Records: records, Position: position}, nil
		}
	}
	err := s.last
	s.last = nil
	return component.Batch{}, err
}

// after decides what the end of a read means. With records in hand it does not wait.
func (s *spout) after(ctx context.Context, some bool, err error) error {
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, io.EOF):
		return err
	case s.final():
		s.course.left, _ = s.in.file.Stat()
		_ = s.in.file.Close()
		s.in, s.course.finished = nil, true
		return nil
	}
	s.course.atEnd = true
	if some {
		return nil
	}
	return s.pause(ctx)
}

// final says whether nothing more will be written to the file, so that its end ends a line.
func (s *spout) final() bool { return !s.config.Follow || s.course.leaving }

// read collects records until there are enough, or the file has no more for now, which is io.EOF.
func (s *spout) read(most int) ([]*record.Record, error) {
	var records []*record.Record
	now := time.Now()
	s.at.End = false
	for bytes := 0; len(records) < most && bytes < batchBytes; {
		unit, err := s.in.unit(s.final(), s.parse.max)
		if err != nil {
			s.at.End = errors.Is(err, io.EOF) && len(s.in.window.seen()) == 0
			return records, s.in.explain(err, s.at)
		}
		if r := s.record(unit, now); r != nil {
			records = append(records, r)
		}
		bytes += len(unit)
		s.in.take(unit, &s.at)
	}
	return records, nil
}

func (s *spout) record(unit []byte, now time.Time) *record.Record {
	if s.at.Offset == 0 && s.parse.format != formatLines {
		unit = trimMark(unit)
	}
	r, problem := s.parse.record(unit, now)
	if problem != nil {
		s.flag(r, problem)
	}
	return r
}

// stamp returns the position to store.
func (s *spout) stamp() ([]byte, error) {
	if err := s.in.stamp(&s.at); err != nil {
		return nil, err
	}
	stored, err := s.at.encode()
	if err != nil {
		return nil, component.Permanent(err)
	}
	return stored, nil
}

// flag marks a record that is not what the settings say.
func (s *spout) flag(r *record.Record, problem error) {
	text := fmt.Sprintf("read %q line %d: %v", s.at.File, s.at.Line+1, problem)
	r.SetHeader(HeaderProblem, []byte(text))
	if s.in.flagged++; s.in.flagged == 1 {
		s.env.Log.Warn("line handed on as raw bytes; later ones of this file are not logged", "spout", s.env.Name, "problem", text)
	}
}

// Close lets go of the file.
func (s *spout) Close() error {
	if s.in == nil {
		return nil
	}
	return s.in.file.Close()
}
