package group

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txt with what is said now")

// TestStories plays each testdata/*.txt: lines that begin with "> " are commands, those after them what the group said.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("%s differs (go test -run TestStories -update rewrites it); got:\n%s", file, got)
			}
		})
	}
}

func play(t *testing.T, script string) string {
	var out strings.Builder
	s := newStage(t)
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "> ") {
			if strings.HasPrefix(line, "#") || line == "" {
				fmt.Fprintln(&out, line)
			}
			continue
		}
		fmt.Fprintln(&out, line)
		for _, said := range s.do(strings.Fields(line[2:])) {
			fmt.Fprintln(&out, "  "+said)
		}
		fmt.Fprintln(&out, "  "+s.standing())
	}
	return out.String()
}

// stage is a group, its clock, and who gives it commands.
type stage struct {
	t      *testing.T
	now    time.Time
	o      Options
	g      *Group
	ticket Ticket
	ids    int
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, now: time.Unix(1000, 0).UTC()}
	s.o = Options{NewID: func() string { s.ids++; return strconv.Itoa(s.ids) }}
	s.g = New("g", s.o)
	return s
}

func (s *stage) standing() string {
	next := "never"
	if at, ok := s.g.Deadline(); ok {
		next = "in " + at.Sub(s.now).String()
	}
	return fmt.Sprintf("= %v generation %d, next %s", s.g.State(), s.g.generation, next)
}

// args are the words of a command: a name, then key=value.
type args struct {
	t    *testing.T
	name string
	kv   map[string]string
}

func parse(t *testing.T, words []string) args {
	a := args{t, "", map[string]string{}}
	for _, w := range words {
		if k, v, ok := strings.Cut(w, "="); ok {
			a.kv[k] = v
		} else {
			a.name = w
		}
	}
	return a
}

func (a args) str(k, otherwise string) string {
	if v, ok := a.kv[k]; ok {
		return v
	}
	return otherwise
}

func (a args) ptr(k string) *string {
	if v, ok := a.kv[k]; ok {
		return &v
	}
	return nil
}

func (a args) num(k string, otherwise int) int {
	n, err := strconv.Atoi(a.str(k, strconv.Itoa(otherwise)))
	if err != nil {
		a.t.Fatal(err)
	}
	return n
}

func (a args) dur(k, otherwise string) int32 {
	d, err := time.ParseDuration(a.str(k, otherwise))
	if err != nil {
		a.t.Fatal(err)
	}
	return int32(d.Milliseconds())
}

func (a args) list(k, otherwise string) []string {
	v := a.str(k, otherwise)
	if v == "" {
		return nil
	}
	return strings.Split(v, ",")
}

func (s *stage) do(words []string) []string {
	a := parse(s.t, words[1:])
	switch words[0] {
	case "option":
		s.o.MaxMembers, s.o.MaxBytes = a.num("members", 0), a.num("bytes", 0)
		s.g = New("g", s.o)
		return nil
	case "join":
		s.ticket++
		return s.said(s.g.Join(s.now, s.ticket, Client{a.name, "/host"}, joinRequest(a)))
	case "sync":
		s.ticket++
		return s.said(s.g.Sync(s.now, s.ticket, syncRequest(a, s.g.generation)))
	case "heartbeat":
		req := kmsg.NewPtrHeartbeatRequest()
		req.Version, req.MemberID, req.Generation, req.InstanceID = 4, a.name, int32(a.num("gen", int(s.g.generation))), a.ptr("instance")
		return []string{codeName(s.g.Heartbeat(s.now, req).ErrorCode)}
	case "leave":
		s.ticket++
		return s.said(s.g.Leave(s.now, s.ticket, leaveRequest(a)))
	case "gone":
		return s.said(s.g.Gone(s.now, Ticket(a.num("ticket", 0))))
	case "unsaved":
		return s.said(s.g.Unsaved(s.now))
	case "wait":
		d, err := time.ParseDuration(a.name)
		if err != nil {
			s.t.Fatal(err)
		}
		return s.wait(d)
	case "restart":
		s.restart()
		return nil
	case "commit":
		return []string{errName(s.g.AllowCommit(s.now, commitRequest(a)))}
	case "txn-commit":
		return []string{errName(s.g.AllowTxnCommit(txnCommitRequest(a)))}
	case "describe":
		return described(s.g.Describe())
	case "delete":
		out, err := s.g.Delete(s.now, a.str("offsets", "") == "yes")
		return append(s.said(out), errName(err))
	case "offset-delete":
		subscribed, err := s.g.AllowOffsetDelete(a.str("offsets", "") == "yes")
		if err != nil {
			return []string{errName(err)}
		}
		return []string{fmt.Sprintf("%s subscribed: %v", a.name, subscribed(a.name))}
	}
	s.t.Fatalf("unknown command %q", words)
	return nil
}

// wait lets time pass, deadline by deadline.
func (s *stage) wait(d time.Duration) []string {
	var out []string
	end := s.now.Add(d)
	for range 1000 {
		at, ok := s.g.Deadline()
		if !ok || at.After(end) {
			s.now = end
			return out
		}
		d -= at.Sub(s.now)
		s.now = at
		out = append(out, fmt.Sprintf("at -%v:", end.Sub(at)))
		out = append(out, s.said(s.g.Tick(s.now))...)
	}
	s.t.Fatal("time does not pass")
	return nil
}

// restart is the broker's, by way of the journal.
func (s *stage) restart() {
	e, ok := s.g.Saved()
	if !ok {
		s.g = New("g", s.o)
		return
	}
	b, err := json.Marshal(e)
	if err != nil {
		s.t.Fatal(err)
	}
	var back Entry
	if err := json.Unmarshal(b, &back); err != nil {
		s.t.Fatal(err)
	}
	if s.g, err = Restore(back, s.o, s.now); err != nil {
		s.t.Fatal(err)
	}
}

func wish(topics ...string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0, 1}, uint32(len(topics)))
	for _, t := range topics {
		b = binary.BigEndian.AppendUint16(b, uint16(len(t)))
		b = append(b, t...)
	}
	return b
}

func joinRequest(a args) *kmsg.JoinGroupRequest {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID = int16(a.num("v", 9)), "g", a.str("id", ""), a.ptr("instance")
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = a.dur("session", "10s"), a.dur("rebalance", "60s")
	req.ProtocolType = a.str("type", "consumer")
	for _, name := range a.list("protocols", "range") {
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name, p.Metadata = name, append(wish(a.list("topics", "t")...), a.str("owned", "")...)
		req.Protocols = append(req.Protocols, p)
	}
	return req
}

func syncRequest(a args, generation int32) *kmsg.SyncGroupRequest {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID = 5, "g", a.name, a.ptr("instance")
	req.Generation, req.ProtocolType, req.Protocol = int32(a.num("gen", int(generation))), a.ptr("type"), a.ptr("protocol")
	for _, one := range a.list("assign", "") {
		x := kmsg.NewSyncGroupRequestGroupAssignment()
		id, what, _ := strings.Cut(one, ":")
		x.MemberID, x.MemberAssignment = id, []byte(what)
		req.GroupAssignment = append(req.GroupAssignment, x)
	}
	return req
}

func leaveRequest(a args) *kmsg.LeaveGroupRequest {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Version, req.Group = int16(a.num("v", 5)), "g"
	if req.Version < 3 {
		req.MemberID = a.name
		return req
	}
	ids, instances := strings.Split(a.name, ","), a.list("instance", "")
	for i := range max(len(ids), len(instances)) {
		m := kmsg.NewLeaveGroupRequestMember()
		if i < len(ids) {
			m.MemberID = ids[i]
		}
		if i < len(instances) {
			m.InstanceID = &instances[i]
		}
		req.Members = append(req.Members, m)
	}
	return req
}

func commitRequest(a args) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID, req.Generation = 9, "g", a.name, a.ptr("instance"), int32(a.num("gen", -1))
	return req
}

func txnCommitRequest(a args) *kmsg.TxnOffsetCommitRequest {
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.InstanceID, req.Generation = 4, "g", a.name, a.ptr("instance"), int32(a.num("gen", -1))
	return req
}

func codeName(c int16) string {
	if c == 0 {
		return "ok"
	}
	return kerr.TypedErrorForCode(c).Message
}

func errName(err *kerr.Error) string { return codeName(code(err)) }

func (s *stage) said(effects []Effect) []string {
	var out []string
	for _, e := range effects {
		out = append(out, tell(e))
	}
	return out
}

func tell(e Effect) string {
	if save, ok := e.(Save); ok {
		return "save " + entryString(save.Entry)
	}
	a := e.(Answer)
	a.Response.AppendTo(nil) // must be possible
	switch r := a.Response.(type) {
	case *kmsg.JoinGroupResponse:
		return fmt.Sprintf("#%d join: %s", a.Ticket, joinString(r))
	case *kmsg.SyncGroupResponse:
		if r.ErrorCode != 0 {
			return fmt.Sprintf("#%d sync: %s", a.Ticket, codeName(r.ErrorCode))
		}
		return fmt.Sprintf("#%d sync: ok %q by %s", a.Ticket, r.MemberAssignment, *r.Protocol)
	case *kmsg.LeaveGroupResponse:
		text := fmt.Sprintf("#%d leave: %s", a.Ticket, codeName(r.ErrorCode))
		for _, m := range r.Members {
			text += fmt.Sprintf(" [%s %s %s]", m.MemberID, text2(m.InstanceID), codeName(m.ErrorCode))
		}
		return text
	}
	return fmt.Sprintf("#%d %T", a.Ticket, a.Response)
}

func text2(p *string) string {
	if p == nil {
		return "-"
	}
	return *p
}

func joinString(r *kmsg.JoinGroupResponse) string {
	if r.ErrorCode != 0 {
		return codeName(r.ErrorCode) + " you " + strconv.Quote(r.MemberID)
	}
	text := fmt.Sprintf("ok generation %d by %s, you %s, leader %s", r.Generation, *r.Protocol, r.MemberID, r.LeaderID)
	for _, m := range r.Members {
		text += " [" + m.MemberID + " " + text2(m.InstanceID) + "]"
	}
	if r.SkipAssignment {
		text += " do not assign"
	}
	return text
}

func entryString(e Entry) string {
	text := fmt.Sprintf("%s generation %d", e.State, e.Generation)
	for _, m := range e.Members {
		text += fmt.Sprintf(" [%s %q]", m.ID, m.Assignment)
	}
	return text
}

func described(d kmsg.DescribeGroupsResponseGroup) []string {
	out := []string{fmt.Sprintf("%s type %q protocol %q", d.State, d.ProtocolType, d.Protocol)}
	for _, m := range d.Members {
		out = append(out, fmt.Sprintf("%s instance %s client %s%s wants %q has %q", m.MemberID, text2(m.InstanceID), m.ClientID,
			m.ClientHost, m.ProtocolMetadata, m.MemberAssignment))
	}
	return out
}
