package broker

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// repair puts right what a kill leaves behind, before the cluster opens the log. The cluster by itself would
//
//   - forget the sequence numbers of producers, and store twice what was written but not yet acknowledged;
//   - abort open transactions in memory only, so that after the next kill they are readable;
//   - take the in-transaction flags of batches from an index file that may have lost an entry, which moves every later
//     flag to the wrong batch;
//   - append to a log behind a torn entry, where the next start does not find it.
//
// So repair reads the batches themselves, cuts torn ends off, writes the index files and the sequence numbers anew, and
// ends every open transaction by an abort marker after raising its producer's epoch. It may be killed at any moment
// and run again.
//
// What stays open is the moment of a commit itself: markers on several partitions and group offsets are written one
// after the other, and a kill between two of them, a window of microseconds, leaves a part.
func repair(data string, log *slog.Logger) error {
	if _, err := os.Stat(data); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	found, err := scanLog(data)
	if err != nil {
		return fmt.Errorf("repair the log after a kill: %w", err)
	}
	for _, name := range []string{"pids.log", "groups.log"} {
		if err := cutTornEntries(filepath.Join(data, name)); err != nil {
			return fmt.Errorf("repair the log after a kill: %w", err)
		}
	}
	if err := found.endTransactions(data); err != nil {
		return fmt.Errorf("repair the log after a kill: %w", err)
	}
	if err := found.saveSequences(data); err != nil {
		return fmt.Errorf("repair the log after a kill: %w", err)
	}
	if found.open > 0 || found.torn > 0 {
		log.Warn("the broker was killed: open transactions are aborted, torn ends are cut off", "transactions", found.open, "tornBytes", found.torn)
	}
	return nil
}

// logState is what the batches of a log say.
type logState struct {
	parts     []*partition
	sequences map[sequenceKey]*sequenceWindow
	open      int   // transactions without a marker, counted per partition
	torn      int64 // bytes cut off
}

// partition is one partition folder.
type partition struct {
	path     string
	topic    string
	number   int32
	segments []int64 // first offsets, sorted
	next     int64   // offset after the last batch
	leader   int32   // leader epoch of the last batch
	open     map[int64]int16
}

func scanLog(data string) (*logState, error) {
	state := &logState{sequences: map[sequenceKey]*sequenceWindow{}}
	folders, err := os.ReadDir(filepath.Join(data, "partitions"))
	if errors.Is(err, fs.ErrNotExist) {
		return state, nil
	}
	if err != nil {
		return nil, err
	}
	for _, folder := range folders {
		p, err := openPartition(filepath.Join(data, "partitions", folder.Name()))
		if err == nil {
			err = state.scan(p)
		}
		if err != nil {
			return nil, err
		}
	}
	return state, nil
}

func openPartition(path string) (*partition, error) {
	name := filepath.Base(path)
	dash := strings.LastIndexByte(name, '-')
	topic, err1 := url.PathUnescape(name[:max(dash, 0)])
	number, err2 := strconv.ParseInt(name[dash+1:], 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("read partition folder %q: %w", path, err)
	}
	p := &partition{path: path, topic: topic, number: int32(number), open: map[int64]int16{}}
	files, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		digits, ok := strings.CutSuffix(f.Name(), ".dat")
		if base, err := strconv.ParseInt(digits, 10, 64); ok && err == nil {
			p.segments = append(p.segments, base)
		}
	}
	slices.Sort(p.segments)
	return p, nil
}

func (p *partition) dat(base int64) string { return filepath.Join(p.path, fmt.Sprintf("%d.dat", base)) }
func (p *partition) idx(base int64) string { return filepath.Join(p.path, fmt.Sprintf("%d.idx", base)) }

// scan reads a partition's segments and mends its files.
func (s *logState) scan(p *partition) error {
	for _, base := range p.segments {
		var index []byte
		valid, err := readSegment(p.dat(base), func(b batch) {
			index = append(index, b.indexEntry()...)
			s.note(p, b)
		})
		if err != nil {
			return err
		}
		cut, err := truncate(p.dat(base), valid)
		if err != nil {
			return err
		}
		s.torn += cut
		if err := replaceFile(p.idx(base), index); err != nil {
			return err
		}
	}
	s.parts = append(s.parts, p)
	s.open += len(p.open)
	return nil
}

// note follows a producer through the batches of a partition.
func (s *logState) note(p *partition, b batch) {
	p.next, p.leader = b.next(), b.leader
	switch {
	case b.control():
		delete(p.open, b.producer)
		return
	case b.transactional():
		p.open[b.producer] = b.epoch
	}
	if b.producer < 0 {
		return
	}
	key := sequenceKey{b.producer, p.topic, p.number}
	if s.sequences[key] == nil {
		s.sequences[key] = &sequenceWindow{}
	}
	s.sequences[key].push(b)
}

// endTransactions first raises the epochs of the producers, so that one that is still alive cannot go on in the middle
// of what is being aborted, then writes the markers.
func (s *logState) endTransactions(data string) error {
	producers := map[int64]int16{}
	for _, p := range s.parts {
		for producer, epoch := range p.open {
			producers[producer] = max(producers[producer], epoch)
		}
	}
	if err := raiseEpochs(filepath.Join(data, "pids.log"), producers); err != nil {
		return err
	}
	for _, p := range s.parts {
		if err := p.abort(); err != nil {
			return err
		}
	}
	return nil
}

// abort appends an abort marker for each open transaction to the last segment.
func (p *partition) abort() error {
	if len(p.open) == 0 {
		return nil
	}
	base := p.segments[len(p.segments)-1]
	var dat, idx []byte
	for _, producer := range slices.Sorted(maps.Keys(p.open)) {
		marker := abortMarker(p.next, p.leader, producer, p.open[producer])
		dat = append(dat, marker...)
		idx = append(idx, batch{leader: p.leader, attributes: attrTransactional | attrControl}.indexEntry()...)
		p.next++
	}
	return errors.Join(appendFile(p.dat(base), dat), appendFile(p.idx(base), idx))
}

// truncate cuts a file to a size and says how many bytes went.
func truncate(path string, size int64) (cut int64, err error) {
	info, err := os.Stat(path)
	if err != nil || info.Size() <= size {
		return 0, err
	}
	return info.Size() - size, os.Truncate(path, size)
}

// replaceFile writes a file that is either the old one or the new one, whenever the process dies.
func replaceFile(path string, content []byte) error {
	if err := os.WriteFile(path+".tmp", content, 0o640); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

func appendFile(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}
