package commitlog

import (
	"fmt"

	"ravenswood.dev/internal/broker/batch"
)

// ActiveBase is the first offset of the active segment. It is for the writer.
func (l *Log) ActiveBase() int64 { return l.active.contents.base }

// ActiveBytes is the size of the active segment. It is for the writer.
func (l *Log) ActiveBytes() int64 { return l.active.contents.bytes }

// ActiveSince is the largest timestamp of the first batch in the active segment, Unix milliseconds; not ok when there is
// none. It reads the file, so the writer, whom it is for, remembers it as long as ActiveBase stays the same.
func (l *Log) ActiveSince() (millis int64, ok bool, err error) {
	if l.active.contents.bytes == 0 {
		return 0, false, nil
	}
	var head [batch.HeaderBytes]byte
	if _, err := l.active.file.ReadAt(head[:], 0); err != nil {
		return 0, false, fmt.Errorf("read the beginning of the active segment of %q: %w", l.dir, err)
	}
	h, err := batch.Parse(head[:])
	if err != nil {
		return 0, false, l.damage(l.active.contents.base, 0, l.active.contents.base, err)
	}
	return h.MaxTimestamp, true, nil
}
