package supervise

import (
	"fmt"
	"slices"
	"time"
)

// State is where a process is in its life:
//
//	    ┌───────────── wait ─────────────┐
//	    ▼                                │
//	starting ──health answers──▶ ready   │
//	 │    │                        │     │
//	 │    └──ended, or too late────┴──▶ backoff
//	 │                             │      │
//	 └───────────stop──────────────┴──┬───┘
//	                                  ▼
//	                              stopping ──ended──▶ stopped
type State string

// The states.
const (
	// Starting: the process runs or is about to, its health path has not answered. Next: Ready, Backoff, Stopping.
	Starting State = "starting"
	// Ready: the process runs and its health path has answered. Next: Backoff, Stopping.
	Ready State = "ready"
	// Backoff: no process runs, the next start waits for its time. Next: Starting, Stopping.
	Backoff State = "backoff"
	// Stopping: the process has been told to end, or there is none. Next: Stopped.
	Stopping State = "stopping"
	// Stopped: no process runs and none will. Final.
	Stopped State = "stopped"
)

// How long a process that ended waits for its next start: backoffFirst, doubled with each time, at most backoffMost, and
// less up to a half by chance. One that was ready for stableAfter begins anew.
const (
	backoffFirst = 200 * time.Millisecond
	backoffMost  = 30 * time.Second
	stableAfter  = 10 * time.Second
)

// machine is the state of one process. It is pure: time and chance come in, the pause comes out. Only the become
// functions write to it.
type machine struct {
	state    State
	since    time.Time
	pid      int
	url      string
	restarts int
	failures int    // ends in a row without a stable time between
	cause    string // why the last run ended, empty once it is ready again
}

func newMachine(now time.Time) machine { return machine{state: Starting, since: now} }

// becomeStarting says that a run begins; the first finds the machine in Starting.
func (m *machine) becomeStarting(now time.Time) {
	m.move(now, Starting, Starting, Backoff)
}

// started says that the process of this run exists.
func (m *machine) started(pid int, url string) { m.pid, m.url = pid, url }

func (m *machine) becomeReady(now time.Time) {
	m.move(now, Ready, Starting)
	m.cause = ""
}

// becomeBackoff says that a run ended, and returns how long to wait. Chance is from 0 to 1.
func (m *machine) becomeBackoff(now time.Time, cause string, chance float64) time.Duration {
	if m.state == Ready && now.Sub(m.since) >= stableAfter {
		m.failures = 0
	}
	m.move(now, Backoff, Starting, Ready)
	pause := min(backoffFirst<<min(m.failures, 16), backoffMost)
	m.failures++
	m.restarts++
	m.pid, m.url, m.cause = 0, "", cause
	return pause - time.Duration(chance*float64(pause)/2)
}

func (m *machine) becomeStopping(now time.Time) {
	m.move(now, Stopping, Starting, Ready, Backoff)
}

func (m *machine) becomeStopped(now time.Time) {
	m.move(now, Stopped, Stopping)
	m.pid, m.url = 0, ""
}

// move is the one place where a state changes. A move that the diagram does not show is a mistake of ours.
func (m *machine) move(now time.Time, to State, from ...State) {
	if !slices.Contains(from, m.state) {
		panic(fmt.Sprintf("supervise: from %s to %s", m.state, to))
	}
	m.state, m.since = to, now
}
