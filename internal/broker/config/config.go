// Package config knows the settings of topics and of the broker: their names, types, defaults, limits and sentences, which
// of several sources counts, and how requests change them. Names and meanings are those of Apache Kafka, so that its tools
// work; a setting that means nothing on one node is accepted only where leaving it out harms nobody, and says so.
//
// Everything here is pure. What is set is kept by the caller as plain maps; nothing here changes a map it was given.
// Defaults are this broker's: segments, for one, are smaller than Apache Kafka's, because a start after a crash reads the last one.
package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A Definition is one setting of a topic or of the broker.
type Definition struct {
	Name    string
	Type    kmsg.ConfigType
	Default string
	Doc     string // one or two sentences; "accepted, no effect" where it is so
	// ReadOnly settings are given at the start and cannot be changed by a request.
	ReadOnly bool
	// Sensitive settings are never shown.
	Sensitive bool
	// Synonyms are other names of the same thing at the broker, the first that is set counts. For a setting of a topic they
	// are the broker's settings that stand in when the topic has none.
	Synonyms []Synonym

	check check
}

// A Synonym is another name of a setting, in another unit.
type Synonym struct {
	Name  string
	Scale int64 // one of the synonym is so many of the setting; 0 means 1
}

// Check says whether the setting may have this value.
func (d Definition) Check(value string) error { return d.check(value) }

// Topics returns the settings of topics, sorted by name.
func Topics() []Definition { return sorted(topicDefinitions()) }

// Brokers returns the settings of the broker, sorted by name.
func Brokers() []Definition { return sorted(brokerDefinitions()) }

// CheckTopic says what is wrong with the settings of a topic: an *InvalidError with everything, or nil.
func CheckTopic(set map[string]string) error {
	return checkAll(topicDefinitions(), set, crossTopic)
}

// CheckBroker does so for settings of the broker, those given at the start included.
func CheckBroker(set map[string]string) error {
	return checkAll(brokerDefinitions(), set, nil)
}

func checkAll(definitions map[string]Definition, set map[string]string, cross func(map[string]string) []Problem) error {
	var problems []Problem
	for _, name := range slices.Sorted(maps.Keys(set)) {
		d, ok := definitions[name]
		if !ok {
			problems = append(problems, unknown(name, definitions))
		} else if err := d.check(set[name]); err != nil {
			problems = append(problems, Problem{Name: name, Value: d.shown(set[name]), Text: err.Error()})
		}
	}
	if len(problems) == 0 && cross != nil {
		problems = cross(set)
	}
	if len(problems) == 0 {
		return nil
	}
	return &InvalidError{Problems: problems}
}

// crossTopic checks what two settings of one topic say together.
func crossTopic(set map[string]string) []Problem {
	least, ok1 := set[minCompactionLag]
	most, ok2 := set[maxCompactionLag]
	if ok1 && ok2 && number(least) > number(most) {
		return []Problem{{Name: minCompactionLag, Value: least, Text: "is more than " + maxCompactionLag + ", which is " + most}}
	}
	return nil
}

func (d Definition) shown(value string) string {
	if d.Sensitive {
		return "(hidden)"
	}
	return value
}

func sorted(definitions map[string]Definition) []Definition {
	return slices.SortedFunc(maps.Values(definitions), func(a, b Definition) int { return strings.Compare(a.Name, b.Name) })
}
