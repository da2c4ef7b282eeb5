package document

import "fmt"

// SyntaxError says where a document stops being JSON.
type SyntaxError struct {
	Offset  int // of the first byte that does not fit
	Message string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("read JSON at byte %d: %s", e.Offset, e.Message)
}

// Valid reports whether b is one JSON document, nested at most MaxDepth deep; the error is a *SyntaxError. It accepts
// what encoding/json accepts, bytes that are not UTF-8 inside strings included: they are passed on as they are.
func Valid(b []byte) error {
	c := checker{b: b}
	if err := c.document(); err != nil {
		return err
	}
	return nil
}

// checker walks a document with a stack of one bit per level: set for an object, clear for a list.
type checker struct {
	b       []byte
	i       int
	depth   int
	objects [(MaxDepth + 63) / 64]uint64
}

func (c *checker) document() *SyntaxError {
	for {
		opened, err := c.value()
		if err != nil {
			return err
		}
		if opened {
			continue
		}
		more, err := c.afterValue()
		if err != nil || !more {
			return err
		}
	}
}

// value reads one value, or enters an object or list that is not empty: then opened is true and the next value
// is due.
func (c *checker) value() (opened bool, err *SyntaxError) {
	c.space()
	switch c.peek() {
	case '{':
		if err := c.push(true); err != nil {
			return false, err
		}
		if c.space(); c.peek() == '}' {
			c.pop()
			return false, nil
		}
		return true, c.key()
	case '[':
		if err := c.push(false); err != nil {
			return false, err
		}
		if c.space(); c.peek() == ']' {
			c.pop()
			return false, nil
		}
		return true, nil
	case '"':
		return false, c.text()
	case 't':
		return false, c.word("true")
	case 'f':
		return false, c.word("false")
	case 'n':
		return false, c.word("null")
	}
	return false, c.number()
}

// afterValue closes what ends here; more says whether another value is due.
func (c *checker) afterValue() (more bool, err *SyntaxError) {
	for {
		c.space()
		if c.depth == 0 {
			if c.i < len(c.b) {
				return false, c.unexpected("want the end")
			}
			return false, nil
		}
		closing := byte(']')
		if c.inObject() {
			closing = '}'
		}
		switch c.peek() {
		case closing:
			c.pop()
		case ',':
			c.i++
			if c.inObject() {
				c.space()
				return true, c.key()
			}
			return true, nil
		default:
			return false, c.unexpected(fmt.Sprintf("want ',' or %q", closing))
		}
	}
}

func (c *checker) key() *SyntaxError {
	if c.peek() != '"' {
		return c.unexpected("want a name in quotes")
	}
	if err := c.text(); err != nil {
		return err
	}
	if c.space(); c.peek() != ':' {
		return c.unexpected("want ':' after the name")
	}
	c.i++
	return nil
}

func (c *checker) text() *SyntaxError {
	for c.i++; ; {
		c.i = special(c.b, c.i)
		switch {
		case c.i >= len(c.b):
			return c.unexpected("the string does not end")
		case c.b[c.i] == '"':
			c.i++
			return nil
		case c.b[c.i] == '\\':
			if err := c.escape(); err != nil {
				return err
			}
		default:
			return c.unexpected("a control character in a string must be escaped")
		}
	}
}

func (c *checker) escape() *SyntaxError {
	c.i++
	switch c.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		c.i++
		return nil
	case 'u':
		c.i++
		for range 4 {
			if !isHex(c.peek()) {
				return c.unexpected("want four hexadecimal digits after \\u")
			}
			c.i++
		}
		return nil
	}
	return c.unexpected("want an escape such as \\n or \\u00e9")
}

func (c *checker) number() *SyntaxError {
	if c.peek() == '-' {
		c.i++
	}
	switch d := c.peek(); {
	case d == '0':
		c.i++
	case '1' <= d && d <= '9':
		c.digits()
	default:
		return c.unexpected("want a value")
	}
	if c.peek() == '.' {
		c.i++
		if !c.digits() {
			return c.unexpected("want a digit after the decimal point")
		}
	}
	if c.peek() == 'e' || c.peek() == 'E' {
		c.i++
		if c.peek() == '+' || c.peek() == '-' {
			c.i++
		}
		if !c.digits() {
			return c.unexpected("want a digit in the exponent")
		}
	}
	return nil
}

func (c *checker) digits() (some bool) {
	for '0' <= c.peek() && c.peek() <= '9' {
		c.i++
		some = true
	}
	return some
}

func (c *checker) word(w string) *SyntaxError {
	for k := range len(w) {
		if c.peek() != w[k] {
			return c.unexpected("want " + w)
		}
		c.i++
	}
	return nil
}

func (c *checker) space() { c.i = skipSpace(c.b, c.i) }

// peek returns the next byte, 0 at the end; a 0 byte fits nowhere either.
func (c *checker) peek() byte {
	if c.i < len(c.b) {
		return c.b[c.i]
	}
	return 0
}

func (c *checker) push(object bool) *SyntaxError {
	if c.depth == MaxDepth {
		return &SyntaxError{c.i, fmt.Sprintf("nested more than %d deep", MaxDepth)}
	}
	bit := uint64(1) << (c.depth % 64)
	if object {
		c.objects[c.depth/64] |= bit
	} else {
		c.objects[c.depth/64] &^= bit
	}
	c.depth++
	c.i++
	return nil
}

func (c *checker) pop() {
	c.depth--
	c.i++
}

func (c *checker) inObject() bool {
	top := c.depth - 1
	return c.objects[top/64]&(1<<(top%64)) != 0
}

func (c *checker) unexpected(want string) *SyntaxError {
	if c.i >= len(c.b) {
		return &SyntaxError{len(c.b), "the document ends too early: " + want}
	}
	return &SyntaxError{c.i, fmt.Sprintf("unexpected %q: %s", rune(c.b[c.i]), want)}
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
