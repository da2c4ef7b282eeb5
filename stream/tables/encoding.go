package tables

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Encoding is how the bytes of a key or value are written in an address or in JSON.
type Encoding string

// The encodings.
const (
	Text    Encoding = "text"    // UTF-8, as a JSON string
	JSON    Encoding = "json"    // the bytes are a JSON document, shown as it is
	Base64  Encoding = "base64"  // a JSON string; the URL-safe alphabet without padding for keys, the usual one for values
	Int64   Encoding = "int64"   // eight bytes, big endian, shown as a number
	Float64 Encoding = "float64" // the same of IEEE 754; what is no finite number comes as base64
)

// ParseEncoding reads an encoding's name.
func ParseEncoding(s string) (Encoding, error) {
	switch e := Encoding(s); e {
	case Text, JSON, Base64, Int64, Float64:
		return e, nil
	}
	return "", fmt.Errorf("read encoding %q: want text, json, base64, int64 or float64", clip(s))
}

// Parse reads what a person or an address says into bytes. Base64 may be of either alphabet, padded or not.
func (e Encoding) Parse(s string) ([]byte, error) {
	switch e {
	case JSON:
		var b bytes.Buffer
		if err := json.Compact(&b, []byte(s)); err != nil || b.Len() == 0 {
			return nil, fmt.Errorf("read %q: not a JSON document", clip(s))
		}
		return b.Bytes(), nil
	case Base64:
		return parseBase64(s)
	case Int64:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read %q: not a whole number of 64 bits", clip(s))
		}
		return binary.BigEndian.AppendUint64(nil, uint64(n)), nil
	case Float64:
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
			return nil, fmt.Errorf("read %q: not a finite number of 64 bits", clip(s))
		}
		return binary.BigEndian.AppendUint64(nil, math.Float64bits(n)), nil
	case Text:
		if !utf8.ValidString(s) {
			return nil, fmt.Errorf("read %q: not UTF-8; write it as base64", clip(s))
		}
		return []byte(s), nil
	}
	_, err := ParseEncoding(string(e))
	return nil, err
}

var urlSafe = strings.NewReplacer("+", "-", "/", "_")

func parseBase64(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(urlSafe.Replace(strings.TrimRight(s, "=")))
	if err != nil {
		return nil, fmt.Errorf("read %q: not base64", clip(s))
	}
	return b, nil
}

// Format writes bytes the way Parse reads them; ok is false if they are nothing of this kind.
func (e Encoding) Format(b []byte) (s string, ok bool) {
	switch e {
	case JSON:
		return string(b), json.Valid(b) && utf8.Valid(b)
	case Base64:
		if len(b) == 0 {
			return "=", true // an address cannot hold an empty key otherwise
		}
		return base64.RawURLEncoding.EncodeToString(b), true
	case Int64:
		if len(b) != 8 {
			return "", false
		}
		return strconv.FormatInt(int64(binary.BigEndian.Uint64(b)), 10), true
	case Float64:
		if len(b) != 8 {
			return "", false
		}
		n, err := json.Marshal(math.Float64frombits(binary.BigEndian.Uint64(b)))
		return string(n), err == nil
	}
	return string(b), utf8.Valid(b)
}

// bare says whether what Format writes is JSON as it is, so that no quotes are wanted around it.
func (e Encoding) bare() bool { return e == JSON || e == Int64 || e == Float64 }

// show writes bytes as a JSON value.
func (e Encoding) show(b []byte) (raw json.RawMessage, ok bool) {
	s, ok := e.Format(b)
	if !ok {
		return nil, false
	}
	if e.bare() {
		return json.RawMessage(s), true
	}
	return quote(s), true
}

func quote(s string) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string can always be written
	return bytes.TrimSpace(b.Bytes())
}

// read is the reverse of show.
func (e Encoding) read(raw json.RawMessage) ([]byte, error) {
	if e.bare() {
		return e.Parse(string(raw))
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("read %q: want a JSON string", clip(string(raw)))
	}
	return e.Parse(s)
}

// Coding is how keys and values of one answer are written.
type Coding struct{ Key, Value Encoding }

// Shown is an entry as people and programs in other languages get it.
type Shown struct {
	Key           json.RawMessage `json:"key"`
	KeyEncoding   Encoding        `json:"keyEncoding,omitempty"` // if it is not the one asked for, because the key is nothing of that kind
	Value         json.RawMessage `json:"value"`
	ValueEncoding Encoding        `json:"valueEncoding,omitempty"`
	Deleted       bool            `json:"deleted,omitempty"` // there is no value, which is not the same as a JSON null
	Time          string          `json:"time"`
	Start         string          `json:"start,omitempty"`
	End           string          `json:"end,omitempty"`
	Seq           uint64          `json:"seq,omitempty"`
}

// Show writes an entry. What is nothing of the wanted kind is written as base64, and says so.
func (c Coding) Show(e Entry) Shown {
	s := Shown{Time: showTime(e.Time), Start: showTime(e.Start), End: showTime(e.End), Seq: e.Seq}
	s.Key, s.KeyEncoding = c.Key.orBase64(e.Key)
	if s.Value, s.Deleted = json.RawMessage("null"), e.Value == nil; !s.Deleted {
		s.Value, s.ValueEncoding = c.Value.valueOrBase64(e.Value)
	}
	return s
}

// orBase64 writes a key so that a question for it finds the same key: JSON that is written with spaces would not.
func (e Encoding) orBase64(b []byte) (json.RawMessage, Encoding) {
	raw, ok := e.show(b)
	if same, err := e.read(raw); ok && err == nil && bytes.Equal(same, b) {
		return raw, ""
	}
	raw, _ = Base64.show(b)
	return raw, Base64
}

// valueOrBase64 writes base64 as JSON does everywhere else: a value needs no address.
func (e Encoding) valueOrBase64(b []byte) (json.RawMessage, Encoding) {
	if raw, ok := e.show(b); ok && e != Base64 {
		return raw, ""
	}
	raw := quote(base64.StdEncoding.EncodeToString(b))
	if e == Base64 {
		return raw, ""
	}
	return raw, Base64
}

// Read is the reverse of Show.
func (c Coding) Read(s Shown) (e Entry, err error) {
	if e.Key, err = or(s.KeyEncoding, c.Key).read(s.Key); err != nil {
		return e, err
	}
	if !s.Deleted {
		if e.Value, err = or(s.ValueEncoding, c.Value).read(s.Value); err != nil {
			return e, err
		}
	}
	e.Seq = s.Seq
	for _, t := range []struct {
		text string
		to   *time.Time
	}{{s.Time, &e.Time}, {s.Start, &e.Start}, {s.End, &e.End}} {
		if *t.to, err = readTime(t.text); err != nil {
			return e, err
		}
	}
	return e, nil
}

func or(a, b Encoding) Encoding {
	if a != "" {
		return a
	}
	return b
}

// showTime writes a time as the API does; the zero time is nothing.
func showTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func readTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("read time %q: want it as 2026-01-31T12:00:00Z", clip(s))
	}
	return t, nil
}

// clip keeps an error readable, whatever it was given.
func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
