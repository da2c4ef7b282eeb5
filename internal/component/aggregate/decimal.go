package aggregate

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"strconv"
)

// decimal is a number exactly as JSON writes it: coefficient × 10^-scale. Most fit into small; the others are in large.
// Sums keep the places after the point of their parts, as money needs it: 1.10 + 1.10 is 2.20.
type decimal struct {
	small int64
	large *big.Int // if it does not fit into small
	scale int
}

// The bounds of a number: what cannot be meant must not cost memory. Every 64-bit floating-point number is within them. Those of
// a sum are wider by what any number of records can add: a sum that could leave them would fail all later records of its key.
const (
	placesMax   = 500               // of a number, before the point and after it
	digitsMax   = 2*placesMax + 100 // of a sum
	exponentMax = 1000
	smallDigits = 18 // that any int64 holds

	quotientDigits = 34 // of an average that does not end, as in IEEE 754's decimal128
)

// parseDecimal reads a JSON number, or a sum.
func parseDecimal(raw []byte) (decimal, error) {
	mantissa, exponent, err := splitNumber(raw)
	if err != nil {
		return decimal{}, err
	}
	whole, fraction, _ := bytes.Cut(mantissa, []byte{'.'})
	d := decimal{scale: len(fraction) - exponent}
	if len(whole)+len(fraction) > digitsMax {
		return decimal{}, fmt.Errorf("a number with more than %d digits cannot be calculated with", digitsMax)
	}
	var room [digitsMax]byte
	digits := append(append(room[:0], whole...), fraction...)
	if len(digits) <= smallDigits {
		if d.small, err = strconv.ParseInt(string(digits), 10, 64); err != nil {
			return decimal{}, errNumber(raw)
		}
	} else {
		n, ok := new(big.Int).SetString(string(digits), 10)
		if !ok {
			return decimal{}, errNumber(raw)
		}
		d = d.with(n)
	}
	if d.scale < 0 {
		d = d.to(0)
	}
	return d, nil
}

// within says whether a number has no more than that many places before the point, and after it.
func (d decimal) within(places int) bool {
	if d.scale > places {
		return false
	}
	return d.large == nil || len(new(big.Int).Abs(d.large).String())-d.scale <= places
}

func splitNumber(raw []byte) (mantissa []byte, exponent int, err error) {
	i := bytes.IndexAny(raw, "eE")
	if i < 0 {
		return raw, 0, nil
	}
	exponent, err = strconv.Atoi(string(raw[i+1:]))
	if errors.Is(err, strconv.ErrSyntax) {
		return nil, 0, errNumber(raw)
	}
	if err != nil || exponent > exponentMax || exponent < -exponentMax {
		return nil, 0, fmt.Errorf("a number with an exponent beyond %d cannot be calculated with", exponentMax)
	}
	return raw[:i], exponent, nil
}

func errNumber(raw []byte) error { return fmt.Errorf("%.40q is not a number", raw) }

// with sets the coefficient.
func (d decimal) with(n *big.Int) decimal {
	if n.IsInt64() {
		return decimal{small: n.Int64(), scale: d.scale}
	}
	return decimal{large: n, scale: d.scale}
}

func (d decimal) coefficient() *big.Int {
	if d.large != nil {
		return d.large
	}
	return big.NewInt(d.small)
}

// to writes the number with more places after the point.
func (d decimal) to(scale int) decimal {
	n := scale - d.scale
	if n == 0 {
		return d
	}
	if d.large == nil && n < len(powers) {
		if p := d.small * powers[n]; p/powers[n] == d.small {
			return decimal{small: p, scale: scale}
		}
	}
	d.scale = scale
	return d.with(new(big.Int).Mul(d.coefficient(), tenTo(n)))
}

var powers = [...]int64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

func tenTo(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

func (d decimal) add(o decimal) decimal {
	scale := max(d.scale, o.scale)
	d, o = d.to(scale), o.to(scale)
	if d.large == nil && o.large == nil {
		if sum := d.small + o.small; (sum > d.small) == (o.small > 0) {
			return decimal{small: sum, scale: scale}
		}
	}
	return d.with(new(big.Int).Add(d.coefficient(), o.coefficient()))
}

func (d decimal) negated() decimal { return d.with(new(big.Int).Neg(d.coefficient())) }

func (d decimal) compare(o decimal) int {
	scale := max(d.scale, o.scale)
	return d.to(scale).coefficient().Cmp(o.to(scale).coefficient())
}

// over is the quotient by a positive whole number: exact if it has an end within quotientDigits, else rounded to them, half
// to even. Zeros behind its last place go.
func (d decimal) over(n int64) decimal {
	num := d.coefficient()
	extra := max(0, quotientDigits+1-len(new(big.Int).Abs(num).String())+len(strconv.FormatInt(n, 10)))
	num = new(big.Int).Mul(num, tenTo(extra))
	q, rest := new(big.Int).QuoRem(num, big.NewInt(n), new(big.Int))
	out := decimal{scale: d.scale + extra}
	return out.with(q).rounded(quotientDigits, rest.Sign() != 0).trimmed()
}

// rounded keeps that many digits. more says that something other than zeros follows the last digit there is.
func (d decimal) rounded(digits int, more bool) decimal {
	c := d.coefficient()
	cut := min(len(new(big.Int).Abs(c).String())-digits, d.scale)
	if cut <= 0 {
		return d
	}
	unit := tenTo(cut)
	q, rest := new(big.Int).QuoRem(c, unit, new(big.Int))
	half := new(big.Int).Lsh(new(big.Int).Abs(rest), 1).Cmp(unit)
	if half > 0 || half == 0 && (more || q.Bit(0) == 1) {
		q.Add(q, big.NewInt(int64(c.Sign())))
	}
	d.scale -= cut
	return d.with(q)
}

// trimmed takes zeros off the end of the places after the point.
func (d decimal) trimmed() decimal {
	c, ten := new(big.Int).Set(d.coefficient()), big.NewInt(10)
	for d.scale > 0 {
		q, rest := new(big.Int).QuoRem(c, ten, new(big.Int))
		if rest.Sign() != 0 {
			break
		}
		c, d.scale = q, d.scale-1
	}
	return d.with(c)
}

// text is the number as JSON, without exponent.
func (d decimal) text() []byte {
	var dst []byte
	if d.scale <= 0 && d.large == nil {
		return strconv.AppendInt(dst, d.small, 10)
	}
	digits := d.coefficient().String()
	if digits[0] == '-' {
		dst, digits = append(dst, '-'), digits[1:]
	}
	for len(digits) <= d.scale {
		digits = "0" + digits
	}
	dst = append(dst, digits[:len(digits)-d.scale]...)
	if d.scale == 0 {
		return dst
	}
	return append(append(dst, '.'), digits[len(digits)-d.scale:]...)
}
