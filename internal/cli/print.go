package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// printJSON writes one value, indented.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// printJSONLine writes one value on one line: for streams and for summaries that are read as the last line.
func printJSONLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table writes rows with aligned columns; the first row is the head.
func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// paint colours text if its stream is a terminal and NO_COLOR is not set.
type paint struct{ on bool }

func paintFor(w io.Writer) paint {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return paint{}
	}
	info, err := f.Stat()
	return paint{on: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (p paint) in(code, s string) string {
	if !p.on {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p paint) bold(s string) string   { return p.in("1", s) }
func (p paint) dim(s string) string    { return p.in("2", s) }
func (p paint) green(s string) string  { return p.in("32", s) }
func (p paint) yellow(s string) string { return p.in("33", s) }
func (p paint) red(s string) string    { return p.in("31", s) }
func (p paint) cyan(s string) string   { return p.in("36", s) }

// count writes a number with spaces between its thousands.
func count(n int64) string {
	s := fmt.Sprint(n)
	if len(s) <= 4 {
		return s
	}
	var b strings.Builder
	for i, digit := range s {
		if i > 0 && digit != '-' && (len(s)-i)%3 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

// plural writes a count with its noun.
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// brief rounds a duration to what a person wants to see.
func brief(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// readable makes bytes of strangers safe for a terminal: control characters are shown, not obeyed.
func readable(b []byte) string {
	if !bytes.ContainsFunc(b, isControl) {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return strings.Map(func(r rune) rune {
		if isControl(r) {
			return '\u00B7'
		}
		return r
	}, strings.ToValidUTF8(string(b), "\uFFFD"))
}

func isControl(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }
