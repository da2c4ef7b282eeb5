package document

import (
	"testing"
	"time"
)

func TestTimesAreReadAsPeopleWriteThem(t *testing.T) {
	berlin := time.FixedZone("CET", 3600)
	for _, c := range []struct{ name, raw, want string }{
		{"RFC 3339", `"2010-12-01T08:26:00Z"`, "2010-12-01T08:26:00Z"},
		{"with its own zone", `"2010-12-01T08:26:00-05:00"`, "2010-12-01T13:26:00Z"},
		{"with a fraction", `"2010-12-01T08:26:00.25Z"`, "2010-12-01T08:26:00.25Z"},
		{"a space, and a zone", `"2010-12-01 08:26:00Z"`, "2010-12-01T08:26:00Z"},
		{"a space, no zone", `"2010-12-01 08:26:00"`, "2010-12-01T07:26:00Z"},
		{"no zone, a fraction", `"2010-12-01 08:26:00.5"`, "2010-12-01T07:26:00.5Z"},
		{"no zone", `"2010-12-01T08:26:00"`, "2010-12-01T07:26:00Z"},
		{"no seconds", `"2010-12-01 08:26"`, "2010-12-01T07:26:00Z"},
		{"a day", `"2010-12-01"`, "2010-11-30T23:00:00Z"},
		{"escapes", `"2010-12-01\u002008:26:00"`, "2010-12-01T07:26:00Z"},
		{"seconds", `1291191960`, "2010-12-01T08:26:00Z"},
		{"seconds with a fraction", `1291191960.5`, "2010-12-01T08:26:00.5Z"},
		{"milliseconds", `1291191960000`, "2010-12-01T08:26:00Z"},
		{"the beginning", `0`, "1970-01-01T00:00:00Z"},
		{"before it", `"1969-12-31T00:00:00Z"`, ""},
		{"less than nothing", `-1`, ""},
		{"too much", `1e15`, ""},
		{"the last day", `"2262-04-11"`, "2262-04-10T23:00:00Z"},
		{"the day after", `"2262-04-12T12:00:00Z"`, ""},
		{"the end of four digits", `"9999-12-31T00:00:00Z"`, ""},
		{"the last millisecond", `9223372036854`, "2262-04-11T23:47:16.854Z"},
		{"the one after it", `9223372036855`, ""},
		{"seconds beyond it", `9223372037`, ""},
		{"no number", `1e999`, ""},
		{"American", `"12/1/2010 8:26"`, ""},
		{"a space at the end", `"2010-12-01 "`, ""},
		{"another one after it", `"2010-12-01 08:26 x"`, ""},
		{"a number as text", `"1291191960"`, ""},
		{"empty", `""`, ""},
		{"null", `null`, ""},
		{"an object", `{}`, ""},
		{"nothing", ``, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := Time([]byte(c.raw), berlin)
			if ok != (c.want != "") || ok && got.UTC().Format(time.RFC3339Nano) != c.want {
				t.Errorf("%s is %v, %v, want %s", c.raw, got.UTC(), ok, c.want)
			}
		})
	}
}

func FuzzTime(f *testing.F) {
	for _, raw := range []string{`"2010-12-01 08:26:00"`, `1e11`, `"2010-12-01T08:26:00+24:00"`} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if got, ok := Time(raw, time.UTC); ok && (got.UnixMilli() < 0 || got.UnixMilli() > 9223372036854) {
			t.Errorf("%q is %v", raw, got)
		}
	})
}
