package power

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// Losses counts what was done.
type Losses struct {
	Cut     int   `json:"cut"`     // files made shorter
	Damaged int   `json:"damaged"` // files with sectors zeroed or overwritten
	Undone  int   `json:"undone"`  // changes of names taken back
	Bytes   int64 `json:"bytes"`   // bytes behind the synced lengths, whatever became of them
}

// Add sums up.
func (l *Losses) Add(more Losses) {
	l.Cut += more.Cut
	l.Damaged += more.Damaged
	l.Undone += more.Undone
	l.Bytes += more.Bytes
}

// Lose plays the loss, by chance, and begins the account anew. The process that was watched must be dead.
func (a Account) Lose(rng *rand.Rand) (Losses, error) {
	s, err := a.read()
	if err != nil {
		return Losses{}, fmt.Errorf("play loss of power: %w", err)
	}
	l := loss{Account: a, state: s, rng: rng}
	if err := errors.Join(l.contents(a.Root), l.contents(a.Grave), l.names()); err != nil {
		return l.done, fmt.Errorf("play loss of power: %w", err)
	}
	return l.done, a.Begin()
}

// state is the account, summed up.
type state struct {
	durable map[uint64]int64   // bytes, by inode; a file that is not here was not watched
	pending map[string][]entry // changes of names that are not durable, by directory, in their order
}

func (a Account) read() (*state, error) {
	file, err := os.Open(a.File)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	s := &state{durable: map[uint64]int64{}, pending: map[string][]entry{}}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var e entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("read account %q: %w", a.File, err)
		}
		s.add(e)
	}
	return s, lines.Err()
}

func (s *state) add(e entry) {
	switch e.Kind {
	case synced:
		s.durable[e.Inode] = max(s.durable[e.Inode], e.Length)
	case truncated:
		s.durable[e.Inode] = min(s.durable[e.Inode], e.Length)
	case listed:
		s.pending[e.Dir] = slices.DeleteFunc(s.pending[e.Dir], func(p entry) bool { return p.Number <= e.Upto })
	case created:
		s.durable[e.Inode] = 0
		s.pending[e.Dir] = append(s.pending[e.Dir], e)
	case renamed, removed, made:
		s.pending[e.Dir] = append(s.pending[e.Dir], e)
	}
}

// loss is one loss of power. It asks rng in an order that depends on the files alone.
type loss struct {
	Account
	state *state
	rng   *rand.Rand
	done  Losses
}

// contents takes from every file what was not synced, or a part of it.
func (l *loss) contents(root string) error {
	return eachFile(root, func(path string, info fs.FileInfo) error {
		inode := inodeOf(info)
		durable, watched := l.state.durable[inode]
		if !watched || info.Size() <= durable {
			return nil
		}
		delete(l.state.durable, inode) // another name of it may lie in the grave
		l.done.Bytes += info.Size() - durable
		switch l.rng.IntN(4) {
		case 0:
			return nil // all of it was written in time
		case 1:
			return l.cut(path, durable)
		case 2:
			return l.cut(path, durable+l.rng.Int64N(info.Size()-durable))
		default:
			return l.damage(path, durable, info.Size())
		}
	})
}

func (l *loss) cut(path string, length int64) error {
	l.done.Cut++
	return os.Truncate(path, length)
}

const sector = 512

// damage draws for each sector whether it was written, and what lies there if not.
func (l *loss) damage(path string, from, to int64) error {
	l.done.Damaged++
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for at := from; at < to; {
		end := min((at/sector+1)*sector, to)
		if junk := l.junk(int(end - at)); junk != nil {
			if _, err := file.WriteAt(junk, at); err != nil {
				return errors.Join(err, file.Close())
			}
		}
		at = end
	}
	return file.Close()
}

// junk is what a sector holds that was not written: zeros or anything; nil if it was.
func (l *loss) junk(n int) []byte {
	dice := l.rng.IntN(4)
	if dice < 2 {
		return nil
	}
	junk := make([]byte, n)
	if dice == 2 {
		return junk
	}
	for i := range junk {
		junk[i] = byte(l.rng.Uint32())
	}
	return junk
}

// names takes back changes of names: none, all, the last so many, or each by chance. One that later changes stand upon
// stays.
func (l *loss) names() error {
	for _, dir := range slices.Sorted(maps.Keys(l.state.pending)) {
		pending := l.state.pending[dir]
		undo := l.chooser(len(pending))
		for i, e := range slices.Backward(pending) {
			if !undo(i) {
				continue
			}
			if err := l.undo(e); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

func (l *loss) chooser(changes int) func(i int) bool {
	switch l.rng.IntN(4) {
	case 0:
		return func(int) bool { return false }
	case 1:
		return func(int) bool { return true }
	case 2:
		first := l.rng.IntN(changes + 1)
		return func(i int) bool { return i >= first }
	default:
		return func(int) bool { return l.rng.IntN(2) == 0 }
	}
}

// undo takes one change back, if the names are as it left them.
func (l *loss) undo(e entry) error {
	at := func(name string) string { return filepath.Join(l.Root, filepath.FromSlash(e.Dir), name) }
	now := inodeAt(at(e.Name))
	switch {
	case e.Kind == created && now == e.Inode:
		l.done.Undone++
		return os.Remove(at(e.Name))
	case e.Kind == made && now != 0:
		l.done.Undone++
		return os.RemoveAll(at(e.Name))
	case e.Kind == removed && now == 0:
		l.done.Undone++
		return os.Link(l.buried(e.Inode), at(e.Name))
	case e.Kind == renamed && now == e.Inode && inodeAt(at(e.From)) == 0:
		l.done.Undone++
		return l.unrename(e, at(e.From), at(e.Name))
	}
	return nil
}

func (l *loss) unrename(e entry, from, to string) error {
	if err := os.Rename(to, from); err != nil || e.Old == 0 {
		return err
	}
	return os.Link(l.buried(e.Old), to)
}
