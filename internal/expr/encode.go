package expr

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"ravenswood.dev/internal/document"
)

var errTooLarge = fmt.Errorf("the result is larger than %d bytes", MaxResult)

func appendResult(dst []byte, r result) ([]byte, error) {
	if r.val == nil {
		return append(dst, r.raw...), nil
	}
	if o, ok := r.val.(*types.Optional); ok {
		if !o.HasValue() {
			return dst, errAbsent
		}
		r.val = o.GetValue()
	}
	return appendValue(dst, r.in, r.val, 0)
}

// appendValue appends a CEL value as JSON. What is still a piece of the event is copied as it is written.
func appendValue(dst []byte, in *Input, v ref.Val, depth int) ([]byte, error) {
	if in != nil && len(dst) > in.limit {
		return dst, errTooLarge
	}
	switch v := v.(type) {
	case *objectValue:
		return append(dst, v.raw...), nil
	case *listValue:
		return append(dst, v.raw...), nil
	case numberBeyond:
		return append(dst, v.raw...), nil
	case types.String:
		return document.AppendText(dst, string(v)), nil
	case types.Int:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case types.Uint:
		return strconv.AppendUint(dst, uint64(v), 10), nil
	case types.Double:
		return appendDouble(dst, in, float64(v))
	case types.Bool:
		return strconv.AppendBool(dst, bool(v)), nil
	case types.Null:
		return append(dst, "null"...), nil
	case types.Bytes:
		return append(base64.StdEncoding.AppendEncode(append(dst, '"'), v), '"'), nil
	case types.Timestamp:
		return append(v.AppendFormat(append(dst, '"'), time.RFC3339Nano), '"'), nil
	case types.Duration:
		return append(appendSeconds(append(dst, '"'), v.Duration), '"'), nil
	case *types.Optional:
		if !v.HasValue() {
			return append(dst, "null"...), nil
		}
		return appendValue(dst, in, v.GetValue(), depth)
	}
	return appendContainer(dst, in, v, depth)
}

func appendContainer(dst []byte, in *Input, v ref.Val, depth int) ([]byte, error) {
	if depth == maxResultDepth {
		return dst, fmt.Errorf("the result is nested more than %d deep", maxResultDepth)
	}
	switch v := v.(type) {
	case traits.Mapper:
		return appendMap(dst, in, v, depth+1)
	case traits.Lister:
		return appendList(dst, in, v, depth+1)
	}
	return dst, fmt.Errorf("a value of type %s has no JSON form", v.Type().TypeName())
}

func appendList(dst []byte, in *Input, l traits.Lister, depth int) (_ []byte, err error) {
	dst = append(dst, '[')
	for it, first := l.Iterator(), true; it.HasNext() == types.True; first = false {
		if !first {
			dst = append(dst, ',')
		}
		if dst, err = appendValue(dst, in, it.Next(), depth); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

// appendMap writes the names in order: a CEL map has none of its own, and the same record must give the same bytes.
func appendMap(dst []byte, in *Input, m traits.Mapper, depth int) (_ []byte, err error) {
	type entry struct {
		name string
		key  ref.Val
	}
	var entries []entry
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, err := nameOf(key)
		if err != nil {
			return dst, err
		}
		entries = append(entries, entry{name, key})
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	dst = append(dst, '{')
	for i, e := range entries {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(document.AppendText(dst, e.name), ':')
		value, _ := m.Find(e.key)
		if dst, err = appendValue(dst, in, value, depth); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

func nameOf(key ref.Val) (string, error) {
	switch key := key.(type) {
	case types.String:
		return string(key), nil
	case types.Int, types.Uint, types.Bool:
		return fmt.Sprint(key.Value()), nil
	}
	return "", fmt.Errorf("a name in a map must be a text, not %s", key.Type().TypeName())
}

// appendDouble writes a number as the event writes it if it comes from there, else in the shortest way that reads back
// the same.
func appendDouble(dst []byte, in *Input, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, errors.New("the result is not a finite number")
	}
	if in != nil {
		if raw, ok := in.written(f); ok {
			return append(dst, raw...), nil
		}
	}
	form := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		form = 'e'
	}
	return strconv.AppendFloat(dst, f, form, -1, 64), nil
}

func appendSeconds(dst []byte, d time.Duration) []byte {
	return append(strconv.AppendFloat(dst, d.Seconds(), 'f', -1, 64), 's')
}

// appendText appends a result as text: what a JSON string says, everything else that is one value as it is written.
func appendText(dst []byte, r result) ([]byte, error) {
	if r.val == nil {
		return appendRawText(dst, r.raw)
	}
	switch v := r.val.(type) {
	case types.String:
		return append(dst, v...), nil
	case types.Bytes:
		return append(dst, v...), nil
	case types.Null:
		return dst, errAbsent
	case types.Timestamp:
		return v.AppendFormat(dst, time.RFC3339Nano), nil
	case types.Duration:
		return appendSeconds(dst, v.Duration), nil
	case types.Int, types.Uint, types.Double, types.Bool, numberBeyond:
		return appendValue(dst, r.in, v, 0)
	case *types.Optional:
		if !v.HasValue() {
			return dst, errAbsent
		}
		return appendText(dst, result{val: v.GetValue(), in: r.in})
	}
	return dst, kindError(r, String)
}

func appendRawText(dst, raw []byte) ([]byte, error) {
	switch document.KindOf(raw) {
	case document.KindString:
		s, err := document.Text(raw)
		return append(dst, s...), err
	case document.KindNumber, document.KindBool:
		return append(dst, raw...), nil
	case document.KindNull:
		return dst, errAbsent
	}
	return dst, kindError(result{raw: raw}, String)
}

func boolOf(r result) (bool, error) {
	if b, ok := r.val.(types.Bool); ok {
		return bool(b), nil
	}
	if o, ok := r.val.(*types.Optional); ok && o.HasValue() {
		return boolOf(result{val: o.GetValue()})
	}
	if r.val == nil && document.KindOf(r.raw) == document.KindBool {
		return r.raw[0] == 't', nil
	}
	return false, kindError(r, Bool)
}

func kindError(r result, want Kind) error {
	have := document.KindOf(r.raw).String()
	if r.val != nil {
		have = typeName(r.val.Type().TypeName())
	}
	return fmt.Errorf("gives %s, want %s", have, want)
}
