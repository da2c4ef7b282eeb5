package file

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// FuzzRows cuts anything into rows: nothing is lost between them, however it arrives, and where the standard library
// reads a row without complaint, so do we, with the same fields.
func FuzzRows(f *testing.F) {
	for _, seed := range []string{"", "a,b\n", "\"a\nb\",c\r\n1,2", "\"a\"\"b\",\n", "a\"b,c\n", "\"a\"x,b\n", "\"open\nc,d\n", "\n\n", ",\n", "a\r\nb\rc\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		whole := cutRows(t, &window{src: strings.NewReader(text)})
		bytewise := cutRows(t, &window{src: iotest.OneByteReader(strings.NewReader(text))})
		if !slices.Equal(whole, bytewise) {
			t.Errorf("at once %q, byte by byte %q", whole, bytewise)
		}
		if got := strings.Join(whole, ""); got != text {
			t.Errorf("rows add up to %q, want %q", got, text)
		}
		for _, row := range whole {
			compareFields(t, row)
		}
	})
}

func cutRows(t *testing.T, w *window) []string {
	t.Helper()
	in := &input{window: *w, csv: &rows{delimiter: ','}}
	in.split = in.csv
	var units []string
	for at := (position{}); ; {
		unit, err := in.unit(true, 1<<10)
		if err != nil {
			return units
		}
		if len(unit) == 0 {
			t.Fatal("an empty unit")
		}
		units = append(units, string(unit))
		in.take(unit, &at)
	}
}

func compareFields(t *testing.T, row string) {
	t.Helper()
	content := trimEnd([]byte(row))
	// The standard library turns line ends within quotes into \n, and stops at a carriage return before the end.
	if len(content) == 0 || bytes.IndexByte(content, '\r') >= 0 {
		return
	}
	r := csv.NewReader(bytes.NewReader(content))
	want, err := r.Read()
	if err != nil || r.InputOffset() != int64(len(content)) {
		return
	}
	fields, err := splitRow(content, ',')
	if err != nil {
		t.Fatalf("%q: %v, want %q", row, err, want)
	}
	for i, f := range fields {
		if i >= len(want) || string(f) != want[i] {
			t.Fatalf("%q: fields %q, want %q", row, fields, want)
		}
	}
	if len(fields) != len(want) {
		t.Fatalf("%q: fields %q, want %q", row, fields, want)
	}
}
