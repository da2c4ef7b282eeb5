// Package tablejoin is the bolt that joins each record with a row of a table.
//
// It is package engine/join with settings and expressions; an instance belongs to one task, as package processor says.
package tablejoin

import (
	_ "embed"
	"fmt"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/check"
	"ravenswood.dev/internal/component/enrich"
	"ravenswood.dev/internal/engine/join"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/expr"
	"ravenswood.dev/internal/record"
)

//go:embed tablejoin.md
var doc string

// Config is the settings of the bolt.
type Config struct {
	Table  string        `yaml:"table" required:"true" doc:"Name of the table: an entry of the topology's tables, or a bolt that keeps something." example:"users"`
	Key    string        `yaml:"key" doc:"Expression for the row's key, for global tables; empty takes the record's key." example:"event.userId"`
	Type   string        `yaml:"type" default:"inner" enum:"inner|left" doc:"What becomes of a record without a row: it is dropped, or it goes on with null in the row's place."`
	As     string        `yaml:"as" doc:"Path of the field that the whole row is put into; empty is the table's name, unless there is a set." example:"user"`
	Set    enrich.Fields `yaml:"set" doc:"Fields to set: path to expression, over event and table." example:"{name: table.name}"`
	AsOf   string        `yaml:"asOf" doc:"For a table with a history: expression for the time whose row is wanted, usually time, which is the record's own, or the word latest." example:"time"`
	Format string        `yaml:"format" default:"json" enum:"json|raw|text" doc:"What the table's values are."`
}

// latest is the value of AsOf that asks for the newest row.
const latest = "latest"

// language is what Set is written in.
var language = enrich.OverRecord("table")

// Definition is the component.
func Definition() component.Definition {
	return component.WithFormat(component.DefineProcessor(component.Spec{
		Name:    "table-join",
		Summary: "Joins each record with the row that a table has for it.",
		Doc:     doc,
		Examples: []component.Example{
			{Title: "The row of the record's key, as the field users", YAML: `table-join: {table: users}`},
			{Title: "Two fields of the row, also where there is none", YAML: `table-join: {table: users, type: left, set: {name: 'table.?name', known: table != null}}`},
			{Title: "A global table by any field", YAML: `table-join: {table: countries, key: event.address.country, as: country}`},
			{Title: "The price at the time of the order", YAML: `table-join: {table: prices, asOf: time, set: {total: event.count * table.price}}`},
		},
	}, validate, shape, open), func(*Config) record.Format { return record.JSON })
}

func validate(c *Config) (problems []component.Problem) {
	if c.Table == "" {
		problems = append(problems, component.Problem{Path: "table", Code: "value-missing", Message: `check table-join: table is ""`, Hint: "name a table"})
	}
	if c.Key != "" {
		problems = append(problems, check.Expression("key", c.Key, expr.String)...)
	}
	if c.AsOf != "" && c.AsOf != latest {
		problems = append(problems, check.Expression("asOf", c.AsOf, expr.String)...)
	}
	if c.AsOf != "" && c.Key != "" {
		problems = append(problems, component.Problem{Path: "asOf", Code: "setting-conflict",
			Message: "check table-join: a key is for global tables, asOf for tables with a history, and none is both", Hint: "put a rekey bolt before the join instead of giving a key"})
	}
	return append(problems, enrich.Check(language, c.As, c.Set)...)
}

func shape(c *Config) component.Shape {
	kind := store.KindKeyValue
	if c.AsOf != "" {
		kind = store.KindVersioned
	}
	return component.Shape{Reads: []string{c.Table}, ReadKinds: []store.Kind{kind}, AnyKey: c.Key != ""}
}

// joiner is an instance: the join, and what its functions look through.
type joiner struct {
	join   processor.Processor
	maker  *enrich.Maker
	key    *expr.Program
	asOf   *expr.Program
	format record.Format
	table  string
}

func open(c *Config, _ component.Env) (processor.Processor, error) {
	format, err := record.ParseFormat(c.Format)
	if err != nil {
		return nil, err
	}
	j := &joiner{format: format, table: c.Table}
	if j.maker, err = enrich.New(language, c.as(), "table", c.Set); err != nil {
		return nil, err
	}
	cfg := join.StreamTableConfig{
		Table: join.Source{Store: c.Table, Versioned: c.AsOf != ""}, Latest: c.AsOf == latest, Join: j.make, Format: record.JSON,
	}
	if c.Type == join.Left.String() {
		cfg.Type = join.Left
	}
	if c.Key != "" {
		if j.key, err = compile("key", c.Key); err != nil {
			return nil, err
		}
		cfg.Key = j.keyOf
	}
	if c.AsOf != "" && c.AsOf != latest && c.AsOf != "time" {
		if j.asOf, err = compile("asOf", c.AsOf); err != nil {
			return nil, err
		}
		cfg.AsOf = j.timeOf
	}
	j.join = join.NewStreamTable(cfg)
	return j, nil
}

// as is where the row is put.
func (c *Config) as() string {
	if c.As == "" && len(c.Set) == 0 {
		return `"` + c.Table + `"`
	}
	return c.As
}

func compile(setting, src string) (*expr.Program, error) {
	program, problems := expr.Compile(src, expr.String)
	if problems != nil {
		return nil, fmt.Errorf("open table-join: %s: %s", setting, problems[0].Message)
	}
	return program, nil
}

// Open implements processor.Processor.
func (j *joiner) Open(c processor.Context) error { return j.join.Open(c) }

// Late implements join.Counted.
func (j *joiner) Late() uint64 { return j.join.(join.Counted).Late() }

// Dropped implements join.Counted.
func (j *joiner) Dropped() uint64 { return j.join.(join.Counted).Dropped() }

// Process implements processor.Processor.
func (j *joiner) Process(input int, r *record.Record) error {
	j.maker.Input().Reset(r)
	defer j.maker.Input().Reset(nil)
	if err := j.join.Process(input, r); err != nil {
		return component.Permanent(err)
	}
	return nil
}

func (j *joiner) keyOf(*record.Record) ([]byte, error) {
	key, absent, err := j.key.AppendText([]byte{}, j.maker.Input())
	switch {
	case err != nil:
		return nil, fmt.Errorf("make the key: %w", err)
	case absent:
		return nil, nil
	}
	return key, nil
}

func (j *joiner) timeOf(*record.Record) (time.Time, error) {
	text, absent, err := j.asOf.AppendText(nil, j.maker.Input())
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("make the time: %w", err)
	case absent:
		return time.Time{}, fmt.Errorf("make the time: evaluate %q: it gives none", j.asOf.Source())
	}
	at, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return time.Time{}, fmt.Errorf("make the time: evaluate %q: %q is not a time", j.asOf.Source(), text)
	}
	return at, nil
}

func (j *joiner) make(r *record.Record, row []byte) ([]byte, error) {
	if r.Format != record.JSON {
		return nil, fmt.Errorf("join table %q: the value is %s, want a JSON object", j.table, r.Format)
	}
	return j.maker.Make(r.Value, enrich.Variable{Value: row, Format: j.format})
}
