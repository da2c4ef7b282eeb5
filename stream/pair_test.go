package stream

import (
	"bytes"
	"testing"
)

func TestPairsKeepWhatIsAbsentApartFromWhatIsEmpty(t *testing.T) {
	for _, c := range []struct {
		name        string
		left, right []byte
	}{
		{"both", []byte("l"), []byte("r")},
		{"left only", []byte("l"), nil},
		{"right only", nil, []byte("r")},
		{"neither", nil, nil},
		{"empty ones", []byte{}, []byte{}},
		{"a long one", bytes.Repeat([]byte("x"), 1000), []byte("r")},
	} {
		t.Run(c.name, func(t *testing.T) {
			left, right, err := cutBytes(joinBytes(c.left, c.right))
			if err != nil || !bytes.Equal(left, c.left) || !bytes.Equal(right, c.right) || (left == nil) != (c.left == nil) || (right == nil) != (c.right == nil) {
				t.Errorf("sides are %q and %q, %v", left, right, err)
			}
		})
	}
}

func TestAPairIsWrittenAgainAsItWas(t *testing.T) {
	c := pairCodec[string, int64]{String(), Int64()}
	for _, p := range []pair[string, int64]{{left: "x", hasLeft: true}, {right: 3, hasRight: true}, {left: "", right: 1, hasLeft: true, hasRight: true}} {
		data, err := c.Encode(nil, p)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Decode(data); err != nil || got != p {
			t.Errorf("%+v is read as %+v, %v", p, got, err)
		}
	}
}

func FuzzPair(f *testing.F) {
	f.Add(joinBytes([]byte("l"), nil))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		left, right, err := cutBytes(data)
		if err != nil {
			return
		}
		l, r, err := cutBytes(joinBytes(left, right))
		if err != nil || !bytes.Equal(l, left) || !bytes.Equal(r, right) {
			t.Errorf("%q and %q are read again as %q and %q, %v", left, right, l, r, err)
		}
	})
}
