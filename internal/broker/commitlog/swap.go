package commitlog

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"slices"
	"strings"

	"ravenswood.dev/internal/broker/disk"
)

// swapBytesMax bounds the file that says what a compaction replaces.
const swapBytesMax = 1 << 20

// A swapList is a decided replacement, in the file named swap: first offsets of the segments that go and of those that
// come.
type swapList struct{ remove, add []int64 }

func (s swapList) encode() []byte {
	var b bytes.Buffer
	for _, base := range s.remove {
		fmt.Fprintf(&b, "- %s\n", baseName(base))
	}
	for _, base := range s.add {
		fmt.Fprintf(&b, "+ %s\n", baseName(base))
	}
	fmt.Fprintf(&b, "= %08x\n", crc32.Checksum(b.Bytes(), castagnoli))
	return b.Bytes()
}

var errSwap = errors.New("not a list of segments with its checksum")

func decodeSwap(b []byte) (swapList, error) {
	var s swapList
	at := max(bytes.LastIndexByte(bytes.TrimSuffix(b, []byte("\n")), '\n')+1, 0)
	if string(b[at:]) != fmt.Sprintf("= %08x\n", crc32.Checksum(b[:at], castagnoli)) {
		return s, errSwap
	}
	for line := range strings.Lines(string(b[:at])) {
		kind, digits, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		base, ok := parseName(digits, "")
		switch {
		case ok && kind == "-":
			s.remove = append(s.remove, base)
		case ok && kind == "+":
			s.add = append(s.add, base)
		default:
			return s, errSwap
		}
	}
	return s, nil
}

// finish does what a swap says. It may have been done in part before, in any order.
func (l *Log) finish(s swapList) error {
	for _, base := range s.remove {
		if slices.Contains(s.add, base) {
			continue // the new one takes its name
		}
		if err := l.unlink(base); err != nil {
			return err
		}
	}
	for _, base := range s.add {
		if err := l.takeName(base, cleanEnd, logEnd); err != nil {
			return err
		}
		if err := l.takeName(base, cleanSealEnd, sealEnd); err != nil {
			return err
		}
	}
	if err := l.syncDir(); err != nil {
		return err
	}
	if err := remove(l.fs, l.named(swapName)); err != nil {
		return err
	}
	return l.syncDir()
}

// takeName renames a file, unless that has been done.
func (l *Log) takeName(base int64, from, to string) error {
	err := l.fs.Rename(l.file(base, from), l.file(base, to))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// finishCompaction finishes a swap that was decided when the process ended, and lists the directory again.
func (r *recoverer) finishCompaction(entries []disk.Entry) ([]disk.Entry, error) {
	if !slices.ContainsFunc(entries, func(e disk.Entry) bool { return e.Name == swapName && !e.Dir }) {
		return entries, nil
	}
	l := r.l
	name := l.named(swapName)
	b, err := readFile(l.fs, name, swapBytesMax)
	if err != nil {
		return nil, err
	}
	s, err := decodeSwap(b)
	if err != nil {
		return nil, &DamageError{File: name, Cause: err}
	}
	if err := l.finish(s); err != nil {
		return nil, err
	}
	return l.fs.List(l.dir)
}
