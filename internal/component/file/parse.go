package file

import (
	"bytes"
	"fmt"
	"time"

	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/record"
)

// HeaderProblem is set on records that are handed on as they were found because they are not what the settings say:
// why, and where in which file. Such a record becomes a dead letter where JSON is expected.
const HeaderProblem = record.Prefix + "input-problem"

// parser makes records of lines and rows.
type parser struct {
	format    string
	max       int
	delimiter byte
	emptyNull bool
	columns   *header // of CSV, set when a file is opened
	key, time document.Path
	zone      *time.Location // of times that name none
}

// record returns the record in a unit with its line end, nil if the unit is blank.
func (p *parser) record(unit []byte, now time.Time) (*record.Record, error) {
	content := trimEnd(unit)
	if p.format != formatLines && len(bytes.TrimSpace(content)) == 0 {
		return nil, nil
	}
	value, format, err := p.value(content)
	if err != nil {
		return &record.Record{Value: bytes.Clone(content), Format: record.Raw, Time: now}, err
	}
	r := &record.Record{Value: value, Format: format, Time: now}
	if format == record.JSON {
		r.Key, r.Time = keyAt(value, p.key), timeAt(value, p.time, p.zone, now)
	}
	return r, nil
}

func (p *parser) value(content []byte) ([]byte, record.Format, error) {
	if len(content) > p.max {
		return nil, record.Raw, fmt.Errorf("%d bytes are more than maxLine allows", len(content))
	}
	switch p.format {
	case formatCSV:
		value, err := p.columns.object(content, p.delimiter, p.emptyNull)
		return value, record.JSON, err
	case formatJSON:
		err := document.Valid(content)
		return bytes.Clone(content), record.JSON, err
	default:
		return append([]byte{}, content...), record.Text, nil
	}
}

// keyAt is the value at a path as a record's key: a string without its quotes, anything else as written; nil if there
// is none.
func keyAt(doc []byte, path document.Path) []byte {
	if path == nil {
		return nil
	}
	raw, _ := document.Get(doc, path)
	switch document.KindOf(raw) {
	case document.KindMissing, document.KindNull:
		return nil
	case document.KindString:
		text, err := document.Text(raw)
		if err != nil {
			return nil
		}
		return []byte(text)
	default:
		return bytes.Clone(raw)
	}
}

// timeAt is the time at a path. A time that cannot be read is no reason to hold up a record.
func timeAt(doc []byte, path document.Path, zone *time.Location, now time.Time) time.Time {
	if path == nil {
		return now
	}
	raw, _ := document.Get(doc, path)
	if t, ok := document.Time(raw, zone); ok {
		return t
	}
	return now
}
