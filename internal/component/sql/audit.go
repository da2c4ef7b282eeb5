package sql

import (
	"context"
	"errors"
	"fmt"

	"ravenswood.dev/internal/component"
)

var _ component.Auditor = (*sink)(nil)

// Each visits the values of the column that gets the field.
func (s *sink) Each(ctx context.Context, field string, visit func(text string) error) error {
	if _, err := s.ready(ctx); err != nil {
		return err
	}
	column, ok := s.columnOf(field)
	if !ok {
		return fmt.Errorf("read field %q of table %q: no column gets it: %w", field, s.config.Table, errors.ErrUnsupported)
	}
	if err := s.store.each(ctx, column, visit); err != nil {
		return fmt.Errorf("read column %q of table %q: %w", column, s.config.Table, err)
	}
	return nil
}

// columnOf finds the column that gets a field: by the settings, or by its name if they leave the columns to the table.
func (s *sink) columnOf(field string) (string, bool) {
	for _, c := range s.plan.columns {
		from := c.name
		if len(s.config.Columns) > 0 {
			from = s.config.Columns[c.name].Field
		}
		if from == field {
			return c.name, true
		}
	}
	return "", false
}

func (s *sqliteStore) each(ctx context.Context, column string, visit func(text string) error) error {
	rows, err := s.db.QueryContext(ctx, fmt.Sprintf("SELECT CAST(%[1]s AS TEXT) FROM %[2]s WHERE %[1]s IS NOT NULL", quote(column), quote(s.config.Table))) //nolint:rowserrcheck // eachText asks
	if err != nil {
		return err
	}
	defer rows.Close()
	return eachText(rows, visit)
}

func (s *postgresStore) each(ctx context.Context, column string, visit func(text string) error) error {
	rows, err := s.pool.Query(ctx, fmt.Sprintf("SELECT %[1]s::text FROM %[2]s WHERE %[1]s IS NOT NULL", quote(column), s.table))
	if err != nil {
		return err
	}
	defer rows.Close()
	return eachText(rows, visit)
}

// textRows is what both drivers have of rows.
type textRows interface {
	Next() bool
	Scan(into ...any) error
	Err() error
}

func eachText(rows textRows, visit func(text string) error) error {
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		if err := visit(text); err != nil {
			return err
		}
	}
	return rows.Err()
}
