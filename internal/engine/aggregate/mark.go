package aggregate

import (
	"slices"
	"strings"

	"ravenswood.dev/internal/engine/window"
	"ravenswood.dev/internal/record"
)

// HeaderChange marks the records of a table that was grouped anew: the value is to be taken out of its group, or added to
// it. A header survives the topic between the two.
const HeaderChange = record.Prefix + "change"

// The values of HeaderChange.
const (
	ChangeAdd    = "add"
	ChangeRemove = "remove"
)

// takeChange reads the mark of a change and takes it off. removal is false for a record that has none.
func takeChange(r *record.Record) (removal bool) {
	if len(r.Headers) == 0 {
		return false
	}
	mark, ok := r.Header(HeaderChange)
	if !ok {
		return false
	}
	r.RemoveHeader(HeaderChange)
	return string(mark) == ChangeRemove
}

// marker writes the headers of windows. Most records come without headers and most of those that follow each other are of
// the same window: these share one slice.
type marker struct {
	window  window.Window
	headers []record.Header
}

func (m *marker) mark(r *record.Record, w window.Window, keys Keys) {
	if m.headers == nil || !m.window.Start.Equal(w.Start) || !m.window.End.Equal(w.End) {
		m.window, m.headers = w, w.Headers()
	}
	if keys == KeyWindowed {
		r.Key = window.AppendKey(make([]byte, 0, len(r.Key)+30), r.Key, w)
	}
	if len(r.Headers) == 0 {
		r.Headers = slices.Clip(m.headers)
		return
	}
	kept := make([]record.Header, 0, len(r.Headers)+2)
	for _, h := range r.Headers {
		if !strings.HasPrefix(h.Key, record.Prefix) || h.Key != window.HeaderStart && h.Key != window.HeaderEnd {
			kept = append(kept, h)
		}
	}
	r.Headers = append(kept, m.headers...)
}
