package batch

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// longWay is what glance must agree with.
func longWay(b []byte, delta int32, keys bool) int {
	c, n, err := cutRecord(b)
	if err == nil {
		err = c.fits(delta, Rules{Keys: keys})
	}
	if err == nil {
		err = c.checkHeaders()
	}
	if err != nil {
		return 0
	}
	return n
}

func TestGlanceTakesNothingThatTheLongWayRefuses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		delta := rapid.Int32Range(0, 300).Draw(t, "delta")
		b := drawRecord(t, delta)
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		b = b[:rapid.IntRange(len(b)/2, len(b)).Draw(t, "cut")]
		keys := rapid.Bool().Draw(t, "keys")
		if n := glance(b, delta, keys); n != 0 && n != longWay(b, delta, keys) {
			t.Errorf("%x at %d: glance says %d bytes, the long way %d", b, delta, n, longWay(b, delta, keys))
		}
	})
}

func TestGlanceTakesOrdinaryRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		delta := rapid.Int32Range(0, 1<<19).Draw(t, "delta")
		b := append(drawRecord(t, delta), "the next one"...)
		if n := glance(b, delta, false); n == 0 || n != longWay(b, delta, false) {
			t.Errorf("%x at %d: glance says %d bytes, the long way %d", b, delta, n, longWay(b, delta, false))
		}
	})
}

// drawRecord makes a record as clients do.
func drawRecord(t *rapid.T, delta int32) []byte {
	body := []byte{0}
	body = binary.AppendVarint(body, rapid.Int64Range(-1<<40, 1<<40).Draw(t, "time"))
	body = binary.AppendVarint(body, int64(delta))
	body = appendDrawn(t, body, "key")
	body = appendDrawn(t, body, "value")
	headers := rapid.IntRange(0, 3).Draw(t, "headers")
	body = binary.AppendVarint(body, int64(headers))
	for range headers {
		name := rapid.SliceOfN(rapid.Byte(), 0, 70).Draw(t, "name")
		body = append(binary.AppendVarint(body, int64(len(name))), name...)
		body = appendDrawn(t, body, "header")
	}
	return append(binary.AppendVarint(nil, int64(len(body))), body...)
}

func appendDrawn(t *rapid.T, b []byte, what string) []byte {
	if rapid.Bool().Draw(t, what+" is null") {
		return binary.AppendVarint(b, -1)
	}
	v := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, what)
	return append(binary.AppendVarint(b, int64(len(v))), v...)
}

func TestGlanceLeavesTheRareToTheLongWay(t *testing.T) {
	const null, none = 1, 0 // as varints
	for name, rest := range map[string][]byte{
		"bytes behind the headers":     {0, 0, 0, null, null, none, 9},
		"a key of less than no bytes":  {0, 0, 0, 3, null, none},
		"a value of less than none":    {0, 0, 0, null, 3, none},
		"fewer headers than none":      {0, 0, 0, null, null, 1},
		"a header that is not there":   {0, 0, 0, null, null, 2},
		"a name of less than no bytes": {0, 0, 0, null, null, 2, 3, null},
		"another offset":               {0, 0, 2, null, null, none},
		"a key beyond the end":         {0, 0, 0, 100, null, none},
	} {
		t.Run(name, func(t *testing.T) {
			b := append([]byte{byte(2 * len(rest))}, rest...)
			if n := glance(b, 0, false); n != 0 {
				t.Errorf("%x is taken for a record of %d bytes", b, n)
			}
		})
	}
}
