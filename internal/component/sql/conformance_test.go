package sql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
)

// conformance is what holds for every database.
var conformance = []struct {
	name string
	run  func(t *testing.T, d *database)
}{
	{"rows and position are delivered together", deliversTogether},
	{"the newest record of a key wins", newestWins},
	{"another position than the caller's is ErrMoved", moved},
	{"a batch without records moves the position", movesWithoutRecords},
	{"partitions, sinks and topics have positions of their own", separatePositions},
	{"a topic that was made anew begins anew", newLog},
	{"a rejected record is named and nothing of its batch is written", rejects},
	{"every type keeps its value", types},
	{"values that do not fit their type are rejected", misfits},
	{"keys of every type", keyTypes},
	{"a key of several columns", compositeKey},
	{"mode insert rejects a key that exists", insertMode},
	{"mode append keeps every record", appendMode},
	{"tombstones delete", deletes},
	{"tombstones are skipped unless deletes is set", skipsTombstones},
	{"parts of a record beyond its fields", specialColumns},
	{"records without fields", rawRecords},
	{"names are quoted", quotedNames},
	{"without columns the table decides", tableDecides},
	{"settings that do not fit the table", misfitTables},
	{"a table that exists is never altered", neverAltered},
	{"a delivery that fails half way leaves nothing", failsHalfWay},
	{"competing sinks deliver each offset once", competition},
	{"a stopped sink goes on where it was", restart},
	{"large batches", largeBatch},
	{"killed writers lose and repeat nothing", killedWriters},
	{"writers in two processes deliver each offset once", writersInTwoProcesses},
	{"an audit visits the field of every row", audits},
}

// messages are the settings most cases use: rows told apart by id.
func messages() Config {
	return Config{Table: "messages", Key: Names{"id"}, Create: true, Columns: map[string]Column{
		"id": {Field: "id"}, "amount": {Field: "amount", Type: "integer"}, "note": {Field: "note"},
	}}
}

const allMessages = `SELECT id, amount, note FROM messages ORDER BY id`

func deliversTogether(t *testing.T, d *database) {
	s := d.open(t, messages())
	if _, ok, err := s.Position(context.Background(), p0); ok || err != nil {
		t.Fatalf("position before the first delivery: %v, %v", ok, err)
	}
	deliver(t, s, 7, `{"id":"a","amount":1,"note":"x"}`, `{"id":"b"}`)
	wantRows(t, d, allMessages, "a|1|x\nb|-|-")
	wantPosition(t, s, 9)
	wantRows(t, d, `SELECT topology, sink, topic, partition, next_offset FROM raven_offsets`, "t|out|in|0|9")
}

func newestWins(t *testing.T, d *database) {
	s := d.open(t, messages())
	deliver(t, s, 0, `{"id":"a","amount":1}`, `{"id":"b","amount":2}`, `{"id":"a","amount":3}`)
	deliver(t, s, 3, `{"id":"b","amount":4}`)
	wantRows(t, d, allMessages, "a|3|-\nb|4|-")
}

func moved(t *testing.T, d *database) {
	s := d.open(t, messages())
	deliver(t, s, 0, `{"id":"a"}`)
	for _, from := range []int64{0, 2} {
		if err := tryDeliver(s, from, `{"id":"stale"}`); !errors.Is(err, component.ErrMoved) {
			t.Errorf("from %d: got %v, want ErrMoved", from, err)
		}
	}
	wantRows(t, d, allMessages, "a|-|-")
	deliver(t, s, 1, `{"id":"b"}`)
}

func movesWithoutRecords(t *testing.T, d *database) {
	s := d.open(t, messages())
	for _, step := range [][2]int64{{3, 5}, {5, 9}} {
		if err := s.Deliver(t.Context(), p0, step[0], step[1], nil); err != nil {
			t.Fatal(err)
		}
		wantPosition(t, s, step[1])
	}
}

func separatePositions(t *testing.T, d *database) {
	s, other := d.open(t, messages()), d.openAs(t, "other", messages())
	deliver(t, s, 0, `{"id":"a"}`)
	deliver(t, other, 5, `{"id":"b"}`)
	for i, p := range []component.Partition{{Topic: "in", Partition: 1}, {Topic: "in2", Partition: 0}} {
		if err := s.Deliver(t.Context(), p, 0, int64(10+i), nil); err != nil {
			t.Fatal(err)
		}
	}
	wantRows(t, d, `SELECT sink, topic, partition, next_offset FROM raven_offsets ORDER BY 1, 2, 3`, "other|in|0|6\nout|in|0|1\nout|in|1|10\nout|in2|0|11")
}

// newLog is what happens when the log is deleted and the database is kept: offsets of the old log must not make us skip
// records of the new one.
func newLog(t *testing.T, d *database) {
	s := d.open(t, messages())
	before, after := component.Partition{Topic: "in", Log: "a"}, component.Partition{Topic: "in", Log: "b"}
	if err := s.Deliver(t.Context(), before, 0, 100, jsonRecords(`{"id":"a"}`)); err != nil {
		t.Fatal(err)
	}
	if at, ok, err := s.Position(t.Context(), after); ok || err != nil {
		t.Errorf("position in the new log is %d, %v, %v, want none", at, ok, err)
	}
	if err := s.Deliver(t.Context(), after, 0, 5, jsonRecords(`{"id":"b"}`)); err != nil {
		t.Error(err)
	}
}

func rejects(t *testing.T, d *database) {
	d.exec(t, `CREATE TABLE messages (id varchar(10) PRIMARY KEY, amount integer NOT NULL CHECK (amount < 100), note text)`)
	c := messages()
	c.Create, c.Columns = false, nil
	s := d.open(t, c)
	good := `{"id":"a","amount":1}`
	for _, tc := range []struct {
		name, bad string
		parts     []string
	}{
		{"null where the table wants a value", `{"id":"b"}`, []string{"amount"}},
		{"a check of the table", `{"id":"b","amount":100}`, []string{"messages"}},
		{"text for an integer", `{"id":"b","amount":"1"}`, []string{`"amount"`, "want an integer"}},
		{"a fraction for an integer", `{"id":"b","amount":1.5}`, []string{`"amount"`, "not a whole number"}},
		{"an integer beyond 64 bits", `{"id":"b","amount":9223372036854775808}`, []string{`"amount"`, "range"}},
		{"no key", `{"amount":1}`, []string{`"id"`, "the key is missing"}},
		{"no object", `[1]`, []string{"a list"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wantRejected(t, tryDeliver(s, 0, good, `{"id":"c","amount":2}`, tc.bad, good), 2, tc.parts...)
			wantRows(t, d, allMessages, "")
			wantRows(t, d, `SELECT count(*) FROM raven_offsets`, "0")
		})
	}
	deliver(t, s, 0, good)
	wantRows(t, d, allMessages, "a|1|-")
}

func types(t *testing.T, d *database) {
	columns := map[string]Column{"id": {Field: "id"}}
	for _, k := range kindNames[1:] {
		columns["c_"+k] = Column{Field: k, Type: k}
	}
	s := d.open(t, Config{Table: "typed", Key: Names{"id"}, Create: true, Columns: columns})
	deliver(t, s, 0,
		`{"id":"1","text":"ä\"\n","integer":9223372036854775807,"real":0.1,"numeric":12345678901234567890.1234567890,"boolean":true,"json":{"a": [1]},"timestamp":"2024-02-03T04:05:06.7+01:00","bytes":"AP8="}`,
		`{"id":"2","text":7.10,"integer":-1e3,"real":1,"numeric":-0.5,"boolean":false,"json":"x","timestamp":1700000000}`,
		`{"id":"3","text":{"a":1},"integer":1.0,"real":1e300,"numeric":7,"json":1,"timestamp":1700000000123}`,
		`{"id":"4","text":null,"json":null}`)
	wantRows(t, d, `SELECT c_text, c_integer FROM typed ORDER BY id`, "ä\"\n|9223372036854775807\n7.10|-1000\n{\"a\":1}|1\n-|-")
	wantRows(t, d, `SELECT c_numeric FROM typed ORDER BY id`, "12345678901234567890.1234567890\n-0.5\n7\n-")
	wantRows(t, d, `SELECT c_json FROM typed ORDER BY id`, "{\"a\": [1]}\n\"x\"\n1\n-")
	wantRows(t, d, `SELECT count(*) FROM typed WHERE c_real = 0.1 OR c_real = 1 OR c_real = 1e300`, "3")
	wantRows(t, d, `SELECT CASE WHEN c_boolean THEN 'yes' WHEN NOT c_boolean THEN 'no' END FROM typed ORDER BY id`, "yes\nno\n-\n-")
	if d.driver == "sqlite" {
		wantRows(t, d, `SELECT c_timestamp FROM typed ORDER BY id`, "2024-02-03T03:05:06.700000Z\n2023-11-14T22:13:20.000000Z\n2023-11-14T22:13:20.123000Z\n-")
		wantRows(t, d, `SELECT hex(c_bytes) FROM typed WHERE id = '1'`, "00FF")
		return
	}
	wantRows(t, d, `SELECT c_timestamp AT TIME ZONE 'UTC' = '2024-02-03 03:05:06.7', encode(c_bytes, 'hex') FROM typed WHERE id = '1'`, "true|00ff")
	wantRows(t, d, `SELECT extract(epoch FROM c_timestamp)::text FROM typed WHERE id IN ('2', '3') ORDER BY id`, "1700000000.000000\n1700000000.123000")
}

func misfits(t *testing.T, d *database) {
	for _, tc := range []struct{ kind, value, want string }{
		{"integer", `"7"`, "want an integer, found string"},
		{"integer", `1e400`, "range"},
		{"integer", `1e-400`, "not a whole number"},
		{"integer", `1e99999999999999999999`, "not a whole number"},
		{"real", `true`, "want a number"},
		{"real", `1e400`, "range"},
		{"numeric", `"1"`, "want a number"},
		{"boolean", `1`, "want true or false"},
		{"timestamp", `"soon"`, "want a time"},
		{"timestamp", `1e20`, "not a time"},
		{"timestamp", `{}`, "want a time"},
		{"bytes", `"not base64!"`, "want bytes"},
	} {
		t.Run(tc.kind+" "+tc.value, func(t *testing.T) {
			s := d.open(t, Config{Table: "of_" + tc.kind, Mode: modeAppend, Create: true, Columns: map[string]Column{"v": {Field: "v", Type: tc.kind}}})
			wantRejected(t, tryDeliver(s, 0, `{}`, `{"v":`+tc.value+`}`), 1, `"v"`, tc.want)
		})
	}
}

func keyTypes(t *testing.T, d *database) {
	for _, tc := range []struct{ kind, one, same, other string }{
		{"text", `"a"`, `"\u0061"`, `"A"`},
		{"integer", `7`, `7.0`, `-7`},
		{"real", `0.5`, `5e-1`, `0.25`},
		{"numeric", `1.5`, `1.5`, `2.5`},
		{"boolean", `true`, `true`, `false`},
		{"timestamp", `1700000000`, `"2023-11-14T22:13:20Z"`, `1700000001`},
		{"bytes", `"AA=="`, `"AA=="`, `"AQ=="`},
	} {
		t.Run(tc.kind, func(t *testing.T) {
			table := "keyed_" + tc.kind
			s := d.open(t, Config{Table: table, Key: Names{"k"}, Create: true, Columns: map[string]Column{"k": {Field: "k", Type: tc.kind}, "v": {Field: "v", Type: "integer"}}})
			p := component.Partition{Topic: table}
			for i, k := range []string{tc.one, tc.other, tc.same} {
				r := jsonRecords(fmt.Sprintf(`{"k":%s,"v":%d}`, k, i))
				if err := s.Deliver(t.Context(), p, int64(i), int64(i+1), r); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Deliver(t.Context(), p, 3, 5, jsonRecords(fmt.Sprintf(`{"k":%s,"v":4}`, tc.one), fmt.Sprintf(`{"k":%s,"v":5}`, tc.same))); err != nil {
				t.Fatal(err)
			}
			wantRows(t, d, `SELECT v FROM `+table+` ORDER BY v`, "1\n5")
		})
	}
}

func compositeKey(t *testing.T, d *database) {
	c := Config{Table: "orders", Key: Names{"shop", "number"}, Create: true, Deletes: true, Columns: map[string]Column{
		"shop": {Field: "header:shop"}, "number": {Field: "$key", Type: "integer"}, "total": {Field: "total", Type: "numeric"},
	}}
	s := d.open(t, c)
	order := func(shop, number, value string) *record.Record {
		r := jsonRecord(value)
		r.Key = []byte(number)
		r.SetHeader("shop", []byte(shop))
		if value == "" {
			r.Value = nil
		}
		return r
	}
	records := []*record.Record{order("a", "1", `{"total":1}`), order("a", "11", `{"total":2}`), order("a1", "1", `{"total":3}`), order("a", "1", `{"total":4}`), order("a", "11", "")}
	if err := s.Deliver(t.Context(), p0, 0, 5, records); err != nil {
		t.Fatal(err)
	}
	wantRows(t, d, `SELECT shop, number, total FROM orders ORDER BY 1, 2`, "a|1|4\na1|1|3")
	wantRejected(t, s.Deliver(t.Context(), p0, 5, 6, []*record.Record{order("a", "x", `{}`)}), 0, `"number"`, `from "$key"`)
}

func insertMode(t *testing.T, d *database) {
	c := messages()
	c.Mode = modeInsert
	s := d.open(t, c)
	deliver(t, s, 0, `{"id":"a","amount":1}`)
	wantRejected(t, tryDeliver(s, 1, `{"id":"b"}`, `{"id":"a"}`), 1, "messages")
	wantRejected(t, tryDeliver(s, 1, `{"id":"b"}`, `{"id":"c"}`, `{"id":"b"}`), 2, "messages")
	wantRows(t, d, allMessages, "a|1|-")
	wantPosition(t, s, 1)
}

func appendMode(t *testing.T, d *database) {
	c := messages()
	c.Mode, c.Key = modeAppend, nil
	s := d.open(t, c)
	deliver(t, s, 0, `{"id":"a"}`, `{"id":"a"}`, `{}`)
	wantRows(t, d, `SELECT count(*), count(id) FROM messages`, "3|2")
}

func tombstone(key string) *record.Record {
	return &record.Record{Key: []byte(key), Format: record.JSON}
}

func deletes(t *testing.T, d *database) {
	c := messages()
	c.Deletes = true
	s := d.open(t, c)
	deliver(t, s, 0, `{"id":"a"}`, `{"id":"b"}`, `{"id":"c"}`)
	batch := []*record.Record{tombstone("a"), jsonRecord(`{"id":"b","amount":2}`), tombstone("b"), jsonRecord(`{"id":"d"}`), tombstone("d"), jsonRecord(`{"id":"d","amount":4}`), tombstone("nobody")}
	if err := s.Deliver(t.Context(), p0, 3, 10, batch); err != nil {
		t.Fatal(err)
	}
	wantRows(t, d, allMessages, "c|-|-\nd|4|-")
	keyless := tombstone("x")
	keyless.Key = nil
	wantRejected(t, s.Deliver(t.Context(), p0, 10, 12, []*record.Record{tombstone("c"), keyless}), 1, "neither value nor key")
}

func skipsTombstones(t *testing.T, d *database) {
	s := d.open(t, messages())
	deliver(t, s, 0, `{"id":"a"}`)
	if err := s.Deliver(t.Context(), p0, 1, 2, []*record.Record{tombstone("a")}); err != nil {
		t.Fatal(err)
	}
	wantRows(t, d, allMessages, "a|-|-")
	wantPosition(t, s, 2)
}

func specialColumns(t *testing.T, d *database) {
	s := d.open(t, Config{Table: "log", Mode: modeAppend, Create: true, Columns: map[string]Column{
		"k": {Field: "$key"}, "v": {Field: "$value", Type: "json"}, "at": {Field: "$time"}, "topic": {Field: "$topic"},
		"part": {Field: "$partition"}, "off": {Field: "$offset"}, "trace": {Field: "header:trace"}, "n": {Field: "header:n", Type: "integer"},
		"nested": {Field: `a."b.c"[1]`, Type: "integer"},
	}})
	r := jsonRecord(`{"a":{"b.c":[1,2]}}`)
	r.Key, r.Headers = []byte("key"), []record.Header{{Key: "trace", Value: []byte("t1")}, {Key: "n", Value: []byte("12")}}
	if err := s.Deliver(t.Context(), p0, 0, 1, []*record.Record{r}); err != nil {
		t.Fatal(err)
	}
	wantRows(t, d, `SELECT k, topic, part, off, trace, n, nested FROM log`, "key|src|3|42|t1|12|2")
	want := "2023-11-14T22:13:20.123000Z"
	if d.driver == "postgres" {
		want = "true"
		wantRows(t, d, `SELECT at = '2023-11-14T22:13:20.123Z' FROM log`, want)
	} else {
		wantRows(t, d, `SELECT at FROM log`, want)
	}
	r.Key = []byte{0xff}
	wantRejected(t, s.Deliver(t.Context(), p0, 1, 2, []*record.Record{r}), 0, `"k"`, "UTF-8")
}

func rawRecords(t *testing.T, d *database) {
	raw := &record.Record{Value: []byte{0, 0xff, '{'}, Format: record.Raw}
	s := d.open(t, Config{Table: "bodies", Mode: modeAppend, Create: true, Columns: map[string]Column{"body": {Field: "$value", Type: "bytes"}}})
	if err := s.Deliver(t.Context(), p0, 0, 1, []*record.Record{raw}); err != nil {
		t.Fatal(err)
	}
	wantRows(t, d, `SELECT count(*) FROM bodies WHERE body = `+map[string]string{"sqlite": `x'00ff7b'`, "postgres": `'\x00ff7b'`}[d.driver], "1")
	fields := d.openAs(t, "fields", messages())
	wantRejected(t, fields.Deliver(t.Context(), p0, 0, 1, []*record.Record{raw}), 0, "only JSON has fields")
}

func quotedNames(t *testing.T, d *database) {
	s := d.open(t, Config{Table: `odd "table"; DROP TABLE x`, Key: Names{`Group`}, Create: true, Columns: map[string]Column{
		"Group": {Field: "g"}, `a "b", c`: {Field: "v"}, "select": {Field: "s"},
	}})
	deliver(t, s, 0, `{"g":"x","v":"1","s":"2"}`, `{"g":"x","v":"3'; --","s":null}`)
	wantRows(t, d, `SELECT "Group", "a ""b"", c", "select" FROM "odd ""table""; DROP TABLE x"`, "x|3'; --|-")
}

func tableDecides(t *testing.T, d *database) {
	d.exec(t, `CREATE TABLE messages (id text PRIMARY KEY, "user.id" integer, made text DEFAULT 'now', amount numeric)`)
	c := messages()
	c.Create, c.Columns = false, nil
	s := d.open(t, c)
	deliver(t, s, 0, `{"id":"a","user.id":7,"made":"never","amount":2.5,"more":1}`, `{"id":"b"}`)
	wantRows(t, d, `SELECT id, "user.id", made, amount FROM messages ORDER BY id`, "a|7|now|2.5\nb|-|now|-")
}

func misfitTables(t *testing.T, d *database) {
	d.exec(t, `CREATE TABLE messages (id text PRIMARY KEY, amount integer, note text)`)
	d.exec(t, `CREATE TABLE keyless (id text, other text)`)
	for _, tc := range []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{"no such table", func(c *Config) { c.Table, c.Create = "massages", false }, []string{`"massages"`, "no such table", "create: true"}},
		{"no such column", func(c *Config) { c.Columns["amounts"] = c.Columns["amount"] }, []string{`no column "amounts"`, `did you mean "amount"`, "id, amount, note"}},
		{"no such key", func(c *Config) { c.Key, c.Columns = Names{"key"}, nil; c.Create = false }, []string{`no column "key"`}},
		{"a key without an index", func(c *Config) {
			c.Table, c.Columns = "keyless", map[string]Column{"id": {Field: "id"}, "other": {Field: "other"}}
		}, []string{"unique index", `"id"`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := messages()
			tc.change(&c)
			_, err := d.tryOpen(t, "out", c)
			if component.ClassOf(err) != component.Never {
				t.Errorf("got %v (class %d), want a permanent error", err, component.ClassOf(err))
			}
			for _, part := range tc.want {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("error %v does not say %q", err, part)
				}
			}
		})
	}
}

func neverAltered(t *testing.T, d *database) {
	d.exec(t, `CREATE TABLE messages (id text PRIMARY KEY, amount integer, note text, extra text)`)
	s := d.open(t, messages())
	deliver(t, s, 0, `{"id":"a","amount":1,"extra":"x"}`)
	wantRows(t, d, `SELECT id, amount, note, extra FROM messages`, "a|1|-|-")
}

// failsHalfWay breaks a delivery after some of its rows, and mends the database again.
func failsHalfWay(t *testing.T, d *database) {
	s := d.open(t, messages())
	deliver(t, s, 0, `{"id":"a","amount":1}`)
	d.exec(t, `ALTER TABLE messages RENAME COLUMN note TO notes`)
	err := tryDeliver(s, 1, `{"id":"a","amount":2}`, `{"id":"b"}`)
	if err == nil || errors.Is(err, component.ErrMoved) || errors.As(err, new(*component.RejectedError)) {
		t.Fatalf("got %v, want an error that is retried", err)
	}
	d.exec(t, `ALTER TABLE messages RENAME COLUMN notes TO note`)
	wantRows(t, d, allMessages, "a|1|-")
	wantPosition(t, s, 1)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Deliver(canceled, p0, 1, 2, jsonRecords(`{"id":"c"}`)); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: got %v", err)
	}
	deliver(t, s, 1, `{"id":"a","amount":2}`, `{"id":"b"}`)
	wantRows(t, d, allMessages, "a|2|-\nb|-|-")
}

// competition lets several sinks, as in several processes, race for every offset of two partitions.
func competition(t *testing.T, d *database) {
	const last = 40
	c := Config{Table: "log", Mode: modeAppend, Create: true, Columns: map[string]Column{"n": {Field: "n", Type: "integer"}}}
	var writers sync.WaitGroup
	for i := range 4 {
		s, p := d.open(t, c), component.Partition{Topic: "in", Partition: int32(i % 2)}
		writers.Go(func() {
			for {
				next, _, err := s.Position(context.Background(), p)
				if err == nil && next < last {
					err = s.Deliver(context.Background(), p, next, next+1, jsonRecords(fmt.Sprintf(`{"n":%d}`, next)))
				}
				if err != nil && !errors.Is(err, component.ErrMoved) {
					t.Error(err)
				}
				if err != nil && !errors.Is(err, component.ErrMoved) || next >= last {
					return
				}
			}
		})
	}
	writers.Wait()
	wantRows(t, d, `SELECT count(*), count(DISTINCT n), min(n), max(n) FROM log`, fmt.Sprintf("%d|%d|0|%d", 2*last, last, last-1))
}

func restart(t *testing.T, d *database) {
	s := d.open(t, messages())
	deliver(t, s, 0, `{"id":"a","amount":1}`)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = d.open(t, messages())
	wantPosition(t, s, 1)
	if err := tryDeliver(s, 0, `{"id":"a","amount":9}`); !errors.Is(err, component.ErrMoved) {
		t.Errorf("redelivery: got %v, want ErrMoved", err)
	}
	wantRows(t, d, allMessages, "a|1|-")
}

func largeBatch(t *testing.T, d *database) {
	s := d.open(t, messages())
	var values []string
	for i := range 5000 {
		values = append(values, fmt.Sprintf(`{"id":"%d","amount":%d}`, i%3000, i))
	}
	deliver(t, s, 0, values...)
	wantRows(t, d, `SELECT count(*), sum(amount) FROM messages`, fmt.Sprintf("3000|%d", (2000+4999)*3000/2))
}
