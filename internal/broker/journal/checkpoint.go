package journal

import (
	"errors"
	"fmt"
	"io/fs"

	"ravenswood.dev/internal/broker/disk"
)

// flushBytes is how much of a checkpoint is gathered before it is written.
const flushBytes = 256 << 10

// Add puts an entry into a checkpoint. The payload may be used again when it returns.
type Add func(kind, version uint16, payload []byte) error

// Checkpoint replaces the journal by the entries that state adds: together they must stand for all that was appended so
// far. Nothing may be appended meanwhile; Append waits. Whatever happens, either all that was appended or all that was
// added is there, and it is durable when Checkpoint returns nil. After an error the journal goes on as before, unless it
// cannot be said which of the two a start would find: then the error stays until the journal is opened again.
func (j *Journal) Checkpoint(state func(Add) error) error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.refusal != nil {
		return j.refusal
	}
	w, err := j.write(j.number+1, state)
	if err != nil {
		return fmt.Errorf("checkpoint journal %q: %w", j.dir, err)
	}
	if err := j.publish(w); err != nil {
		err = fmt.Errorf("checkpoint journal %q: %w", j.dir, err)
		if !j.undone(w) {
			j.refusal = err
		}
		_ = w.file.Close() // the cause says more
		return err
	}
	j.use(w)
	return nil
}

// publish gives a checkpoint its name, and makes that durable.
func (j *Journal) publish(w *writer) error {
	if err := j.fs.Rename(w.tmp, j.name(w.number)); err != nil {
		return err
	}
	return j.fs.SyncDir(j.dir)
}

// undone tells whether a checkpoint that could not be published certainly has no name. If it has one, a start would
// find it after a kill and perhaps not after a loss of power: neither file is safe to append to. A temporary file that
// stays does no harm: the next checkpoint or start deals with it.
func (j *Journal) undone(w *writer) bool {
	f, err := j.fs.Open(j.name(w.number), disk.Read)
	if err == nil {
		_ = f.Close() // nothing was written
		return false
	}
	_ = j.fs.Remove(w.tmp)
	return errors.Is(err, fs.ErrNotExist)
}

// use turns to a checkpoint, and removes what it replaces. A file that cannot be removed does no harm: the highest
// number counts. The next checkpoint or start tries again.
func (j *Journal) use(w *writer) {
	old, name := j.file, j.name(j.number)
	j.file, j.number = w.file, w.number
	j.begin, j.end, j.synced, j.claimed = w.end, w.end, w.end, w.end
	j.durable = j.appended
	_ = old.Close() // nothing in it is needed any more
	j.idle = append(j.idle, name)
	j.removeIdle()
}

func (j *Journal) removeIdle() {
	left := j.idle[:0]
	for _, name := range j.idle {
		if err := j.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			left = append(left, name)
		}
	}
	j.idle = left
}

// writer writes a checkpoint.
type writer struct {
	file   disk.File
	tmp    string
	number int64
	end    int64 // of what is written
	buffer []byte
}

// write makes a checkpoint under its temporary name, complete and durable. After an error nothing is left of it, as far
// as that can be had.
func (j *Journal) write(number int64, state func(Add) error) (*writer, error) {
	w := &writer{tmp: j.name(number) + unfinished, number: number, buffer: []byte(magic)}
	var err error
	if w.file, err = j.fs.Open(w.tmp, disk.Create); err != nil {
		return nil, err
	}
	if err = w.all(state); err == nil {
		return w, nil
	}
	_, _ = w.file.Close(), j.fs.Remove(w.tmp) // the cause says more
	return nil, err
}

func (w *writer) all(state func(Add) error) error {
	// One that could not be removed may be there.
	if err := w.file.Truncate(0); err != nil {
		return err
	}
	if err := state(w.add); err != nil {
		return err
	}
	at := w.end + int64(len(w.buffer))
	w.buffer = appendSeal(w.buffer, seal{number: w.number, at: at, synced: at})
	if err := w.flush(); err != nil {
		return err
	}
	return w.file.Sync()
}

func (w *writer) add(kind, version uint16, payload []byte) error {
	if err := checkEntry(kind, payload); err != nil {
		return err
	}
	w.buffer = appendEntry(w.buffer, kind, version, payload)
	if len(w.buffer) < flushBytes {
		return nil
	}
	return w.flush()
}

func (w *writer) flush() error {
	if _, err := w.file.WriteAt(w.buffer, w.end); err != nil {
		return err
	}
	w.end += int64(len(w.buffer))
	w.buffer = w.buffer[:0]
	return nil
}
