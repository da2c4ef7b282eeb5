// Package sql is the sink that keeps a table of SQLite or Postgres in step with a topic, exactly once: rows and the
// offset to go on from are written in one database transaction.
//
// Deliver and Position may be called from any goroutine, for different partitions at the same time; SQLite has one
// writer, so there they queue. Several processes may use the same table.
//
// Do not assume that a table is ever altered, that the order of rows within a batch is kept in modes with a key (a batch
// is folded to the last record of each key first), or that an open sink has a connection: a database that is down when
// the sink opens is looked for again at each call.
package sql

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ravenswood.dev/internal/component"
)

//go:embed sql.md
var doc string

// Config is the settings of the sql sink.
type Config struct {
	Driver  string            `yaml:"driver" default:"sqlite" enum:"sqlite|postgres" doc:"The database: SQLite in a file, or a Postgres server."`
	DSN     string            `yaml:"dsn" secret:"true" doc:"SQLite: path of the file, relative to the resource file; empty takes a file in the state folder. Postgres: connection string or URL. ${NAME} is taken from the environment." example:"${DATABASE_URL}"`
	Table   string            `yaml:"table" required:"true" doc:"Table to write; for Postgres also schema.table." example:"enriched"`
	Key     Names             `yaml:"key" doc:"Column, or list of columns, that tells rows apart; required by the modes upsert and insert." example:"messageId"`
	Columns map[string]Column `yaml:"columns" doc:"What each column gets: the path of a field, $key, $value, $time, $topic, $partition, $offset or header:NAME, or field and type. Empty takes the existing table's columns and the top-level fields of the same names." example:"{total: amount.value, at: $time}"`
	Create  bool              `yaml:"create" default:"false" doc:"Make the table if it is missing; it is never altered afterwards."`
	Mode    string            `yaml:"mode" default:"upsert" enum:"upsert|insert|append" doc:"upsert: the newest record of a key wins. insert: a key that exists makes its record a dead letter. append: every record is a new row."`
	Deletes bool              `yaml:"deletes" default:"false" doc:"A record without a value deletes the row of its key; otherwise it is skipped."`
	Sync    string            `yaml:"synchronous" default:"full" enum:"full|normal" doc:"SQLite only. full: a delivered row survives loss of power. normal: faster, the last transactions may be lost then; they are delivered again only while the log still has them."`
}

// Names is one name or a list of names.
type Names []string

// UnmarshalText reads the short form: a single name.
func (n *Names) UnmarshalText(text []byte) error {
	*n = Names{string(text)}
	return nil
}

// Column says what a column gets. The short form is the field alone.
type Column struct {
	Field string `yaml:"field" required:"true" doc:"Path of a field, $key, $value, $time, $topic, $partition, $offset, or header:NAME." example:"amount.value"`
	Type  string `yaml:"type" enum:"text|integer|real|numeric|boolean|json|timestamp|bytes" doc:"How the value is converted, and the column's type if the table is created; empty takes the existing column's type, or one that suits the field."`
}

// UnmarshalText reads the short form: the field alone.
func (c *Column) UnmarshalText(text []byte) error {
	*c = Column{Field: string(text)}
	return nil
}

// The modes.
const (
	modeUpsert = "upsert"
	modeInsert = "insert"
	modeAppend = "append"
)

// Sink is the sql sink.
func Sink() component.Definition {
	return component.DefineSink(component.Spec{
		Name:    "sql",
		Summary: "Writes rows to SQLite or Postgres, exactly once: offsets are stored in the transaction of the rows.",
		Doc:     doc,
		Examples: []component.Example{
			{Title: "Newest state per message in SQLite", YAML: "sql: {table: enriched, key: messageId, create: true, columns: {messageId: messageId, userId: user.id, value: {field: value, type: numeric}}}"},
			{Title: "An existing Postgres table, address from the environment", YAML: "sql: {driver: postgres, dsn: \"${DATABASE_URL}\", table: sales.orders, key: [shop, number]}"},
			{Title: "Every record as a row", YAML: "sql: {table: log, mode: append, create: true, columns: {origin: $offset, at: $time, body: $value}}"},
		},
	}, check, open)
}

// check reports what can be known without a database.
func check(c *Config) []component.Problem {
	var ps []component.Problem
	report := func(path, code, message, hint string) {
		ps = append(ps, component.Problem{Path: path, Code: code, Message: message, Hint: hint})
	}
	if c.Table == "" {
		report("table", "value-missing", `read table "": must not be empty`, "")
	}
	if c.Driver == "postgres" && c.DSN == "" {
		report("dsn", "value-missing", "read dsn: postgres needs an address", `keep it out of the file: dsn: "${DATABASE_URL}"`)
	}
	if len(c.Key) == 0 && c.Mode != modeAppend {
		report("key", "value-missing", fmt.Sprintf("read key: mode %q needs the columns that tell rows apart", c.Mode), "name key columns, or set mode: append")
	}
	if c.Create && len(c.Columns) == 0 {
		report("columns", "value-missing", "read columns: create needs to know the columns of the table", "list the columns, or create the table yourself")
	}
	if c.Deletes && c.Mode != modeUpsert {
		report("deletes", "value-invalid", fmt.Sprintf("read deletes: mode %q never deletes", c.Mode), "set mode: upsert")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Columns)) {
		ps = append(ps, checkColumn(name, c.Columns[name])...)
	}
	return append(ps, checkKey(c)...)
}

func checkColumn(name string, col Column) []component.Problem {
	var ps []component.Problem
	if _, err := parseSource(col.Field); err != nil {
		ps = append(ps, component.Problem{Path: "columns." + name, Code: "path-invalid", Message: err.Error(),
			Hint: "use the path of a field, " + strings.Join(specials, ", ") + " or header:NAME"})
	}
	if _, err := parseKind(col.Type); err != nil {
		ps = append(ps, component.Problem{Path: "columns." + name, Code: "value-invalid", Message: err.Error()})
	}
	return ps
}

// checkKey sees to it that each key column is filled, and from the record's key where values may be missing.
func checkKey(c *Config) []component.Problem {
	var ps []component.Problem
	for i, name := range c.Key {
		path := "key"
		col, ok := c.Columns[name]
		if len(c.Columns) > 0 && !ok {
			ps = append(ps, component.Problem{Path: path, Code: "name-unknown",
				Message: fmt.Sprintf("read key %q: it is not among the columns", name), Hint: "columns: " + strings.Join(slices.Sorted(maps.Keys(c.Columns)), ", ")})
		}
		if slices.Contains(c.Key[:i], name) {
			ps = append(ps, component.Problem{Path: path, Code: "name-twice", Message: fmt.Sprintf("read key %q: named twice", name)})
		}
		if c.Deletes && len(c.Key) > 1 && !strings.HasPrefix(col.Field, "$") && !strings.HasPrefix(col.Field, headerPrefix) {
			ps = append(ps, component.Problem{Path: "deletes", Code: "value-invalid",
				Message: fmt.Sprintf("read deletes: a record without a value cannot fill key column %q from a field", name),
				Hint:    "with several key columns all of them must come from $key, headers and the like"})
		}
	}
	return ps
}
