package sql

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"ravenswood.dev/internal/record"
)

// tableColumn is a column as the database has it.
type tableColumn struct {
	name   string
	dbType string // as the database calls it
	kind   kind
	bits   int    // of an integer
	filled bool   // the database gives it a value by itself: a default, a generated or an identity column
	cast   string // Postgres: the type a text is turned into
}

// planColumn is a column the sink writes, and where its value comes from.
type planColumn struct {
	tableColumn
	source source
}

// plan says how a record becomes a row. It does not change after it is made.
type plan struct {
	table   string
	mode    string
	deletes bool
	columns []planColumn // in the order of the table
	keys    []int        // indexes into columns, in the order of the settings
}

// A row is what one record does to the table: write cells, or delete the row whose key columns are the cells.
type row struct {
	index  int // of the record in the call
	delete bool
	cells  []cell
}

// wishes are the columns of the settings, sorted by name, as they would be created.
func wishes(c *Config) ([]planColumn, error) {
	var wanted []planColumn
	for _, name := range slices.Sorted(maps.Keys(c.Columns)) {
		src, err := parseSource(c.Columns[name].Field)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", name, err)
		}
		k, err := parseKind(c.Columns[name].Type)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", name, err)
		}
		if k == kindAuto && c.Create {
			k = src.kind()
		}
		wanted = append(wanted, planColumn{tableColumn: tableColumn{name: name, kind: k, bits: 64}, source: src})
	}
	return wanted, nil
}

// makePlan fits the settings to the table as it is.
func makePlan(c *Config, existing []tableColumn) (*plan, error) {
	p := &plan{table: c.Table, mode: c.Mode, deletes: c.Deletes}
	wanted, err := wishes(c)
	if err != nil {
		return nil, err
	}
	if len(wanted) == 0 {
		wanted = sameNames(c, existing)
	}
	if err := missing(c, wanted, existing); err != nil {
		return nil, err
	}
	for _, have := range existing {
		if i := slices.IndexFunc(wanted, func(w planColumn) bool { return w.name == have.name }); i >= 0 {
			p.columns = append(p.columns, fit(wanted[i], have))
		}
	}
	for _, name := range c.Key {
		p.keys = append(p.keys, slices.IndexFunc(p.columns, func(col planColumn) bool { return col.name == name }))
	}
	return p, nil
}

// sameNames fills each column from the top-level field of its name, except those that the database fills itself.
func sameNames(c *Config, existing []tableColumn) []planColumn {
	var wanted []planColumn
	for _, have := range existing {
		if !have.filled || slices.Contains(c.Key, have.name) {
			wanted = append(wanted, planColumn{tableColumn: tableColumn{name: have.name}, source: fieldSource(have.name)})
		}
	}
	return wanted
}

// fit takes over what the database knows of a column; a type in the settings decides the conversion.
func fit(wanted planColumn, have tableColumn) planColumn {
	if wanted.kind != kindAuto && wanted.kind != have.kind {
		have.kind, have.bits = wanted.kind, 64
	}
	return planColumn{tableColumn: have, source: wanted.source}
}

// missing names the first column that the table lacks, with what it has instead.
func missing(c *Config, wanted []planColumn, existing []tableColumn) error {
	names := make([]string, 0, len(existing))
	for _, have := range existing {
		names = append(names, have.name)
	}
	need := slices.Clone(c.Key)
	for _, w := range wanted {
		need = append(need, w.name)
	}
	for _, name := range need {
		if !slices.Contains(names, name) {
			return fmt.Errorf("table %q has no column %q%s; it has %s", c.Table, name, didYouMean(name, names), strings.Join(names, ", "))
		}
	}
	return nil
}

// didYouMean proposes the name that differs in case or in one letter only.
func didYouMean(name string, names []string) string {
	for _, n := range names {
		if strings.EqualFold(n, name) || oneEdit(strings.ToLower(n), strings.ToLower(name)) {
			return fmt.Sprintf(" (did you mean %q?)", n)
		}
	}
	return ""
}

// oneEdit says whether one letter changed, added, removed, or two neighbours swapped turn a into b.
func oneEdit(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	a, b = a[i:], b[i:]
	switch {
	case len(b)-len(a) > 1 || a == b:
		return false
	case len(b) > len(a):
		return a == b[1:]
	default:
		return a[1:] == b[1:] || len(a) > 1 && a[0] == b[1] && a[1] == b[0] && a[2:] == b[2:]
	}
}

// rows turns records into rows, in order.
func (p *plan) rows(records []*record.Record) ([]row, error) {
	rows := make([]row, 0, len(records))
	for i, r := range records {
		if r.Value == nil {
			if !p.deletes {
				continue
			}
			cells, err := p.deleted(i, r)
			if err != nil {
				return nil, err
			}
			rows = append(rows, row{index: i, delete: true, cells: cells})
			continue
		}
		cells, err := p.cells(i, r)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row{index: i, cells: cells})
	}
	return rows, nil
}

func (p *plan) cells(index int, r *record.Record) ([]cell, error) {
	in := newSubject(r)
	cells := make([]cell, len(p.columns))
	for i := range p.columns {
		v, err := p.columns[i].source.find(in)
		if err == nil {
			cells[i], err = convert(v, p.columns[i].kind, p.columns[i].bits)
		}
		if err != nil {
			return nil, p.reject(index, i, err)
		}
	}
	for _, k := range p.keys {
		if cells[k] == nil {
			return nil, p.reject(index, k, fmt.Errorf("the key is missing"))
		}
	}
	return cells, nil
}

// deleted are the key cells of a record without a value: a single key column that is a field is taken from the
// record's key, which is all there is.
func (p *plan) deleted(index int, r *record.Record) ([]cell, error) {
	in := &subject{Record: r}
	cells := make([]cell, len(p.keys))
	for i, k := range p.keys {
		col := p.columns[k]
		if col.source.path != nil {
			col.source = source{text: "$key", special: "$key"}
		}
		v, err := col.source.find(in)
		if err == nil && v.form == formNull {
			err = fmt.Errorf("the record has neither value nor key")
		}
		if err == nil {
			cells[i], err = convert(v, col.kind, col.bits)
		}
		if err != nil {
			return nil, p.reject(index, k, err)
		}
	}
	return cells, nil
}

func (p *plan) reject(index, column int, err error) error {
	c := p.columns[column]
	return rejected(index, "write column %q of table %q from %q: %w", c.name, p.table, c.source.text, err)
}

// names are the plan's columns, quoted.
func (p *plan) names() []string {
	names := make([]string, len(p.columns))
	for i, c := range p.columns {
		names[i] = quote(c.name)
	}
	return names
}

func (p *plan) keyNames() []string {
	names := make([]string, len(p.keys))
	for i, k := range p.keys {
		names[i] = quote(p.columns[k].name)
	}
	return names
}

// onConflict is the end of an insert: what happens if the key exists.
func (p *plan) onConflict() string {
	if p.mode != modeUpsert {
		return ""
	}
	var sets []string
	for i, c := range p.columns {
		if !slices.Contains(p.keys, i) {
			sets = append(sets, quote(c.name)+" = excluded."+quote(c.name))
		}
	}
	target := " ON CONFLICT (" + strings.Join(p.keyNames(), ", ") + ") DO "
	if len(sets) == 0 {
		return target + "NOTHING"
	}
	return target + "UPDATE SET " + strings.Join(sets, ", ")
}

// quote makes an identifier of a name, whatever is in it.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// createTable is the statement that makes the table the settings ask for.
func createTable(c *Config, table string, types map[kind]string) (string, error) {
	wanted, err := wishes(c)
	if err != nil {
		return "", err
	}
	// Key columns come first, as people would write them.
	slices.SortStableFunc(wanted, func(a, b planColumn) int { return keyRank(c, a.name) - keyRank(c, b.name) })
	var parts, keys []string
	for _, w := range wanted {
		null := ""
		if slices.Contains(c.Key, w.name) {
			null = " NOT NULL"
			keys = append(keys, quote(w.name))
		}
		parts = append(parts, quote(w.name)+" "+types[w.kind]+null)
	}
	if len(keys) > 0 {
		parts = append(parts, "PRIMARY KEY ("+strings.Join(keys, ", ")+")")
	}
	return "CREATE TABLE IF NOT EXISTS " + table + " (" + strings.Join(parts, ", ") + ")", nil
}

func keyRank(c *Config, name string) int {
	if i := slices.Index(c.Key, name); i >= 0 {
		return i
	}
	return len(c.Key)
}
