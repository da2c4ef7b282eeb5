// Package doctor examines the files of a broker that is not running: every batch of every partition against its checksum and its
// place, the sidecars, and the journal. It says what it found in words that a person can act on, and, only when asked, moves
// damaged bytes of one partition aside so that the rest can be read again.
//
// Examine and Repair are for one goroutine. They read the files in small pieces, so memory does not grow with the data. The
// caller sees to it that nobody else has the files open: Options.Lock.
//
// It must not be assumed that what is not reported is what a producer sent: a checksum tells that bytes are those which were
// written, and nothing about records that were never written or were removed with their segment.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"

	"ravenswood.dev/internal/broker/disk"
)

// Options of an examination.
type Options struct {
	// Files are those of the broker's directory.
	Files disk.FS
	// Lock keeps others out until release; its error is returned as it is. Nil if the caller did it already.
	Lock func() (release func() error, err error)
	// Progress, if not nil, is told after every few megabytes, from the same goroutine.
	Progress func(Progress)
}

// Progress is how far an examination is.
type Progress struct {
	File  string
	Done  int64 // bytes of all files
	Total int64
}

// A Severity says how bad a finding is.
type Severity string

// The severities.
const (
	Note    Severity = "note"    // nothing is lost; the broker deals with it
	Warning Severity = "warning" // nothing that readers see is lost, but somebody should know
	Damage  Severity = "damage"  // stored bytes are not what was written; the partition does not work
)

// A Finding is one thing that is not as it should be.
type Finding struct {
	Severity  Severity `json:"severity"`
	Topic     string   `json:"topic,omitempty"`
	Partition int32    `json:"partition"` // -1: none
	File      string   `json:"file"`
	Position  int64    `json:"position"` // byte in the file
	Bytes     int64    `json:"bytes,omitempty"`
	Offset    int64    `json:"offset"` // the offset that is expected there; -1: none
	What      string   `json:"what"`
	Meaning   string   `json:"meaning"`
	Advice    string   `json:"advice"`
	Lost      *Range   `json:"lost,omitempty"`
}

// A Range is offsets that cannot be read any more, both included. Compaction may have removed some of them before.
type Range struct {
	From int64 `json:"from"`
	To   int64 `json:"to"` // -1: it cannot be known
}

func (r Range) String() string {
	if r.To < 0 {
		return fmt.Sprintf("offset %d and all behind it", r.From)
	}
	if r.To == r.From {
		return fmt.Sprintf("offset %d", r.From)
	}
	return fmt.Sprintf("offsets %d to %d", r.From, r.To)
}

// A Report is what an examination found.
type Report struct {
	Partitions int       `json:"partitions"`
	Segments   int       `json:"segments"`
	Batches    int64     `json:"batches"`
	Records    int64     `json:"records"`
	Bytes      int64     `json:"bytes"`
	Findings   []Finding `json:"findings"`
}

// Damaged counts the findings that stop a partition.
func (r Report) Damaged() int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == Damage {
			n++
		}
	}
	return n
}

// Examine reads everything and changes nothing. The report is as far as it came when there is an error.
func Examine(ctx context.Context, o Options) (report Report, err error) {
	release, err := o.lock()
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, release()) }()
	partitions, err := find(o.Files)
	if err != nil {
		return report, err
	}
	e := examiner{ctx: ctx, o: o, report: &report, buffer: make([]byte, windowBytes)}
	e.progress.Total = total(partitions)
	if err := e.journal(); err != nil {
		return report, err
	}
	for _, p := range partitions {
		if err := e.partition(p); err != nil {
			return report, err
		}
	}
	return report, nil
}

func (o Options) lock() (func() error, error) {
	if o.Lock == nil {
		return func() error { return nil }, nil
	}
	return o.Lock()
}

// An examiner goes through the files.
type examiner struct {
	ctx      context.Context //nolint:containedctx // an examiner is one call
	o        Options
	report   *Report
	progress Progress
	buffer   []byte
}

func (e *examiner) found(f Finding) { e.report.Findings = append(e.report.Findings, f) }

// read counts bytes and gives others the chance to say stop.
func (e *examiner) read(file string, n int64) error {
	e.progress.File, e.progress.Done = file, e.progress.Done+n
	if e.o.Progress != nil {
		e.o.Progress(e.progress)
	}
	if e.ctx.Err() != nil {
		return context.Cause(e.ctx)
	}
	return nil
}

// A partition is a directory of segments.
type partition struct {
	topic string
	index int32
	dir   string
	files []disk.Entry
}

// find lists the partitions: topics/<topic>/<id>/<partition>.
func find(files disk.FS) ([]partition, error) {
	const depth = 3 // below "topics"
	dirs := []string{"topics"}
	for range depth {
		var below []string
		for _, dir := range dirs {
			entries, err := list(files, dir)
			if err != nil {
				return nil, err
			}
			for _, e := range entries {
				if e.Dir {
					below = append(below, path.Join(dir, e.Name))
				}
			}
		}
		dirs = below
	}
	var all []partition
	for _, dir := range dirs {
		index, err := strconv.ParseInt(path.Base(dir), 10, 32)
		if err != nil {
			continue
		}
		entries, err := list(files, dir)
		if err != nil {
			return nil, err
		}
		all = append(all, partition{topic: path.Base(path.Dir(path.Dir(dir))), index: int32(index), dir: dir, files: entries})
	}
	return all, nil
}

// list is empty for a directory that there is not.
func list(files disk.FS, dir string) ([]disk.Entry, error) {
	entries, err := files.List(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	return entries, nil
}

func total(partitions []partition) int64 {
	var sum int64
	for _, p := range partitions {
		for _, s := range p.segments() {
			sum += s.size
		}
	}
	return sum
}
