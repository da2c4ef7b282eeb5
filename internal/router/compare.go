package router

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// firstDifference compares two JSON documents and shows the first place, in sorted order, where they differ.
func firstDifference(a, b []byte) (path, inA, inB string, same bool) {
	x, errA := decode(a)
	y, errB := decode(b)
	if errA != nil || errB != nil {
		return "", string(a), string(b), bytes.Equal(a, b)
	}
	return differ("", x, y)
}

func decode(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // 12345678901234567890 must not equal its neighbour
	var v any
	err := d.Decode(&v)
	return v, err
}

func differ(path string, a, b any) (at, inA, inB string, same bool) {
	switch x := a.(type) {
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			return differObjects(path, x, y)
		}
	case []any:
		if y, ok := b.([]any); ok && len(x) == len(y) {
			return differLists(path, x, y)
		}
	default:
		if !container(b) && a == b {
			return "", "", "", true
		}
	}
	return path, shown(a), shown(b), false
}

func container(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

func differObjects(path string, a, b map[string]any) (at, inA, inB string, same bool) {
	names := slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for name := range maps.Keys(a) {
			if !yield(name) {
				return
			}
		}
		for name := range maps.Keys(b) {
			if !yield(name) {
				return
			}
		}
	}))
	for _, name := range names {
		below := name
		if path != "" {
			below = path + "." + name
		}
		x, okA := a[name]
		y, okB := b[name]
		if okA != okB {
			return below, shownIf(x, okA), shownIf(y, okB), false
		}
		if at, inA, inB, same = differ(below, x, y); !same {
			return at, inA, inB, false
		}
	}
	return "", "", "", true
}

func differLists(path string, a, b []any) (at, inA, inB string, same bool) {
	for i := range a {
		if at, inA, inB, same = differ(fmt.Sprintf("%s[%d]", path, i), a[i], b[i]); !same {
			return at, inA, inB, false
		}
	}
	return "", "", "", true
}

func shownIf(v any, there bool) string {
	if !there {
		return "(nothing)"
	}
	return shown(v)
}

func shown(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
