package stream

import (
	"fmt"
	"time"

	"ravenswood.dev/internal/engine/window"
)

// Windows is a way to cut time into windows, in which records are aggregated by their event time. A window takes records
// until stream time, the greatest event time its task has seen, has passed its end by Grace.
type Windows struct{ spec window.Spec }

// Tumbling windows have one length and follow each other without gap or overlap. They begin at multiples of their length
// since 1970 in UTC.
func Tumbling(size time.Duration) Windows {
	return Windows{window.Spec{Kind: window.Tumbling, Size: size}}
}

// Hopping windows have one length and begin every advance, which is shorter, so that a record falls into several.
func Hopping(size, advance time.Duration) Windows {
	return Windows{window.Spec{Kind: window.Hopping, Size: size, Advance: advance}}
}

// Sliding windows are placed by the records: two records of a key are together in one exactly if they are no further
// apart than size.
func Sliding(size time.Duration) Windows {
	return Windows{window.Spec{Kind: window.Sliding, Size: size}}
}

// Session windows are placed by the records: one goes on as long as the next record of its key is no further away than
// gap.
func Session(gap time.Duration) Windows {
	return Windows{window.Spec{Kind: window.Session, Size: gap}}
}

// Grace is how long after its end a window still takes records. Without it, a record behind stream time may be late at
// once.
func (w Windows) Grace(d time.Duration) Windows {
	w.spec.Grace = d
	return w
}

// Offset moves the starts of tumbling and hopping windows.
func (w Windows) Offset(d time.Duration) Windows {
	w.spec.Offset = d
	return w
}

// Days lets tumbling windows of whole days begin at midnight in a time zone.
func (w Windows) Days(in *time.Location) Windows {
	w.spec.Location = in
	return w
}

// Windowed is the key of a window's result. The end of a tumbling or hopping window is the first time after it; that of a
// sliding window or session belongs to it.
type Windowed[K any] struct {
	Key        K
	Start, End time.Time
}

func (w Windowed[K]) String() string {
	const layout = "2006-01-02T15:04:05.999Z07:00"
	return fmt.Sprintf("%v@%s/%s", w.Key, w.Start.UTC().Format(layout), w.End.UTC().Format(layout))
}

// WindowedKey writes keys of windows: key@start/end, the times in milliseconds since 1970.
func WindowedKey[K any](key Codec[K]) Codec[Windowed[K]] {
	if key == nil {
		return nil
	}
	return windowedCodec[K]{key}
}

type windowedCodec[K any] struct{ key Codec[K] }

func (c windowedCodec[K]) Encode(buf []byte, w Windowed[K]) ([]byte, error) {
	key, err := encode(c.key, w.Key)
	if err != nil {
		return nil, err
	}
	return window.AppendKey(buf, key, window.Window{Start: w.Start, End: w.End}), nil
}

func (c windowedCodec[K]) Decode(data []byte) (w Windowed[K], err error) {
	key, at, err := window.ParseKey(data)
	if err != nil {
		return w, err
	}
	w.Start, w.End = at.Start, at.End
	w.Key, err = c.key.Decode(key)
	return w, err
}
