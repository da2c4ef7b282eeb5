package sql

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"ravenswood.dev/internal/component"
)

// postgresStore is a table in Postgres. A batch goes out as one statement over arrays of texts, which the server casts
// to the columns' types: it accepts every type there is, and keeps number literals as written.
type postgresStore struct {
	config  *Config
	pool    *pgxpool.Pool
	table   string // quoted, with its schema if one was given
	offsets string // in the same schema
	plan    *plan
	many    statements // over arrays
	one     statements // for a single row
}

// statements are a table's insert and delete.
type statements struct{ insert, remove string }

var _ store = (*postgresStore)(nil)

var postgresTypes = map[kind]string{
	kindText: "text", kindInteger: "bigint", kindReal: "double precision", kindNumeric: "numeric", kindBoolean: "boolean",
	kindJSON: "jsonb", kindTimestamp: "timestamptz", kindBytes: "bytea",
}

func openPostgres(c *Config, dsn string) (*postgresStore, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		// The reason quotes the string, which may hold a secret where pgx does not expect one.
		return nil, errors.New("read dsn: it is not a Postgres URL or connection string")
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "raven"
	}
	// The pool connects when it is first used.
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	s := &postgresStore{config: c, pool: pool, offsets: quote(offsetsTable)}
	schema, name, qualified := strings.Cut(c.Table, ".")
	if qualified {
		s.table, s.offsets = quote(schema)+"."+quote(name), quote(schema)+"."+s.offsets
	} else {
		s.table = quote(c.Table)
	}
	return s, nil
}

// offsetsLock is taken while the tables are made: CREATE TABLE IF NOT EXISTS of two sessions at once can fail.
const offsetsLock = 0x726176656e // "raven"

func (s *postgresStore) describe(ctx context.Context) ([]tableColumn, error) {
	if err := s.define(ctx, `CREATE TABLE IF NOT EXISTS `+s.offsets+` (
		topology text NOT NULL, sink text NOT NULL, topic text NOT NULL, partition integer NOT NULL,
		next_offset bigint NOT NULL, updated_at timestamptz NOT NULL,
		PRIMARY KEY (topology, sink, topic, partition))`, s.offsets); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `
		SELECT a.attname, format_type(a.atttypid, a.atttypmod),
		       quote_ident(n.nspname) || '.' || quote_ident(t.typname),
		       t.typcategory = 'S', coalesce(b.typname, t.typname),
		       a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> ''
		FROM pg_attribute a
		JOIN pg_type t ON t.oid = a.atttypid
		JOIN pg_namespace n ON n.oid = t.typnamespace
		LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype
		WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
		ORDER BY a.attnum`, s.table)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (tableColumn, error) {
		c, base, isString := tableColumn{bits: 64}, "", false
		if err := r.Scan(&c.name, &c.dbType, &c.cast, &isString, &base, &c.filled); err != nil {
			return c, err
		}
		c.kind, c.bits = postgresKind(base)
		if isString {
			// An explicit cast to a type with a length cuts silently. Without one, Postgres complains.
			c.cast = ""
		}
		return c, nil
	})
}

// define makes a table unless it is there; a role that may not create tables can work if somebody else made them.
func (s *postgresStore) define(ctx context.Context, statement, name string) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var there bool
		if err := tx.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, name).Scan(&there); err != nil || there {
			return err
		}
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(offsetsLock)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, statement)
		return err
	})
}

// postgresKind says how values of a type are converted. A type that is not listed takes the text as it is.
func postgresKind(base string) (kind, int) {
	switch base {
	case "int2":
		return kindInteger, 16
	case "int4":
		return kindInteger, 32
	case "int8":
		return kindInteger, 64
	case "float4", "float8":
		return kindReal, 64
	case "numeric":
		return kindNumeric, 64
	case "bool":
		return kindBoolean, 64
	case "json", "jsonb":
		return kindJSON, 64
	case "timestamptz", "timestamp", "date":
		return kindTimestamp, 64
	case "bytea":
		return kindBytes, 64
	default:
		return kindText, 64
	}
}

func (s *postgresStore) create(ctx context.Context) error {
	statement, err := createTable(s.config, s.table, postgresTypes)
	if err != nil {
		return err
	}
	return s.define(ctx, statement, s.table)
}

// prepare tries both statements with no rows at all, which checks names, types, keys and rights.
func (s *postgresStore) prepare(ctx context.Context, p *plan) error {
	s.plan = p
	s.many, s.one = s.statements(p, true), s.statements(p, false)
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, s.many.insert, columnArrays(nil, len(p.columns))...); err != nil {
			return noUniqueKey(p, err)
		}
		if !p.deletes {
			return nil
		}
		_, err := tx.Exec(ctx, s.many.remove, columnArrays(nil, len(p.keys))...)
		return err
	})
}

// statements are written over a list of rows c1, c2, ... that comes from arrays, or from single parameters.
func (s *postgresStore) statements(p *plan, arrays bool) statements {
	keyColumns := make([]planColumn, len(p.keys))
	for i, k := range p.keys {
		keyColumns[i] = p.columns[k]
	}
	values := make([]string, len(p.columns))
	for i, c := range p.columns {
		values[i] = castTo(i, c.cast)
	}
	same := make([]string, len(keyColumns))
	for i, c := range keyColumns {
		same[i] = "t." + quote(c.name) + " = " + castTo(i, c.cast)
	}
	return statements{
		insert: "INSERT INTO " + s.table + " (" + strings.Join(p.names(), ", ") + ") SELECT " + strings.Join(values, ", ") +
			" FROM " + rowSource(len(p.columns), arrays) + p.onConflict(),
		remove: "DELETE FROM " + s.table + " AS t USING " + rowSource(len(p.keys), arrays) + " WHERE " + strings.Join(same, " AND "),
	}
}

func castTo(i int, typ string) string {
	name := "u.c" + strconv.Itoa(i+1)
	if typ == "" {
		return name
	}
	return name + "::" + typ
}

func rowSource(columns int, arrays bool) string {
	params, names := make([]string, columns), make([]string, columns)
	for i := range columns {
		params[i], names[i] = "$"+strconv.Itoa(i+1)+"::text", "c"+strconv.Itoa(i+1)
		if arrays {
			params[i] += "[]"
		}
	}
	list, alias := strings.Join(params, ", "), " AS u("+strings.Join(names, ", ")+")"
	if arrays {
		return "unnest(" + list + ")" + alias
	}
	return "(SELECT " + list + ")" + alias
}

func (s *postgresStore) position(ctx context.Context, id partitionID) (offset int64, ok bool, err error) {
	err = s.pool.QueryRow(ctx, `SELECT next_offset FROM `+s.offsets+` WHERE topology = $1 AND sink = $2 AND topic = $3 AND partition = $4`,
		id.topology, id.sink, id.topic, id.partition).Scan(&offset)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, false, nil
	}
	return offset, err == nil, err
}

// deliver tries the rows all at once. If the server refuses one it does not say which, so they are sent one by one,
// still in one transaction and one round trip; the one that fails is rejected.
func (s *postgresStore) deliver(ctx context.Context, m move, rows []row) error {
	err := s.transact(ctx, m, func(tx pgx.Tx) error { return s.writeMany(ctx, tx, rows) })
	if !isDataError(err) || len(rows) == 0 {
		return err
	}
	return s.transact(ctx, m, func(tx pgx.Tx) error { return s.writeEach(ctx, tx, rows) })
}

func (s *postgresStore) transact(ctx context.Context, m move, write func(pgx.Tx) error) error {
	// Read committed, whatever the server's default: the conditional update of the position is the lock.
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		if err := s.move(ctx, tx, m); err != nil {
			return err
		}
		return write(tx)
	})
}

// move changes the position if it is still the one the caller knows. It waits for another transaction that is about
// to move the same partition, and then finds it moved.
func (s *postgresStore) move(ctx context.Context, tx pgx.Tx, m move) error {
	tag, err := tx.Exec(ctx, `UPDATE `+s.offsets+` SET next_offset = $1, updated_at = now()
		WHERE topology = $2 AND sink = $3 AND topic = $4 AND partition = $5 AND next_offset = $6`,
		m.next, m.topology, m.sink, m.topic, m.partition, m.from)
	if err != nil || tag.RowsAffected() == 1 {
		return err
	}
	tag, err = tx.Exec(ctx, `INSERT INTO `+s.offsets+` VALUES ($1, $2, $3, $4, $5, now()) ON CONFLICT DO NOTHING`,
		m.topology, m.sink, m.topic, m.partition, m.next)
	if err == nil && tag.RowsAffected() == 0 {
		return component.ErrMoved
	}
	return err
}

// writeMany sends the rows as arrays. With a key, only the last record of each key counts, since one statement must not
// touch a row twice; the rest is sorted by key, so that two writers lock rows in the same order.
func (s *postgresStore) writeMany(ctx context.Context, tx pgx.Tx, rows []row) error {
	if s.plan.mode == modeUpsert {
		rows = s.fold(rows)
	}
	writes := slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.delete })
	removes := slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return !r.delete })
	if len(writes) > 0 {
		if _, err := tx.Exec(ctx, s.many.insert, columnArrays(writes, len(s.plan.columns))...); err != nil {
			return err
		}
	}
	if len(removes) > 0 {
		if _, err := tx.Exec(ctx, s.many.remove, columnArrays(removes, len(s.plan.keys))...); err != nil {
			return err
		}
	}
	return nil
}

// fold keeps the last row of each key, sorted by key.
func (s *postgresStore) fold(rows []row) []row {
	type keyed struct {
		key string
		row
	}
	last := make(map[string]int, len(rows))
	all := make([]keyed, 0, len(rows))
	for _, r := range rows {
		key := s.keyOf(r)
		if i, ok := last[key]; ok {
			all[i].row = r
			continue
		}
		last[key] = len(all)
		all = append(all, keyed{key, r})
	}
	slices.SortFunc(all, func(a, b keyed) int { return strings.Compare(a.key, b.key) })
	folded := make([]row, len(all))
	for i := range all {
		folded[i] = all[i].row
	}
	return folded
}

// keyOf is a text that is the same for the same key cells. Keys that only the database holds equal, such as 1 and 1.0,
// differ here; it then refuses the statement and the rows go one by one.
func (s *postgresStore) keyOf(r row) string {
	var key strings.Builder
	for i, k := range s.plan.keys {
		at := k
		if r.delete {
			at = i // a delete's cells are the key columns only
		}
		text := cellText(r.cells[at])
		key.WriteString(strconv.Itoa(len(*text)))
		key.WriteByte(':')
		key.WriteString(*text)
	}
	return key.String()
}

// writeEach sends each row as a statement of its own, in the order of the records.
func (s *postgresStore) writeEach(ctx context.Context, tx pgx.Tx, rows []row) error {
	var batch pgx.Batch
	// Deferred constraints would otherwise fail at commit, when no row can be blamed.
	batch.Queue("SET CONSTRAINTS ALL IMMEDIATE")
	for _, r := range rows {
		statement := s.one.insert
		if r.delete {
			statement = s.one.remove
		}
		args := make([]any, len(r.cells))
		for i, c := range r.cells {
			args[i] = cellText(c)
		}
		batch.Queue(statement, args...)
	}
	results := tx.SendBatch(ctx, &batch)
	defer func() { _ = results.Close() }()
	if _, err := results.Exec(); err != nil {
		return err
	}
	for _, r := range rows {
		if _, err := results.Exec(); isDataError(err) {
			return rejected(r.index, "write row of table %q: %w", s.config.Table, err)
		} else if err != nil {
			return err
		}
	}
	return results.Close()
}

// columnArrays turns rows of cells into one array of texts per column.
func columnArrays(rows []row, columns int) []any {
	arrays := make([]any, columns)
	for i := range arrays {
		texts := make([]*string, len(rows))
		for j, r := range rows {
			texts[j] = cellText(r.cells[i])
		}
		arrays[i] = texts
	}
	return arrays
}

// cellText is how Postgres reads a cell; nil is null.
func cellText(c cell) *string {
	var text string
	switch c := c.(type) {
	case nil:
		return nil
	case string:
		text = c
	case int64:
		text = strconv.FormatInt(c, 10)
	case float64:
		text = strconv.FormatFloat(c, 'g', -1, 64)
	case bool:
		text = strconv.FormatBool(c)
	case []byte:
		text = `\x` + hex.EncodeToString(c)
	}
	return &text
}

// isDataError says whether the server refused what a row holds: a value its type cannot take, a constraint, a limit of
// the server's own, a trigger that raised an error, or one statement that touches a row twice.
func isDataError(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	switch pg.Code {
	case "21000", "44000", "P0001", "54000":
		return true
	}
	return strings.HasPrefix(pg.Code, "22") || strings.HasPrefix(pg.Code, "23")
}

// lasting: class 42 is SQL that does not fit the schema, or a right that is missing.
func (s *postgresStore) lasting(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && strings.HasPrefix(pg.Code, "42")
}

func (s *postgresStore) close() error {
	s.pool.Close()
	return nil
}
