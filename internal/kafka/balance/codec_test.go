package balance

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func subscription() Subscription {
	a, b := Task{"join", 3}, Task{"totals", 200}
	return Subscription{
		Process: "p1", Host: "10.0.0.1:8080",
		Stages:  []Stage{{"join", []string{"orders", "users"}}, {"totals", []string{"t.totals.repartition"}}},
		Standby: []Task{a}, WarmUp: []Task{b}, Lags: map[Task]int64{a: 0, b: 1 << 40},
	}
}

func assignment() Assignment {
	own := Duties{Active: []Task{{"join", 0}, {"join", 1}}, Standby: []Task{{"totals", 7}}}
	other := Duties{Active: []Task{{"totals", 7}}, WarmUp: []Task{{"join", 0}}}
	return Assignment{Duties: own, Members: []Peer{
		{ID: "w0", Process: "p1", Host: "10.0.0.1:8080", Duties: own},
		{ID: "w1", Process: "p2", Host: "10.0.0.2:8080", Duties: other},
	}}
}

func TestWhatMembersSayIsReadBack(t *testing.T) {
	s, err := ParseSubscription(subscription().Append(nil))
	if err != nil || !reflect.DeepEqual(s, subscription()) {
		t.Errorf("subscription is %+v, %v", s, err)
	}
	a, err := ParseAssignment(assignment().Append(nil))
	if err != nil || !reflect.DeepEqual(a, assignment()) {
		t.Errorf("assignment is %+v, %v", a, err)
	}
	later := append(assignment().Append(nil), "fields of a later version"...)
	if a, err := ParseAssignment(later); err != nil || !reflect.DeepEqual(a, assignment()) {
		t.Errorf("with appended fields the assignment is %+v, %v", a, err)
	}
}

func TestTasksOfForeignStagesAreLeftOut(t *testing.T) {
	s := subscription()
	s.Standby = append(s.Standby, Task{"gone", 1})
	s.Lags[Task{"gone", 1}] = 5
	if got, err := ParseSubscription(s.Append(nil)); err != nil || !reflect.DeepEqual(got, subscription()) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestBrokenBytesAreRefused(t *testing.T) {
	good := assignment().Append(nil)
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "cut short"},
		{"another version", []byte{9, 0, 0, 0, 0, 0}, "version 9"},
		{"a list longer than the bytes", []byte{1, 0xff, 0xff, 0xff, 0x0f}, "at most"},
		{"a stage that is not listed", []byte{1, 0, 1, 0, 0}, "no stage number 0"},
		{"half of it", good[:len(good)/2], ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseAssignment(c.data)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func FuzzParseSubscription(f *testing.F) {
	f.Add(subscription().Append(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseSubscription(data)
		if err != nil {
			return
		}
		again, err := ParseSubscription(s.Append(nil))
		if err != nil || len(again.Stages) != len(s.Stages) || again.Host != s.Host {
			t.Errorf("%+v became %+v, %v", s, again, err)
		}
	})
}

func FuzzParseAssignment(f *testing.F) {
	f.Add(assignment().Append(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := ParseAssignment(data)
		if err != nil {
			return
		}
		once := a.Append(nil)
		again, err := ParseAssignment(once)
		if err != nil || !bytes.Equal(again.Append(nil), once) {
			t.Errorf("%+v became %+v, %v", a, again, err)
		}
	})
}
