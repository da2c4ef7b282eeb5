// Package journal keeps small entries in one file, in order, so that what was synced is there after any crash.
//
// Append, Sync, Bytes and Close may be called from any goroutine, Append while Sync runs. Replay and Checkpoint hold the
// journal for themselves: the functions that they are given must not call it.
//
// What must not be assumed: an entry is durable only after a Sync that began after its Append returned nil. After a crash
// the entries behind the last Sync may be there or not; if one of them is, all before it are. Entries appended one after the
// other do not stay together: what must is one entry.
package journal

import (
	"errors"
	"fmt"
	"path"
	"sync"

	"ravenswood.dev/internal/broker/disk"
)

// MaxPayload is the most bytes that an entry carries.
const MaxPayload = 16 << 20

// keptBuffer is the largest buffer that Append keeps for the next entry.
const keptBuffer = 256 << 10

// Errors of a journal that is not, or no longer, usable.
var (
	ErrNotReplayed = errors.New("journal not replayed yet")
	ErrReplayed    = errors.New("journal replayed before")
	ErrClosed      = errors.New("journal closed")
)

// Options say how careful a journal is.
type Options struct {
	// NoSync leaves Sync without effect: what was appended survives the end of the process, but not a loss of power.
	// Checkpoints are synced all the same, so that a loss of power never leaves less than the last of them.
	NoSync bool
}

// A Journal is an open journal.
type Journal struct {
	fs   disk.FS
	dir  string
	o    Options
	idle []string // GUARDED_BY(mu): files that a checkpoint replaced and that are still to be removed

	// syncing is held by whoever syncs or replaces the file; it is taken before mu.
	syncing sync.Mutex

	mu       sync.Mutex
	refusal  error     // GUARDED_BY(mu): why nothing can be appended or synced, nil if it can
	file     disk.File // GUARDED_BY(mu)
	number   int64     // GUARDED_BY(mu): of the file
	begin    int64     // GUARDED_BY(mu): where the entries since the checkpoint begin
	end      int64     // GUARDED_BY(mu): where the next entry goes
	synced   int64     // GUARDED_BY(mu): all before this is durable
	claimed  int64     // GUARDED_BY(mu): the last seal in the file says that all before this is
	appended uint64    // GUARDED_BY(mu): entries since Open
	durable  uint64    // GUARDED_BY(mu): so many of them are durable
	buffer   []byte    // GUARDED_BY(mu)
}

// Open opens the journal in a directory, and makes both if they are not there. Replay comes next.
func Open(fs disk.FS, dir string, o Options) (*Journal, error) {
	j := &Journal{fs: fs, dir: dir, o: o, refusal: ErrNotReplayed}
	if err := j.open(); err != nil {
		return nil, fmt.Errorf("open journal %q: %w", dir, err)
	}
	return j, nil
}

func (j *Journal) open() error {
	if err := j.fs.MkdirAll(j.dir); err != nil {
		return err
	}
	found, err := j.scan()
	if err != nil {
		return err
	}
	// Names may be there that a crash of the process left unsynced, of the directory as well as in it: what is
	// acknowledged from now on must not vanish with them.
	if err := j.syncNames(); err != nil {
		return err
	}
	if len(found) == 0 {
		return j.begun()
	}
	last := len(found) - 1
	for _, n := range found[:last] {
		j.idle = append(j.idle, j.name(n))
	}
	j.number = found[last]
	j.file, err = j.fs.Open(j.name(j.number), disk.Write)
	return err
}

// begun makes the first file: an empty checkpoint.
func (j *Journal) begun() error {
	w, err := j.write(1, func(Add) error { return nil })
	if err != nil {
		return err
	}
	if err := j.publish(w); err != nil {
		_ = w.file.Close() // the cause says more
		return err
	}
	j.number, j.file = 1, w.file
	return nil
}

// syncNames makes the name of each directory down to the journal's durable, and the names in that.
func (j *Journal) syncNames() error {
	for dir := j.dir; ; dir = path.Dir(dir) {
		if err := j.fs.SyncDir(dir); err != nil {
			return err
		}
		if dir == "." {
			return nil
		}
	}
}

// Append writes an entry behind the last one. Kind 0 is the journal's own. The payload may be used again when Append
// returns. After an error the entry is not in the journal, and nothing half of it is. When even that cannot be said, the
// error stays: all calls return it until the journal is opened again.
func (j *Journal) Append(kind, version uint16, payload []byte) error {
	if err := checkEntry(kind, payload); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.refusal != nil {
		return j.refusal
	}
	b, claim := j.seal(j.buffer[:0])
	b = appendEntry(b, kind, version, payload)
	if cap(b) <= keptBuffer {
		j.buffer = b
	}
	if err := j.put(b); err != nil {
		return err
	}
	j.claimed = claim
	j.appended++
	return nil
}

func checkEntry(kind uint16, payload []byte) error {
	if kind == sealKind {
		return fmt.Errorf("append an entry of kind %d: kind is taken", kind)
	}
	if len(payload) > MaxPayload {
		return fmt.Errorf("append an entry of kind %d: payload of %d bytes, at most %d are allowed",
			kind, len(payload), MaxPayload)
	}
	return nil
}

// seal adds a seal to b if more is durable than the last one says, and returns what is claimed then.
func (j *Journal) seal(b []byte) ([]byte, int64) {
	// The last seal itself is no reason for another one.
	if j.o.NoSync || j.synced <= j.claimed+sealBytes {
		return b, j.claimed
	}
	return appendSeal(b, seal{number: j.number, at: j.end, synced: j.synced}), j.synced
}

// put writes b at the end, or nothing.
func (j *Journal) put(b []byte) error {
	if _, err := j.file.WriteAt(b, j.end); err != nil {
		err = fmt.Errorf("append to journal %q: %w", j.name(j.number), err)
		if cut := j.file.Truncate(j.end); cut != nil {
			err = fmt.Errorf("%w; cut off what was written of it: %w", err, cut)
			j.refusal = err
		}
		return err
	}
	j.end += int64(len(b))
	return nil
}

// Sync returns when everything appended before the call survives a loss of power. Calls that wait for one another share
// the work. After an error nothing is known about what was appended since the last success; the error stays until the
// journal is opened again.
func (j *Journal) Sync() error {
	j.mu.Lock()
	wanted := j.appended
	j.mu.Unlock()
	j.syncing.Lock()
	defer j.syncing.Unlock()
	return j.sync(wanted)
}

// sync makes so many entries durable. The caller holds syncing.
func (j *Journal) sync(wanted uint64) error {
	j.mu.Lock()
	file, end, appended := j.file, j.end, j.appended
	done := j.durable >= wanted && !errors.Is(j.refusal, ErrNotReplayed)
	refusal := j.refusal
	j.mu.Unlock()
	if done {
		return nil
	}
	if refusal != nil {
		return refusal
	}
	if j.o.NoSync {
		return nil
	}
	err := file.Sync()
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		j.refusal = fmt.Errorf("sync journal %q: %w", j.name(j.number), err)
		return j.refusal
	}
	j.synced, j.durable = end, appended
	return nil
}

// Bytes is how much was appended since the last checkpoint.
func (j *Journal) Bytes() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.end - j.begin
}

// Close syncs and closes the journal. It ends with a seal, so that damage done while it is closed can be told from a tear.
func (j *Journal) Close() error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.mu.Lock()
	closed, unusable, appended := errors.Is(j.refusal, ErrClosed), j.refusal != nil, j.appended
	j.mu.Unlock()
	if closed {
		return nil
	}
	var err error
	if !unusable {
		err = j.finish(appended)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refusal = ErrClosed
	return errors.Join(err, j.file.Close())
}

// finish makes all entries durable, and a seal that says so.
func (j *Journal) finish(appended uint64) error {
	if err := j.sync(appended); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.refusal != nil {
		return j.refusal
	}
	b, claim := j.seal(j.buffer[:0])
	if len(b) == 0 || j.put(b) != nil {
		return nil // all entries are durable; a full disk only costs the seal
	}
	j.claimed = claim
	return j.file.Sync()
}
