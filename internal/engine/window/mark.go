package window

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"ravenswood.dev/internal/record"
)

// The headers that say which window a record is the result of, in milliseconds since 1970 as text, so that any consumer can
// read them. The record's key stays the group's.
const (
	HeaderStart = record.Prefix + "window-start"
	HeaderEnd   = record.Prefix + "window-end"
)

// Headers are the two headers of a window.
func (w Window) Headers() []record.Header {
	return []record.Header{
		{Key: HeaderStart, Value: strconv.AppendInt(nil, w.Start.UnixMilli(), 10)},
		{Key: HeaderEnd, Value: strconv.AppendInt(nil, w.End.UnixMilli(), 10)},
	}
}

// Of reads the window of a record from its headers; ok is false if it has none.
func Of(r *record.Record) (w Window, ok bool) {
	start, ok1 := headerTime(r, HeaderStart)
	end, ok2 := headerTime(r, HeaderEnd)
	return Window{start, end}, ok1 && ok2
}

func headerTime(r *record.Record, name string) (time.Time, bool) {
	v, ok := r.Header(name)
	if !ok {
		return time.Time{}, false
	}
	return parseMillis(v)
}

func parseMillis(v []byte) (time.Time, bool) {
	ms, err := strconv.ParseInt(string(v), 10, 64)
	return time.UnixMilli(ms).UTC(), err == nil
}

// AppendKey appends the key of a window's result as it is written where each window needs a key of its own, as in a
// compacted topic: key@start/end, both in milliseconds.
func AppendKey(dst, key []byte, w Window) []byte {
	dst = append(append(dst, key...), '@')
	dst = append(strconv.AppendInt(dst, w.Start.UnixMilli(), 10), '/')
	return strconv.AppendInt(dst, w.End.UnixMilli(), 10)
}

// ParseKey reads what AppendKey wrote. The group's key may hold any bytes.
func ParseKey(b []byte) (key []byte, w Window, err error) {
	at := bytes.LastIndexByte(b, '@')
	start, end, cut := bytes.Cut(b[at+1:], []byte{'/'})
	var ok1, ok2 bool
	w.Start, ok1 = parseMillis(start)
	w.End, ok2 = parseMillis(end)
	if at < 0 || !cut || !ok1 || !ok2 {
		return nil, Window{}, fmt.Errorf("read window key %q: want key@start/end", b)
	}
	return b[:at], w, nil
}
