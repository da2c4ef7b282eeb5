package acl

import (
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Describe answers the quotas of the entities that every component of the request matches. Strict leaves out entities
// that have more parts than the request names.
func (q *Quotas) Describe(r *kmsg.DescribeClientQuotasRequest) *kmsg.DescribeClientQuotasResponse {
	answer := r.ResponseKind().(*kmsg.DescribeClientQuotasResponse)
	if err := checkComponents(r.Components); err != nil {
		answer.ErrorCode, answer.ErrorMessage = refusalOf(err)
		return answer
	}
	answer.Entries = []kmsg.DescribeClientQuotasResponseEntry{} // null would mean an error to the Java client
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range slices.SortedFunc(maps.Keys(q.of), Entity.compare) {
		if matchesAll(e, r.Components, r.Strict) {
			answer.Entries = append(answer.Entries, describeEntity(e, q.of[e]))
		}
	}
	return answer
}

func checkComponents(all []kmsg.DescribeClientQuotasRequestComponent) error {
	seen := map[string]bool{}
	for _, c := range all {
		switch {
		case !knownEntityType(c.EntityType):
			return because(kerr.UnsupportedVersion, "unknown entity type %q", c.EntityType)
		case seen[c.EntityType]:
			return because(kerr.InvalidRequest, "entity type %q comes twice", c.EntityType)
		case c.MatchType < kmsg.QuotasMatchTypeExact || c.MatchType > kmsg.QuotasMatchTypeAny:
			return because(kerr.InvalidRequest, "unknown match type %d", c.MatchType)
		case (c.MatchType == kmsg.QuotasMatchTypeExact) != (c.Match != nil):
			return because(kerr.InvalidRequest, "a name belongs to an exact match, and to no other")
		}
		seen[c.EntityType] = true
	}
	if seen["ip"] && len(seen) > 1 {
		return because(kerr.InvalidRequest, "an address cannot be together with a user or a client id")
	}
	return nil
}

func knownEntityType(t string) bool { return t == "user" || t == "client-id" || t == "ip" }

func matchesAll(e Entity, components []kmsg.DescribeClientQuotasRequestComponent, strict bool) bool {
	parts := map[string]string{}
	for _, p := range e.parts() {
		parts[p.kind] = p.name
	}
	for _, c := range components {
		name, has := parts[c.EntityType]
		switch {
		case !has:
			return false
		case c.MatchType == kmsg.QuotasMatchTypeExact && name != *c.Match:
			return false
		case c.MatchType == kmsg.QuotasMatchTypeDefault && name != Default:
			return false
		}
	}
	return !strict || len(parts) == len(components)
}

func describeEntity(e Entity, values map[string]float64) kmsg.DescribeClientQuotasResponseEntry {
	entry := kmsg.NewDescribeClientQuotasResponseEntry()
	for _, p := range e.parts() {
		part := kmsg.NewDescribeClientQuotasResponseEntryEntity()
		part.Type, part.Name = p.kind, wireName(p.name)
		entry.Entity = append(entry.Entity, part)
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		v := kmsg.NewDescribeClientQuotasResponseEntryValue()
		v.Key, v.Value = key, values[key]
		entry.Values = append(entry.Values, v)
	}
	return entry
}

// wireName: on the wire no name at all means the default.
func wireName(name string) *string {
	if name == Default {
		return nil
	}
	return &name
}

// Alter plans the changes of a request and answers it, each entity for itself. The answer holds once the entries are
// durable and applied; a request that only validates has none.
func (q *Quotas) Alter(r *kmsg.AlterClientQuotasRequest) (*kmsg.AlterClientQuotasResponse, []Entry) {
	answer := r.ResponseKind().(*kmsg.AlterClientQuotasResponse)
	var entries []Entry
	seen := map[Entity]bool{}
	for i, asked := range r.Entries {
		e, err := entityOf(asked.Entity)
		if err == nil && seen[e] {
			err = because(kerr.InvalidRequest, "the entity comes twice")
		}
		if i >= maxQuotaChanges {
			err = because(kerr.InvalidRequest, "more than %d entities in one request", maxQuotaChanges)
		}
		if err == nil {
			seen[e] = true
			var entry Entry
			if entry, err = q.alterOne(e, asked.Ops, len(entries)); err == nil {
				entries = append(entries, entry)
			}
		}
		answer.Entries = append(answer.Entries, alteredEntity(asked, err))
	}
	if r.ValidateOnly {
		return answer, nil
	}
	return answer, entries
}

func (q *Quotas) alterOne(e Entity, ops []kmsg.AlterClientQuotasRequestEntryOp, planned int) (Entry, error) {
	q.mu.Lock()
	values, known, room := maps.Clone(q.of[e]), q.of[e] != nil, maxQuotaEntities-len(q.of)-planned
	q.mu.Unlock()
	if !known && room <= 0 {
		return Entry{}, because(kerr.InvalidRequest, "too many entities have quotas")
	}
	if values == nil {
		values = map[string]float64{}
	}
	seen := map[string]bool{}
	for _, op := range ops {
		value := op.Value
		if op.Remove {
			value = 1 // only the key has to be right
		}
		if err := e.checkValue(op.Key, value); err != nil {
			return Entry{}, because(kerr.InvalidRequest, "%v", err)
		}
		if seen[op.Key] {
			return Entry{}, because(kerr.InvalidRequest, "%s comes twice", op.Key)
		}
		seen[op.Key] = true
		if op.Remove {
			delete(values, op.Key)
		} else {
			values[op.Key] = op.Value
		}
	}
	return Entry{Kind: KindQuotaSet, Entity: &e, Quotas: values}, nil
}

func entityOf(parts []kmsg.AlterClientQuotasRequestEntryEntity) (e Entity, err error) {
	for _, p := range parts {
		field, name := map[string]*string{"user": &e.User, "client-id": &e.ClientID, "ip": &e.IP}[p.Type], Default
		if field == nil {
			return e, because(kerr.InvalidRequest, "unknown entity type %q", p.Type)
		}
		if p.Name != nil {
			name = *p.Name
		}
		if name == "" || *field != "" {
			return e, because(kerr.InvalidRequest, "entity type %q has no name, or comes twice", p.Type)
		}
		*field = name
	}
	if err := e.check(); err != nil {
		return e, because(kerr.InvalidRequest, "%v", err)
	}
	return e, nil
}

func alteredEntity(asked kmsg.AlterClientQuotasRequestEntry, err error) kmsg.AlterClientQuotasResponseEntry {
	entry := kmsg.NewAlterClientQuotasResponseEntry()
	for _, p := range asked.Entity {
		part := kmsg.NewAlterClientQuotasResponseEntryEntity()
		part.Type, part.Name = p.Type, p.Name
		entry.Entity = append(entry.Entity, part)
	}
	if err != nil {
		entry.ErrorCode, entry.ErrorMessage = refusalOf(err)
	}
	return entry
}
