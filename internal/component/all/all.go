// Package all makes the registry of every component the raven program has: one visible list.
//
// The registry does not change after it is made and may be read from any goroutine. A test or a slim binary makes a
// registry of its own from the packages it needs; nothing but an assembly room and tests should import this one.
package all

import (
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/aggregate"
	"ravenswood.dev/internal/component/branch"
	"ravenswood.dev/internal/component/call"
	"ravenswood.dev/internal/component/deduplicate"
	"ravenswood.dev/internal/component/file"
	"ravenswood.dev/internal/component/filter"
	"ravenswood.dev/internal/component/generate"
	"ravenswood.dev/internal/component/logger"
	"ravenswood.dev/internal/component/rekey"
	"ravenswood.dev/internal/component/sql"
	"ravenswood.dev/internal/component/streamjoin"
	"ravenswood.dev/internal/component/table"
	"ravenswood.dev/internal/component/tablejoin"
	"ravenswood.dev/internal/component/topic"
	"ravenswood.dev/internal/component/transform"
	"ravenswood.dev/internal/component/window"
)

// Components returns the registry of everything.
func Components() *component.Registry {
	return component.NewRegistry(
		file.Spout(),
		generate.Definition(),
		topic.Spout(),

		aggregate.Definition(),
		branch.Definition(),
		call.Definition(),
		deduplicate.Definition(),
		filter.Definition(),
		logger.Definition(),
		rekey.Definition(),
		streamjoin.Definition(),
		table.Definition(),
		tablejoin.Definition(),
		transform.Definition(),
		window.Definition(),

		file.Sink(),
		sql.Sink(),
		topic.Sink(),
	)
}
