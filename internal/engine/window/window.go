// Package window is the arithmetic of windows: which windows a record falls into, when they close, when a record is too
// late. It is pure.
//
// Everything is a value and safe for concurrent use. Times have millisecond precision, as records have in the log; what is
// finer is cut off. Do not assume that a window is as long as another of its kind: a day in a time zone that changes its
// clock has 23 or 25 hours.
package window

import (
	"errors"
	"fmt"
	"iter"
	"time"
)

// Kind is how time is cut.
type Kind uint8

// The kinds.
const (
	// Tumbling windows have one length and follow each other without gap or overlap: each record falls into one.
	Tumbling Kind = iota
	// Hopping windows have one length and begin at every multiple of a shorter step, so that they overlap.
	Hopping
	// Sliding windows are placed by the records of a key: one ends with each record, one begins right after it if there
	// are records in it. Two records are together in one exactly if they are no further apart than the size.
	Sliding
	// Session windows are placed by the records of a key, too: a session goes on as long as the next record is no further
	// away than the gap.
	Session
)

func (k Kind) String() string { return [...]string{"tumbling", "hopping", "sliding", "session"}[k] }

// Spec is a way to cut time into windows.
type Spec struct {
	Kind Kind
	// Size is the length of a tumbling or hopping window, the greatest distance of records in a sliding one, the gap that
	// ends a session.
	Size time.Duration
	// Advance is the distance from one hopping window to the next, at most Size.
	Advance time.Duration
	// Offset moves the starts of tumbling and hopping windows, which are multiples of the step since 1970 in UTC.
	Offset time.Duration
	// Location makes tumbling windows of whole days begin at midnight there (plus Offset); nil is UTC.
	Location *time.Location
	// Grace is how long after its end a window still takes records, in stream time.
	Grace time.Duration
}

// Window is one stretch of time. The end of a tumbling or hopping window is the first time after it; that of a sliding
// window or session belongs to it.
type Window struct{ Start, End time.Time }

// The bounds of a Spec.
const (
	sizeMax    = 10 * 366 * day
	windowsMax = 10_000 // hopping windows a record may fall into
	day        = 24 * time.Hour
)

// Check says what is wrong with a Spec.
func (s Spec) Check() error {
	switch {
	case s.Kind > Session:
		return fmt.Errorf("check window: unknown kind %d", s.Kind)
	case s.Size < time.Millisecond || s.Size > sizeMax:
		return fmt.Errorf("check %s window: the size %s is not between 1ms and %s", s.Kind, s.Size, sizeMax)
	case s.Grace < 0 || s.Grace > sizeMax:
		return fmt.Errorf("check %s window: the grace %s is not between 0 and %s", s.Kind, s.Grace, sizeMax)
	case s.Size%time.Millisecond != 0 || s.Advance%time.Millisecond != 0 || s.Offset%time.Millisecond != 0 || s.Grace%time.Millisecond != 0:
		return fmt.Errorf("check %s window: times are whole milliseconds", s.Kind)
	case s.Kind == Hopping:
		return s.checkHopping()
	case s.Advance != 0:
		return fmt.Errorf("check %s window: only hopping windows have an advance", s.Kind)
	case s.Kind != Tumbling && s.Offset != 0:
		return fmt.Errorf("check %s window: its place is that of the records, an offset has no meaning", s.Kind)
	}
	return s.checkLocation()
}

func (s Spec) checkHopping() error {
	switch {
	case s.Advance < time.Millisecond || s.Advance > s.Size:
		return fmt.Errorf("check hopping window: the advance %s is not between 1ms and the size %s", s.Advance, s.Size)
	case (s.Size+s.Advance-1)/s.Advance > windowsMax:
		return fmt.Errorf("check hopping window: each record falls into %d windows, at most %d are allowed", s.Size/s.Advance, windowsMax)
	}
	return s.checkLocation()
}

func (s Spec) checkLocation() error {
	switch {
	case s.Location == nil:
		return nil
	case s.Kind != Tumbling || s.Size%day != 0:
		return fmt.Errorf("check %s window: only tumbling windows of whole days can follow a time zone", s.Kind)
	case s.Offset < 0 || s.Offset >= day:
		return errors.New("check tumbling window: in a time zone the offset is the time of day, less than 24h")
	}
	return nil
}

// Of visits the tumbling or hopping windows that a time falls into, the earliest first. Where sliding and session windows
// are depends on the other records of the key, so that it visits none for them.
func (s Spec) Of(t time.Time) iter.Seq[Window] {
	return func(yield func(Window) bool) {
		switch {
		case s.Kind == Hopping:
			s.hopping(t, yield)
		case s.Kind == Tumbling:
			yield(s.Around(t))
		}
	}
}

func (s Spec) hopping(t time.Time, yield func(Window) bool) {
	ms, size, step := t.UnixMilli(), s.Size.Milliseconds(), s.Advance.Milliseconds()
	last := floor(ms-s.Offset.Milliseconds(), step)*step + s.Offset.Milliseconds()
	for n := (last - ms + size - 1) / step; n >= 0; n-- {
		start := last - n*step
		if !yield(Window{time.UnixMilli(start).UTC(), time.UnixMilli(start + size).UTC()}) {
			return
		}
	}
}

// Around is the tumbling window that a time falls into.
func (s Spec) Around(t time.Time) Window {
	if s.Location != nil {
		return s.days(t)
	}
	size, offset := s.Size.Milliseconds(), s.Offset.Milliseconds()
	start := floor(t.UnixMilli()-offset, size)*size + offset
	return Window{time.UnixMilli(start).UTC(), time.UnixMilli(start + size).UTC()}
}

// days finds the window by the calendar: the days since 1970 as they are counted in the location. A clock that is put
// forward at midnight makes the day begin with the first minute there is.
func (s Spec) days(t time.Time) Window {
	n := int64(s.Size / day)
	local := t.In(s.Location)
	today := floor(time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, time.UTC).Unix(), int64(day/time.Second))
	first := floor(today, n) * n
	w := Window{s.midnight(first), s.midnight(first + n)}
	switch {
	case t.Before(w.Start):
		return Window{s.midnight(first - n), w.Start}
	case !t.Before(w.End):
		return Window{w.End, s.midnight(first + 2*n)}
	}
	return w
}

func (s Spec) midnight(day int64) time.Time {
	date := time.Unix(0, 0).UTC().AddDate(0, 0, int(day))
	clock := time.Date(date.Year(), date.Month(), date.Day(), 0, 0, 0, int(s.Offset), s.Location)
	return time.UnixMilli(clock.UnixMilli()).UTC()
}

func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// From is the window that begins at a time: of tumbling and hopping windows at a start, of sliding windows at any.
func (s Spec) From(start time.Time) Window {
	if s.Location != nil {
		return s.days(start)
	}
	return Window{start, start.Add(s.Size)}
}

// last is the latest time that can still come into a window.
func (s Spec) last(w Window) time.Time {
	switch s.Kind {
	case Sliding:
		return w.End
	case Session:
		return w.End.Add(s.Size)
	}
	return w.End.Add(-time.Millisecond)
}

// Closes is the stream time at which a window closes: from then on no record comes into it. Tumbling and hopping windows
// close at their end plus grace, sliding ones right after it, since their end belongs to them; sessions right after their
// end plus gap plus grace, since a record could go on with them until then.
func (s Spec) Closes(w Window) time.Time {
	return s.last(w).Add(s.Grace + time.Millisecond)
}

// Closed says whether a window takes no more records.
func (s Spec) Closed(w Window, streamTime time.Time) bool { return !streamTime.Before(s.Closes(w)) }

// Late says whether a record of that time comes too late for every window it could fall into. A session that has begun may
// be open longer than the record's own would be: the caller has to look for one.
func (s Spec) Late(t, streamTime time.Time) bool {
	switch s.Kind {
	case Sliding:
		return s.Closed(Window{t, t.Add(s.Size)}, streamTime)
	case Session:
		return s.Closed(Window{t, t}, streamTime)
	case Hopping:
		ms, offset, step := t.UnixMilli(), s.Offset.Milliseconds(), s.Advance.Milliseconds()
		start := time.UnixMilli(floor(ms-offset, step)*step + offset)
		return s.Closed(s.From(start), streamTime)
	}
	return s.Closed(s.Around(t), streamTime)
}

// Retention is how long a window must be kept after its start (a session after its end) so that every record finds what it
// needs. Sliding windows need more than one that is open: new ones are made from those up to twice the size before.
func (s Spec) Retention() time.Duration {
	switch {
	case s.Kind == Sliding:
		return 3*s.Size + s.Grace + 2*time.Millisecond
	case s.Location != nil:
		return s.Size + s.Grace + 3*time.Hour // the longest a clock was ever put back, and then some
	}
	return s.Size + s.Grace + time.Millisecond
}

// Length is what the start of a window says of its end; 0 if nothing exact, as of sessions and of days in a time zone.
func (s Spec) Length() time.Duration {
	if s.Kind == Session || s.Location != nil {
		return 0
	}
	return s.Size
}
