package supervise

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// The bounds of what is kept of a process's output.
const (
	maxLine   = 4 << 10 // a longer line is cut
	keptLines = 50
)

// output writes whole lines of several processes to one writer.
type output struct {
	mu sync.Mutex
	to io.Writer
}

func (o *output) line(text []byte) {
	if o.to == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _ = o.to.Write(text) // whoever shows the output is gone: the process need not know
}

// lines takes what one process prints, cuts it into lines, keeps the last ones and passes them on with the name.
type lines struct {
	prefix string
	to     *output

	mu      sync.Mutex
	partial []byte // the line so far, at most maxLine
	cut     bool   // the line was longer
	kept    []string
}

func newLines(name string, to *output) *lines { return &lines{prefix: name + " | ", to: to} }

// Write takes output in any pieces. It never fails: a process must not be hurt by how its output is shown.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(b)
	for {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			l.add(b)
			return n, nil
		}
		l.add(b[:end])
		l.emit()
		b = b[end+1:]
	}
}

func (l *lines) add(b []byte) {
	room := maxLine - len(l.partial)
	l.cut = l.cut || len(b) > room
	l.partial = append(l.partial, b[:min(len(b), room)]...)
}

func (l *lines) emit() {
	text := plain(bytes.TrimSuffix(l.partial, []byte("\r")))
	if l.cut {
		text += "…"
	}
	l.partial, l.cut = l.partial[:0], false
	if len(l.kept) == keptLines {
		l.kept = slices.Delete(l.kept, 0, 1)
	}
	l.kept = append(l.kept, text)
	l.to.line([]byte(l.prefix + text + "\n"))
}

// plain makes a line harmless to show: what a service prints may come from strangers, and a terminal obeys escapes.
func plain(line []byte) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && unicode.IsControl(r) {
			return '·'
		}
		return r
	}, strings.ToValidUTF8(string(line), "·"))
}

// flush ends a line that the process left unfinished.
func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.partial) > 0 {
		l.emit()
	}
}

func (l *lines) last() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.kept)
}
