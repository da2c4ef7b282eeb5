package acl

import (
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const maxBindings = 100_000 // in all

// ACLs are the bindings, arranged so that a decision looks only at those that name the resource and the principal.
type ACLs struct {
	superUsers map[Principal]bool
	byDefault  bool // what happens to resources that no binding speaks of
	rules      map[kmsg.Key][]Check

	mu  sync.RWMutex
	all map[Binding]bool                       // guarded by mu
	of  map[kmsg.ACLResourceType]*bindingIndex // guarded by mu
}

// bindingIndex holds the bindings of one resource type. A name is looked up literally, as "*", and once for each length
// that a prefix has.
type bindingIndex struct {
	literal, prefixed map[string]rules
	every             map[Principal]map[Binding]bool
	lengths           map[int]int // of prefixes: how many names have it
	sorted            []int       // the keys of lengths
}

// rules are the bindings of one name, by principal.
type rules map[Principal][]Binding

func newACLs(o Options) *ACLs {
	a := &ACLs{
		superUsers: map[Principal]bool{}, byDefault: o.AllowWithoutBinding, rules: map[kmsg.Key][]Check{},
		all: map[Binding]bool{}, of: map[kmsg.ACLResourceType]*bindingIndex{},
	}
	for _, p := range o.SuperUsers {
		a.superUsers[p] = true
	}
	for _, r := range Rules() {
		a.rules[r.Key] = r.Checks
	}
	return a
}

// Allowed decides whether a principal at a host may do an operation on a resource. A super user may do everything; else a
// denial wins over any permission; and what no binding permits is forbidden, unless no binding speaks of the resource
// at all and the options leave such resources open.
func (a *ACLs) Allowed(p Principal, host string, op kmsg.ACLOperation, r Resource) bool {
	if a.superUsers[p] {
		return true
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.decide(p, host, op, r)
}

func (a *ACLs) decide(p Principal, host string, op kmsg.ACLOperation, r Resource) bool {
	found, allowed := false, false
	for named := range a.of[r.Type].about(r.Name) {
		found = true
		for _, b := range named.of(p) {
			if !b.isFor(host) {
				continue
			}
			if b.denies(op) {
				return false
			}
			allowed = allowed || b.allows(op)
		}
	}
	return allowed || !found && a.byDefault
}

// about yields the rules of every name that selects this one.
func (x *bindingIndex) about(name string) iter.Seq[rules] {
	return func(yield func(rules) bool) {
		if x == nil {
			return
		}
		if r, ok := x.literal[name]; ok && !yield(r) {
			return
		}
		if r, ok := x.literal[wildcard]; ok && name != wildcard && !yield(r) {
			return
		}
		x.prefixesOf(name)(yield)
	}
}

// prefixesOf yields the rules of every prefix of this name.
func (x *bindingIndex) prefixesOf(name string) iter.Seq[rules] {
	return func(yield func(rules) bool) {
		for _, n := range x.sorted {
			if n > len(name) {
				return
			}
			if r, ok := x.prefixed[name[:n]]; ok && !yield(r) {
				return
			}
		}
	}
}

// of yields the bindings of this principal and of everyone.
func (r rules) of(p Principal) iter.Seq2[int, Binding] {
	return func(yield func(int, Binding) bool) {
		for i, b := range r[p] {
			if !yield(i, b) {
				return
			}
		}
		if p == Everyone {
			return
		}
		for i, b := range r[Everyone] {
			if !yield(i, b) {
				return
			}
		}
	}
}

func (b *Binding) isFor(host string) bool { return b.Host == wildcard || b.Host == host }

func (b *Binding) denies(op kmsg.ACLOperation) bool {
	return b.Permission == kmsg.ACLPermissionTypeDeny && (b.Operation == op || b.Operation == kmsg.ACLOperationAll)
}

// allows knows that who may read, write, delete or alter a thing may also look at it. Denials imply nothing.
func (b *Binding) allows(op kmsg.ACLOperation) bool {
	if b.Permission != kmsg.ACLPermissionTypeAllow {
		return false
	}
	if b.Operation == op || b.Operation == kmsg.ACLOperationAll {
		return true
	}
	switch op {
	case kmsg.ACLOperationDescribe:
		return b.Operation == kmsg.ACLOperationRead || b.Operation == kmsg.ACLOperationWrite ||
			b.Operation == kmsg.ACLOperationDelete || b.Operation == kmsg.ACLOperationAlter
	case kmsg.ACLOperationDescribeConfigs:
		return b.Operation == kmsg.ACLOperationAlterConfigs
	}
	return false
}

// AllowedAny decides whether there may be a resource of this type on which the principal may do the operation. It is how
// Kafka lets a client have a producer id: who may write some topic may.
func (a *ACLs) AllowedAny(p Principal, host string, op kmsg.ACLOperation, t kmsg.ACLResourceType) bool {
	if a.superUsers[p] {
		return true
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	x := a.of[t]
	switch {
	case x == nil:
		return a.byDefault
	case x.literal[wildcard].deny(p, host, op):
		return false
	case a.byDefault && x.literal[wildcard] == nil: // no bindings speak of every name
		return true
	}
	return x.anyAllowed(x.every[p], p, host, op) || x.anyAllowed(x.every[Everyone], p, host, op)
}

func (x *bindingIndex) anyAllowed(bindings map[Binding]bool, p Principal, host string, op kmsg.ACLOperation) bool {
	for b := range bindings {
		if b.isFor(host) && b.allows(op) && !x.denied(b, p, host, op) {
			return true
		}
	}
	return false
}

// denied tells whether denials take away all that an allowing binding gives.
func (x *bindingIndex) denied(b Binding, p Principal, host string, op kmsg.ACLOperation) bool {
	literal := b.Pattern == kmsg.ACLResourcePatternTypeLiteral
	if literal && b.Name == wildcard {
		return false // that denial was looked at before
	}
	if literal && x.literal[b.Name].deny(p, host, op) {
		return true
	}
	for named := range x.prefixesOf(b.Name) {
		if named.deny(p, host, op) {
			return true
		}
	}
	return false
}

func (r rules) deny(p Principal, host string, op kmsg.ACLOperation) bool {
	for _, b := range r.of(p) {
		if b.isFor(host) && b.denies(op) {
			return true
		}
	}
	return false
}

// Operations tells what the principal may do on the resource, as the bits that answers of Kafka carry.
func (a *ACLs) Operations(p Principal, host string, r Resource) (bits int32) {
	for _, op := range operationsOf(r.Type) {
		if a.Allowed(p, host, op, r) {
			bits |= 1 << op
		}
	}
	return bits
}

func (a *ACLs) put(b Binding, exists bool) error {
	if err := b.check(); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.all[b] == exists:
		return nil
	case exists && len(a.all) >= maxBindings:
		return errors.New("too many bindings")
	case exists:
		a.add(b)
	default:
		a.drop(b)
	}
	return nil
}

func (a *ACLs) add(b Binding) {
	a.all[b] = true
	x := a.of[b.Type]
	if x == nil {
		x = &bindingIndex{literal: map[string]rules{}, prefixed: map[string]rules{}, every: map[Principal]map[Binding]bool{}, lengths: map[int]int{}}
		a.of[b.Type] = x
	}
	names := x.names(b)
	if names[b.Name] == nil {
		names[b.Name] = rules{}
		x.count(b, 1)
	}
	names[b.Name].add(b)
	if x.every[b.Principal] == nil {
		x.every[b.Principal] = map[Binding]bool{}
	}
	x.every[b.Principal][b] = true
}

func (r rules) add(b Binding) { r[b.Principal] = append(r[b.Principal], b) }

func (r rules) drop(b Binding) {
	r[b.Principal] = slices.DeleteFunc(r[b.Principal], func(o Binding) bool { return o == b })
	if len(r[b.Principal]) == 0 {
		delete(r, b.Principal)
	}
}

func (a *ACLs) drop(b Binding) {
	delete(a.all, b)
	x := a.of[b.Type]
	r := x.names(b)[b.Name]
	r.drop(b)
	delete(x.every[b.Principal], b)
	if len(x.every[b.Principal]) == 0 {
		delete(x.every, b.Principal)
	}
	if len(r) == 0 {
		delete(x.names(b), b.Name)
		x.count(b, -1)
	}
}

func (x *bindingIndex) names(b Binding) map[string]rules {
	if b.Pattern == kmsg.ACLResourcePatternTypePrefixed {
		return x.prefixed
	}
	return x.literal
}

// count keeps the lengths of prefixes.
func (x *bindingIndex) count(b Binding, change int) {
	if b.Pattern != kmsg.ACLResourcePatternTypePrefixed {
		return
	}
	n := len(b.Name)
	x.lengths[n] += change
	if x.lengths[n] == 0 {
		delete(x.lengths, n)
	}
	x.sorted = slices.Sorted(maps.Keys(x.lengths))
}

// list tells every binding in a fixed order.
func (a *ACLs) list() []Binding {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return slices.SortedFunc(maps.Keys(a.all), Binding.compare)
}

func (a *ACLs) snapshot() (entries []Entry) {
	for _, b := range a.list() {
		entries = append(entries, Entry{Kind: KindBindingAdded, Binding: &b})
	}
	return entries
}
