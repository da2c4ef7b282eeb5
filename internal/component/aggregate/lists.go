package aggregate

import (
	"bytes"
	"fmt"
	"strconv"

	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/expr"
)

// moment is the value of the record with the least or greatest time; it remembers the time. Of several with that time it is
// the first to come, of last the last to come. A value that is null counts.
type moment struct{ last bool }

func (moment) empty() value { return value{shown: null} }

func (moment) fits(v value) bool {
	return v.hidden == nil || document.KindOf(v.hidden) == document.KindNumber
}

func (m moment) add(v value, args [][]byte, in *expr.Input) (value, error) {
	arg := args[0]
	if arg == nil {
		arg = null
	}
	at, err := timeOf(in)
	if err != nil {
		return v, err
	}
	return m.choose(v, value{arg, strconv.AppendInt(nil, at, 10)})
}

// choose takes the later or earlier of two, the second of which came later.
func (m moment) choose(a, b value) (value, error) {
	if a.hidden == nil || b.hidden == nil {
		if a.hidden == nil {
			return b, nil
		}
		return a, nil
	}
	before, err := strconv.ParseInt(string(a.hidden), 10, 64)
	if err != nil {
		return a, err
	}
	at, err := strconv.ParseInt(string(b.hidden), 10, 64)
	if err != nil {
		return a, err
	}
	if m.last && at >= before || !m.last && at < before {
		return b, nil
	}
	return a, nil
}

func (moment) remove(value, [][]byte, *expr.Input) (value, error) { return value{}, errRemoval }

func (m moment) merge(a, b value) (value, error) { return m.choose(a, b) }

// collect is a list of values in the order in which they came. What comes when it is full is left out.
type collect struct{ bounds }

func (collect) empty() value { return value{shown: emptyList} }

func (collect) fits(v value) bool { return isList(v.shown) }

func (c collect) add(v value, args [][]byte, _ *expr.Input) (value, error) {
	arg := args[0]
	if arg == nil {
		arg = null
	}
	if lengthOf(v.shown) >= c.values {
		return v, nil
	}
	return c.append(v, arg), nil
}

func (c collect) append(v value, element []byte) value {
	longer := value{shown: appendElement(bytes.Clone(v.shown), element)}
	if !c.holds(longer) {
		c.leftOut()
		return v
	}
	return longer
}

// remove takes out the first value that is written the same way.
func (c collect) remove(v value, args [][]byte, _ *expr.Input) (value, error) {
	arg, found := args[0], false
	if arg == nil {
		arg = null
	}
	out := []byte("[]")
	for e := range document.Elements(v.shown) {
		if !found && bytes.Equal(e, arg) {
			found = true
			continue
		}
		out = appendElement(out, e)
	}
	return value{shown: out}, nil
}

func (c collect) merge(a, b value) (value, error) {
	n := lengthOf(a.shown)
	for e := range document.Elements(b.shown) {
		if n == c.values {
			break
		}
		a, n = c.append(a, e), n+1
	}
	return a, nil
}

func lengthOf(list []byte) (n int) {
	for range document.Elements(list) {
		n++
	}
	return n
}

// appendElement adds to a list that may be written over.
func appendElement(list, element []byte) []byte {
	list = list[:len(list)-1]
	if len(list) > 1 {
		list = append(list, ',')
	}
	return append(append(list, element...), ']')
}

// distinct is the number of different values, or their list. It remembers each value and how often it is there, so that the
// rows of a table can be taken out: [[value, times], ...]. What comes when it is full is not told apart from what came.
type distinct struct {
	bounds
	list bool
}

func (d distinct) empty() value {
	if d.list {
		return value{shown: emptyList, hidden: emptyList}
	}
	return value{shown: zero, hidden: emptyList}
}

func (distinct) fits(v value) bool { return isList(v.hidden) }

func (d distinct) add(v value, args [][]byte, _ *expr.Input) (value, error) {
	return d.change(v, args[0], 1)
}

func (d distinct) remove(v value, args [][]byte, _ *expr.Input) (value, error) {
	return d.change(v, args[0], -1)
}

func (d distinct) change(v value, arg []byte, by int64) (value, error) {
	if arg == nil {
		return v, nil
	}
	arg, err := canonical(arg)
	if err != nil {
		return v, err
	}
	out, n, found := []byte("[]"), 0, false
	for pair := range document.Elements(v.hidden) {
		one, times, err := pairOf(pair)
		if err != nil {
			return v, err
		}
		if bytes.Equal(one, arg) {
			found = true
			if times += by; times <= 0 {
				continue
			}
		}
		out, n = appendPair(out, one, times), n+1
	}
	if found || by < 0 || n >= d.values {
		return d.show(out, n), nil
	}
	if more := d.show(appendPair(bytes.Clone(out), arg, by), n+1); d.holds(more) {
		return more, nil
	}
	d.leftOut()
	return d.show(out, n), nil
}

func (d distinct) show(pairs []byte, n int) value {
	if !d.list {
		return value{shown: strconv.AppendInt(nil, int64(n), 10), hidden: pairs}
	}
	list := []byte("[]")
	for pair := range document.Elements(pairs) {
		if one, ok := document.Element(pair, 0); ok {
			list = appendElement(list, one)
		}
	}
	return value{shown: list, hidden: pairs}
}

func (d distinct) merge(a, b value) (value, error) {
	for pair := range document.Elements(b.hidden) {
		one, times, err := pairOf(pair)
		if err != nil {
			return a, err
		}
		if a, err = d.change(a, one, times); err != nil {
			return a, err
		}
	}
	return a, nil
}

func pairOf(pair []byte) (one []byte, times int64, err error) {
	one, _ = document.Element(pair, 0)
	n, _ := document.Element(pair, 1)
	times, err = strconv.ParseInt(string(n), 10, 64)
	return one, times, err
}

func appendPair(list, one []byte, times int64) []byte {
	pair := append(append([]byte{'['}, one...), ',')
	return appendElement(list, append(strconv.AppendInt(pair, times, 10), ']'))
}

// canonical writes equal texts and numbers alike; lists and objects are equal if they are written alike.
func canonical(raw []byte) ([]byte, error) {
	switch document.KindOf(raw) {
	case document.KindString:
		s, err := document.Text(raw)
		return document.AppendText(nil, s), err
	case document.KindNumber:
		d, err := numberOf(raw)
		if err != nil {
			return nil, err
		}
		return d.trimmed().text(), nil
	}
	return bytes.TrimSpace(raw), nil
}

// top is a list of what belongs to the greatest numbers, the greatest first, of equal ones who came first. It remembers the
// numbers.
type top struct {
	bounds
	whole bool // the whole event is listed, not an expression
}

func (top) empty() value { return value{shown: emptyList, hidden: emptyList} }

func (top) fits(v value) bool { return isList(v.shown) && isList(v.hidden) }

func (t top) add(v value, args [][]byte, in *expr.Input) (value, error) {
	number := args[0]
	if number == nil {
		return v, nil
	}
	listed := null
	switch {
	case t.whole:
		o, err := in.Object()
		if err != nil {
			return v, fmt.Errorf("list the event: %w", err)
		}
		listed = o.Raw()
	case args[1] != nil:
		listed = args[1]
	}
	return t.insert(v, number, listed)
}

func (t top) insert(v value, number, listed []byte) (value, error) {
	d, err := numberOf(number)
	if err != nil {
		return v, err
	}
	place, n := -1, 0
	for e := range document.Elements(v.hidden) {
		before, err := numberOf(e)
		if err != nil {
			return v, err
		}
		if place < 0 && d.compare(before) > 0 {
			place = n
		}
		n++
	}
	if place < 0 {
		place = n
	}
	if place >= t.values {
		return v, nil
	}
	if alone := (value{appendElement([]byte("[]"), listed), appendElement([]byte("[]"), number)}); !t.holds(alone) {
		t.leftOut()
		return v, nil
	}
	n = min(n+1, t.values)
	out := value{insertElement(v.shown, listed, place, n), insertElement(v.hidden, number, place, n)}
	for ; !t.holds(out); n-- { // the least of them go
		t.leftOut()
		out = value{cutOff(out.shown, n-1), cutOff(out.hidden, n-1)}
	}
	return out, nil
}

// cutOff is the first elements of a list.
func cutOff(list []byte, n int) []byte {
	out := []byte("[]")
	for e := range document.Elements(list) {
		if n--; n < 0 {
			break
		}
		out = appendElement(out, e)
	}
	return out
}

// insertElement puts an element into a list and cuts the list off.
func insertElement(list, element []byte, place, limit int) []byte {
	out, i := make([]byte, 0, len(list)+len(element)+2), 0
	out = append(out, "[]"...)
	put := func(e []byte) {
		if i < limit {
			out = appendElement(out, e)
		}
		i++
	}
	for e := range document.Elements(list) {
		if i == place {
			put(element)
		}
		put(e)
	}
	if i == place {
		put(element)
	}
	return out
}

func (top) remove(value, [][]byte, *expr.Input) (value, error) { return value{}, errRemoval }

func (t top) merge(a, b value) (value, error) {
	i := 0
	for number := range document.Elements(b.hidden) {
		listed, _ := document.Element(b.shown, i)
		i++
		var err error
		if a, err = t.insert(a, number, listed); err != nil {
			return a, err
		}
	}
	return a, nil
}
