package main

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAPlanIsThatOfItsSeedAndFitsItsSpan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed, span := rapid.Uint64().Draw(t, "seed"), time.Duration(rapid.Int64Range(int64(time.Minute), int64(20*time.Minute)).Draw(t, "span"))
		p := newPlan(seed, span)
		if !reflect.DeepEqual(p, newPlan(seed, span)) {
			t.Fatal("the same seed gives another plan")
		}
		seen := map[faultKind]bool{}
		for _, lane := range append(p.workers[:], p.broker) {
			var at time.Duration
			for _, f := range lane {
				at += f.length()
				seen[f.kind] = true
				if f.kind == pause && f.lasts < pauseLeast || f.kind == cut && (f.lasts < cutLeast || f.lasts > cutMost || f.how == whole) {
					t.Fatalf("%+v", f)
				}
			}
			if at > span {
				t.Fatalf("a lane takes %s of %s", at, span)
			}
		}
		for _, kind := range []faultKind{kill, pause, cut, restart} {
			if !seen[kind] {
				t.Fatalf("no %s in %s", kind, span)
			}
		}
	})
}
