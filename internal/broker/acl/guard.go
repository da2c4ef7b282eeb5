package acl

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Guard applies the table of Rules for one client. The zero Guard lets everything pass: for brokers without authorisation.
type Guard struct {
	acls      *ACLs
	rules     map[kmsg.Key][]Check
	principal Principal
	host      string
}

// Guard makes a guard for a client. It is cheap; one per connection or one per request are both right.
func (a *ACLs) Guard(p Principal, host string) Guard {
	return Guard{acls: a, rules: a.rules, principal: p, host: host}
}

// Cluster checks a request that acts on the broker as a whole. nil means allowed, here and in the other methods; anything
// else is the code to answer. A subject that the table does not know for this key is refused.
func (g Guard) Cluster(k kmsg.Key) *kerr.Error { return g.check(k, OnCluster, Cluster()) }

// Topic checks a topic that a request names. It must be asked before the topic is looked up.
func (g Guard) Topic(k kmsg.Key, name string) *kerr.Error { return g.check(k, OnTopic, Topic(name)) }

// TopicByID is Topic for a request that named the topic by its id: a stranger may learn from the refusal that an id is
// not for him only where Kafka tells it, too.
func (g Guard) TopicByID(k kmsg.Key, name string) *kerr.Error {
	err := g.Topic(k, name)
	if err == nil {
		return nil
	}
	for _, c := range g.rules[k] {
		if c.Subject == OnTopic && c.ByID != nil {
			return c.ByID
		}
	}
	return err
}

// Group checks a group that a request names.
func (g Guard) Group(k kmsg.Key, name string) *kerr.Error { return g.check(k, OnGroup, Group(name)) }

// TransactionalID checks a transactional id that a request names.
func (g Guard) TransactionalID(k kmsg.Key, id string) *kerr.Error {
	return g.check(k, OnTransactionalID, TransactionalID(id))
}

// Operations are the authorised operations that some answers carry, as bits.
func (g Guard) Operations(r Resource) int32 {
	if g.acls == nil {
		return allOperations(r.Type)
	}
	return g.acls.Operations(g.principal, g.host, r)
}

// Allowed is for what the table cannot say.
func (g Guard) Allowed(op kmsg.ACLOperation, r Resource) bool {
	return g.acls == nil || g.acls.Allowed(g.principal, g.host, op, r)
}

func (g Guard) check(k kmsg.Key, s Subject, r Resource) *kerr.Error {
	if g.acls == nil {
		return nil
	}
	known := false
	for _, c := range g.rules[k] {
		if c.Subject != s {
			continue
		}
		known = true
		if !g.passes(c, r) {
			return c.Err
		}
	}
	if !known {
		return kerr.ClusterAuthorizationFailed
	}
	return nil
}

func (g Guard) passes(c Check, r Resource) bool {
	if g.Allowed(c.Op, r) {
		return true
	}
	for _, or := range c.Or {
		switch or.Subject {
		case OnCluster:
			if g.Allowed(or.Op, Cluster()) {
				return true
			}
		case OnAnyTopic:
			if g.acls.AllowedAny(g.principal, g.host, or.Op, kmsg.ACLResourceTypeTopic) {
				return true
			}
		}
	}
	return false
}

func allOperations(t kmsg.ACLResourceType) (bits int32) {
	for _, op := range operationsOf(t) {
		bits |= 1 << op
	}
	return bits
}
