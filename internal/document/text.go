package document

import (
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// Text returns what a JSON string says. Without escapes the answer shares raw's memory, which is safe because nobody
// writes into a document; bytes that are not UTF-8 and lone surrogates become U+FFFD, as in encoding/json.
func Text(raw []byte) (string, error) {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return "", &KindError{KindString, KindOf(raw)}
	}
	inner := raw[1 : len(raw)-1]
	if special(inner, 0) == len(inner) && utf8.Valid(inner) {
		return view(inner), nil
	}
	return unescape(inner)
}

// view is a string over bytes that are never written again.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func unescape(in []byte) (string, error) {
	out := make([]byte, 0, len(in))
	for i := 0; i < len(in); {
		switch c := in[i]; {
		case c == '\\':
			r, n := escapeAt(in[i:])
			if n == 0 {
				return "", fmt.Errorf("read string: bad escape at byte %d", i)
			}
			out = utf8.AppendRune(out, r)
			i += n
		case c < utf8.RuneSelf:
			out = append(out, c)
			i++
		default:
			r, n := utf8.DecodeRune(in[i:])
			out = utf8.AppendRune(out, r)
			i += n
		}
	}
	return view(out), nil
}

// escapeAt reads the escape at the beginning of in and its length, 0 if it is none.
func escapeAt(in []byte) (r rune, n int) {
	if len(in) < 2 {
		return 0, 0
	}
	switch in[1] {
	case '"', '\\', '/':
		return rune(in[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		return unicodeAt(in)
	}
	return 0, 0
}

func unicodeAt(in []byte) (r rune, n int) {
	first, ok := hex4(in)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(first) {
		return first, 6
	}
	if second, ok := hex4(in[6:]); ok {
		if pair := utf16.DecodeRune(first, second); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

func hex4(in []byte) (rune, bool) {
	if len(in) < 6 || in[0] != '\\' || in[1] != 'u' {
		return 0, false
	}
	v, err := strconv.ParseUint(view(in[2:6]), 16, 16)
	return rune(v), err == nil
}

// AppendText appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD, since the result must be JSON for
// every reader.
func AppendText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
			i++
		case c < 0x20:
			dst = appendControl(dst, c)
			i++
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
		}
	}
	return append(dst, '"')
}

func appendControl(dst []byte, c byte) []byte {
	switch c {
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
}
