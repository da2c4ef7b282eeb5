package node

import (
	"fmt"

	"ravenswood.dev/internal/admin"
	"ravenswood.dev/internal/engine"
)

// failing tells which workers of a topology get no further.
func failing(s engine.Status) (all []admin.Condition) {
	for _, f := range s.Failing {
		all = append(all, admin.Condition{
			Code: "failing", Title: fmt.Sprintf("worker %d of topology %q has begun again %d times from its last commit", f.Worker, s.Topology, f.Times),
			Text: f.Error, Hint: "nothing is lost: it goes on by itself when the reason is gone; the log of the process has each failure",
		})
	}
	return all
}
