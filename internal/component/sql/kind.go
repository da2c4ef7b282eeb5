package sql

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// kind is how a value is converted for its column, whatever the database calls the type.
type kind uint8

// The kinds. The zero value means that the column decides.
const (
	kindAuto kind = iota
	kindText
	kindInteger
	kindReal
	kindNumeric
	kindBoolean
	kindJSON
	kindTimestamp
	kindBytes
)

var kindNames = [...]string{"", "text", "integer", "real", "numeric", "boolean", "json", "timestamp", "bytes"}

func (k kind) String() string { return kindNames[k] }

func parseKind(s string) (kind, error) {
	for k, name := range kindNames {
		if name == s {
			return kind(k), nil
		}
	}
	return kindAuto, fmt.Errorf("read type %q: want one of %s", s, strings.Join(kindNames[1:], ", "))
}

// form is what a value looked like where it was found.
type form uint8

const (
	formNull     form = iota // missing or null
	formString               // a JSON string, unescaped
	formNumber               // a JSON number, its literal
	formBoolean              // true or false
	formDocument             // a JSON object or array, as written
	formBytes                // a key, a header or a whole value: bytes whose meaning the column gives
	formTime                 // the record's time
)

// value is something found in a record.
type value struct {
	form form
	text string
	time time.Time
}

// A cell is what goes to the database: nil, int64, float64, bool, string or []byte.
type cell = any

// convert makes a cell of a value. Bits is the width of an integer column.
func convert(v value, k kind, bits int) (cell, error) {
	if v.form == formNull {
		return nil, nil
	}
	switch k {
	case kindInteger:
		return v.integer(bits)
	case kindReal:
		return v.real()
	case kindNumeric:
		return v.numeric()
	case kindBoolean:
		return v.boolean()
	case kindJSON:
		return v.json()
	case kindTimestamp:
		return v.timestamp()
	case kindBytes:
		return v.bytes()
	default:
		return v.asText()
	}
}

// isNumber says whether the value may be read as a number: bytes from a key or header may, a JSON string may not.
func (v value) isNumber() bool {
	return v.form == formNumber || v.form == formBytes && isNumberLiteral(v.text)
}

func (v value) integer(bits int) (cell, error) {
	if v.form == formTime {
		return v.time.UnixMilli(), nil
	}
	if !v.isNumber() {
		return nil, v.wrong("an integer")
	}
	n, err := wholeNumber(v.text, bits)
	if err != nil {
		return nil, err
	}
	return n, nil
}

func (v value) real() (cell, error) {
	if !v.isNumber() {
		return nil, v.wrong("a number")
	}
	f, err := strconv.ParseFloat(v.text, 64)
	if err != nil {
		return nil, fmt.Errorf("%s is out of the range of a real", clip(v.text))
	}
	return f, nil
}

func (v value) numeric() (cell, error) {
	if !v.isNumber() {
		return nil, v.wrong("a number")
	}
	return v.text, nil
}

func (v value) boolean() (cell, error) {
	if v.form != formBoolean && v.form != formBytes || v.text != "true" && v.text != "false" {
		return nil, v.wrong("true or false")
	}
	return v.text == "true", nil
}

func (v value) json() (cell, error) {
	switch v.form {
	case formString:
		return quoteJSON(v.text), nil
	case formTime:
		return quoteJSON(timeText(v.time)), nil
	case formBytes:
		if !isJSON(v.text) {
			return nil, v.wrong("JSON")
		}
	}
	return v.text, nil
}

// timeLayouts are the ways a time may be written as a string; without a zone it is UTC.
var timeLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999", time.DateOnly}

func (v value) timestamp() (cell, error) {
	switch {
	case v.form == formTime:
		return timeText(v.time), nil
	case v.isNumber():
		t, err := unixTime(v.text)
		if err != nil {
			return nil, err
		}
		return timeText(t), nil
	case v.form == formString || v.form == formBytes:
		for _, layout := range timeLayouts {
			if t, err := time.Parse(layout, v.text); err == nil {
				return timeText(t), nil
			}
		}
	}
	return nil, v.wrong("a time (RFC 3339, or seconds or milliseconds since 1970)")
}

// timeText writes a time so that its texts sort in order and Postgres reads it.
func timeText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z07:00") }

// unixTime reads seconds since 1970, or milliseconds from 100 billion on, which as seconds would be the year 5138.
func unixTime(literal string) (time.Time, error) {
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil || f < -1e15 || f > 1e15 {
		return time.Time{}, fmt.Errorf("%s is not a time", clip(literal))
	}
	if f < 1e11 && f > -1e11 {
		f *= 1e3
	}
	return time.UnixMicro(int64(f * 1e3)), nil
}

func (v value) bytes() (cell, error) {
	switch v.form {
	case formBytes:
		return []byte(v.text), nil
	case formString:
		b, err := base64.StdEncoding.DecodeString(v.text)
		if err == nil {
			return b, nil
		}
	}
	return nil, v.wrong("bytes in base64")
}

func (v value) asText() (cell, error) {
	if v.form == formTime {
		return timeText(v.time), nil
	}
	if !utf8.ValidString(v.text) {
		return nil, v.wrong("UTF-8 text")
	}
	return v.text, nil
}

func (v value) wrong(want string) error {
	return fmt.Errorf("want %s, found %s %s", want, [...]string{"nothing", "string", "number", "boolean", "document", "bytes", "time"}[v.form], clip(v.text))
}

// clip quotes a value for an error, cut to a length fit for a line.
func clip(s string) string {
	const most = 60
	if len(s) > most {
		return strconv.Quote(strings.ToValidUTF8(s[:most], "")) + "..."
	}
	return strconv.Quote(s)
}

var errNotWhole = errors.New("not a whole number")

// wholeNumber reads a JSON number that is an integer in value, such as 7, 7.0 or 7e3, without going through float64.
func wholeNumber(literal string, bits int) (int64, error) {
	digits, err := wholeDigits(literal)
	if err != nil {
		return 0, fmt.Errorf("%s is %w", clip(literal), err)
	}
	n, err := strconv.ParseInt(digits, 10, bits)
	if err != nil {
		return 0, fmt.Errorf("%s is out of the range of a %d-bit integer", clip(literal), bits)
	}
	return n, nil
}

// wholeDigits writes a number without fraction and exponent. What no integer column could hold comes back long, which
// ParseInt refuses; nothing grows with the exponent.
func wholeDigits(literal string) (string, error) {
	mantissa, exponent, scientific := strings.Cut(strings.ToLower(literal), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	sign := ""
	if rest, ok := strings.CutPrefix(whole, "-"); ok {
		sign, whole = "-", rest
	}
	all := strings.TrimLeft(whole+fraction, "0")
	if all == "" {
		return "0", nil
	}
	shift := -len(fraction)
	if scientific {
		e, err := strconv.Atoi(exponent)
		if err != nil || e > 1<<20 || e < -(1<<20) {
			return "", errNotWhole
		}
		shift += e
	}
	for shift < 0 {
		rest, ok := strings.CutSuffix(all, "0")
		if !ok {
			return "", errNotWhole
		}
		all, shift = rest, shift+1
	}
	return sign + all + strings.Repeat("0", min(shift, 40)), nil
}
