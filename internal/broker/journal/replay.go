package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"ravenswood.dev/internal/broker/disk"
)

// window is how much of a file is read at once.
const window = 64 << 10

// A Recovery says what Replay found.
type Recovery struct {
	File    string // name of the file
	Entries int64  // that were handed over
	Bytes   int64  // length of the file now; what was cut off began here
	Cut     int64  // bytes that were cut off: entries that no Sync had acknowledged
}

// A DamageError says that something is gone that had been synced. Nothing was cut off or changed.
type DamageError struct {
	File   string
	At     int64 // position of the first entry that does not match
	Synced int64 // all before this position was durable once; zero: as much as the checkpoint at the beginning
}

func (e *DamageError) Error() string {
	if e.Synced == 0 {
		return fmt.Sprintf("read journal %q: damaged at byte %d, in its checkpoint", e.File, e.At)
	}
	return fmt.Sprintf("read journal %q: damaged at byte %d, though durable up to byte %d", e.File, e.At, e.Synced)
}

// Replay hands all entries to entry, in order, and cuts off what a crash left behind the last good one. The payload is
// valid until entry returns. What was handed over is durable when Replay returns nil (unless Options.NoSync). It is called
// once, before Append; after an error the journal can only be closed.
func (j *Journal) Replay(entry func(kind, version uint16, payload []byte) error) (Recovery, error) {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.refusal == nil:
		return Recovery{}, ErrReplayed
	case !errors.Is(j.refusal, ErrNotReplayed):
		return Recovery{}, j.refusal
	}
	r, err := j.replay(entry)
	if err != nil {
		j.refusal = err
		return r, err
	}
	j.refusal = nil
	j.removeIdle()
	return r, nil
}

func (j *Journal) replay(entry Add) (Recovery, error) {
	size, err := j.file.Size()
	if err != nil {
		return Recovery{}, fmt.Errorf("read journal %q: %w", j.name(j.number), err)
	}
	r := &reader{file: j.file, name: j.name(j.number), number: j.number, size: size}
	err = r.all(entry)
	found := Recovery{File: r.name, Entries: r.entries, Bytes: r.at, Cut: size - r.at}
	if err != nil {
		return found, err
	}
	j.begin, j.end, j.claimed, j.synced = r.begin, r.at, r.claimed, r.claimed
	return found, j.settle(found.Cut)
}

// settle cuts off the tail and makes durable what is left: a process that was killed may have left entries that only the
// operating system has, and cut off ones must not come back behind new ones.
func (j *Journal) settle(cut int64) error {
	if cut > 0 {
		if err := j.file.Truncate(j.end); err != nil {
			return fmt.Errorf("cut off the end of journal %q: %w", j.name(j.number), err)
		}
	}
	if j.o.NoSync && cut == 0 {
		return nil
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("sync journal %q: %w", j.name(j.number), err)
	}
	j.synced = j.end
	return nil
}

// reader reads the entries of a file one after the other.
type reader struct {
	file   disk.File
	name   string
	number int64
	size   int64

	at      int64 // of the next entry
	entries int64
	begin   int64 // behind the checkpoint; zero before its end was seen
	claimed int64 // by the last seal

	buffer []byte // of the file from `start`
	start  int64
}

// all hands over entries up to the first bad one, and says whether that is damage.
func (r *reader) all(entry Add) error {
	first, err := r.bytes(0, int64(len(magic)))
	if err != nil {
		return err
	}
	if string(first) != magic {
		return &DamageError{File: r.name}
	}
	r.at = int64(len(magic))
	for {
		b, err := r.next()
		if err != nil {
			return err
		}
		if b == nil {
			return r.judge()
		}
		if err := r.take(b, entry); err != nil {
			return err
		}
		r.at += int64(len(b))
	}
}

// next returns the entry at r.at, nil if there is no good one. It is valid until the next call.
func (r *reader) next() ([]byte, error) {
	b, err := r.bytes(r.at, entryBytes)
	if b == nil {
		return nil, err
	}
	h := parseHeader(b)
	if h.length > MaxPayload {
		return nil, nil
	}
	b, err = r.bytes(r.at, entryBytes+int64(h.length))
	if b == nil || !h.matches(b) {
		return nil, err
	}
	if _, ok := parseSeal(b, r.number, r.at); h.kind == sealKind && !ok {
		return nil, nil
	}
	return b, nil
}

func (r *reader) take(b []byte, entry Add) error {
	h := parseHeader(b)
	if h.kind == sealKind {
		s, _ := parseSeal(b, r.number, r.at)
		r.claimed = max(r.claimed, s.synced)
		if r.begin == 0 {
			r.begin = r.at + int64(len(b))
		}
		return nil
	}
	if err := entry(h.kind, h.version, b[entryBytes:]); err != nil {
		return fmt.Errorf("replay journal %q at byte %d: %w", r.name, r.at, err)
	}
	r.entries++
	return nil
}

// judge says whether the file may end here. A checkpoint had been durable as a whole before it got its name. Behind it a
// seal anywhere in the rest tells that this place had been durable; without one it is where a crash tore the file.
func (r *reader) judge() error {
	if r.begin == 0 {
		return &DamageError{File: r.name, At: r.at}
	}
	for at := r.at; ; {
		s, found, err := r.findSeal(at)
		if err != nil || !found {
			return err
		}
		if s.synced > r.at {
			return &DamageError{File: r.name, At: r.at, Synced: s.synced}
		}
		at = s.at + sealBytes
	}
}

// findSeal looks for a seal from a position on, at every byte: the lengths of entries in between cannot be trusted.
func (r *reader) findSeal(from int64) (seal, bool, error) {
	for from+sealBytes <= r.size {
		b, err := r.bytes(from, min(window, r.size-from))
		if err != nil {
			return seal{}, false, err
		}
		if s, ok := r.sealIn(b, from); ok {
			return s, true, nil
		}
		from += int64(len(b)) - sealBytes + 1 // one may begin in this part and end in the next
	}
	return seal{}, false, nil
}

func (r *reader) sealIn(b []byte, from int64) (seal, bool) {
	for at := 4; ; at++ {
		i := bytes.Index(b[min(at, len(b)):], sealStart())
		if i < 0 {
			return seal{}, false
		}
		at += i
		if s, ok := parseSeal(b[at-4:], r.number, from+int64(at-4)); ok {
			return s, true
		}
	}
}

// bytes returns a part of the file, nil if it is not that long. It is valid until the next call.
func (r *reader) bytes(at, length int64) ([]byte, error) {
	if at+length > r.size {
		return nil, nil
	}
	if at < r.start || at+length > r.start+int64(len(r.buffer)) {
		if err := r.fill(at, min(max(length, window), r.size-at)); err != nil {
			return nil, err
		}
	}
	return r.buffer[at-r.start:][:length], nil
}

func (r *reader) fill(at, length int64) error {
	if int64(cap(r.buffer)) < length {
		r.buffer = make([]byte, length)
	}
	r.buffer, r.start = r.buffer[:length], at
	n, err := r.file.ReadAt(r.buffer, at)
	if int64(n) == length {
		return nil
	}
	r.buffer = r.buffer[:0]
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // the file became shorter under our hands
	}
	return fmt.Errorf("read journal %q at byte %d: %w", r.name, at, err)
}
