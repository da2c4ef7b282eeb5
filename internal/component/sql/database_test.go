package sql

import (
	"cmp"
	"context"
	dbsql "database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/sql/pgtest"
	"ravenswood.dev/internal/record"
)

// database is an empty database of one kind, for one case.
type database struct {
	driver string
	dsn    string
	db     *dbsql.DB // for looking at what the sink did, and for getting in its way
}

// TestSQLite and TestPostgres run one list of cases, each on an empty database.
func TestSQLite(t *testing.T) {
	for _, c := range conformance {
		t.Run(c.name, func(t *testing.T) { c.run(t, newSQLite(t)) })
	}
}

func TestPostgres(t *testing.T) {
	s := pgtest.Start(t)
	for _, c := range conformance {
		t.Run(c.name, func(t *testing.T) { c.run(t, newPostgres(t, s)) })
	}
}

func newSQLite(t testing.TB) *database {
	path := filepath.Join(t.TempDir(), "odd name?#%.db")
	return &database{driver: "sqlite", dsn: path, db: connect(t, "sqlite", "file:"+strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)+"?_pragma=busy_timeout(10000)")}
}

var schemas atomic.Int64

func newPostgres(t testing.TB, s *pgtest.Server) *database {
	schema := fmt.Sprintf("case_%d", schemas.Add(1))
	d := &database{driver: "postgres", dsn: s.DSN() + "&search_path=" + schema}
	d.db = connect(t, "pgx", d.dsn)
	d.exec(t, `CREATE SCHEMA `+schema)
	return d
}

func connect(t testing.TB, driver, dsn string) *dbsql.DB {
	t.Helper()
	db, err := dbsql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestMain(m *testing.M) {
	if os.Getenv(writerEnv) != "" {
		os.Exit(writerMain())
	}
	os.Exit(m.Run())
}

func (d *database) exec(t testing.TB, statement string) {
	t.Helper()
	if _, err := d.db.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// rows returns the answer to a query as lines, null as "-".
func (d *database) rows(t *testing.T, query string) string {
	t.Helper()
	rows, err := d.db.Query(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	columns, _ := rows.Columns()
	var lines []string
	for rows.Next() {
		cells := make([]dbsql.NullString, len(columns))
		targets := make([]any, len(columns))
		for i := range cells {
			targets[i] = &cells[i]
		}
		if err := rows.Scan(targets...); err != nil {
			t.Fatal(err)
		}
		texts := make([]string, len(columns))
		for i, c := range cells {
			texts[i] = "-"
			if c.Valid {
				texts[i] = c.String
			}
		}
		lines = append(lines, strings.Join(texts, "|"))
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return strings.Join(lines, "\n")
}

// open opens a sink as node "out" of topology "t".
func (d *database) open(t *testing.T, c Config) component.Sink {
	t.Helper()
	return d.openAs(t, "out", c)
}

func (d *database) openAs(t *testing.T, node string, c Config) component.Sink {
	t.Helper()
	s, err := d.tryOpen(t, node, c)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (d *database) tryOpen(t testing.TB, node string, c Config) (component.Sink, error) {
	t.Helper()
	c.Driver, c.DSN = d.driver, d.dsn
	c.Mode, c.Sync = cmp.Or(c.Mode, modeUpsert), cmp.Or(c.Sync, "full")
	if problems := check(&c); len(problems) > 0 {
		t.Fatalf("check: %v", problems)
	}
	return open(&c, component.Env{Topology: "t", Name: node, Log: slog.New(slog.DiscardHandler)})
}

var p0 = component.Partition{Topic: "in", Partition: 0}

func jsonRecord(value string) *record.Record {
	return &record.Record{Value: []byte(value), Format: record.JSON, Time: time.UnixMilli(1_700_000_000_123),
		Origin: record.Origin{Topic: "src", Partition: 3, Offset: 42}}
}

func jsonRecords(values ...string) []*record.Record {
	var rs []*record.Record
	for _, v := range values {
		rs = append(rs, jsonRecord(v))
	}
	return rs
}

// deliver delivers records as the offsets from, from+1, ... and fails the test on an error.
func deliver(t *testing.T, s component.Sink, from int64, values ...string) {
	t.Helper()
	if err := tryDeliver(s, from, values...); err != nil {
		t.Fatalf("deliver from %d: %v", from, err)
	}
}

func tryDeliver(s component.Sink, from int64, values ...string) error {
	return s.Deliver(context.Background(), p0, from, from+int64(len(values)), jsonRecords(values...))
}

func wantRejected(t *testing.T, err error, index int, parts ...string) {
	t.Helper()
	var r *component.RejectedError
	if !errors.As(err, &r) {
		t.Fatalf("got %v, want a rejected record", err)
	}
	if r.Index != index {
		t.Errorf("rejected record %d, want %d: %v", r.Index, index, err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

func wantRows(t *testing.T, d *database, query, want string) {
	t.Helper()
	if got := d.rows(t, query); got != want {
		t.Errorf("%s:\ngot\n%s\nwant\n%s", query, got, want)
	}
}

func wantPosition(t *testing.T, s component.Sink, want int64) {
	t.Helper()
	got, ok, err := s.Position(context.Background(), p0)
	if err != nil || !ok || got != want {
		t.Errorf("position is %d, %v, %v; want %d", got, ok, err, want)
	}
}
