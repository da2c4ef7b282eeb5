package check

import (
	"strings"
	"testing"

	"ravenswood.dev/internal/expr"
)

func TestExpressionPointsIntoTheValue(t *testing.T) {
	for src, column := range map[string]int{
		`event.a`:                         0,
		`evnt.a`:                          1,
		`"ä" + evnt.a`:                    7,
		"event[\"ä\"] +\n  evnt.b":        16,
		"event.a +\n\n event.b +\nevnt.c": 23,
	} {
		problems := Expression("set.x", src, expr.Any)
		switch {
		case column == 0 && problems != nil:
			t.Errorf("%q: %+v", src, problems)
		case column > 0 && (len(problems) == 0 || problems[0].Column != column || problems[0].Path != "set.x" || problems[0].Code != CodeExpression):
			t.Errorf("%q: %+v, want column %d", src, problems, column)
		}
	}
}

func TestPath(t *testing.T) {
	if problems := Path("x", `a."b.c"[0]`); problems != nil {
		t.Error(problems)
	}
	problems := Path("remove[0]", "größe..x")
	if len(problems) != 1 || problems[0].Column != 7 || problems[0].Code != CodePath || !strings.Contains(problems[0].Message, `"größe..x"`) {
		t.Errorf("%+v", problems)
	}
}

func TestHeader(t *testing.T) {
	for name, ok := range map[string]bool{"source": true, "x-raven-y": true, "": false, "raven-origin": false, "RAVEN-x": false} {
		if problems := Header("h", name); (problems == nil) != ok {
			t.Errorf("%q: %+v", name, problems)
		}
	}
}
