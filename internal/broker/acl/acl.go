// Package acl decides who a client of the broker is, what it may do and how fast: users and SASL, principals of TLS
// certificates, access control lists, quotas, and limits on connections.
//
// State holds what lasts: users, bindings and quotas. Every change goes two steps. A request is planned (Users.Alter,
// ACLs.Create, ACLs.Delete, Quotas.Alter), which changes nothing and returns entries; the caller makes the entries durable
// and then gives each to State.Apply, and so does a replay after a start. What could not be written is thus never in
// effect. All methods may be called from any goroutine; who plans holds one lock of his own from the plan until the entries
// are applied, or two plans may contradict each other. A Session and a Conversation belong to one connection and are not
// safe for concurrent use.
//
// Nothing here does I/O but NewTLS, which reads certificates; salts and nonces come from crypto/rand. Credentials print as
// their mechanism only, whatever the verb, and no error tells a secret or whether a user exists. Entries do hold stored
// keys when encoded: they belong in the journal, not in a log. No function here checks that a caller may call it: that is
// the table of Checks, which the server applies through a Guard.
package acl

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
)

// Options of a State. The zero value of a field means what its comment says.
type Options struct {
	SuperUsers []Principal // may do everything, whatever the bindings say
	// AllowWithoutBinding is Kafka's allow.everyone.if.no.acl.found: a resource that no binding speaks of is open to all.
	AllowWithoutBinding bool
	Quota               QuotaOptions
}

// State is everything about security that outlives the process.
type State struct {
	Users  *Users
	ACLs   *ACLs
	Quotas *Quotas
}

// New makes an empty state. After the replay, the caller makes the entries of Begin durable and applies them.
func New(o Options) *State {
	return &State{Users: newUsers(), ACLs: newACLs(o), Quotas: newQuotas(o.Quota)}
}

// Begin tells the entries that a state needs before it serves: none once they were applied. They hold the secret that
// unknown users' salts are made of, which has to stay the same over restarts.
func (s *State) Begin() []Entry { return s.Users.begin() }

// Format tells how many users there are and nothing else, whatever the verb.
func (s *State) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "security of %v", s.Users) }

// Kind is what an entry says.
type Kind string

// The kinds of entries. Their names are on disk.
const (
	KindSeed         Kind = "seed"          // the secret behind the salts of unknown users
	KindUserSet      Kind = "user-set"      // a user has this credential for this mechanism
	KindUserRemoved  Kind = "user-removed"  // a user has no credential for this mechanism
	KindBindingAdded Kind = "binding-added" // this binding exists
	KindBindingGone  Kind = "binding-gone"  // this binding does not exist
	KindQuotaSet     Kind = "quota-set"     // these are all quotas of this entity; none: it has none
)

// Entry is one change, as it is kept in the journal. Applying one twice is the same as once. It prints without secrets.
type Entry struct {
	Kind       Kind               `json:"kind"`
	Seed       []byte             `json:"seed,omitempty"`
	User       string             `json:"user,omitempty"`
	Mechanism  Mechanism          `json:"mechanism,omitempty"`
	Credential *Credential        `json:"credential,omitempty"`
	Binding    *Binding           `json:"binding,omitempty"`
	Entity     *Entity            `json:"entity,omitempty"`
	Quotas     map[string]float64 `json:"quotas,omitempty"`
}

// String tells the kind of change and to whom.
func (e Entry) String() string {
	switch {
	case e.Binding != nil:
		return fmt.Sprintf("%s %v", e.Kind, *e.Binding)
	case e.Entity != nil:
		return fmt.Sprintf("%s %v %v", e.Kind, *e.Entity, e.Quotas)
	case e.User != "":
		return fmt.Sprintf("%s %q %v", e.Kind, e.User, e.Mechanism)
	}
	return string(e.Kind)
}

// Format is String whatever the verb: %d or %#v must not print keys either.
func (e Entry) Format(s fmt.State, _ rune) { io.WriteString(s, e.String()) }

// LogValue is String: a logger that writes JSON must not print keys either.
func (e Entry) LogValue() slog.Value { return slog.StringValue(e.String()) }

// Apply puts a change in effect: one that was just made durable, or one of the replay. An entry that no version of this
// package wrote is an error and changes nothing.
func (s *State) Apply(e Entry) error {
	if err := s.apply(e); err != nil {
		return fmt.Errorf("apply entry %q: %w", e.Kind, err)
	}
	return nil
}

func (s *State) apply(e Entry) error {
	switch e.Kind {
	case KindSeed:
		return s.Users.setSeed(bytes.Clone(e.Seed))
	case KindUserSet:
		return s.Users.set(e.User, e.Mechanism, e.Credential)
	case KindUserRemoved:
		return s.Users.remove(e.User, e.Mechanism)
	case KindBindingAdded, KindBindingGone:
		if e.Binding == nil {
			return fmt.Errorf("no binding")
		}
		return s.ACLs.put(*e.Binding, e.Kind == KindBindingAdded)
	case KindQuotaSet:
		if e.Entity == nil {
			return fmt.Errorf("no entity")
		}
		return s.Quotas.put(*e.Entity, e.Quotas)
	}
	return fmt.Errorf("unknown kind")
}

// Snapshot tells the whole state as entries, in a fixed order: applied to a new State they make an equal one.
func (s *State) Snapshot() []Entry {
	return append(append(s.Users.snapshot(), s.ACLs.snapshot()...), s.Quotas.snapshot()...)
}
