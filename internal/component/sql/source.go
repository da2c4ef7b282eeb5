package sql

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/record"
)

// specials are the parts of a record beyond its fields.
var specials = []string{"$key", "$value", "$time", "$topic", "$partition", "$offset"}

const headerPrefix = "header:"

// source finds a value in a record.
type source struct {
	text    string // as written
	special string // "$key" and so on
	header  string
	path    document.Path // of a field
}

// parseSource reads what a column is filled from.
func parseSource(text string) (s source, err error) {
	s.text = text
	switch name, isHeader := strings.CutPrefix(text, headerPrefix); {
	case isHeader && name == "":
		err = errors.New("the header's name is missing")
	case isHeader:
		s.header = name
	case slices.Contains(specials, text):
		s.special = text
	case strings.HasPrefix(text, "$"):
		err = errors.New("there is no such part of a record")
	default:
		s.path, err = document.ParsePath(text)
	}
	if err != nil {
		return s, fmt.Errorf("read field %q: %w", text, err)
	}
	return s, nil
}

// fieldSource is the top-level field of exactly this name.
func fieldSource(name string) source {
	return source{text: name, path: document.Path{{Name: name}}}
}

// subject is the record that values are looked for in; its members are found once for all columns.
type subject struct {
	*record.Record
	fields document.Object
	err    error // why it has no fields
}

func newSubject(r *record.Record) *subject {
	s := &subject{Record: r}
	if r.Format != record.JSON {
		// A row of nulls would hide the mistake.
		s.err = fmt.Errorf("the record's format is %s, only JSON has fields", r.Format)
		return s
	}
	if kind := document.KindOf(r.Value); kind != document.KindObject {
		s.err = fmt.Errorf("the record is %s, only an object has fields", kind)
		return s
	}
	s.err = s.fields.Read(r.Value)
	return s
}

// find returns the value, of form null if it is missing.
func (s source) find(in *subject) (value, error) {
	switch {
	case s.header != "":
		h, ok := in.Header(s.header)
		return bytesValue(h, ok), nil
	case s.special != "":
		return s.part(in.Record), nil
	case in.err != nil:
		return value{}, in.err
	}
	raw, _ := in.fields.Lookup(s.path)
	return jsonValue(raw)
}

func (s source) part(r *record.Record) value {
	switch s.special {
	case "$key":
		return bytesValue(r.Key, r.Key != nil)
	case "$value":
		return bytesValue(r.Value, r.Value != nil)
	case "$time":
		return value{form: formTime, time: r.Time}
	case "$topic":
		return value{form: formString, text: r.Origin.Topic}
	case "$partition":
		return value{form: formNumber, text: strconv.FormatInt(int64(r.Origin.Partition), 10)}
	default:
		return value{form: formNumber, text: strconv.FormatInt(r.Origin.Offset, 10)}
	}
}

func bytesValue(b []byte, ok bool) value {
	if !ok {
		return value{}
	}
	return value{form: formBytes, text: string(b)}
}

func jsonValue(raw []byte) (value, error) {
	text := string(raw)
	switch document.KindOf(raw) {
	case document.KindString:
		s, err := document.Text(raw)
		return value{form: formString, text: s}, err
	case document.KindNumber:
		return value{form: formNumber, text: text}, nil
	case document.KindBool:
		return value{form: formBoolean, text: text}, nil
	case document.KindObject, document.KindList:
		return value{form: formDocument, text: text}, nil
	default:
		return value{}, nil
	}
}

// kind is the type a column gets if it is created and nothing else is said.
func (s source) kind() kind {
	switch s.special {
	case "$time":
		return kindTimestamp
	case "$partition", "$offset":
		return kindInteger
	default:
		return kindText
	}
}

func isJSON(s string) bool { return document.Valid([]byte(s)) == nil }

func isNumberLiteral(s string) bool {
	return isJSON(s) && document.KindOf([]byte(s)) == document.KindNumber && strings.TrimSpace(s) == s
}

func quoteJSON(s string) string { return string(document.AppendText(nil, s)) }

// rejected says which record of a call cannot be delivered, and why.
func rejected(index int, format string, args ...any) error {
	return &component.RejectedError{Index: index, Err: fmt.Errorf(format, args...)}
}
