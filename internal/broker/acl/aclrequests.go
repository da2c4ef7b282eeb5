package acl

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	maxBindingChanges = 10_000 // in one request
	maxFilters        = 1_000  // in one request
)

// filter selects bindings; nil and "any" select all.
type filter struct {
	kind       kmsg.ACLResourceType
	pattern    kmsg.ACLResourcePatternType
	name       *string
	principal  *string
	host       *string
	operation  kmsg.ACLOperation
	permission kmsg.ACLPermissionType
}

// check: a value that this version does not know cannot be looked for.
func (f filter) check() error {
	switch {
	case f.kind <= kmsg.ACLResourceTypeUnknown || f.kind > kmsg.ACLResourceTypeUser:
		return because(kerr.InvalidRequest, "unknown resource type %d", f.kind)
	case f.pattern <= kmsg.ACLResourcePatternTypeUnknown || f.pattern > kmsg.ACLResourcePatternTypePrefixed:
		return because(kerr.InvalidRequest, "unknown pattern type %d", f.pattern)
	case f.operation <= kmsg.ACLOperationUnknown || f.operation > kmsg.ACLOperationDescribeTokens:
		return because(kerr.InvalidRequest, "unknown operation %d", f.operation)
	case f.permission <= kmsg.ACLPermissionTypeUnknown || f.permission > kmsg.ACLPermissionTypeAllow:
		return because(kerr.InvalidRequest, "unknown permission %d", f.permission)
	}
	return nil
}

func (f filter) selects(b Binding) bool {
	return (f.kind == kmsg.ACLResourceTypeAny || f.kind == b.Type) && f.selectsName(b) &&
		(f.principal == nil || *f.principal == string(b.Principal)) && (f.host == nil || *f.host == b.Host) &&
		(f.operation == kmsg.ACLOperationAny || f.operation == b.Operation) &&
		(f.permission == kmsg.ACLPermissionTypeAny || f.permission == b.Permission)
}

// selectsName: "match" looks for every binding that speaks of the resource of that name; the other patterns look for
// the binding with that very name.
func (f filter) selectsName(b Binding) bool {
	switch f.pattern {
	case kmsg.ACLResourcePatternTypeMatch:
		return f.name == nil || b.speaksOf(*f.name)
	case kmsg.ACLResourcePatternTypeAny:
		return f.name == nil || *f.name == b.Name
	default:
		return f.pattern == b.Pattern && (f.name == nil || *f.name == b.Name)
	}
}

func (b *Binding) speaksOf(name string) bool {
	if b.Pattern == kmsg.ACLResourcePatternTypePrefixed {
		return strings.HasPrefix(name, b.Name)
	}
	return b.Name == name || b.Name == wildcard
}

// patternOf: version 0 of the requests knows only literal names.
func patternOf(version int16, p kmsg.ACLResourcePatternType) kmsg.ACLResourcePatternType {
	if version == 0 {
		return kmsg.ACLResourcePatternTypeLiteral
	}
	return p
}

func (f filter) find(all []Binding) (found []Binding) {
	for _, b := range all {
		if f.selects(b) {
			found = append(found, b)
		}
	}
	return found
}

// Describe answers which bindings a filter selects.
func (a *ACLs) Describe(r *kmsg.DescribeACLsRequest) *kmsg.DescribeACLsResponse {
	answer := r.ResponseKind().(*kmsg.DescribeACLsResponse)
	f := filter{r.ResourceType, patternOf(r.Version, r.ResourcePatternType), r.ResourceName, r.Principal, r.Host, r.Operation, r.PermissionType}
	if err := f.check(); err != nil {
		answer.ErrorCode, answer.ErrorMessage = refusalOf(err)
		return answer
	}
	for _, b := range f.find(a.list()) {
		if r.Version == 0 && b.Pattern != kmsg.ACLResourcePatternTypeLiteral {
			continue
		}
		answer.Resources = appendDescribed(answer.Resources, b)
	}
	return answer
}

// appendDescribed adds b to the last resource if it is of that, as the order of bindings brings it about.
func appendDescribed(all []kmsg.DescribeACLsResponseResource, b Binding) []kmsg.DescribeACLsResponseResource {
	n := len(all)
	if n == 0 || all[n-1].ResourceType != b.Type || all[n-1].ResourceName != b.Name || all[n-1].ResourcePatternType != b.Pattern {
		r := kmsg.NewDescribeACLsResponseResource()
		r.ResourceType, r.ResourceName, r.ResourcePatternType = b.Type, b.Name, b.Pattern
		all, n = append(all, r), n+1
	}
	line := kmsg.NewDescribeACLsResponseResourceACL()
	line.Principal, line.Host, line.Operation, line.PermissionType = string(b.Principal), b.Host, b.Operation, b.Permission
	all[n-1].ACLs = append(all[n-1].ACLs, line)
	return all
}

// Create plans the bindings of a request and answers it; those that exist need no entry. The answer holds once the
// entries are durable and applied.
func (a *ACLs) Create(r *kmsg.CreateACLsRequest) (*kmsg.CreateACLsResponse, []Entry) {
	answer := r.ResponseKind().(*kmsg.CreateACLsResponse)
	var entries []Entry
	planned := map[Binding]bool{}
	room := min(a.room(), maxBindingChanges)
	for _, c := range r.Creations {
		result := kmsg.NewCreateACLsResponseResult()
		b := Binding{c.ResourceType, patternOf(r.Version, c.ResourcePatternType), c.ResourceName, Principal(c.Principal), c.Host, c.Operation, c.PermissionType}
		switch err := b.check(); {
		case err != nil:
			result.ErrorCode, result.ErrorMessage = refusal(kerr.InvalidRequest, err.Error())
		case planned[b] || a.has(b):
		case len(entries) >= room:
			result.ErrorCode, result.ErrorMessage = refusal(kerr.InvalidRequest, "too many bindings")
		default:
			planned[b] = true
			entries = append(entries, Entry{Kind: KindBindingAdded, Binding: &b})
		}
		answer.Results = append(answer.Results, result)
	}
	return answer, entries
}

// Delete plans the removal of what the filters of a request select and answers it. The answer holds once the entries are
// durable and applied.
func (a *ACLs) Delete(r *kmsg.DeleteACLsRequest) (*kmsg.DeleteACLsResponse, []Entry) {
	answer := r.ResponseKind().(*kmsg.DeleteACLsResponse)
	var entries []Entry
	planned, all := map[Binding]bool{}, a.list()
	for i, asked := range r.Filters {
		result := kmsg.NewDeleteACLsResponseResult()
		f := filter{asked.ResourceType, patternOf(r.Version, asked.ResourcePatternType), asked.ResourceName, asked.Principal, asked.Host, asked.Operation, asked.PermissionType}
		err := f.check()
		if i >= maxFilters {
			err = because(kerr.InvalidRequest, "more than %d filters in one request", maxFilters)
		}
		if err != nil {
			result.ErrorCode, result.ErrorMessage = refusalOf(err)
			answer.Results = append(answer.Results, result)
			continue
		}
		for _, b := range f.find(all) {
			result.MatchingACLs = append(result.MatchingACLs, deleted(b))
			if !planned[b] {
				planned[b] = true
				entries = append(entries, Entry{Kind: KindBindingGone, Binding: &b})
			}
		}
		answer.Results = append(answer.Results, result)
	}
	return answer, entries
}

func deleted(b Binding) kmsg.DeleteACLsResponseResultMatchingACL {
	m := kmsg.NewDeleteACLsResponseResultMatchingACL()
	m.ResourceType, m.ResourceName, m.ResourcePatternType = b.Type, b.Name, b.Pattern
	m.Principal, m.Host, m.Operation, m.PermissionType = string(b.Principal), b.Host, b.Operation, b.Permission
	return m
}

func (a *ACLs) has(b Binding) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.all[b]
}

func (a *ACLs) room() int {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return maxBindings - len(a.all)
}
