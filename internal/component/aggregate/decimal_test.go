package aggregate

import (
	"encoding/json"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

var drawNumber = rapid.OneOf(
	rapid.StringMatching(`-?(0|[1-9][0-9]{0,5})(\.[0-9]{1,4})?`),
	rapid.StringMatching(`-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?`),
	rapid.SampledFrom([]string{"9223372036854775807", "-9223372036854775808", "9223372036854775808", "-0", "0.0", "1e18", "999999999999999999"}),
)

func ratOf(t *rapid.T, s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		t.Fatalf("no number: %s", s)
	}
	return r
}

// TestDecimalsAgreeWithFractions compares with math/big, which knows no places and no bounds.
func TestDecimalsAgreeWithFractions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawNumber.Draw(t, "a"), drawNumber.Draw(t, "b")
		x, err1 := parseDecimal([]byte(a))
		y, err2 := parseDecimal([]byte(b))
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		p, q := ratOf(t, a), ratOf(t, b)
		for name, c := range map[string]struct {
			have decimal
			want *big.Rat
		}{
			"itself":     {x, p},
			"sum":        {x.add(y), new(big.Rat).Add(p, q)},
			"difference": {x.add(y.negated()), new(big.Rat).Sub(p, q)},
			"trimmed":    {x.trimmed(), p},
		} {
			text := c.have.text()
			if !json.Valid(text) || ratOf(t, string(text)).Cmp(c.want) != 0 {
				t.Fatalf("%s of %s and %s is %s, want %s", name, a, b, text, c.want)
			}
		}
		if x.compare(y) != p.Cmp(q) {
			t.Fatalf("%s against %s: %d", a, b, x.compare(y))
		}
		n := rapid.Int64Range(1, 1_000_000).Draw(t, "n")
		quotient := x.over(n).text()
		wanted := new(big.Rat).Quo(p, new(big.Rat).SetInt64(n))
		off := new(big.Rat).Abs(new(big.Rat).Sub(ratOf(t, string(quotient)), wanted))
		bound := new(big.Rat).Mul(new(big.Rat).Abs(wanted), new(big.Rat).SetFrac(big.NewInt(1), tenTo(quotientDigits-1)))
		if off.Cmp(bound) > 0 {
			t.Fatalf("%s / %d is %s, off by %s", a, n, quotient, off.FloatString(60))
		}
	})
}

func TestQuotientsAreRoundedHalfToEven(t *testing.T) {
	for _, c := range []struct {
		number string
		n      int64
		want   string
	}{
		{"1", 4, "0.25"}, {"1.00", 1, "1"}, {"-7", 2, "-3.5"}, {"2", 3, "0.6666666666666666666666666666666667"}, {"-2", 3, "-0.6666666666666666666666666666666667"},
		{"0", 7, "0"}, {"100", 1, "100"}, {"12345678901234567890123456789012345678", 1, "12345678901234567890123456789012345678"},
		{"1.0000000000000000000000000000000005", 1, "1"}, {"1.0000000000000000000000000000000015", 1, "1.000000000000000000000000000000002"},
		{"1.00000000000000000000000000000000051", 1, "1.000000000000000000000000000000001"},
	} {
		d, err := parseDecimal([]byte(c.number))
		if have := string(d.over(c.n).text()); err != nil || have != c.want {
			t.Errorf("%s / %d: have %s, want %s", c.number, c.n, have, c.want)
		}
	}
}

func FuzzParseDecimal(f *testing.F) {
	for _, s := range []string{"0", "-1.5e3", "1e", "e1", "--1", "1.1.1", "1e1001", "99999999999999999999.5", "-"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parseDecimal(b)
		if err != nil {
			return
		}
		text := d.text()
		again, err := parseDecimal(text)
		if err == nil && again.compare(d) != 0 {
			t.Errorf("%q is written %q", b, text)
		}
	})
}
