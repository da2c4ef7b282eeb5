package engine

import (
	"errors"
	"fmt"

	"ravenswood.dev/internal/component"
)

// defectError is a bolt that can't be opened and never will: a mistake in the program or in the topology. Starting the
// worker again would end the same way for ever, so it stops the topology.
type defectError struct {
	stage string
	err   error
}

func (e *defectError) Error() string {
	return fmt.Sprintf("start stage %q: %v; this is a mistake in the topology or its code, and trying again would not help", e.stage, e.err)
}

func (e *defectError) Unwrap() error { return e.err }

// openFailed says what a unit's failure to open means. While its stores are sound an error that is marked permanent, as
// that of a panic is, can only be a defect.
func (s *session) openFailed(u *unit, err error) error {
	if broken := u.state.Err(); broken != nil {
		return fmt.Errorf("open stores of stage %q partition %d: %w", u.stage.Name, u.id.n, broken)
	}
	if component.ClassOf(err) != component.Never {
		return err
	}
	var panicked interface{ Stack() string }
	if errors.As(err, &panicked) {
		s.w.log.Error("a bolt panicked while it was opened", "err", err, "stack", panicked.Stack())
	}
	s.leaving = true // somebody else may have a version that works
	return &defectError{u.stage.Name, err}
}
