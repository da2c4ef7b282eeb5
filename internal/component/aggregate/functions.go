package aggregate

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/expr"
)

// The bounds of what grows with the records of a key. An aggregate is one value, which each record writes anew, and its
// changelog takes 32 MB: what all fields of an aggregate may keep stays well below.
const (
	limitMax     = 10_000
	limitTop     = 10
	limitDefault = 1000
	bytesDefault = 256 << 10
	bytesMax     = 8 << 20
	entryMax     = 16 << 20
)

// bounds are those of one field.
type bounds struct {
	values, bytes int
	leftOut       func() // is told of each value that did not fit into bytes
}

// holds says whether a value fits.
func (b bounds) holds(v value) bool { return len(v.shown)+len(v.hidden) <= b.bytes }

var (
	null       = []byte("null")
	emptyList  = []byte("[]")
	zero       = []byte("0")
	errRemoval = errors.New("the row of a table that has changed cannot be taken out of this function")
)

func newField(name string, f Field, leftOut func()) (field, error) {
	out := field{name: name}
	for _, e := range f.expressions() {
		program, problems := e.compile()
		if problems != nil {
			return out, fmt.Errorf("%s", problems[0].Message)
		}
		switch e.name {
		case "when":
			out.when = program
		case "fold", "start", "remove", "merge": // the function's own
		default:
			out.args = append(out.args, program)
		}
	}
	var err error
	out.fn, err = f.function(leftOut)
	return out, err
}

func (f Field) function(leftOut func()) (function, error) {
	list := bounds{values: limitOr(f.Limit, limitDefault), bytes: f.bytes(), leftOut: leftOut}
	switch {
	case f.Count:
		return count{}, nil
	case f.Sum != "":
		return sum{}, nil
	case f.Average != "":
		return average{}, nil
	case f.Min != "":
		return extreme{sign: -1}, nil
	case f.Max != "":
		return extreme{sign: 1}, nil
	case f.First != "":
		return moment{}, nil
	case f.Last != "":
		return moment{last: true}, nil
	case f.Distinct != "":
		return distinct{bounds: list, list: f.Values}, nil
	case f.Collect != "":
		return collect{list}, nil
	case f.Top != "":
		list.values = limitOr(f.Limit, limitTop)
		return top{bounds: list, whole: f.Of == ""}, nil
	case f.Fold != "":
		return newFold(f)
	}
	return nil, errors.New("no function is given")
}

func (f Field) bytes() int { return limitOr(int(f.MaxBytes), bytesDefault) }

func limitOr(limit, otherwise int) int {
	if limit == 0 {
		return otherwise
	}
	return limit
}

// count is the number of records.
type count struct{}

func (count) empty() value { return value{shown: zero} }

func (count) fits(v value) bool {
	_, err := strconv.ParseInt(string(v.shown), 10, 64)
	return err == nil
}

func (count) add(v value, _ [][]byte, _ *expr.Input) (value, error)    { return counted(v, 1) }
func (count) remove(v value, _ [][]byte, _ *expr.Input) (value, error) { return counted(v, -1) }

func counted(v value, by int64) (value, error) {
	n, err := strconv.ParseInt(string(v.shown), 10, 64)
	return value{shown: strconv.AppendInt(nil, n+by, 10)}, err
}

func (count) merge(a, b value) (value, error) {
	n, err := strconv.ParseInt(string(b.shown), 10, 64)
	if err != nil {
		return a, err
	}
	return counted(a, n)
}

// sum is the sum of numbers, exactly.
type sum struct{}

func (sum) empty() value { return value{shown: zero} }

func (sum) fits(v value) bool { return document.KindOf(v.shown) == document.KindNumber }

func (sum) add(v value, args [][]byte, _ *expr.Input) (value, error) {
	return summed(v, args[0], false)
}

func (sum) remove(v value, args [][]byte, _ *expr.Input) (value, error) {
	return summed(v, args[0], true)
}

func (sum) merge(a, b value) (value, error) {
	d, err := parseDecimal(b.shown)
	if err != nil {
		return a, err
	}
	total, err := addTo(a.shown, d)
	return value{shown: total}, err
}

func summed(v value, number []byte, negated bool) (value, error) {
	if number == nil {
		return v, nil
	}
	d, err := numberOf(number)
	if err != nil {
		return v, err
	}
	if negated {
		d = d.negated()
	}
	total, err := addTo(v.shown, d)
	return value{shown: total}, err
}

// addTo adds to a sum.
func addTo(total []byte, d decimal) ([]byte, error) {
	sum, err := parseDecimal(total)
	if err != nil {
		return nil, err
	}
	return sum.add(d).text(), nil
}

func numberOf(raw []byte) (decimal, error) {
	if kind := document.KindOf(raw); kind != document.KindNumber {
		return decimal{}, fmt.Errorf("gives %s, want a number", kind)
	}
	d, err := parseDecimal(bytes.TrimSpace(raw))
	if err == nil && !d.within(placesMax) {
		err = fmt.Errorf("a number with more than %d digits before or after the point cannot be calculated with", placesMax)
	}
	return d, err
}

// average remembers the sum and the number of its numbers: [sum, count]. Without numbers it is null.
type average struct{}

func (average) empty() value { return value{shown: null, hidden: []byte("[0,0]")} }

func (average) fits(v value) bool { return isList(v.hidden) && lengthOf(v.hidden) == 2 }

func isList(raw []byte) bool { return document.KindOf(raw) == document.KindList }

func (a average) add(v value, args [][]byte, _ *expr.Input) (value, error) {
	return a.change(v, args[0], 1)
}

func (a average) remove(v value, args [][]byte, _ *expr.Input) (value, error) {
	return a.change(v, args[0], -1)
}

func (a average) change(v value, number []byte, by int64) (value, error) {
	if number == nil {
		return v, nil
	}
	d, err := numberOf(number)
	if err != nil {
		return v, err
	}
	if by < 0 {
		d = d.negated()
	}
	return a.by(v, d, by)
}

func (average) by(v value, d decimal, by int64) (value, error) {
	total, _ := document.Element(v.hidden, 0)
	times, _ := document.Element(v.hidden, 1)
	total, err := addTo(total, d)
	if err != nil {
		return v, err
	}
	n, err := strconv.ParseInt(string(times), 10, 64)
	if err != nil {
		return v, err
	}
	n += by
	hidden := append(append([]byte{'['}, total...), ',')
	out := value{shown: null, hidden: append(strconv.AppendInt(hidden, n, 10), ']')}
	if n > 0 {
		sum, err := parseDecimal(total)
		if err != nil {
			return v, err
		}
		out.shown = sum.over(n).text()
	}
	return out, nil
}

func (a average) merge(x, y value) (value, error) {
	total, _ := document.Element(y.hidden, 0)
	times, _ := document.Element(y.hidden, 1)
	n, err := strconv.ParseInt(string(times), 10, 64)
	if err != nil {
		return x, err
	}
	d, err := parseDecimal(total)
	if err != nil {
		return x, err
	}
	return a.by(x, d, n)
}

// extreme is the least or greatest of numbers or texts.
type extreme struct{ sign int }

func (extreme) empty() value { return value{shown: null} }

func (extreme) fits(v value) bool {
	switch document.KindOf(v.shown) {
	case document.KindNull, document.KindNumber, document.KindString:
		return true
	}
	return false
}

func (e extreme) add(v value, args [][]byte, _ *expr.Input) (value, error) {
	return e.of(v, args[0])
}

func (e extreme) of(v value, arg []byte) (value, error) {
	if arg == nil {
		return v, nil
	}
	if kind := document.KindOf(arg); kind != document.KindNumber && kind != document.KindString {
		return v, fmt.Errorf("gives %s, want a number or a string", kind)
	}
	if document.KindOf(v.shown) == document.KindNull {
		return value{shown: arg}, nil
	}
	c, err := compare(arg, v.shown)
	if err != nil || c*e.sign <= 0 {
		return v, err
	}
	return value{shown: arg}, nil
}

func (extreme) remove(value, [][]byte, *expr.Input) (value, error) { return value{}, errRemoval }

func (e extreme) merge(a, b value) (value, error) {
	if document.KindOf(b.shown) == document.KindNull {
		return a, nil
	}
	return e.of(a, b.shown)
}

// compare orders numbers by value and texts by their bytes.
func compare(a, b []byte) (int, error) {
	kind := document.KindOf(a)
	if other := document.KindOf(b); kind != other {
		return 0, fmt.Errorf("%s cannot be compared with %s", kind, other)
	}
	if kind == document.KindString {
		x, err := document.Text(a)
		if err != nil {
			return 0, err
		}
		y, err := document.Text(b)
		return bytes.Compare([]byte(x), []byte(y)), err
	}
	x, err := numberOf(a)
	if err != nil {
		return 0, err
	}
	y, err := numberOf(b)
	if err != nil {
		return 0, err
	}
	return x.compare(y), nil
}
