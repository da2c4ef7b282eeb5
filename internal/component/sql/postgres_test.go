package sql

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/sql/pgtest"
	"ravenswood.dev/internal/record"
)

// TestPostgresOnly is what only a server can do. It has a server of its own, since it stops it.
func TestPostgresOnly(t *testing.T) {
	s := pgtest.Start(t)
	for _, c := range []struct {
		name string
		run  func(t *testing.T, d *database, s *pgtest.Server)
	}{
		{"types with a length do not cut", neverCuts},
		{"types of every sort take their text", anyType},
		{"keys that only the database holds equal", equalKeys},
		{"constraints that are checked at commit", deferredConstraints},
		{"a trigger may reject a row", triggers},
		{"bytes that are not text", zeroBytes},
		{"a serializable default changes nothing", serializable},
		{"a table in a schema", otherSchema},
		{"a role that may only write", weakRole},
		{"opposite orders of keys do not deadlock", lockOrder},
		{"the server restarts", serverRestarts},
		{"the server is down at first", serverDownAtFirst},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, newPostgres(t, s), s) })
	}
}

// fromTable are settings that leave the columns to the table.
func fromTable(table string, key ...string) Config { return Config{Table: table, Key: key} }

func neverCuts(t *testing.T, d *database, _ *pgtest.Server) {
	d.exec(t, `CREATE DOMAIN code AS varchar(3)`)
	d.exec(t, `CREATE TABLE short (id int PRIMARY KEY, v varchar(3), c char(3), d code, n numeric(4,1), b bit(3))`)
	s := d.open(t, fromTable("short", "id"))
	for _, bad := range []string{`"v":"abcd"`, `"c":"abcd"`, `"d":"abcd"`, `"n":12345`, `"b":"1010"`} {
		wantRejected(t, tryDeliver(s, 0, `{"id":1}`, `{"id":2,`+bad+`}`), 1, "short")
	}
	deliver(t, s, 0, `{"id":1,"v":"abc","c":"abc","d":"abc","n":123.4,"b":"101"}`)
	wantRows(t, d, `SELECT * FROM short`, "1|abc|abc|abc|123.4|101")
}

func anyType(t *testing.T, d *database, _ *pgtest.Server) {
	d.exec(t, `CREATE TYPE mood AS ENUM ('good', 'bad')`)
	d.exec(t, `CREATE TABLE odd (id uuid PRIMARY KEY, m mood, ip inet, tags text[], span interval, small smallint, day date, x json)`)
	c := fromTable("odd", "id")
	c.Deletes = true
	s := d.open(t, c)
	id := "123e4567-e89b-12d3-a456-426614174000"
	deliver(t, s, 0, `{"id":"`+id+`","m":"good","ip":"10.0.0.1","tags":"{a,b}","span":"1 day","small":32767,"day":"2024-02-03","x":{"a": 1.10}}`)
	wantRows(t, d, `SELECT m, ip, tags[2], span, small, day, x FROM odd`, `good|10.0.0.1|b|1 day|32767|2024-02-03T00:00:00Z|{"a": 1.10}`)
	wantRejected(t, tryDeliver(s, 1, `{"id":"`+id+`","m":"ugly"}`), 0, "ugly")
	wantRejected(t, tryDeliver(s, 1, `{"id":"`+id+`","small":32768}`), 0, `"small"`, "16-bit")
	wantRejected(t, tryDeliver(s, 1, `{"id":"no uuid"}`), 0, "uuid")
	if err := s.Deliver(t.Context(), p0, 1, 2, []*record.Record{tombstone(id)}); err != nil {
		t.Fatal(err)
	}
	wantRows(t, d, `SELECT count(*) FROM odd`, "0")
}

func equalKeys(t *testing.T, d *database, _ *pgtest.Server) {
	d.exec(t, `CREATE TABLE prices (price numeric PRIMARY KEY, n int)`)
	c := fromTable("prices", "price")
	c.Deletes = true
	s := d.open(t, c)
	deliver(t, s, 0, `{"price":2,"n":1}`, `{"price":1.0,"n":2}`, `{"price":1,"n":3}`, `{"price":1.00,"n":4}`)
	wantRows(t, d, `SELECT price, n FROM prices ORDER BY 2`, "2|1\n1.0|4")
}

func deferredConstraints(t *testing.T, d *database, _ *pgtest.Server) {
	d.exec(t, `CREATE TABLE users (id int PRIMARY KEY)`)
	d.exec(t, `CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users DEFERRABLE INITIALLY DEFERRED)`)
	d.exec(t, `INSERT INTO users VALUES (1)`)
	s := d.open(t, fromTable("orders", "id"))
	wantRejected(t, tryDeliver(s, 0, `{"id":1,"user_id":1}`, `{"id":2,"user_id":9}`, `{"id":3,"user_id":1}`), 1, "orders")
	deliver(t, s, 0, `{"id":1,"user_id":1}`)
}

func triggers(t *testing.T, d *database, _ *pgtest.Server) {
	d.exec(t, `CREATE TABLE watched (id int PRIMARY KEY)`)
	d.exec(t, `CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN IF NEW.id = 13 THEN RAISE EXCEPTION 'unlucky'; END IF; RETURN NEW; END $$ LANGUAGE plpgsql`)
	d.exec(t, `CREATE TRIGGER refuse BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION refuse()`)
	s := d.open(t, fromTable("watched", "id"))
	wantRejected(t, tryDeliver(s, 0, `{"id":12}`, `{"id":13}`), 1, "unlucky")
}

func zeroBytes(t *testing.T, d *database, _ *pgtest.Server) {
	d.exec(t, `CREATE TABLE texts (id int PRIMARY KEY, v text, j jsonb)`)
	s := d.open(t, fromTable("texts", "id"))
	wantRejected(t, tryDeliver(s, 0, `{"id":1}`, `{"id":2,"v":"a\u0000b"}`), 1, "texts")
	wantRejected(t, tryDeliver(s, 0, `{"id":1,"j":{"a":"\u0000"}}`, `{"id":2}`), 0, "texts")
}

func serializable(t *testing.T, d *database, _ *pgtest.Server) {
	d.dsn += "&default_transaction_isolation=serializable"
	competition(t, d)
}

func otherSchema(t *testing.T, d *database, _ *pgtest.Server) {
	d.exec(t, `CREATE SCHEMA "Sales"`)
	c := messages()
	c.Table = "Sales.messages"
	s := d.open(t, c)
	deliver(t, s, 0, `{"id":"a"}`)
	wantRows(t, d, `SELECT id, next_offset FROM "Sales".messages, "Sales".raven_offsets`, "a|1")
	wantRows(t, d, `SELECT to_regclass('raven_offsets')`, "-")
}

func weakRole(t *testing.T, d *database, _ *pgtest.Server) {
	d.open(t, messages()) // an administrator has made the tables
	d.exec(t, `CREATE ROLE weak LOGIN`)
	schema := d.rows(t, `SELECT current_schema()`)
	d.exec(t, `GRANT USAGE ON SCHEMA `+schema+` TO weak`)
	weak := *d
	weak.dsn = strings.Replace(d.dsn, "postgres@", "weak@", 1)
	_, err := weak.tryOpen(t, "weak", messages())
	if component.ClassOf(err) != component.Never || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("without rights: got %v", err)
	}
	d.exec(t, `GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA `+schema+` TO weak`)
	s := weak.openAs(t, "weak", messages())
	deliver(t, s, 0, `{"id":"a"}`)
	wantRows(t, d, allMessages, "a|-|-")
}

func lockOrder(t *testing.T, d *database, _ *pgtest.Server) {
	s := d.open(t, messages())
	var up, down []string
	for i := range 200 {
		up = append(up, fmt.Sprintf(`{"id":"%d"}`, i))
		down = append(down, fmt.Sprintf(`{"id":"%d"}`, 199-i))
	}
	errs := make(chan error)
	for i, values := range [][]string{up, down} {
		go func() {
			var err error
			for from := int64(0); from < 10 && err == nil; from++ {
				err = s.Deliver(context.Background(), component.Partition{Topic: "in", Partition: int32(i)}, from, from+1, jsonRecords(values...))
			}
			errs <- err
		}()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func serverRestarts(t *testing.T, d *database, server *pgtest.Server) {
	s := d.open(t, messages())
	deliver(t, s, 0, `{"id":"a"}`)
	server.Stop()
	wantRetried(t, tryDeliver(s, 1, `{"id":"b"}`), "messages")
	if _, _, err := s.Position(t.Context(), p0); err == nil {
		t.Error("position without a server: no error")
	}
	server.Start()
	await(t, func() error { return tryDeliver(s, 1, `{"id":"b"}`) })
	wantPosition(t, s, 2)
	wantRows(t, d, allMessages, "a|-|-\nb|-|-")
}

func serverDownAtFirst(t *testing.T, d *database, server *pgtest.Server) {
	server.Stop()
	s := d.open(t, messages())
	wantRetried(t, tryDeliver(s, 0, `{"id":"a"}`), "messages")
	server.Start()
	await(t, func() error { return tryDeliver(s, 0, `{"id":"a"}`) })
	wantRows(t, d, allMessages, "a|-|-")
}

// await tries something until it works.
func await(t *testing.T, try func() error) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond) // sleep: between two tries, bounded by the deadline
	}
}

func TestPostgresErrorsHoldNoSecret(t *testing.T) {
	t.Setenv("RAVEN_TEST_PASSWORD", "hunter2")
	for _, dsn := range []string{
		"postgres://u:${RAVEN_TEST_PASSWORD}@127.0.0.1:1/x",
		"postgres://u:${RAVEN_TEST_PASSWORD}@127.0.0.1:1/x?sslmode=nonsense",
		"postgres://u:${RAVEN_TEST_PASSWORD}@[bad/x",
		"host=127.0.0.1 port=1 pasword=${RAVEN_TEST_PASSWORD} x",
	} {
		var log strings.Builder
		c := messages()
		c.Driver, c.Mode, c.DSN = "postgres", modeUpsert, dsn
		s, err := open(&c, component.Env{Topology: "t", Name: "out", Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err == nil {
			err = tryDeliver(s, 0, `{"id":"a"}`)
			_ = s.Close()
		}
		if err == nil || strings.Contains(err.Error()+log.String(), "hunter2") {
			t.Errorf("%s: got %v, log %s", dsn, err, log.String())
		}
	}
}
