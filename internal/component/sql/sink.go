package sql

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
)

// store is one database. Its methods may be called concurrently once prepare has returned.
type store interface {
	// describe returns the table's columns in order, none if there is no such table, after making sure that the
	// offsets table is there.
	describe(ctx context.Context) ([]tableColumn, error)
	// create makes the table.
	create(ctx context.Context) error
	// prepare makes the statements for a plan and tries them out; nothing is written.
	prepare(ctx context.Context, p *plan) error
	position(ctx context.Context, id partitionID) (int64, bool, error)
	// deliver writes the rows and moves the position in one transaction.
	deliver(ctx context.Context, m move, rows []row) error
	// lasting says whether an error of the methods above is about the table or the settings, so that trying again
	// later does not help.
	lasting(err error) bool
	// each visits the values of one column, as text, of every row that has one.
	each(ctx context.Context, column string, visit func(text string) error) error
	close() error
}

// partitionID is the key of the offsets table.
type partitionID struct {
	topology, sink, topic string
	partition             int32
}

// move is a change of a partition's position.
type move struct {
	partitionID
	from, next int64
}

// offsetsTable holds the position of each partition of each sink, in the database the rows are in.
const offsetsTable = "raven_offsets"

// openTimeout bounds how long opening a sink waits for a database.
const openTimeout = 5 * time.Second

type sink struct {
	config *Config
	env    component.Env
	store  store

	mu   sync.Mutex
	plan *plan // nil until the database was reached
}

var _ component.Sink = (*sink)(nil)

// open looks at the database. Settings that do not fit it are an error now; a database that cannot be reached is not,
// it is asked again at each call.
func open(c *Config, env component.Env) (component.Sink, error) {
	st, err := openStore(c, env)
	if err != nil {
		return nil, component.Permanent(err)
	}
	s := &sink{config: c, env: env, store: st}
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	switch _, err := s.ready(ctx); {
	case err == nil:
		return s, nil
	case s.lasting(err):
		return nil, errors.Join(component.Permanent(err), st.close())
	default:
		env.Log.Warn("database not reached yet, trying again at each delivery", "sink", env.Name, "err", err)
		return s, nil
	}
}

func openStore(c *Config, env component.Env) (store, error) {
	dsn, err := expand(c.DSN)
	if err != nil {
		return nil, err
	}
	if c.Driver == "postgres" {
		return openPostgres(c, dsn)
	}
	return openSQLite(c, env, dsn)
}

var reference = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expand puts environment variables in place of ${NAME}, so that secrets stay out of files.
func expand(dsn string) (string, error) {
	var err error
	out := reference.ReplaceAllStringFunc(dsn, func(ref string) string {
		name := strings.Trim(ref, "${}")
		v, ok := os.LookupEnv(name)
		if !ok {
			err = fmt.Errorf("read dsn: environment variable %q is not set", name)
		}
		return v
	})
	return out, err
}

// errNoTable says that the table is missing and must not be made.
var errNoTable = errors.New("no such table")

// errMisfit says that the settings do not fit the table.
type errMisfit struct{ error }

func (s *sink) lasting(err error) bool {
	var misfit errMisfit
	return errors.Is(err, errNoTable) || errors.As(err, &misfit) || s.store.lasting(err)
}

// ready returns the plan, made from the table at the first call that reaches the database.
func (s *sink) ready(ctx context.Context) (*plan, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.plan != nil {
		return s.plan, nil
	}
	p, err := s.prepare(ctx)
	if err != nil {
		return nil, fmt.Errorf("prepare table %q: %w", s.config.Table, err)
	}
	s.plan = p
	return p, nil
}

func (s *sink) prepare(ctx context.Context) (*plan, error) {
	columns, err := s.store.describe(ctx)
	if err == nil && len(columns) == 0 {
		columns, err = s.makeTable(ctx)
	}
	if err != nil {
		return nil, err
	}
	p, err := makePlan(s.config, columns)
	if err != nil {
		return nil, errMisfit{err}
	}
	return p, s.store.prepare(ctx, p)
}

func (s *sink) makeTable(ctx context.Context) ([]tableColumn, error) {
	if !s.config.Create {
		return nil, fmt.Errorf("%w; set create: true to have it made", errNoTable)
	}
	if err := s.store.create(ctx); err != nil {
		return nil, err
	}
	return s.store.describe(ctx)
}

// Position reads the stored offset.
func (s *sink) Position(ctx context.Context, p component.Partition) (int64, bool, error) {
	if _, err := s.ready(ctx); err != nil {
		return 0, false, err
	}
	offset, ok, err := s.store.position(ctx, s.id(p))
	if err != nil {
		return 0, false, fmt.Errorf("read position of %s/%d: %w", p.Topic, p.Partition, err)
	}
	return offset, ok, nil
}

// Deliver writes the rows of the records and the new position in one transaction.
func (s *sink) Deliver(ctx context.Context, p component.Partition, from, next int64, records []*record.Record) error {
	pl, err := s.ready(ctx)
	if err != nil {
		return err
	}
	rows, err := pl.rows(records)
	if err != nil {
		return err
	}
	err = s.store.deliver(ctx, move{s.id(p), from, next}, rows)
	var reject *component.RejectedError
	if err == nil || errors.Is(err, component.ErrMoved) || errors.As(err, &reject) {
		return err
	}
	return fmt.Errorf("deliver %s/%d from %d to table %q: %w", p.Topic, p.Partition, from, s.config.Table, err)
}

func (s *sink) id(p component.Partition) partitionID {
	topic := p.Topic
	if p.Log != "" {
		topic += "@" + p.Log // offsets of a log that is gone mean nothing in its successor
	}
	return partitionID{s.env.Topology, s.env.Name, topic, p.Partition}
}

// Close lets go of the database.
func (s *sink) Close() error { return s.store.close() }
