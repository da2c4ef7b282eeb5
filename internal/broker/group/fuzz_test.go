package group

import (
	"encoding/json"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func FuzzSubscription(f *testing.F) {
	for _, seed := range [][]byte{nil, wish(), wish("t"), wish("t", "", "u"), wish("t")[:8], {0, 1, 255, 255, 255, 255, 0, 0},
		append(wish("t"), 0, 0, 0, 0)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		topics, ok := subscription(b)
		if !ok {
			return
		}
		var twin kmsg.ConsumerMemberMetadata
		if err := twin.ReadFrom(b); err == nil && !slices.Equal(topics, twin.Topics) {
			t.Errorf("read %q, the client's own reader %q", topics, twin.Topics)
		}
		if again, _ := subscription(wish(topics...)); !slices.Equal(again, topics) {
			t.Errorf("%q written and read is %q", topics, again)
		}
	})
}

// FuzzRequests gives a group requests as strangers write them: kind, version and seconds that pass, then the body.
func FuzzRequests(f *testing.F) {
	word := func(kind, version byte, r kmsg.Request) []byte {
		r.SetVersion(int16(version))
		body := r.AppendTo(nil)
		return append([]byte{kind, version, 1, byte(len(body))}, body...)
	}
	a := parse(nil, nil)
	join := word(0, 5, joinRequest(a))
	sync := word(1, 3, func() kmsg.Request {
		req := kmsg.NewPtrSyncGroupRequest()
		req.MemberID, req.Generation = "-1", 1
		return req
	}())
	f.Add(join)
	f.Add(slices.Concat(join, sync, word(2, 3, kmsg.NewPtrHeartbeatRequest()), word(3, 3, kmsg.NewPtrLeaveGroupRequest())))
	f.Fuzz(func(t *testing.T, b []byte) {
		ids, now := 0, start
		o := Options{MaxMembers: 3, NewID: func() string { ids++; return strconv.Itoa(ids) }}
		g := New("g", o)
		for ticket := Ticket(1); len(b) >= 4; ticket++ {
			kind, version, pause, n := b[0], b[1], b[2], min(int(b[3]), len(b)-4)
			now = now.Add(time.Duration(pause) * time.Second)
			g.Tick(now)
			hostile(g, now, ticket, kind, int16(version), b[4:4+n])
			b = b[4+n:]
		}
		if e, ok := g.Saved(); ok && !e.Deleted() {
			if _, err := Restore(throughJSON(t, e), o, now); err != nil {
				t.Error(err)
			}
		}
	})
}

func hostile(g *Group, now time.Time, ticket Ticket, kind byte, version int16, body []byte) {
	// The body is read as a version without tagged fields: kmsg believes their count, and a few bytes keep it busy for
	// minutes. The group sees any version.
	read := func(r kmsg.Request) bool {
		version = min(version, r.MaxVersion())
		for r.SetVersion(version); r.IsFlexible(); {
			r.SetVersion(r.GetVersion() - 1)
		}
		err := r.ReadFrom(body)
		r.SetVersion(version)
		return err == nil
	}
	switch kind % 9 {
	case 0:
		if r := kmsg.NewPtrJoinGroupRequest(); read(r) {
			g.Join(now, ticket, Client{string(body), "h"}, r)
		}
	case 1:
		if r := kmsg.NewPtrSyncGroupRequest(); read(r) {
			g.Sync(now, ticket, r)
		}
	case 2:
		if r := kmsg.NewPtrHeartbeatRequest(); read(r) {
			g.Heartbeat(now, r)
		}
	case 3:
		if r := kmsg.NewPtrLeaveGroupRequest(); read(r) {
			g.Leave(now, ticket, r)
		}
	case 4:
		if r := kmsg.NewPtrOffsetCommitRequest(); read(r) {
			_ = g.AllowCommit(now, r)
			NewOffsets(0).Commit(now, r, everyone)
		}
	case 5:
		if r := kmsg.NewPtrTxnOffsetCommitRequest(); read(r) {
			_ = g.AllowTxnCommit(r)
			NewOffsets(0).TxnCommit(now, r, everyone)
		}
	case 6:
		if r := kmsg.NewPtrOffsetFetchRequest(); read(r) {
			NewOffsets(0).Fetch(r, anybody, everyone).AppendTo(nil)
		}
	case 7:
		if r := kmsg.NewPtrListGroupsRequest(); read(r) {
			g.List(r)
		}
		g.Describe()
	case 8:
		g.Gone(now, Ticket(version))
	}
}

func throughJSON(t *testing.T, e Entry) Entry {
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back Entry
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

// FuzzRestore: an entry is refused or makes a group that works.
func FuzzRestore(f *testing.F) {
	f.Add([]byte(`{"group":"g","state":"Stable","generation":3,"protocol":"range","leader":"a","members":[{"id":"a","session_millis":10000,"protocols":[{"name":"range"}]}]}`))
	f.Add([]byte(`{"group":"g","state":"CompletingRebalance","members":[{"id":"a"}]}`))
	f.Add([]byte(`{"group":"g","state":"Empty","generation":3}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var e Entry
		if json.Unmarshal(b, &e) != nil {
			return
		}
		g, err := Restore(e, Options{NewID: func() string { return "x" }}, start)
		if err != nil {
			return
		}
		g.check()
		g.Describe()
		g.Join(start, 1, Client{"c", "h"}, joinRequest(parse(t, []string{"v=3"})))
		var now time.Time
		for range 100 {
			at, ok := g.Deadline()
			if !ok {
				break
			}
			now = at
			g.Tick(now)
		}
	})
}
