package sql

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/internal/component"
)

func sqliteOf(t *testing.T, s component.Sink) *sqliteStore {
	t.Helper()
	return s.(*sink).store.(*sqliteStore)
}

// wantRetried checks that an error is one that the engine tries again.
func wantRetried(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || errors.Is(err, component.ErrMoved) || errors.As(err, new(*component.RejectedError)) || component.ClassOf(err) == component.Never {
		t.Fatalf("got %v, want an error that is retried", err)
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("error %q does not say %q", err, want)
	}
}

func TestSQLiteFullDiskIsRetried(t *testing.T) {
	d := newSQLite(t)
	s := d.open(t, messages())
	deliver(t, s, 0, `{"id":"a"}`)
	db := sqliteOf(t, s).db
	var pages int
	if err := db.QueryRow(`PRAGMA page_count`).Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit := func(n int) {
		if _, err := db.Exec(fmt.Sprintf(`PRAGMA max_page_count = %d`, n)); err != nil {
			t.Fatal(err)
		}
	}
	limit(pages + 2)
	big := strings.Repeat("x", 100_000)
	wantRetried(t, tryDeliver(s, 1, `{"id":"b"}`, `{"id":"c","note":"`+big+`"}`), "full")
	wantRows(t, d, allMessages, "a|-|-")
	wantPosition(t, s, 1)
	deliver(t, s, 1, `{"id":"b"}`)
	limit(1 << 20)
	deliver(t, s, 2, `{"id":"c","note":"`+big+`"}`)
	wantRows(t, d, `SELECT count(*), sum(length(note)) FROM messages`, "3|100000")
}

func TestSQLiteWaitsForAnotherWriter(t *testing.T) {
	d := newSQLite(t)
	s := d.open(t, messages())
	conn, err := d.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	wantRetried(t, s.Deliver(ctx, p0, 0, 1, jsonRecords(`{"id":"a"}`)), "")
	done := make(chan error, 1)
	go func() { done <- tryDeliver(s, 0, `{"id":"a"}`) }()
	if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wantRows(t, d, allMessages, "a|-|-")
}

func TestSQLiteIsDurableAndUsesAWriteAheadLog(t *testing.T) {
	for sync, want := range map[string]string{"full": "2", "normal": "1"} {
		d := newSQLite(t)
		c := messages()
		c.Sync = sync
		db := sqliteOf(t, d.open(t, c)).db
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": want, "wal_autocheckpoint": "20000", "busy_timeout": "10000"} {
			var got string
			if err := db.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s: %s is %q, %v; want %q", sync, pragma, got, err, want)
			}
		}
	}
}

func TestSQLitePaths(t *testing.T) {
	state, dir := t.TempDir(), t.TempDir()
	env := component.Env{Topology: "enricher", Name: "latest", Dir: dir, StateDir: state, Log: slog.New(slog.DiscardHandler)}
	t.Setenv("RAVEN_TEST_DB", "by-env.db")
	for _, tc := range []struct{ dsn, want string }{
		{"", filepath.Join(state, "enricher.db")},
		{"sub/data.db", filepath.Join(dir, "sub/data.db")},
		{filepath.Join(state, "abs.db"), filepath.Join(state, "abs.db")},
		{"${RAVEN_TEST_DB}", filepath.Join(dir, "by-env.db")},
	} {
		t.Run(tc.dsn, func(t *testing.T) {
			c := messages()
			c.Driver, c.Mode, c.Sync, c.DSN = "sqlite", modeUpsert, "full", tc.dsn
			s, err := open(&c, env)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			if _, err := os.Stat(tc.want); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSQLiteOpenErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "text.db"), []byte(strings.Repeat("this is not a database ", 100)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ dsn, want string }{
		{":memory:", "wants the path of a file"},
		{"file:x?mode=ro", "wants the path of a file"},
		{"${RAVEN_TEST_UNSET}", `environment variable "RAVEN_TEST_UNSET" is not set`},
		{"text.db", "not a database"},
	} {
		t.Run(tc.dsn, func(t *testing.T) {
			c := messages()
			c.Driver, c.Mode, c.Sync, c.DSN = "sqlite", modeUpsert, "full", tc.dsn
			_, err := open(&c, component.Env{Topology: "t", Name: "out", Dir: dir, Log: slog.New(slog.DiscardHandler)})
			if component.ClassOf(err) != component.Never || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want a permanent error with %q", err, tc.want)
			}
		})
	}
}
