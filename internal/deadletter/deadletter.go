// Package deadletter is what becomes of a record that is given up on: a dead letter, which is the record untouched plus
// what went wrong, in a topic of its topology; and the ways back, replay and drop.
//
// A Store is for one goroutine; several Stores on one topology may run anywhere, the one that changes something last
// fences the others.
//
// The topic only ever grows. A letter that was replayed or dropped stays and gets a mark behind it, in the transaction
// that did it, so that what is known about a letter is in one place and survives every crash. The same record given up on
// twice, as happens after a crash with delivery at-least-once, has the same id and counts as one letter.
//
// Not to be assumed: that the topic is small, or that it holds letters only. Work on it is done in batches.
package deadletter

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/record"
)

// The headers of a dead letter, beside the record's own and record.HeaderOrigin.
const (
	prefix         = record.Prefix + "dead-"
	headerTopology = prefix + "topology"
	headerBolt     = prefix + "bolt"
	headerInput    = prefix + "input"
	headerClass    = prefix + "class"
	headerError    = prefix + "error"
	headerAttempts = prefix + "attempts"
	headerFirst    = prefix + "first"
	headerLast     = prefix + "last"
	headerSource   = prefix + "source"
	headerTime     = prefix + "time"
	headerReplay   = prefix + "replay" // absent: the topology's own replay topic
	headerMark     = prefix + "mark"   // only on a mark: replayed or dropped
	headerMarked   = prefix + "id"     // only on a mark: the letter it is about
)

// The headers of a record in the replay topic, beside its own and record.HeaderOrigin.
const (
	replayPrefix = record.Prefix + "replay-"
	// HeaderReplayID carries the dead letter's id.
	HeaderReplayID = replayPrefix + "id"
	// HeaderReplayInput carries the name of the spout the record came in by and comes in by again.
	HeaderReplayInput = replayPrefix + "input"
	// HeaderReplayBolt carries the name of the bolt that had given up.
	HeaderReplayBolt = replayPrefix + "bolt"
)

// errorBytesMax bounds the text of a cause: errors of services may quote whole answers.
const errorBytesMax = 4096

// Cause says what went wrong with a record, and where it had come from.
type Cause struct {
	Topology     string
	Input        string // the spout it came in by, or DeliveryInput
	Bolt         string // the bolt or sink that gave up
	Class        string // transient, permanent or outage
	Err          string
	Attempts     int
	First, Last  time.Time     // attempt
	Origin       record.Origin // where it entered the platform
	Source       record.Origin // where it was read
	OriginalTime time.Time     // the record's own timestamp
	Replay       string        // the topic it comes back through, if its stage has one of its own; else empty
}

const deliveryPrefix = "sink:"

// DeliveryInput is the Cause.Input of a record that a delivery gave up on. Such a record is the topology's result: it
// goes back into the topic that feeds the sink, not through the bolts again.
func DeliveryInput(sink string) string { return deliveryPrefix + sink }

// ID names the letter: the same record given up on by the same bolt has the same id, however often it happens.
func (c Cause) ID() string { return c.Source.String() + "@" + c.Bolt }

// Letter is a dead letter as it stands in the topic.
type Letter struct {
	Cause

	Key, Value []byte             // as read, nil stays nil
	Headers    []kgo.RecordHeader // the record's own

	State   State
	Changed time.Time // when it was replayed or dropped

	at place
}

// place is where a letter stands in the dead-letter topic.
type place struct {
	partition int32
	offset    int64
}

// State is what has become of a letter. Waiting may become Replayed or Dropped; those stay what they are, unless the
// letter is replayed or dropped again by force.
type State string

// The states of a letter.
const (
	Waiting  State = "waiting"
	Replayed State = "replayed"
	Dropped  State = "dropped"
)

// Record makes the record that goes into the dead-letter topic. Key, value and own headers stay as they are. Its
// timestamp is that of the last attempt: with the record's own, which may be years old, the topic's retention could
// remove the letter at once.
func Record(topic string, partition int32, key, value []byte, headers []kgo.RecordHeader, c Cause) *kgo.Record {
	return &kgo.Record{
		Topic: topic, Partition: partition, Key: key, Value: value, Timestamp: c.Last,
		Headers: append(without(headers, prefix, record.HeaderOrigin), c.headers()...),
	}
}

func (c Cause) headers() []kgo.RecordHeader {
	all := []kgo.RecordHeader{
		header(record.HeaderOrigin, c.Origin.String()),
		header(headerSource, c.Source.String()),
		header(headerTopology, c.Topology),
		header(headerInput, c.Input),
		header(headerBolt, c.Bolt),
		header(headerClass, c.Class),
		header(headerError, cut(c.Err)),
		header(headerAttempts, strconv.Itoa(c.Attempts)),
		header(headerFirst, stamp(c.First)),
		header(headerLast, stamp(c.Last)),
		header(headerTime, stamp(c.OriginalTime)),
	}
	if c.Replay != "" {
		all = append(all, header(headerReplay, c.Replay))
	}
	return all
}

func header(key, value string) kgo.RecordHeader {
	return kgo.RecordHeader{Key: key, Value: []byte(value)}
}

// without returns a new slice that lacks the headers that begin with one of the prefixes.
func without(headers []kgo.RecordHeader, prefixes ...string) []kgo.RecordHeader {
	kept := make([]kgo.RecordHeader, 0, len(headers)+16)
	for _, h := range headers {
		if !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(h.Key, p) }) {
			kept = append(kept, h)
		}
	}
	return kept
}

func cut(text string) string {
	if len(text) <= errorBytesMax {
		return text
	}
	end := errorBytesMax
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// stamp writes a time. The format has four digits for a year; a record's own time may claim any.
func stamp(t time.Time) string {
	t = t.UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		t = time.Date(min(max(y, 0), 9999), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	}
	return t.Format(time.RFC3339Nano)
}

// Parse reads a record of the dead-letter topic. The letter's bytes are the record's.
func Parse(r *kgo.Record) (Letter, error) {
	p := parser{headers: r.Headers}
	l := Letter{
		Cause: Cause{
			Topology:     p.text(headerTopology),
			Input:        p.text(headerInput),
			Bolt:         p.text(headerBolt),
			Class:        p.text(headerClass),
			Err:          p.text(headerError),
			Attempts:     p.number(headerAttempts),
			First:        p.time(headerFirst),
			Last:         p.time(headerLast),
			Origin:       p.origin(record.HeaderOrigin),
			Source:       p.origin(headerSource),
			OriginalTime: p.time(headerTime),
			Replay:       p.optional(headerReplay),
		},
		Key: r.Key, Value: r.Value,
		Headers: without(r.Headers, prefix, record.HeaderOrigin),
		State:   Waiting,
		at:      place{r.Partition, r.Offset},
	}
	if p.err != nil {
		return Letter{}, fmt.Errorf("read dead letter at %s/%d/%d: %w", r.Topic, r.Partition, r.Offset, p.err)
	}
	return l, nil
}

// parser reads headers and keeps the first thing that is wrong.
type parser struct {
	headers []kgo.RecordHeader
	err     error
}

func (p *parser) text(key string) string {
	text, ok := p.look(key)
	if !ok {
		p.fail(key, errors.New("it is missing"))
	}
	return text
}

func (p *parser) optional(key string) string {
	text, _ := p.look(key)
	return text
}

func (p *parser) look(key string) (text string, ok bool) {
	for i := len(p.headers) - 1; i >= 0; i-- {
		if p.headers[i].Key == key {
			return string(p.headers[i].Value), true
		}
	}
	return "", false
}

func (p *parser) number(key string) int {
	n, err := strconv.Atoi(p.text(key))
	p.fail(key, err)
	return n
}

func (p *parser) time(key string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, p.text(key))
	p.fail(key, err)
	return t
}

func (p *parser) origin(key string) record.Origin {
	o, err := record.ParseOrigin(p.text(key))
	p.fail(key, err)
	return o
}

func (p *parser) fail(key string, err error) {
	if p.err == nil && err != nil {
		p.err = fmt.Errorf("header %s: %w", key, err)
	}
}
