package file

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"ravenswood.dev/internal/document"
)

// rows splits CSV after each row. A newline within quotes belongs to the row; a quote counts at the beginning of a
// field only, so that 5" is no more than five inches.
type rows struct {
	delimiter byte
	scanned   int
	state     quoting
}

type quoting uint8

const (
	fieldStart quoting = iota
	inPlain            // within a field without quotes
	inQuotes           // within a field in quotes
	afterQuote         // after a quote within quotes: the end of the field, or half of a doubled quote
)

func (r *rows) reset() { r.scanned, r.state = 0, fieldStart }

func (r *rows) end(data []byte) int {
	for ; r.scanned < len(data); r.scanned++ {
		c := data[r.scanned]
		switch {
		case r.state == inQuotes && c != '"':
		case r.state == inQuotes:
			r.state = afterQuote
		case c == '"' && (r.state == fieldStart || r.state == afterQuote):
			r.state = inQuotes
		case c == '\n':
			return r.scanned + 1
		case c == r.delimiter:
			r.state = fieldStart
		default:
			r.state = inPlain
		}
	}
	return 0
}

// open says whether what was scanned ends within quotes.
func (r *rows) open() bool { return r.state == inQuotes }

var errAfterQuote = errors.New("text after a closing quote")

// splitRow cuts a row into its fields, without their quotes.
func splitRow(row []byte, delimiter byte) ([][]byte, error) {
	var fields [][]byte
	for {
		field, rest, err := cutField(row, delimiter)
		if err != nil {
			return nil, fmt.Errorf("field %d: %w", len(fields)+1, err)
		}
		fields = append(fields, field)
		if rest == nil {
			return fields, nil
		}
		row = rest[1:]
	}
}

// cutField returns the first field and what follows from its delimiter on, nil at the end of the row.
func cutField(row []byte, delimiter byte) (field, rest []byte, err error) {
	if len(row) == 0 || row[0] != '"' {
		if i := bytes.IndexByte(row, delimiter); i >= 0 {
			return row[:i], row[i:], nil
		}
		return row, nil, nil
	}
	for i := 1; i < len(row); i++ {
		if row[i] != '"' {
			field = append(field, row[i])
			continue
		}
		switch after := row[i+1:]; {
		case len(after) == 0:
			return field, nil, nil
		case after[0] == '"':
			field = append(field, '"')
			i++
		case after[0] == delimiter:
			return field, after, nil
		default:
			return nil, nil, errAfterQuote
		}
	}
	return nil, nil, errors.New("a quote that does not end")
}

// header is the columns of a CSV file.
type header struct {
	keys    [][]byte // each name as it begins a member: "name":
	numbers []bool
}

func newHeader(names []string, numbers []string) (*header, error) {
	h := &header{}
	for i, name := range names {
		if name == "" {
			return nil, fmt.Errorf("column %d has no name", i+1)
		}
		if slices.Contains(names[:i], name) {
			return nil, fmt.Errorf("column %q is there twice", name)
		}
		h.keys = append(h.keys, append(document.AppendText(nil, name), ':'))
		h.numbers = append(h.numbers, slices.Contains(numbers, name))
	}
	for _, name := range numbers {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("there is no column %q, which numbers names", name)
		}
	}
	return h, nil
}

// object writes a row as a JSON object: texts as strings, numbers as they are.
func (h *header) object(row []byte, delimiter byte, emptyNull bool) ([]byte, error) {
	fields, err := splitRow(row, delimiter)
	if err != nil {
		return nil, err
	}
	if len(fields) != len(h.keys) {
		return nil, fmt.Errorf("%d fields where there are %d columns", len(fields), len(h.keys))
	}
	out := make([]byte, 0, len(row)+16*len(h.keys))
	for i, field := range fields {
		out = append(out, "{,"[min(i, 1)])
		out = append(out, h.keys[i]...)
		switch {
		case len(field) == 0 && (emptyNull || h.numbers[i]):
			out = append(out, "null"...)
		case h.numbers[i] && !isNumber(field):
			return nil, fmt.Errorf("column %s %q is not a number", h.keys[i][:len(h.keys[i])-1], field)
		case h.numbers[i]:
			out = append(out, field...)
		case !utf8.Valid(field):
			return nil, fmt.Errorf("column %s is not UTF-8", h.keys[i][:len(h.keys[i])-1])
		default:
			out = document.AppendText(out, string(field))
		}
	}
	return append(out, '}'), nil
}

// isNumber says whether the bytes are one JSON number, without spaces around it.
func isNumber(b []byte) bool {
	return document.Valid(b) == nil && document.KindOf(b) == document.KindNumber && len(bytes.TrimSpace(b)) == len(b)
}
