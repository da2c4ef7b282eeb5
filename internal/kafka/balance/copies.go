package balance

import "slices"

// copies places the standbys. One that exists is kept, so long as its process has no other copy; a new one goes to whoever
// has fewest.
func (p *planner) copies() {
	count := make([]int, len(p.members))
	for t, task := range p.tasks {
		if task.Loose() || p.gets[t] == nobody {
			continue
		}
		for p.missing(t) > 0 && p.keepStandby(t, count) {
		}
	}
	for t, task := range p.tasks {
		if task.Loose() || p.gets[t] == nobody {
			continue
		}
		for p.missing(t) > 0 && p.addStandby(t, count) {
		}
	}
	moving := make([]bool, len(p.tasks))
	for p.levelStandbys(count, moving) {
	}
}

// missing is how many standbys of a task are still to be placed. A standby that warms up to become the owner goes on
// being a standby until then.
func (p *planner) missing(t int) int {
	have := len(p.standby[t])
	for _, m := range p.warmUp[t] {
		if p.members[m].standby[p.tasks[t]] {
			have++
		}
	}
	return p.standbys - have
}

func (p *planner) keepStandby(t int, count []int) bool {
	return p.putStandby(t, count, func(m int) (order [3]int64, ok bool) {
		return [3]int64{p.lag(t, m)}, p.members[m].standby[p.tasks[t]]
	})
}

func (p *planner) addStandby(t int, count []int) bool {
	return p.putStandby(t, count, func(m int) (order [3]int64, ok bool) {
		return [3]int64{max(0, p.lag(t, m)-CaughtUp), int64(count[m]), p.lag(t, m)}, true
	})
}

// putStandby gives a standby to the eligible member of the smallest order.
func (p *planner) putStandby(t int, count []int, rate func(m int) (order [3]int64, ok bool)) bool {
	best, order := nobody, [3]int64{}
	for m := range p.members {
		o, ok := rate(m)
		if ok && p.mayCopy(t, m, nobody) && (best == nobody || slices.Compare(o[:], order[:]) < 0) {
			best, order = m, o
		}
	}
	if best == nobody {
		return false
	}
	p.standby[t] = append(p.standby[t], best)
	count[best]++
	return true
}

// mayCopy says whether a member may have a copy of a task: it runs the stage and its process has no other copy, but for
// that of a member that is to give its up.
func (p *planner) mayCopy(t, m, but int) bool {
	if !p.runs(t, m) {
		return false
	}
	same := func(o int) bool { return o != but && p.members[o].process == p.members[m].process }
	return !same(p.gets[t]) && !slices.ContainsFunc(p.standby[t], same) && !slices.ContainsFunc(p.warmUp[t], same)
}

// levelStandbys moves one standby from a member that has two more than another. The copy stays where it is until the new
// one has caught up.
func (p *planner) levelStandbys(count []int, moving []bool) bool {
	type move struct{ t, at, to int }
	best, found, order := move{}, false, [2]int64{}
	for t := range p.tasks {
		for at, from := range p.standby[t] {
			for m := range p.members {
				o := [2]int64{int64(count[m] - count[from]), p.lag(t, m)}
				if o[0] > -2 || moving[t] || !p.mayCopy(t, m, from) || found && slices.Compare(o[:], order[:]) >= 0 {
					continue
				}
				best, order, found = move{t, at, m}, o, true
			}
		}
	}
	if !found {
		return false
	}
	from := p.standby[best.t][best.at]
	count[from]--
	count[best.to]++
	if p.ready(best.t, best.to) || p.members[from].process == p.members[best.to].process {
		p.standby[best.t][best.at] = best.to
	} else {
		moving[best.t] = true
		p.warmUp[best.t] = append(p.warmUp[best.t], best.to)
	}
	return true
}

func setOf(tasks []Task) map[Task]bool {
	set := make(map[Task]bool, len(tasks))
	for _, t := range tasks {
		set[t] = true
	}
	return set
}

func filled(n, value int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = value
	}
	return list
}
