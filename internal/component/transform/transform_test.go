package transform

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
)

func configOf(t testing.TB, text string) *Config {
	t.Helper()
	c := new(Config)
	if err := yaml.Unmarshal([]byte(text), c); err != nil {
		t.Fatal(err)
	}
	return c
}

func boltOf(t testing.TB, text string) component.Bolt {
	t.Helper()
	c := configOf(t, text)
	d := Definition()
	if problems := d.Check(c); problems != nil {
		t.Fatal(problems)
	}
	b, err := d.NewBolt(c, component.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func process(b component.Bolt, r *record.Record) (out []*record.Record, err error) {
	err = b.Process(context.Background(), r, func(port int, r *record.Record) {
		if port != 0 {
			panic("wrong port")
		}
		out = append(out, r)
	})
	return out, err
}

func TestTransform(t *testing.T) {
	for _, c := range []struct{ name, config, value, want string }{
		{"set a copy and a sum", `set: {copy: event.price, sum: event.n + 1}`, `{ "price": 1.10 , "n": 9007199254740993 }`,
			`{ "price": 1.10 , "n": 9007199254740993,"copy":1.10,"sum":9007199254740994 }`},
		{"set in place", `set: {a: '"x"'}`, `{"a": 1, "b" : 1e5}`, `{"a": "x", "b" : 1e5}`},
		{"set below", `set: {user.segment: '"gold"'}`, `{"user": {"name":"Ada"}}`, `{"user": {"name":"Ada","segment":"gold"}}`},
		{"set makes objects", `set: {a.b.c: '1'}`, `{}`, `{"a":{"b":{"c":1}}}`},
		{"set an object in order", `set: {o: '{"z": event.a, "b": [1, event.a]}'}`, `{"a":1.0}`, `{"a":1.0,"o":{"z":1.0,"b":[1,1.0]}}`},
		{"set nothing", `set: {a: 'event.?x', b: 'event.?y'}`, `{"a":1,"y":2}`, `{"a":1,"y":2,"b":2}`},
		{"remove", `remove: [a, x.y, b.c]`, `{"a":1,"b":{"c":2,"d":3}}`, `{"b":{"d":3}}`},
		{"rename", `rename: {a: z, b.c: b.d}`, `{"a":1,"b":{"c":2.0}}`, `{"z":1,"b":{"d":2.0}}`},
		{"rename into another object", `rename: {a: o.a}`, `{"a":1e3,"o":{}}`, `{"o":{"a":1e3}}`},
		{"expressions see the record as it came in", `{rename: {a: b}, remove: [c], set: {d: event.a + event.c, e: 'has(event.d)'}}`, `{"a":1,"c":2}`, `{"b":1,"d":3,"e":false}`},
		{"rename, then remove, then set", `{rename: {a: b}, remove: [b], set: {a: '7'}}`, `{"a":1}`, `{"a":7}`},
		{"swap", `set: {a: event.b, b: event.a}`, `{"a":1,"b":2}`, `{"a":2,"b":1}`},
		{"a parent and its child", `set: {a: '{"x": 1}', a.y: '2'}`, `{}`, `{"a":{"x":1,"y":2}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := process(boltOf(t, c.config), &record.Record{Value: []byte(c.value), Format: record.JSON})
			if err != nil || len(out) != 1 || string(out[0].Value) != c.want {
				t.Fatalf("%v\n have %s\n want %s", err, out[0].Value, c.want)
			}
		})
	}
}

func TestKeyAndHeaders(t *testing.T) {
	const config = `{key: event.id, headers: {set: {segment: event.segment, gone: event.none, copy: 'key + headers.old'}, remove: [old]}}`
	in := &record.Record{Key: []byte("k"), Value: []byte(`{"id": 12345678901234567890123, "segment": "g\u00f6ld", "none": null}`), Format: record.JSON,
		Headers: []record.Header{{Key: "old", Value: []byte("1")}, {Key: "gone", Value: []byte("2")}, {Key: "kept", Value: []byte{0xff}}}}
	before := string(in.Value)
	out, err := process(boltOf(t, config), in)
	if err != nil {
		t.Fatal(err)
	}
	r := out[0]
	if string(r.Key) != "12345678901234567890123" || string(r.Value) != before {
		t.Errorf("key %s value %s", r.Key, r.Value)
	}
	want := []record.Header{{Key: "kept", Value: []byte{0xff}}, {Key: "copy", Value: []byte("k1")}, {Key: "segment", Value: []byte("göld")}}
	have, _ := json.Marshal(r.Headers)
	if wanted, _ := json.Marshal(want); string(have) != string(wanted) {
		t.Errorf("headers\n have %s\n want %s", have, wanted)
	}
}

func TestKeyIsTakenAwayByNull(t *testing.T) {
	out, err := process(boltOf(t, `key: event.none`), &record.Record{Key: []byte("k"), Value: []byte(`{"none":null}`), Format: record.JSON})
	if err != nil || out[0].Key != nil {
		t.Errorf("%v, key %q", err, out[0].Key)
	}
}

func TestTextAndTombstonesKeepTheirValue(t *testing.T) {
	out, err := process(boltOf(t, `key: event`), &record.Record{Value: []byte("hello"), Format: record.Text})
	if err != nil || string(out[0].Key) != "hello" || string(out[0].Value) != "hello" {
		t.Errorf("text: %v, %+v", err, out)
	}
	out, err = process(boltOf(t, `{remove: [a], headers: {set: {seen: '"yes"'}}}`), &record.Record{Key: []byte("k"), Format: record.JSON})
	if err != nil || out[0].Value != nil || len(out[0].Headers) != 1 {
		t.Errorf("tombstone: %v, %+v", err, out)
	}
}

func TestBadRecordsArePermanentErrorsWithFieldAndCause(t *testing.T) {
	for _, c := range []struct {
		name, config, value string
		format              record.Format
		want                string
	}{
		{"missing field", `set: {total: event.a.b}`, `{"a":{}}`, record.JSON, `set "total": evaluate "event.a.b": no such field "b"`},
		{"key", `key: event.a`, `{}`, record.JSON, `set the key: evaluate "event.a": no such field "a"`},
		{"header", `headers: {set: {h: event}}`, `{}`, record.JSON, `set header "h": evaluate "event": gives an object, want a text`},
		{"in the way", `set: {a.b: '1'}`, `{"a":7}`, record.JSON, `set "a.b": "a" is a number, not an object`},
		{"a list", `set: {a: '1'}`, `[1]`, record.JSON, `change fields: want an object, have a list`},
		{"text", `remove: [a]`, `hello`, record.Text, `change fields: the value is text, want a JSON object`},
		{"too big", `set: {a: event.n * 2}`, `{"n":123456789012345678901}`, record.JSON,
			`set "a": evaluate "event.n * 2": 123456789012345678901 is a number that 64 bits cannot hold: it can be copied, not calculated with`},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := process(boltOf(t, c.config), &record.Record{Value: []byte(c.value), Format: c.format})
			if err == nil || err.Error() != c.want || component.ClassOf(err) != component.Never || out != nil {
				t.Errorf("class %v\n have %v\n want %s", component.ClassOf(err), err, c.want)
			}
		})
	}
}

func TestCheckReportsEverythingWithItsPlace(t *testing.T) {
	config := configOf(t, `
set: {"a..b": evnt.x, c: event.}
remove: ["x["]
rename: {a: ""}
key: '{"a": 1}'
headers: {set: {raven-x: '"1"', Raven-Y: '"1"'}, remove: [raven-z]}
`)
	want := []string{"set.a..b:3:path-invalid", "set.a..b:1:expression-invalid", "set.c:7:expression-invalid", "remove[0]:3:path-invalid",
		"rename.a:1:path-invalid", "key:1:expression-invalid", "headers.set.Raven-Y:0:header-invalid", "headers.set.raven-x:0:header-invalid",
		"headers.remove[0]:0:header-invalid"}
	var have []string
	for _, p := range Definition().Check(config) {
		have = append(have, p.Path+":"+string(rune('0'+p.Column))+":"+p.Code)
	}
	if strings.Join(have, "\n") != strings.Join(want, "\n") {
		t.Errorf("have\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
	if problems := Definition().Check(new(Config)); len(problems) != 1 || problems[0].Code != "setting-missing" {
		t.Errorf("empty settings: %v", problems)
	}
}

func TestExamples(t *testing.T) {
	for _, e := range Definition().Spec.Examples {
		var node struct{ Transform Config }
		if err := yaml.Unmarshal([]byte(e.YAML), &node); err != nil {
			t.Errorf("%s: %v", e.Title, err)
		}
		if problems := Definition().Check(&node.Transform); problems != nil {
			t.Errorf("%s: %v", e.Title, problems)
		}
	}
}

func BenchmarkTransform1KB(b *testing.B) {
	doc, err := os.ReadFile("../../document/testdata/1kb.json")
	if err != nil {
		b.Fatal(err)
	}
	bolt := boltOf(b, `set: {amount: event.price, total: event.price * event.quantity}`)
	r := record.Record{}
	emit := func(int, *record.Record) {}
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		r = record.Record{Value: doc, Format: record.JSON}
		if err := bolt.Process(context.Background(), &r, emit); err != nil {
			b.Fatal(err)
		}
	}
}

func TestOnlyAKeyMakesOtherKeys(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   bool
	}{{Config{Key: "event.id"}, true}, {Config{Set: map[string]string{"key": "event.id"}}, false}, {Config{Headers: Headers{Remove: []string{"a"}}}, false}} {
		if shape := Definition().Shape(&c.config); shape.Rekeys != c.want || shape.Keyed || len(shape.Stores) > 0 {
			t.Errorf("%+v: %+v", c.config, shape)
		}
	}
}

func TestTime(t *testing.T) {
	read := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct{ name, config, value, want string }{
		{"as people write it", `time: event.at`, `{"at":"2010-12-01 08:26:00"}`, "2010-12-01T08:26:00Z"},
		{"where the shop is", `{time: event.at, timeZone: Europe/London}`, `{"at":"2011-07-19 17:17:00"}`, "2011-07-19T16:17:00Z"},
		{"its own zone counts", `{time: event.at, timeZone: Europe/London}`, `{"at":"2011-07-19T17:17:00Z"}`, "2011-07-19T17:17:00Z"},
		{"milliseconds", `time: event.at`, `{"at":1291191960000}`, "2010-12-01T08:26:00Z"},
		{"calculated", `time: time - duration("4s")`, `{}`, "2026-01-02T03:04:01Z"},
		{"of two fields", `time: 'event.day + " " + event.hour'`, `{"day":"2010-12-01","hour":"08:26"}`, "2010-12-01T08:26:00Z"},
		{"the record as it came in", `{time: event.at, remove: [at]}`, `{"at":0}`, "1970-01-01T00:00:00Z"},
		{"a field that is missing", `time: event.?at`, `{}`, "2026-01-02T03:04:05Z"},
		{"a time that can be believed", `time: 'timestamp(event.at) < time + duration("1h") ? timestamp(event.at) : time'`, `{"at":"2026-01-02T03:00:00Z"}`, "2026-01-02T03:00:00Z"},
		{"a time that cannot", `time: 'timestamp(event.at) < time + duration("1h") ? timestamp(event.at) : time'`, `{"at":"2036-01-02T03:00:00Z"}`, "2026-01-02T03:04:05Z"},
		{"null", `time: event.at`, `{"at":null}`, "2026-01-02T03:04:05Z"},
		{"unreadable", `time: event.at`, `{"at":"12/1/2010 8:26"}`, ""},
		{"before 1970", `time: event.at`, `{"at":-1}`, ""},
		{"after what the log can keep", `time: timestamp(event.at)`, `{"at":"9999-12-31T00:00:00Z"}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &record.Record{Value: []byte(c.value), Format: record.JSON, Time: read}
			out, err := process(boltOf(t, c.config), r)
			switch {
			case c.want == "" && component.ClassOf(err) != component.Never:
				t.Errorf("got %v, want a dead letter", err)
			case c.want != "" && (err != nil || out[0].Time.UTC().Format(time.RFC3339) != c.want):
				t.Errorf("the time is %v (%v), want %s", r.Time, err, c.want)
			}
		})
	}
}

func TestATimeZoneMustExist(t *testing.T) {
	for _, zone := range []string{"Europe/Londn", "Local", "../etc/passwd"} {
		problems := Definition().Check(configOf(t, `{time: event.at, timeZone: `+zone+`}`))
		if len(problems) != 1 || problems[0].Path != "timeZone" || !strings.Contains(problems[0].Message, zone) {
			t.Errorf("%s: %v", zone, problems)
		}
	}
}
