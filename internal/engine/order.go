package engine

import "time"

// release moves what is finished of a task to the outbox.
func (s *session) release(t *task) {
	if t.unit != nil {
		s.releaseUnit(t.unit, time.Now())
		return
	}
	s.outbox = s.releaseTask(t)
}

// releaseUnit releases what it can of a unit, and reads on where that made room.
func (s *session) releaseUnit(u *unit, now time.Time) {
	s.releaseInOrder(u, now)
	for _, t := range u.inputs {
		s.resumeIfRoom(t)
	}
}

// releaseInOrder releases the records of a unit in the order of their event times: of the fronts of its inputs' rings the
// earliest is next. It stops where the next record is not finished, or an input has nothing here but more on the log.
func (s *session) releaseInOrder(u *unit, now time.Time) {
	for {
		t, wait := u.next(s.w.engine.moreOn)
		if wait != noWait && u.starved.IsZero() {
			u.starved = now
		}
		u.unsure = wait == untilLooked && now.Sub(u.starved) < unsureMax
		if wait != noWait {
			if now.Sub(u.starved) < starvedMax || !u.doubt() {
				return
			}
			continue
		}
		u.starved = time.Time{}
		if t == nil {
			u.trust()
		}
		if t == nil || t.ring[0].status != done {
			return
		}
		e := t.releaseFront()
		s.inHand--
		s.inBytes -= e.size
		s.outbox, s.outBytes = append(s.outbox, e), s.outBytes+e.size
	}
}

// starvedMax is how long the records of one input wait for those of another of which no more is known than that its log goes
// on. Then somebody reads what is there: an open transaction, and what compaction has left, are not waited for. A record
// that can be read is waited for however long it takes. Time alone says nothing: the process may have been stopped, or
// the broker away, and whoever goes on then makes late what is not.
const starvedMax = 10 * time.Second

// unsureMax is how long a look at the log is thought to take milliseconds. After that somebody is away, and reading goes on as if
// the log had more.
const unsureMax = time.Second

// wait is what a unit waits for before it works on its next record.
type wait uint8

const (
	noWait      wait = iota
	untilRead        // an input has nothing here but more on the log
	untilLooked      // nobody knows what the log has: somebody was sent to look, which takes milliseconds
)

// next is the input whose front comes first, and what it has to wait for. With equal times the earlier input of the stage
// comes first, so that the order does not depend on what arrived when. The end of a transaction goes at once: its time is
// that of the broker's clock, and older records may stand behind it.
func (u *unit) next(more func(t *task, since time.Time) wait) (first *task, until wait) {
	for _, t := range u.inputs {
		switch {
		case len(t.ring) == 0:
		case t.ring[0].raw.Attrs.IsControl():
			return t, noWait
		case first == nil, t.ring[0].rec.Time.Before(first.ring[0].rec.Time):
			first = t
		}
	}
	if first == nil {
		return nil, noWait
	}
	for _, t := range u.inputs {
		if len(t.ring) > 0 || !t.awaited() {
			continue
		}
		if until = more(t, first.ring[0].started); until != noWait {
			return first, until
		}
	}
	return first, noWait
}

// awaited says whether others wait for a task's records. Nobody waits for dead letters that may come back, for an input
// that is full of parked records and is not read, or for one that begins with what is still to come.
func (t *task) awaited() bool {
	fresh := t.input.Start == "latest" && t.next < 0
	return t.input.Name != "" && t.parkedCount == 0 && !fresh
}

// doubt wants to know of inputs that have brought nothing whether there is a record to be read, until they bring something.
// It says whether that is new.
func (u *unit) doubt() (isNew bool) {
	for _, t := range u.inputs {
		if len(t.ring) == 0 && !t.silent {
			t.silent, isNew = true, true
		}
	}
	return isNew
}

// trust ends all doubts: nothing waits, and what comes next is another matter.
func (u *unit) trust() {
	for _, t := range u.inputs {
		t.silent = false
	}
}

// releaseStarved goes on with units that have waited long enough.
func (s *session) releaseStarved() {
	now := time.Now()
	for _, u := range s.units {
		if u.phase == operating && !u.starved.IsZero() {
			s.releaseUnit(u, now)
		}
	}
}

// settled says whether a session that reads no more has done everything that it can. Records that wait for those of another
// input, which is not read any more either, are left to the next start.
func (s *session) settled(now time.Time) bool {
	if s.committing != nil || s.written || len(s.outbox) > 0 {
		return false
	}
	left := 0
	for _, u := range s.units {
		left += u.stuck(now)
	}
	return s.inHand == left
}

// stuckAfter is how long a unit waits for an input before nothing is expected of it: what was on its way when reading
// ended has come, and the log was looked at.
const stuckAfter = 500 * time.Millisecond

// stuck is how many records of a unit wait for another input, if that is all they wait for.
func (u *unit) stuck(now time.Time) (records int) {
	if u.phase != operating || u.starved.IsZero() || now.Sub(u.starved) < stuckAfter {
		return 0
	}
	for _, t := range u.inputs {
		for _, e := range t.ring {
			if e.status != done {
				return 0
			}
		}
		records += len(t.ring)
	}
	return records
}

// pressedPoll is how many records of starved inputs are read at once, at most, while the worker has as much in hand as it may.
const pressedPoll = 512

// press lets a worker that has as much in hand as it may read on if inputs are waited for, and only for inputs of stages with
// state that have nothing in hand: what is in hand may be waiting for just them. It says whether any is waited for. So a
// worker may have more in hand than its limit by what these bring: at most a partition's limit for each. Where only a
// look at the log is missing there is nothing to read on for.
func (s *session) press() bool {
	starving := false
	for _, u := range s.units {
		starving = starving || u.phase == operating && !u.starved.IsZero() && !u.unsure
	}
	if !starving {
		return false
	}
	s.pressed = true
	for _, t := range s.tasks {
		hungry := t.unit != nil && len(t.ring) == 0
		switch {
		case hungry && t.paused && t.ready() && t.parkedCount < s.plan.Limits.Parked:
			t.paused = false
			s.tx.Resume(t.id.asMap())
		case !hungry && !t.paused:
			t.paused = true
			s.tx.Pause(t.id.asMap())
		}
	}
	return true
}

// unpress reads everything again, now that there is room.
func (s *session) unpress() {
	s.pressed = false
	for _, t := range s.tasks {
		s.resumeIfRoom(t)
	}
}
