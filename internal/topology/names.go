package topology

import (
	"regexp"

	"ravenswood.dev/internal/component/topic"
	"ravenswood.dev/internal/manifest"
)

const topicNameMax = 249

var topicNamePattern = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// topicNameOK says whether Kafka takes the name.
func topicNameOK(name string) bool {
	return len(name) <= topicNameMax && topicNamePattern.MatchString(name) && name != "." && name != ".."
}

// DeadLetterTopics gives the topics a topology of that name keeps its dead letters in, and brings them back through.
func DeadLetterTopics(name string) (dead, replay string) {
	return name + ".dead-letters", name + ".replay"
}

// topicNames checks the topics that spouts and sinks name.
func (c *checker) topicNames(here at, g *graph) {
	readBy := map[string]string{}
	for _, n := range g.spouts {
		config, ok := n.Config.(*topic.SpoutConfig)
		if !ok {
			continue
		}
		place := n.place(here).in("topic.name")
		c.topicName(place, config.Name)
		if other, twice := readBy[config.Name]; twice {
			c.errorf(place, CodeTopicReadTwice, "use one spout and name it in both places", "read spout %q: spout %q reads topic %q already", n.name, other, config.Name)
		}
		readBy[config.Name] = n.name
	}
	for _, n := range g.sinks {
		config, ok := n.Config.(*topic.SinkConfig)
		if !ok {
			continue
		}
		place := n.place(here).in("topic.name")
		c.topicName(place, config.Name)
		if spout, own := readBy[config.Name]; own {
			c.warnf(place, CodeOwnOutput, "make sure that its records do not go round for ever", "read sink %q: spout %q reads topic %q, which it writes", n.name, spout, config.Name)
		}
	}
}

// topicName checks one name. One that is nearly that of a declared topic is likely a typing error.
func (c *checker) topicName(here at, name string) {
	if !topicNameOK(name) {
		c.errorf(here, CodeTopicNameInvalid, "", "read topic name %q: want letters, digits, '.', '_' and '-', at most %d characters", name, topicNameMax)
		return
	}
	if _, ok := c.set.Topic(name); ok {
		return
	}
	var declared []string
	for _, t := range c.set.Topics {
		declared = append(declared, t.Metadata.Name)
	}
	if meant := manifest.Closest(name, declared); meant != "" {
		c.warnf(here, CodeTopicUndeclared, "did you mean \""+meant+"\"?", "read topic name %q: no Topic resource has this name", name)
	}
}
