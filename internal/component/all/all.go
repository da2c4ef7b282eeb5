// Package all makes the registry of every component the raven program has: one visible list.
//
// The registry does not change after it is made and may be read from any goroutine. A test or a slim binary makes a
// registry of its own from the packages it needs; nothing but an assembly room and tests should import this one.
package all

import (
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/topic"
)

// Components returns the registry of everything.
func Components() *component.Registry {
	return component.NewRegistry(
		topic.Spout(),

		topic.Sink(),
	)
}
