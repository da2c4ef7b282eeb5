// Package windows is the settings of bolts that aggregate in windows, and what they say of the processor, in one place.
//
// Everything is a value. Do not assume that settings have been checked: a shape is asked of those that have not.
package windows

import (
	"errors"
	"fmt"
	"time"
	_ "time/tzdata" // so that time zones mean the same on every machine, also where the system has none

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/engine/aggregate"
	"ravenswood.dev/internal/engine/window"
	"ravenswood.dev/internal/record"
)

// Window is the settings of windows: exactly one of the four kinds.
type Window struct {
	Tumbling api.Duration `yaml:"tumbling" doc:"Windows of this length, one after the other." example:"1h"`
	Hopping  api.Duration `yaml:"hopping" doc:"Windows of this length that overlap: one begins at every step of every." example:"1h"`
	Every    api.Duration `yaml:"every" doc:"The step of hopping windows." example:"5m"`
	Sliding  api.Duration `yaml:"sliding" doc:"Windows around the records of a key: two records are together in one if they are no further apart than this." example:"10s"`
	Session  api.Duration `yaml:"session" doc:"Windows that go on as long as the next record of the key is no further away than this." example:"30m"`
	Grace    api.Duration `yaml:"grace" default:"0" doc:"How long after its end a window still takes records, in event time; what comes later goes to the output late." example:"5m" state:"free"`
	Offset   api.Duration `yaml:"offset" default:"0" doc:"Moves the starts of tumbling and hopping windows, which are multiples of the length or step since 1970 in UTC." example:"6h"`
	TimeZone string       `yaml:"timeZone" doc:"Makes tumbling windows of whole days begin at midnight there, summer time included." example:"Europe/London"`
}

// Spec is the windows as the engine knows them.
func (w Window) Spec() (window.Spec, error) {
	s := window.Spec{Grace: time.Duration(w.Grace), Offset: time.Duration(w.Offset), Advance: time.Duration(w.Every)}
	kinds := 0
	for kind, size := range [...]api.Duration{window.Tumbling: w.Tumbling, window.Hopping: w.Hopping, window.Sliding: w.Sliding, window.Session: w.Session} {
		if size != 0 {
			s.Kind, s.Size = window.Kind(kind), time.Duration(size)
			kinds++
		}
	}
	if kinds != 1 {
		return s, fmt.Errorf("check window: %d kinds of windows are given, want one of tumbling, hopping, sliding and session", kinds)
	}
	if w.TimeZone == local {
		return s, errors.New("check window: the time zone Local is another one on each machine, so tasks that move would begin their days at other times")
	}
	if w.TimeZone != "" {
		location, err := time.LoadLocation(w.TimeZone)
		if err != nil {
			return s, fmt.Errorf("check window: there is no time zone %q", w.TimeZone)
		}
		s.Location = location
	}
	return s, s.Check()
}

// local is what Go calls the zone of the machine.
const local = "Local"

// Check reports what is wrong with the settings; at is their path.
func (w Window) Check(at string) []component.Problem {
	_, err := w.Spec()
	if err == nil {
		return nil
	}
	return []component.Problem{{Path: at, Code: "window-invalid", Message: err.Error(), Hint: w.hint()}}
}

func (w Window) hint() string {
	switch {
	case w.Hopping != 0 && w.Every == 0:
		return "say how far apart the windows begin: every: 5m"
	case w.Every != 0 && w.Hopping == 0:
		return "every is the step of hopping windows: hopping: 1h"
	case w.TimeZone == local:
		return "name the zone that is meant, such as Europe/London, or leave timeZone out for UTC"
	case w.TimeZone != "":
		return "a name such as Europe/London, with tumbling: 1d"
	}
	return "for example window: {tumbling: 1h, grace: 5m}"
}

// Bolt is what the settings of a bolt say of its aggregate besides its functions.
type Bolt struct {
	Window    *Window // nil: one aggregate for each key, for ever
	Results   string  // changes, final
	Key       string  // group, windowed
	Store     string  // disk, memory
	Retention api.Duration
	Table     bool
}

// Options are those of the processor, but for its functions: enough to know its stores.
func (b Bolt) Options() (aggregate.Options, error) {
	o := aggregate.Options{Table: b.Table, Retention: time.Duration(b.Retention), Memory: b.Store == "memory", Format: record.JSON}
	if b.Results == "final" {
		o.Results = aggregate.Final
	}
	if b.Key == "windowed" {
		o.Keys = aggregate.KeyWindowed
	}
	if b.Window == nil {
		return o, nil
	}
	spec, err := b.Window.Spec()
	o.Window = &spec
	return o, err
}

// Shape is that of the bolt; one whose settings are wrong has no stores. The key of a window's result is another than that of
// its group, so what follows and keeps something by key has it where a question for that key looks.
func (b Bolt) Shape() component.Shape {
	s := component.Shape{Keyed: true, Rekeys: b.Key == "windowed"}
	if o, err := b.Options(); err == nil {
		s.Stores = o.Stores()
	}
	return s
}
