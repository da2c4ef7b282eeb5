package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// The layouts are drawn in docs/internals/store.md. All times are milliseconds since 1970, and sort as numbers do.

// errLayout is the reason why a key or value of a changelog can't be read.
var errLayout = errors.New("not of this store's layout")

func millis(t time.Time) int64      { return t.UnixMilli() }
func timeOf(millis int64) time.Time { return time.UnixMilli(millis).UTC() }

// appendTime adds a time so that bytes sort as times do.
func appendTime(b []byte, millis int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(millis)^1<<63)
}

func readTime(b []byte) int64 { return int64(binary.BigEndian.Uint64(b) ^ 1<<63) }

// appendDescending adds a time so that later ones sort first.
func appendDescending(b []byte, millis int64) []byte { return appendTime(b, ^millis) }

// appendKey adds a key of any length so that keys sort as bytes and no key begins with another.
func appendKey(b, key []byte) []byte {
	for {
		i := bytes.IndexByte(key, 0)
		if i < 0 {
			return append(append(b, key...), 0, 1)
		}
		b = append(append(b, key[:i]...), 0, 0xff)
		key = key[i+1:]
	}
}

// readKey splits off what appendKey added. The key shares b's bytes unless it had a zero.
func readKey(b []byte) (key, rest []byte, err error) {
	from := 0
	for {
		i := bytes.IndexByte(b[from:], 0)
		if i < 0 || from+i+1 >= len(b) {
			return nil, nil, fmt.Errorf("a key that does not end: %w", errLayout)
		}
		piece, escape := b[from:from+i:from+i], b[from+i+1]
		from += i + 2
		if key == nil {
			key = piece
		} else {
			key = append(key, piece...)
		}
		switch escape {
		case 1:
			return key, b[from:], nil
		case 0xff:
			key = append(slices.Clip(key), 0)
		default:
			return nil, nil, fmt.Errorf("a key with the escape %#x: %w", escape, errLayout)
		}
	}
}

// segments says into which stretches of time the entries of a store are cut. What is past the retention is removed by
// whole segments.
type segments struct{ length int64 }

// segmentMin keeps stores of short retention from having very many segments.
const segmentMin = int64(time.Minute / time.Millisecond)

func segmentsOf(retention time.Duration) segments {
	return segments{max(retention.Milliseconds()/2, segmentMin)}
}

// start returns the segment of a time: the multiple of the length at or before it.
func (s segments) start(at int64) int64 {
	over := at % s.length
	if over < 0 {
		over += s.length
	}
	if at < math.MinInt64+over {
		return math.MinInt64
	}
	return at - over
}

// place is where an entry of a window or session store stands: the segment of at, the key, and two numbers that tell the
// entries of a key apart. A window's are its start and seq (at is the start); a session's are its end and start.
type place struct {
	key           []byte
	at            int64
	first, second uint64
}

func (s segments) appendPlace(b []byte, p place) []byte {
	b = appendTime(b, s.start(p.at))
	b = appendKey(b, p.key)
	b = binary.BigEndian.AppendUint64(b, p.first)
	return binary.BigEndian.AppendUint64(b, p.second)
}

// readPlace is the reverse, but for at, which first says.
func readPlace(b []byte) (segment int64, p place, err error) {
	if len(b) < 8 {
		return 0, place{}, fmt.Errorf("a key of %d bytes: %w", len(b), errLayout)
	}
	key, rest, err := readKey(b[8:])
	if err != nil {
		return 0, place{}, err
	}
	if len(rest) != 16 {
		return 0, place{}, fmt.Errorf("%d bytes after the key instead of 16: %w", len(rest), errLayout)
	}
	p = place{key: key, first: binary.BigEndian.Uint64(rest), second: binary.BigEndian.Uint64(rest[8:])}
	p.at = int64(p.first ^ 1<<63)
	return readTime(b), p, nil
}

func sortable(millis int64) uint64   { return uint64(millis) ^ 1<<63 }
func unsortable(sorted uint64) int64 { return int64(sorted ^ 1<<63) }

func appendVersion(b, key []byte, at int64) []byte { return appendDescending(appendKey(b, key), at) }

func readVersion(b []byte) (key []byte, at int64, err error) {
	key, rest, err := readKey(b)
	if err != nil {
		return nil, 0, err
	}
	if len(rest) != 8 {
		return nil, 0, fmt.Errorf("%d bytes after the key instead of 8: %w", len(rest), errLayout)
	}
	return key, ^readTime(rest), nil
}

// The first byte of a version's value.
const (
	versionDeleted byte = 0 // alone: the key was deleted at that time
	versionValue   byte = 1 // the value follows
)

func writeVersionValue(value []byte) []byte {
	if value == nil {
		return []byte{versionDeleted}
	}
	return append(append(make([]byte, 0, 1+len(value)), versionValue), value...)
}

// readVersionValue returns nil for a deletion.
func readVersionValue(b []byte) ([]byte, error) {
	switch {
	case len(b) == 1 && b[0] == versionDeleted:
		return nil, nil
	case len(b) > 0 && b[0] == versionValue:
		return b[1:], nil
	}
	return nil, fmt.Errorf("a version's value of %d bytes: %w", len(b), errLayout)
}

// after returns the first key behind all that begin with a prefix; nil if there is none.
func after(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			next := bytes.Clone(prefix[:i+1])
			next[i]++
			return next
		}
	}
	return nil
}
