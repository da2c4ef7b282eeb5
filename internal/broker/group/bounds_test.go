package group

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func joinOf(t *testing.T, words ...string) *kmsg.JoinGroupRequest {
	return joinRequest(parse(t, append([]string{"v=3"}, words...)))
}

func numbered() Options {
	ids := 0
	return Options{InitialDelay: -1, NewID: func() string { ids++; return strconv.Itoa(ids) }}
}

func joinError(t *testing.T, g *Group, req *kmsg.JoinGroupRequest) string {
	t.Helper()
	out := g.Join(start, 1, Client{"c", "h"}, req)
	return codeName(out[len(out)-1].(Answer).Response.(*kmsg.JoinGroupResponse).ErrorCode)
}

func TestJoinOfAStrangerIsBounded(t *testing.T) {
	many := make([]string, maxProtocols+1)
	for i := range many {
		many[i] = "p" + strconv.Itoa(i)
	}
	for name, c := range map[string]struct {
		req  *kmsg.JoinGroupRequest
		want string
	}{
		"as many protocols as allowed": {joinOf(t, "protocols="+strings.Join(many[1:], ",")), "ok"},
		"too many protocols":           {joinOf(t, "protocols="+strings.Join(many, ",")), "INCONSISTENT_GROUP_PROTOCOL"},
		"a protocol that is not text":  {joinOf(t, "protocols=\xff"), "INVALID_REQUEST"},
		"a type that is not text":      {joinOf(t, "type=\xff"), "INVALID_REQUEST"},
		"an instance that is not text": {joinOf(t, "instance=\xff"), "INVALID_REQUEST"},
		"too many words":               {joinOf(t, "topics="+strings.Repeat("x", 5<<20)), "GROUP_MAX_SIZE_REACHED"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := joinError(t, New("g", numbered()), c.req); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestAssignmentIsBounded(t *testing.T) {
	g := New("g", numbered())
	g.Join(start, 1, Client{"c", "h"}, joinOf(t))
	out := g.Sync(start, 2, syncRequest(parse(t, []string{"c-1", "assign=c-1:" + strings.Repeat("x", 5<<20)}), 1))
	if got := tell(out[0]); got != "#2 sync: INVALID_REQUEST" || g.State() != CompletingRebalance {
		t.Errorf("%v, %s", g.State(), got)
	}
}

// A request is a piece of a buffer that the server uses again.
func TestGroupKeepsNothingOfTheRequestsBuffer(t *testing.T) {
	g := New("g", numbered())
	req := joinOf(t)
	g.Join(start, 1, Client{"c", "h"}, req)
	sync := syncRequest(parse(t, []string{"c-1", "assign=c-1:mine"}), 1)
	g.Sync(start, 2, sync)
	clear(req.Protocols[0].Metadata)
	clear(sync.GroupAssignment[0].MemberAssignment)
	m := g.Describe().Members[0]
	if string(m.MemberAssignment) != "mine" || !slices.Equal(m.ProtocolMetadata, wish("t")) {
		t.Errorf("has %q, wants %q", m.MemberAssignment, m.ProtocolMetadata)
	}
}

func TestMostMembersChooseTheProtocol(t *testing.T) {
	o := numbered()
	o.InitialDelay = time.Second
	g := New("g", o)
	for i, p := range []string{"sticky,range", "range,sticky", "range,sticky"} {
		g.Join(start, Ticket(i+1), Client{"c", "h"}, joinOf(t, "protocols="+p))
	}
	for i := range 2 {
		g.Tick(start.Add(time.Duration(i+1) * time.Minute))
	}
	if g.protocol != "range" {
		t.Errorf("%v with %q", g.State(), g.protocol)
	}
}

// Version 0 has no rebalance timeout: the session timeout stands for it.
func TestFirstVersionRebalancesWithinItsSession(t *testing.T) {
	g := New("g", numbered())
	g.Join(start, 1, Client{"c", "h"}, joinOf(t, "v=0", "session=12s", "rebalance=99s"))
	if got := g.rebalanceTimeout(); got != 12*time.Second {
		t.Errorf("got %v", got)
	}
}

func TestOffsetDeleteAsksWhoIsSubscribed(t *testing.T) {
	unreadable := joinOf(t)
	unreadable.Protocols[0].Metadata = []byte{1}
	for name, c := range map[string]struct {
		req        *kmsg.JoinGroupRequest
		subscribed bool
		err        *kerr.Error
	}{
		"a consumer of it":                {joinOf(t), true, nil},
		"a consumer of another":           {joinOf(t, "topics=u"), false, nil},
		"a consumer of nobody knows what": {unreadable, true, nil},
		"no consumers":                    {joinOf(t, "type=connect"), false, kerr.NonEmptyGroup},
	} {
		t.Run(name, func(t *testing.T) {
			g := New("g", numbered())
			g.Join(start, 1, Client{"c", "h"}, c.req)
			subscribed, err := g.AllowOffsetDelete(true)
			if err != c.err || err == nil && subscribed("t") != c.subscribed {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestCommitRenewsTheSession(t *testing.T) {
	g := New("g", numbered())
	g.Join(start, 1, Client{"c", "h"}, joinOf(t))
	g.Sync(start, 2, syncRequest(parse(t, []string{"c-1"}), 1))
	later := start.Add(9 * time.Second)
	if err := g.AllowCommit(later, commitRequest(parse(t, []string{"c-1", "gen=1"}))); err != nil {
		t.Fatal(err)
	}
	if at, _ := g.Deadline(); !at.Equal(later.Add(10 * time.Second)) {
		t.Errorf("the session ends at %v", at)
	}
}

func TestListFilters(t *testing.T) {
	for name, c := range map[string]struct {
		states, types []string
		want          bool
	}{
		"none":           {nil, nil, true},
		"its state":      {[]string{"dead", "EMPTY"}, nil, true},
		"another state":  {[]string{"Stable"}, nil, false},
		"its type":       {nil, []string{"Classic"}, true},
		"another type":   {nil, []string{"consumer"}, false},
		"type not state": {[]string{"Stable"}, []string{"classic"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			req := kmsg.NewPtrListGroupsRequest()
			req.StatesFilter, req.TypesFilter = c.states, c.types
			if _, ok := New("g", numbered()).List(req); ok != c.want {
				t.Errorf("got %v", ok)
			}
		})
	}
}

func TestRestoreRefusesWhatNoGroupSaid(t *testing.T) {
	one := EntryMember{ID: "a", Session: 1000, Protocols: []EntryProtocol{{Name: "range"}}}
	for name, e := range map[string]Entry{
		"no state":               {Group: "g"},
		"a state of no entry":    {Group: "g", State: "PreparingRebalance"},
		"stable without members": {Group: "g", State: "Stable"},
		"empty with members":     {Group: "g", State: "Empty", Leader: "a", Members: []EntryMember{one}},
		"a leader who is nobody": {Group: "g", State: "Stable", Protocol: "range", Leader: "b", Members: []EntryMember{one}},
		"a protocol of nobody":   {Group: "g", State: "Stable", Protocol: "other", Leader: "a", Members: []EntryMember{one}},
		"twice the same":         {Group: "g", State: "Stable", Protocol: "range", Leader: "a", Members: []EntryMember{one, one}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Restore(e, numbered(), start); err == nil {
				t.Error("accepted")
			}
		})
	}
}
