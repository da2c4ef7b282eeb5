// Package document reads and changes JSON documents as bytes, so that whatever is not touched comes out byte for byte
// as it went in: large integers, 1.10, 1e5, spaces, order and escapes included.
//
// A document is a []byte that nobody writes into. Functions return parts of it, or a new slice; an Object and a
// prepared Edits follow these rules: an Object has one owner at a time, an Edits is read-only and safe for concurrent
// use.
//
// Only Valid looks at every byte. Everything else expects a document that Valid has accepted: on other input it
// returns an error or a senseless answer, but never panics and never reads out of bounds. If a key occurs twice in one
// object, the last one counts, as in encoding/json, JavaScript and Postgres; an edit leaves only one behind.
// Nothing here recurses along the depth of a document, so that hostile input cannot use up the stack.
package document

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
)

// MaxDepth is how deep objects and lists may be nested.
const MaxDepth = 1000

// Kind is what a JSON value is.
type Kind uint8

// The kinds. KindMissing is no value at all.
const (
	KindMissing Kind = iota
	KindNull
	KindBool
	KindNumber
	KindString
	KindList
	KindObject
)

func (k Kind) String() string {
	return [...]string{"nothing", "null", "a boolean", "a number", "a string", "a list", "an object"}[k]
}

// KindOf tells a valid value's kind from its first byte.
func KindOf(raw []byte) Kind {
	i := skipSpace(raw, 0)
	if i == len(raw) {
		return KindMissing
	}
	switch c := raw[i]; {
	case c == '{':
		return KindObject
	case c == '[':
		return KindList
	case c == '"':
		return KindString
	case c == 't', c == 'f':
		return KindBool
	case c == 'n':
		return KindNull
	case c == '-', '0' <= c && c <= '9':
		return KindNumber
	}
	return KindMissing
}

// KindError says that a value is of another kind than an operation needs.
type KindError struct {
	Want, Have Kind
}

func (e *KindError) Error() string { return fmt.Sprintf("want %s, have %s", e.Want, e.Have) }

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

const (
	everyByte = 0x0101010101010101
	highBits  = 0x8080808080808080
)

// special returns the index, from i on, of the first byte that is not plain inside a string: a quote, a backslash or a
// control character; len(b) if there is none. It looks at eight bytes at a time: a byte's high bit survives in a mask
// exactly if it is the lowest that matches, and only the lowest is asked for.
func special(b []byte, i int) int {
	for i+8 <= len(b) {
		v := binary.LittleEndian.Uint64(b[i:])
		quote, slash := v^('"'*everyByte), v^('\\'*everyByte)
		hit := ((quote-everyByte)&^quote | (slash-everyByte)&^slash | (v-0x20*everyByte)&^v) & highBits
		if hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
		i += 8
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= 0x20 {
		i++
	}
	return i
}

// skipString returns the index after the string whose opening quote is at i, and whether it holds escapes; -1 if it
// does not end. Most strings hold none, and then a quote is all there is to look for.
func skipString(b []byte, i int) (end int, escaped bool) {
	i++
	n := bytes.IndexByte(b[i:], '"')
	if n < 0 {
		return -1, false
	}
	if bytes.IndexByte(b[i:i+n], '\\') < 0 {
		return i + n + 1, false
	}
	return skipEscaped(b, i), true
}

// skipEscaped returns the index after the string that begins at i, behind its quote; -1 if it does not end.
func skipEscaped(b []byte, i int) int {
	for {
		i = special(b, i)
		if i >= len(b) {
			return -1
		}
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i += 2
		default:
			i++
		}
	}
}

// skipValue returns the index after the value that begins at i, -1 if it does not end.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		end, _ := skipString(b, i)
		return end
	case '{', '[':
		return skipContainer(b, i)
	}
	start := i
	for i < len(b) && !endsScalar[b[i]] {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

func skipContainer(b []byte, i int) int {
	for depth := 0; i < len(b); {
		switch b[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			if i, _ = skipString(b, i); i < 0 {
				return -1
			}
			continue
		}
		i++
	}
	return -1
}

var endsScalar = [256]bool{',': true, '}': true, ']': true, '{': true, '[': true, ':': true, '"': true, ' ': true, '\n': true, '\t': true, '\r': true}
