package file

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
)

// SinkConfig is the settings of the file sink.
type SinkConfig struct {
	Path      string       `yaml:"path" required:"true" doc:"Folder for the files, relative to the resource file; made if it is missing." example:"out/enriched"`
	RollSize  api.Size     `yaml:"rollSize" default:"128MB" doc:"Size from which on the next delivery begins a new file."`
	RollEvery api.Duration `yaml:"rollEvery" default:"1h" doc:"Age from which on the next delivery begins a new file; 0 means no limit."`
	Compress  string       `yaml:"compress" default:"none" enum:"none|gzip" doc:"gzip writes each delivery as a gzip member of its own, so that the files can be read at any time."`
}

// Sink is the file sink.
func Sink() component.Definition {
	return component.DefineSink(component.Spec{
		Name:    "file",
		Summary: "Writes JSON lines into files that roll by size and age, exactly once.",
		Doc:     sinkDoc,
		Examples: []component.Example{
			{Title: "A new file every hour", YAML: `file: {path: out/enriched}`},
			{Title: "Compressed files of about 64 MB", YAML: `file: {path: /data/archive, rollSize: 64MB, rollEvery: 0, compress: gzip}`},
		},
	}, checkSink, newSink)
}

func checkSink(c *SinkConfig) []component.Problem {
	if c.RollSize <= 0 {
		return []component.Problem{{Path: "rollSize", Code: "value-invalid", Message: fmt.Sprintf("read rollSize %q: must be more than 0", c.RollSize)}}
	}
	return nil
}

// sink writes files. Each partition has its own, so deliveries of different partitions do not meet.
type sink struct {
	config *SinkConfig
	dir    string
	log    *slog.Logger
	now    func() time.Time

	mu         sync.Mutex
	partitions map[component.Partition]*partition
}

var _ component.Sink = (*sink)(nil)

func newSink(c *SinkConfig, env component.Env) (component.Sink, error) {
	dir := c.Path
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(env.Dir, dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make folder %q: %w", dir, err)
	}
	return &sink{config: c, dir: dir, log: env.Log, now: time.Now, partitions: map[component.Partition]*partition{}}, nil
}

// partition is one partition's files.
type partition struct {
	mu   sync.Mutex
	stem string // the files' path without number and extension
	lock *lock
	file *os.File // kept open between deliveries; nil if none is
}

// hold returns the partition, locked against this process and all others.
func (s *sink) hold(ctx context.Context, id component.Partition) (*partition, error) {
	s.mu.Lock()
	p := s.partitions[id]
	if p == nil {
		p = &partition{stem: filepath.Join(s.dir, fmt.Sprintf("%s-%d", id.Topic, id.Partition))}
		s.partitions[id] = p
	}
	s.mu.Unlock()
	p.mu.Lock()
	if err := p.acquire(ctx, s.dir); err != nil {
		p.mu.Unlock()
		return nil, err
	}
	return p, nil
}

func (p *partition) acquire(ctx context.Context, dir string) error {
	if p.lock == nil {
		l, err := openLock(filepath.Join(dir, "."+filepath.Base(p.stem)+".lock"))
		if err != nil {
			return err
		}
		p.lock = l
	}
	return p.lock.acquire(ctx)
}

func (p *partition) release() {
	p.lock.release()
	p.mu.Unlock()
}

// Position reads the partition's checkpoint.
func (s *sink) Position(ctx context.Context, id component.Partition) (int64, bool, error) {
	p, err := s.hold(ctx, id)
	if err != nil {
		return 0, false, err
	}
	defer p.release()
	c, ok, err := readCheckpoint(p.stem)
	return c.Next, ok && c.Log == id.Log, err
}

// Deliver appends the records and moves the checkpoint behind them. The checkpoint is what counts: bytes behind the
// length it names are cut off before the next delivery.
func (s *sink) Deliver(ctx context.Context, id component.Partition, from, next int64, records []*record.Record) error {
	data, err := s.encode(records)
	if err != nil {
		return err
	}
	p, err := s.hold(ctx, id)
	if err != nil {
		return err
	}
	defer p.release()
	c, ok, err := readCheckpoint(p.stem)
	if err != nil {
		return err
	}
	if ok && c.Log == id.Log && c.Next != from {
		return component.ErrMoved
	}
	c.Next, c.Log = from, id.Log
	if len(data) > 0 {
		if c, err = s.place(p, c); err != nil {
			p.drop()
			return fmt.Errorf("open file for %s/%d: %w", id.Topic, id.Partition, err)
		}
	}
	if err := p.write(&c, data, next); err != nil {
		p.drop() // what is in the file is read anew
		return fmt.Errorf("write %q: %w", c.File, err)
	}
	return nil
}

// encode writes the records as lines.
func (s *sink) encode(records []*record.Record) ([]byte, error) {
	var plain bytes.Buffer
	for i, r := range records {
		line, err := lineOf(r)
		if err != nil {
			return nil, &component.RejectedError{Index: i, Err: err}
		}
		plain.Write(line)
		plain.WriteByte('\n')
	}
	if s.config.Compress != "gzip" || plain.Len() == 0 {
		return plain.Bytes(), nil
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(plain.Bytes()); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

var errLineEnd = errors.New("write record as a line: it holds a line end and is not JSON")

// lineOf is a record's value on one line. In JSON a line end can only stand between tokens, where a space means the
// same. A record without a value is null.
func lineOf(r *record.Record) ([]byte, error) {
	switch {
	case r.Value == nil:
		return []byte("null"), nil
	case !bytes.ContainsAny(r.Value, "\r\n"):
		return r.Value, nil
	case r.Format != record.JSON:
		if bytes.IndexByte(r.Value, '\n') < 0 {
			return r.Value, nil
		}
		return nil, errLineEnd
	}
	line := bytes.Clone(r.Value)
	for i, b := range line {
		if b == '\n' || b == '\r' {
			line[i] = ' '
		}
	}
	return line, nil
}

// place makes sure that the right file is open and ends where the checkpoint says, and begins a new one if it is time.
func (s *sink) place(p *partition, c checkpoint) (checkpoint, error) {
	age := s.now().Sub(c.Began)
	full := c.File == "" || c.Length >= int64(s.config.RollSize) || s.config.RollEvery > 0 && age >= time.Duration(s.config.RollEvery)
	if full && (c.File == "" || c.Length > 0) {
		return s.begin(p, c)
	}
	err := p.open(c)
	if errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("file is gone, beginning the next", "folder", s.dir, "file", c.File)
		return s.begin(p, c)
	}
	return c, err
}

// begin makes the next file. The checkpoint names it before anything is written to it, so that whatever a crash leaves
// in it is known to be worth nothing.
func (s *sink) begin(p *partition, c checkpoint) (checkpoint, error) {
	p.drop()
	for n := c.Number + 1; ; n++ {
		name := fmt.Sprintf("%s-%06d.jsonl", filepath.Base(p.stem), n)
		if s.config.Compress == "gzip" {
			name += ".gz"
		}
		f, err := os.OpenFile(filepath.Join(s.dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if errors.Is(err, os.ErrExist) {
			continue // somebody's file, or one that a crash left empty: never overwritten
		}
		if err != nil {
			return c, err
		}
		p.file = f
		c.File, c.Number, c.Length, c.Began = name, n, 0, s.now()
		if err := errors.Join(syncDir(s.dir), c.write(p.stem)); err != nil {
			p.drop()
			return c, err
		}
		return c, nil
	}
}

// open opens the checkpoint's file, or keeps it open, and cuts off what was written but never counted.
func (p *partition) open(c checkpoint) error {
	path := filepath.Join(filepath.Dir(p.stem), c.File)
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !p.isOpen(info) {
		p.drop()
		if p.file, err = os.OpenFile(path, os.O_WRONLY, 0); err != nil {
			return err
		}
	}
	switch {
	case info.Size() < c.Length:
		return fmt.Errorf("%q has %d bytes, but %d were delivered to it: somebody cut it", c.File, info.Size(), c.Length)
	case info.Size() > c.Length:
		return p.file.Truncate(c.Length)
	}
	return nil
}

// isOpen says whether the open file is still the one in the folder: it may have been moved away.
func (p *partition) isOpen(there os.FileInfo) bool {
	if p.file == nil {
		return false
	}
	info, err := p.file.Stat()
	return err == nil && os.SameFile(info, there)
}

// write appends, and moves the checkpoint when the bytes are safe.
func (p *partition) write(c *checkpoint, data []byte, next int64) error {
	if len(data) > 0 {
		if _, err := p.file.WriteAt(data, c.Length); err != nil {
			return err
		}
		if err := p.file.Sync(); err != nil {
			return err
		}
	}
	c.Next, c.Length = next, c.Length+int64(len(data))
	return c.write(p.stem)
}

// drop closes the file, so that the next delivery looks at it anew.
func (p *partition) drop() {
	if p.file != nil {
		_ = p.file.Close()
	}
	p.file = nil
}

// Close lets go of all files and locks.
func (s *sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.partitions {
		p.mu.Lock()
		p.drop()
		if p.lock != nil {
			p.lock.close()
			p.lock = nil
		}
		p.mu.Unlock()
	}
	return nil
}
