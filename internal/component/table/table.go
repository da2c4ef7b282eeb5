// Package table is the bolt that turns its source into a table: what an entry of the tables section of a topology becomes.
//
// It is package engine/join with settings; an instance belongs to one task, as package processor says. A global table has
// no tasks: the engine keeps it, and no instance of it is made.
package table

import (
	_ "embed"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/join"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/engine/store"
)

//go:embed table.md
var doc string

// Config is the settings of the bolt. They have the names of those of api.Table.
type Config struct {
	Store     string       `yaml:"store" default:"disk" enum:"disk|memory" doc:"Where the rows are kept: on disk, or in memory, from where they must be read anew at each start."`
	Global    bool         `yaml:"global" default:"false" doc:"Every process keeps the whole table, so that it can be joined by any field, whatever the partitions; for small tables."`
	History   api.Duration `yaml:"history" default:"0" doc:"How far back older versions of a row are kept, so that a join finds the one of the record's own time; 0 keeps the newest only." example:"7d"`
	Retention api.Duration `yaml:"retention" default:"0" doc:"How long a row lives after the time of its record; 0 means until it is removed." example:"30d"`
}

// Definition is the component.
func Definition() component.Definition {
	return component.DefineProcessor(component.Spec{
		Name:    "table",
		Summary: "Keeps the newest record of each key as a row, to be joined and asked for.",
		Doc:     doc,
		Examples: []component.Example{
			{Title: "On disk", YAML: `table: {}`},
			{Title: "Prices as they were, up to a week back", YAML: `table: {history: 7d}`},
			{Title: "A small table that every process has", YAML: `table: {global: true, store: memory}`},
		},
	}, validate, shape, open)
}

func validate(c *Config) (problems []component.Problem) {
	report := func(path, code, message, hint string) {
		problems = append(problems, component.Problem{Path: path, Code: code, Message: message, Hint: hint})
	}
	if c.Global && c.History > 0 {
		report("history", "setting-conflict", "check table: a global table keeps the newest version of a row only", "leave out global, or history")
	}
	if c.Retention > 0 && c.History > 0 {
		report("retention", "setting-conflict", "check table: a table with a history keeps the newest version of a row until it is removed", "leave out retention, or history")
	}
	return problems
}

func settings(c *Config) join.TableConfig {
	s := store.Spec{Kind: store.KindKeyValue, Memory: c.Store == "memory", Retention: time.Duration(c.Retention)}
	if c.History > 0 {
		s.Kind, s.Retention = store.KindVersioned, time.Duration(c.History)
	}
	return join.TableConfig{Store: s}
}

func shape(c *Config) component.Shape {
	return component.Shape{Keyed: !c.Global, Stores: settings(c).Stores(), Table: true, Global: c.Global}
}

func open(c *Config, _ component.Env) (processor.Processor, error) {
	return join.NewTable(settings(c)), nil
}
