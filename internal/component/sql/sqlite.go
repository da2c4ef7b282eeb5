package sql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"ravenswood.dev/internal/component"
)

// sqliteStore is a table in a SQLite file. It has one connection: SQLite has one writer, and a queue in Go is fair
// where SQLite's own waiting is not.
type sqliteStore struct {
	config *Config
	db     *sql.DB
	upsert string
	remove string
}

var _ store = (*sqliteStore)(nil)

// sqliteTypes are the types of created columns. Numeric is text, because SQLite's NUMERIC keeps 15 digits only.
var sqliteTypes = map[kind]string{
	kindText: "TEXT", kindInteger: "INTEGER", kindReal: "REAL", kindNumeric: "TEXT", kindBoolean: "BOOLEAN",
	kindJSON: "TEXT", kindTimestamp: "TEXT", kindBytes: "BLOB",
}

// checkpointPages is how large the write-ahead log grows before it is copied into the file: about 80 MB. With
// SQLite's own 4 MB, upserts of random keys are half as fast, since every page is copied again and again.
const checkpointPages = 20000

func openSQLite(c *Config, env component.Env, dsn string) (*sqliteStore, error) {
	path, err := sqlitePath(env, dsn)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make folder of database: %w", err)
	}
	q := url.Values{"_txlock": {"immediate"}, "_dqs": {"0"}, "_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(" + c.Sync + ")",
		fmt.Sprintf("wal_autocheckpoint(%d)", checkpointPages),
	}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("open database %q: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	return &sqliteStore{config: c, db: db}, nil
}

func sqlitePath(env component.Env, dsn string) (string, error) {
	switch {
	case strings.HasPrefix(dsn, "file:") || strings.HasPrefix(dsn, ":"):
		return "", fmt.Errorf("read dsn: sqlite wants the path of a file, not %q", dsn)
	case dsn == "":
		return filepath.Join(env.StateDir, env.Topology+".db"), nil
	case filepath.IsAbs(dsn):
		return dsn, nil
	default:
		return filepath.Abs(filepath.Join(env.Dir, dsn))
	}
}

const sqliteOffsets = `CREATE TABLE IF NOT EXISTS ` + offsetsTable + ` (
	topology TEXT NOT NULL, sink TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL,
	next_offset INTEGER NOT NULL, updated_at TEXT NOT NULL,
	PRIMARY KEY (topology, sink, topic, partition)) WITHOUT ROWID`

func (s *sqliteStore) describe(ctx context.Context) ([]tableColumn, error) {
	if _, err := s.db.ExecContext(ctx, sqliteOffsets); err != nil {
		return nil, err
	}
	rows, err := s.db.QueryContext(ctx, `SELECT name, type, dflt_value IS NOT NULL OR hidden IN (2, 3) FROM pragma_table_xinfo(?) ORDER BY cid`, s.config.Table)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var columns []tableColumn
	for rows.Next() {
		c := tableColumn{bits: 64}
		if err := rows.Scan(&c.name, &c.dbType, &c.filled); err != nil {
			return nil, err
		}
		c.kind = sqliteKind(c.dbType)
		columns = append(columns, c)
	}
	return columns, rows.Err()
}

// sqliteKind reads a declared type, which in SQLite may be any text; the order of the questions is SQLite's own where
// it has one.
func sqliteKind(declared string) kind {
	t := strings.ToUpper(declared)
	for _, rule := range []struct {
		part string
		kind kind
	}{
		{"BOOL", kindBoolean}, {"JSON", kindJSON}, {"DATE", kindTimestamp}, {"TIMESTAMP", kindTimestamp},
		{"INT", kindInteger}, {"CHAR", kindText}, {"CLOB", kindText}, {"TEXT", kindText}, {"BLOB", kindBytes},
		{"REAL", kindReal}, {"FLOA", kindReal}, {"DOUBLE", kindReal}, {"NUM", kindNumeric}, {"DEC", kindNumeric},
	} {
		if strings.Contains(t, rule.part) {
			return rule.kind
		}
	}
	return kindText
}

func (s *sqliteStore) create(ctx context.Context) error {
	statement, err := createTable(s.config, quote(s.config.Table), sqliteTypes)
	if err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, statement)
	return err
}

func (s *sqliteStore) prepare(ctx context.Context, p *plan) error {
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(p.columns)), ", ")
	s.upsert = "INSERT INTO " + quote(p.table) + " (" + strings.Join(p.names(), ", ") + ") VALUES (" + marks + ")" + p.onConflict()
	s.remove = "DELETE FROM " + quote(p.table) + " WHERE " + strings.Join(p.keyNames(), " = ? AND ") + " = ?"
	st, err := s.db.PrepareContext(ctx, s.upsert) // compiling it finds what does not fit
	if err != nil {
		return noUniqueKey(p, err)
	}
	defer func() { _ = st.Close() }()
	return nil
}

// noUniqueKey explains the one mistake whose message in both databases speaks of something the user did not write.
func noUniqueKey(p *plan, err error) error {
	if strings.Contains(strings.ToLower(err.Error()), "on conflict") {
		return errMisfit{fmt.Errorf("no primary key or unique index is exactly on (%s), which mode upsert needs: %w", strings.Join(p.keyNames(), ", "), err)}
	}
	return err
}

func (s *sqliteStore) position(ctx context.Context, id partitionID) (offset int64, ok bool, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT next_offset FROM `+offsetsTable+` WHERE topology = ? AND sink = ? AND topic = ? AND partition = ?`,
		id.topology, id.sink, id.topic, id.partition).Scan(&offset)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return offset, err == nil, err
}

func (s *sqliteStore) deliver(ctx context.Context, m move, rows []row) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err = s.work(ctx, conn, m, rows)
	if err == nil {
		// Not interruptible: whether a commit took place must be known where it can be.
		_, err = conn.ExecContext(context.WithoutCancel(ctx), "COMMIT")
	}
	if err != nil {
		rollBack(context.WithoutCancel(ctx), conn)
	}
	return err
}

// rollBack ends the transaction. Some errors have ended it already, which makes ROLLBACK an error too; in doubt the
// connection is thrown away, which ends it for sure.
func rollBack(ctx context.Context, conn *sql.Conn) {
	_, err := conn.ExecContext(ctx, "ROLLBACK")
	if err != nil && !strings.Contains(err.Error(), "no transaction is active") {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
}

func (s *sqliteStore) work(ctx context.Context, conn *sql.Conn, m move, rows []row) error {
	if err := sqliteMove(ctx, conn, m); err != nil {
		return err
	}
	write, err := conn.PrepareContext(ctx, s.upsert)
	if err != nil {
		return err
	}
	defer func() { _ = write.Close() }()
	for _, r := range rows {
		if r.delete {
			_, err = conn.ExecContext(ctx, s.remove, r.cells...)
		} else {
			_, err = write.ExecContext(ctx, r.cells...)
		}
		if err != nil {
			return sqliteRowError(s.config.Table, r, err)
		}
	}
	return nil
}

// sqliteMove changes the position if it is still the one the caller knows.
func sqliteMove(ctx context.Context, conn *sql.Conn, m move) error {
	const now = `strftime('%Y-%m-%dT%H:%M:%fZ', 'now')`
	for _, attempt := range []struct {
		statement string
		args      []any
	}{
		{`UPDATE ` + offsetsTable + ` SET next_offset = ?, updated_at = ` + now + ` WHERE topology = ? AND sink = ? AND topic = ? AND partition = ? AND next_offset = ?`,
			[]any{m.next, m.topology, m.sink, m.topic, m.partition, m.from}},
		{`INSERT INTO ` + offsetsTable + ` VALUES (?, ?, ?, ?, ?, ` + now + `) ON CONFLICT DO NOTHING`,
			[]any{m.topology, m.sink, m.topic, m.partition, m.next}},
	} {
		result, err := conn.ExecContext(ctx, attempt.statement, attempt.args...)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 1 {
			return err
		}
	}
	return component.ErrMoved
}

// sqliteRowError tells a record that can never be written from a database that cannot write now.
func sqliteRowError(table string, r row, err error) error {
	switch sqliteCode(err) & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG:
		return rejected(r.index, "write row of table %q: %w", table, err)
	}
	return err
}

func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// lasting: SQLITE_ERROR is SQL that does not compile here, NOTADB a file that is something else. Disk, lock and
// permission trouble may pass.
func (s *sqliteStore) lasting(err error) bool {
	switch sqliteCode(err) & 0xff {
	case sqlite3.SQLITE_ERROR, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_AUTH:
		return true
	}
	return false
}

func (s *sqliteStore) close() error { return s.db.Close() }
