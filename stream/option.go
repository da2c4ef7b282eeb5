package stream

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"time"
)

// Option changes one operator. Which operators take which options is in their comments; another is a problem of the
// topology.
type Option struct {
	kind  optionKind
	apply func(*options)
}

type optionKind string

const (
	optName     optionKind = "Named"
	optKey      optionKind = "WithKey"
	optValue    optionKind = "WithValue"
	optMemory   optionKind = "InMemory"
	optTTL      optionKind = "TTL"
	optVersions optionKind = "Versioned"
	optUses     optionKind = "Uses"
	optLatest   optionKind = "FromLatest"
	optFinal    optionKind = "OnlyFinal"
	optKeeps    optionKind = "KeepsKeys"
	optMerge    optionKind = "Merging"
)

type options struct {
	name        string
	isNamed     bool
	key, value  any
	memory      bool
	ttl         time.Duration
	versions    time.Duration
	isVersioned bool
	uses        []Store
	latest      bool
	final       bool
	keeps       bool
	merge       any
	stem        string
	nothing     []optionKind // options that were given nil
}

// Named gives an operator a name: the one it has in plans, metrics and dead letters, and the name of its store and its
// internal topics. Operators without one are called after what they do and how many such there were before ("count",
// "count-2"): give a name to everything with state, so that it stays the same when the topology grows.
func Named(name string) Option {
	return Option{optName, func(o *options) { o.name, o.isNamed = name, true }}
}

// WithKey says how the keys that an operator gives are written.
func WithKey[K any](c Codec[K]) Option {
	return Option{optKey, func(o *options) {
		if o.key = c; c == nil {
			o.nothing = append(o.nothing, optKey)
		}
	}}
}

// WithValue says how the values that an operator gives, or keeps, are written.
func WithValue[V any](c Codec[V]) Option {
	return Option{optValue, func(o *options) {
		if o.value = c; c == nil {
			o.nothing = append(o.nothing, optValue)
		}
	}}
}

// InMemory keeps the operator's store in memory only, restored from its changelog at each start; without it, a store is on
// disk.
func InMemory() Option { return Option{optMemory, func(o *options) { o.memory = true }} }

// TTL lets an entry of the operator's store live so long after the event time that made it.
func TTL(d time.Duration) Option { return Option{optTTL, func(o *options) { o.ttl = d }} }

// Versioned lets a table keep every version of an entry for so long, so that a join finds the one that was valid at the
// event time of its record.
func Versioned(retention time.Duration) Option {
	return Option{optVersions, func(o *options) { o.versions, o.isVersioned = retention, true }}
}

// FromLatest begins at the end of the topic when the topology has never read it, instead of at its beginning.
func FromLatest() Option { return Option{optLatest, func(o *options) { o.latest = true }} }

// OnlyFinal gives one result per window, when nothing can change it any more, instead of one per change.
func OnlyFinal() Option { return Option{optFinal, func(o *options) { o.final = true }} }

// read applies options and reports those that the operator does not take.
func (t *Topology) read(op string, all []Option, takes ...optionKind) options {
	var o options
	for _, option := range all {
		if option.kind != optName && !slices.Contains(takes, option.kind) {
			t.problem(CodeOptionUnused, op, "remove it", "read %s: it has no use for the option %s", op, option.kind)
			continue
		}
		option.apply(&o)
	}
	for _, kind := range o.nothing {
		t.problem(CodeValueInvalid, op, "give it something, or leave the option out", "read %s: the option %s was given nil", op, kind)
	}
	if o.ttl < 0 || o.versions < 0 {
		t.problem(CodeValueInvalid, op, "", "read %s: a length of time is below zero", op)
	}
	if o.isVersioned && o.versions == 0 {
		t.problem(CodeValueInvalid, op, "say how long versions are kept", "read %s: Versioned wants a length of time", op)
	}
	return o
}

// codecOr is the codec that an option gives, else what is known of the type.
func codecOr[T any](t *Topology, op string, given any) Codec[T] {
	if given == nil {
		return known[T](t)
	}
	c, ok := given.(Codec[T])
	if !ok {
		t.problem(CodeCodecMismatch, op, fmt.Sprintf("give one for %s", reflect.TypeFor[T]()), "read %s: the codec %T is for another type", op, given)
	}
	return c
}

// optStem is ours: the operator that another one is made of.
const optStem optionKind = "stem"

func stemmed(op string, opts []Option) []Option {
	return append([]Option{{optStem, func(o *options) { o.stem = cmp.Or(o.stem, op) }}}, opts...)
}

// part is the options of a part of an operator: its name begins with that of the operator, if that was given one.
func (o options) part(name string) options {
	if !o.isNamed {
		return options{}
	}
	return options{name: o.name + "-" + name, isNamed: true}
}

func (o options) stemOr(op string) string { return cmp.Or(o.stem, op) }
