package kafka

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// MemberID is the id of a member: transactional id and group instance id of the nth one that a process has in a group. By
// its form members find each other's transactions without having met.
func MemberID(group, process string, n int) string {
	return group + "." + process + "." + strconv.Itoa(n)
}

// strangers are ids with an open transaction whose owner is not in the group any more. They are what a member does not
// know that comes, or comes back, when the owner is gone already.
//
// The order matters: first what is open, then who is there. Who is in the group now, or comes later, is not touched: it
// must be given something first, and this member is asked before that.
func (t *Transactor) strangers(ctx context.Context) ([]string, error) {
	admin := kadm.NewClient(t.cl)
	pattern := regexp.QuoteMeta(t.cfg.Group+".") + ".*"
	open, err := admin.ListTransactionsByTxPattern(ctx, nil, []string{"Ongoing"}, pattern)
	if err != nil && len(open) == 0 {
		return nil, fmt.Errorf("list transactions: %w", err)
	}
	ids := slices.DeleteFunc(open.TransactionalIDs(), func(id string) bool {
		return id == t.cfg.ID || open[id].State != "Ongoing" || !isMemberID(t.cfg.Group, id)
	})
	groups := groups{admin: admin, seen: map[string]kadm.DescribedGroup{}}
	return slices.DeleteFunc(ids, func(id string) bool { return !groups.without(ctx, t.cfg.Group, id) }), groups.err
}

// isMemberID: the name of the group, something, and a number.
func isMemberID(group, id string) bool {
	rest, ok := strings.CutPrefix(id, group+".")
	process, number, cut := cutLast(rest)
	_, err := strconv.ParseUint(number, 10, 31)
	return ok && cut && process != "" && err == nil
}

// groups are the groups that were asked about.
type groups struct {
	admin *kadm.Client
	seen  map[string]kadm.DescribedGroup
	err   error // the first that kept an answer from us
}

// without says that an id which looks like that of a member belongs to nobody who is there. Names may have dots, so it
// can also be of a member of another group, "raven.orders.eu" besides "raven.orders"; or of a producer without a group
// that keeps its offsets under its id or its owner's, as feeds do. What is in doubt is somebody's.
func (g *groups) without(ctx context.Context, group, id string) bool {
	owner, _, _ := cutLast(id)
	for _, name := range append([]string{group}, dotted(id)...) {
		found, ok := g.describe(ctx, name)
		if !ok || hasMember(found, id) {
			return false
		}
		if name != group && (name == owner || name == id) && found.State != dead {
			return false
		}
	}
	return true
}

// dotted are the names of groups that an id can begin with, itself included: "raven.a", "raven.a.b" and "raven.a.b.0" of
// the last one.
func dotted(id string) (names []string) {
	dots := 0
	for i := range id {
		if id[i] == '.' {
			if dots++; dots > 1 {
				names = append(names, id[:i])
			}
		}
	}
	return append(names, id)
}

const dead = "Dead" // what brokers call a group they do not know

// describe asks about a group once. A group that nobody knows has no members; one that may not be asked about is in doubt.
func (g *groups) describe(ctx context.Context, name string) (kadm.DescribedGroup, bool) {
	if found, ok := g.seen[name]; ok {
		return found, found.Err == nil
	}
	all, err := g.admin.DescribeGroups(ctx, name)
	found := all[name]
	switch {
	case err != nil:
		found.Err = err
	case errors.Is(found.Err, kerr.GroupIDNotFound):
		found.State, found.Err = dead, nil
	}
	if found.Err != nil && g.err == nil {
		g.err = fmt.Errorf("describe group %q: %w", name, found.Err)
	}
	g.seen[name] = found
	return found, found.Err == nil
}

func hasMember(g kadm.DescribedGroup, id string) bool {
	return slices.ContainsFunc(g.Members, func(m kadm.DescribedGroupMember) bool { return m.InstanceID != nil && *m.InstanceID == id })
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}
