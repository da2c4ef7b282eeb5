package engine

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/topology"
)

// The second input has nothing here, and its log goes on. How long it was waited for says nothing about what is on the log:
// the process may have been stopped, or the broker away.
func TestARecordThatCanBeReadIsWaitedForHoweverLong(t *testing.T) {
	came, other := time.Unix(1000, 0), kafka.TopicPartition{Topic: "other"}
	reads := func(a kafka.Ahead) map[kafka.TopicPartition]kafka.Ahead {
		return map[kafka.TopicPartition]kafka.Ahead{other: a}
	}
	for _, c := range []struct {
		name          string
		waited        time.Duration
		looked        time.Duration // after the record came; negative: before it
		ahead         map[kafka.TopicPartition]kafka.Ahead
		goesOn, looks bool
	}{
		{name: "not for long", waited: time.Second, looked: time.Millisecond},
		{name: "for long, nobody has looked since it came", waited: time.Hour, looked: -time.Millisecond, looks: true},
		{name: "for long, nobody has read", waited: time.Hour, looked: time.Millisecond, looks: true},
		{name: "for long, a record is there", waited: time.Hour, looked: time.Millisecond, ahead: reads(kafka.Ahead{Offset: 7, Record: true})},
		{name: "for long, only an open transaction is there", waited: time.Hour, looked: time.Millisecond, ahead: reads(kafka.Ahead{Offset: 5}), goesOn: true},
		{name: "for long, nothing is there", waited: time.Hour, looked: time.Millisecond, ahead: reads(kafka.Ahead{Offset: 9}), goesOn: true},
		{name: "for long, read before it brought its last record", waited: time.Hour, looked: time.Millisecond, ahead: reads(kafka.Ahead{Offset: 3, Record: true}), looks: true},
		{name: "not for long, and only an open transaction is there", waited: time.Second, looked: time.Millisecond, ahead: reads(kafka.Ahead{Offset: 5})},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &Engine{wantHorizon: make(chan struct{}, 1)}
			e.horizon.Store(&horizon{came.Add(c.looked), map[kafka.TopicPartition]int64{other: 9}, c.ahead})
			here := &task{id: partition{"here", 0}, input: &topology.Input{Name: "here"}}
			empty := &task{id: partition{"other", 0}, input: &topology.Input{Name: "other"}, next: 5}
			here.ring = []*entry{{task: here, raw: new(kgo.Record), status: done, started: came}}
			u := &unit{phase: operating, inputs: []*task{here, empty}, starved: came}
			s := &session{w: &worker{engine: e}}
			s.releaseInOrder(u, came.Add(c.waited))
			if goesOn := len(s.outbox) == 1; goesOn != c.goesOn {
				t.Errorf("goes on: %v, want %v", goesOn, c.goesOn)
			}
			asked := e.doubts.take()
			if from, looks := asked[other]; looks != c.looks || looks && from != 5 || looks != (len(e.wantHorizon) == 1) {
				t.Errorf("somebody is sent to read %v, want %v", asked, c.looks)
			}
		})
	}
}

// What is known to be empty is not asked about again, and what comes behind it is waited for.
func TestWhatCompactionLeftIsNotWaitedForTwice(t *testing.T) {
	came, tp := time.Unix(1000, 0), kafka.TopicPartition{Topic: "other"}
	e := &Engine{wantHorizon: make(chan struct{}, 1)}
	in := &task{id: partition{"other", 0}, input: &topology.Input{Name: "other"}, next: 5, silent: true}
	look := func(end int64, ahead map[kafka.TopicPartition]kafka.Ahead) {
		e.horizon.Store(&horizon{came.Add(time.Millisecond), map[kafka.TopicPartition]int64{tp: end}, ahead})
	}
	look(9, map[kafka.TopicPartition]kafka.Ahead{tp: {Offset: 9}})
	if got := e.moreOn(in, came); got != noWait {
		t.Errorf("with nothing ahead: %v, want no wait", got)
	}
	(&unit{inputs: []*task{in}}).trust()
	look(9, nil)
	if got := e.moreOn(in, came); got != noWait {
		t.Errorf("when that is known: %v, want no wait", got)
	}
	look(10, nil)
	if got := e.moreOn(in, came); got != untilRead {
		t.Errorf("when something comes behind: %v, want to wait until it is read", got)
	}
}
