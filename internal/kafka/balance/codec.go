package balance

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// What members tell each other travels as the user data of Kafka's consumer protocol: a version, then fields in the order
// of the types. Numbers are unsigned varints; a string, and a list, is a number and then so many bytes, or items. Tasks
// name their stage by its place in a list of stages before them.
//
// A later version may append fields, which are ignored here; one that changes fields gets another number.
const codecVersion = 1

// Subscription is what a member says of itself when it joins.
type Subscription struct {
	Process string
	Host    string
	Stages  []Stage
	Standby []Task // as it was told the last time
	WarmUp  []Task
	Lags    map[Task]int64
}

// Append encodes a subscription. Tasks of other stages than its own are left out.
func (s Subscription) Append(dst []byte) []byte {
	e := encoder{dst: append(dst, codecVersion), stages: map[string]int{}}
	e.string(s.Process)
	e.string(s.Host)
	e.number(len(s.Stages))
	for i, stage := range s.Stages {
		e.stages[stage.Name] = i
		e.string(stage.Name)
		e.number(len(stage.Topics))
		for _, topic := range stage.Topics {
			e.string(topic)
		}
	}
	e.tasks(s.Standby)
	e.tasks(s.WarmUp)
	e.lags(s.Lags)
	return e.dst
}

// ParseSubscription decodes what a member said.
func ParseSubscription(data []byte) (Subscription, error) {
	d := decoder{rest: data}
	d.version()
	s := Subscription{Process: d.string(), Host: d.string()}
	for range d.count() {
		stage := Stage{Name: d.string()}
		for range d.count() {
			stage.Topics = append(stage.Topics, d.string())
		}
		d.stages = append(d.stages, stage.Name)
		s.Stages = append(s.Stages, stage)
	}
	s.Standby, s.WarmUp, s.Lags = d.tasks(), d.tasks(), d.lags()
	if d.err != nil {
		return Subscription{}, fmt.Errorf("read what a member says of itself: %w", d.err)
	}
	return s, nil
}

// Append encodes an assignment.
func (a Assignment) Append(dst []byte) []byte {
	e := encoder{dst: append(dst, codecVersion), stages: map[string]int{}}
	names := a.stageNames()
	e.number(len(names))
	for i, name := range names {
		e.stages[name] = i
		e.string(name)
	}
	e.duties(a.Duties)
	e.number(len(a.Members))
	for _, m := range a.Members {
		e.string(m.ID)
		e.string(m.Process)
		e.string(m.Host)
		e.duties(m.Duties)
	}
	return e.dst
}

func (a Assignment) stageNames() []string {
	set := map[string]bool{}
	note := func(d Duties) {
		for _, t := range slices.Concat(d.Active, d.Standby, d.WarmUp) {
			set[t.Stage] = true
		}
	}
	note(a.Duties)
	for _, m := range a.Members {
		note(m.Duties)
	}
	var names []string
	for name := range set {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// ParseAssignment decodes what a member was told.
func ParseAssignment(data []byte) (Assignment, error) {
	d := decoder{rest: data}
	d.version()
	for range d.count() {
		d.stages = append(d.stages, d.string())
	}
	a := Assignment{Duties: d.duties()}
	for range d.count() {
		a.Members = append(a.Members, Peer{ID: d.string(), Process: d.string(), Host: d.string(), Duties: d.duties()})
	}
	if d.err != nil {
		return Assignment{}, fmt.Errorf("read an assignment: %w", d.err)
	}
	return a, nil
}

type encoder struct {
	dst    []byte
	stages map[string]int
}

func (e *encoder) number(n int) { e.dst = binary.AppendUvarint(e.dst, uint64(max(n, 0))) }

func (e *encoder) string(s string) {
	e.number(len(s))
	e.dst = append(e.dst, s...)
}

func (e *encoder) task(t Task) {
	e.number(e.stages[t.Stage])
	e.number(int(t.Partition))
}

func (e *encoder) tasks(tasks []Task) {
	tasks = slices.DeleteFunc(slices.Clone(tasks), e.foreign)
	e.number(len(tasks))
	for _, t := range tasks {
		e.task(t)
	}
}

func (e *encoder) foreign(t Task) bool {
	_, ok := e.stages[t.Stage]
	return !ok
}

func (e *encoder) lags(lags map[Task]int64) {
	var tasks []Task
	for t := range lags {
		if !e.foreign(t) {
			tasks = append(tasks, t)
		}
	}
	slices.SortFunc(tasks, Task.Compare)
	e.number(len(tasks))
	for _, t := range tasks {
		e.task(t)
		e.dst = binary.AppendUvarint(e.dst, uint64(max(lags[t], 0)))
	}
}

func (e *encoder) duties(d Duties) {
	e.tasks(d.Active)
	e.tasks(d.Standby)
	e.tasks(d.WarmUp)
}

// decoder reads foreign bytes. After the first mistake everything is empty and err says what it was. Nothing is allocated
// that the bytes do not pay for: an item of a list takes one byte at least.
type decoder struct {
	rest   []byte
	stages []string
	err    error
}

var errCut = errors.New("it is cut short")

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.rest = nil
}

func (d *decoder) version() {
	switch {
	case len(d.rest) == 0:
		d.fail(errCut)
	case d.rest[0] != codecVersion:
		d.fail(fmt.Errorf("it is of version %d, %d is known here", d.rest[0], codecVersion))
	default:
		d.rest = d.rest[1:]
	}
}

func (d *decoder) number(limit uint64) uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.fail(errCut)
		return 0
	}
	if n > limit {
		d.fail(fmt.Errorf("a number is %d, at most %d is possible", n, limit))
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) count() int { return int(d.number(uint64(len(d.rest)))) }

func (d *decoder) string() string {
	n := d.count()
	if n > len(d.rest) {
		d.fail(errCut)
		return ""
	}
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) task() Task {
	stage, partition := d.number(math.MaxInt32), d.number(math.MaxInt32)
	if d.err == nil && stage >= uint64(len(d.stages)) {
		d.fail(fmt.Errorf("there is no stage number %d", stage))
	}
	if d.err != nil {
		return Task{}
	}
	return Task{d.stages[stage], int32(partition)}
}

func (d *decoder) tasks() []Task {
	var tasks []Task
	for range d.count() {
		if t := d.task(); d.err == nil {
			tasks = append(tasks, t)
		}
	}
	return tasks
}

func (d *decoder) lags() map[Task]int64 {
	lags := map[Task]int64{}
	for range d.count() {
		t, lag := d.task(), d.number(math.MaxInt64)
		if d.err == nil {
			lags[t] = int64(lag)
		}
	}
	return lags
}

func (d *decoder) duties() Duties {
	return Duties{Active: d.tasks(), Standby: d.tasks(), WarmUp: d.tasks()}
}
