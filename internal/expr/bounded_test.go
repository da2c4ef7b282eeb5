package expr

import (
	"strings"
	"testing"
	"time"

	"ravenswood.dev/internal/record"
)

// large is an event of a megabyte: a list of 20,001 numbers and a text.
func large() *record.Record {
	return event(`{"l": [` + strings.Repeat("1,", 20_000) + `1], "s": "` + strings.Repeat("x", 1<<20) + `", "o": {"é\"": "` + strings.Repeat("\\n", 1<<18) + `"}}`)
}

// Each of these would fill the memory or keep a processor busy for minutes to days.
func TestWorkIsBounded(t *testing.T) {
	r := large()
	for _, src := range []string{
		`event.l.all(a, event.l.all(b, event.l.all(c, a + b + c > 0)))`,
		`[event.s, event.s, event.s, event.s, event.s, event.s, event.s, event.s, event.s]`,
		`event.s + event.s + event.s + event.s + event.s + event.s + event.s + event.s + event.s`,
		`event.s.replace("x", "xxxxxxxxxxxxxxxxxxxxxx")`,
		`event.s.replace("x", event.s)`,
		`event.l.map(x, event.s).join()`,
		`event.l.map(x, event.s + event.s).size()`,
		`event.l.map(x, "%s".format([event.s])).size()`,
		`event.l.map(x, strings.quote(event.s)).size()`,
		`event.l.map(x, event.s.reverse()).size()`,
		`event.l.map(x, base64.encode(bytes(event.s))).size()`,
		`event.l.map(x, event.l + [x]).size()`,
		`event.l.map(x, event == event).size()`,
		`event.l.all(x, x in event.l)`,
		`event.l.distinct().size()`,
		`sets.equivalent(event.l, event.l)`,
		`event.s.indexOf((event.s + "y").substring(500000))`,
		`event.s.lastIndexOf(("y" + event.s).substring(0, 500000))`,
	} {
		start := time.Now()
		_, err := MustCompile(src, Any).Eval(r)
		if err == nil || !strings.HasSuffix(err.Error(), errTooMuchWork.Error()) && !strings.HasSuffix(err.Error(), errTooLarge.Error()) {
			t.Errorf("%s: %v", src, err)
		}
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("%s took %v", src, took)
		}
	}
}

// What people do with large events is within the bounds.
func TestLargeEventsMayBeWorkedOn(t *testing.T) {
	r := large()
	for src, want := range map[string]string{
		`event.l.map(x, x + 1).filter(x, x > 1).size()`:                 `20001`,
		`event.l.all(x, event.o["é\""] != "")`:                          `true`,
		`event.l.exists(x, event.l[20000] != x)`:                        `false`,
		`event.l.map(x, string(x)).join("").size()`:                     `20001`,
		`event.s.indexOf("y")`:                                          `-1`,
		`event.s.replace("x", "y").size()`:                              `1048576`,
		`sets.contains(event.l, [1, 2, 3])`:                             `false`,
		`[size(event.l), size(event.s), size(event)]`:                   `[20001,1048576,3]`,
		`event.l.map(x, {"x": x}).exists(o, o.x == 2)`:                  `false`,
		`event.s.matches("^x+$") && event.s == event.s && 1 in event.l`: `true`,
	} {
		res, err := MustCompile(src, Any).Eval(r)
		if err != nil || string(res.JSON()) != want {
			t.Errorf("%s: %.40s, %v; want %s", src, res.JSON(), err, want)
		}
	}
}
