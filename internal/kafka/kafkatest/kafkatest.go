// Package kafkatest holds one list of what a Kafka broker of one node must do, so that ours, a test double and Apache Kafka
// are held to the same words.
//
// Run runs the list against a Target, many cases at once; every case has topics, groups and names of its own, so a target
// may be used by others at the same time. Apache Kafka is the oracle: a case that it fails is a wrong case.
//
// A case speaks the protocol itself wherever a client library would retry, hide or repair what is to be seen. Do not take
// a passed list for a proof of durability: only the cases under "restart" end the broker at all.
package kafkatest

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Target is a running broker. It is expected to make topics by use, to let everybody in at Seed, and to do its housekeeping
// (retention, compaction, transactions past their time) at least once a second.
type Target struct {
	Name    string             // as in the list of differences
	Seed    string             // the address of its only node
	SASL    *SASL              // nil leaves out what needs users
	Restart func(t testing.TB) // ends it without warning, starts it again at the same address and waits until it answers; nil leaves out what needs it
}

// SASL is a listener that asks for a name and a password with SCRAM-SHA-256, and holds everybody but the administrator to
// the ACLs.
type SASL struct {
	Seed     string
	User     string // the administrator
	Password string
}

// ReportPrefix begins the line with which a test prints its Summary as JSON.
const ReportPrefix = "conformance: "

// Summary counts how the cases ended.
type Summary struct {
	Target   string `json:"target"`
	Passed   int    `json:"passed"`
	Accepted int    `json:"accepted"` // differ as the list of differences says
	Failed   int    `json:"failed"`
	LeftOut  int    `json:"left_out"` // need something this target does not offer
}

func (s Summary) String() string {
	return fmt.Sprintf("%s: passed %d, accepted differences %d, failed %d, left out %d", s.Target, s.Passed, s.Accepted, s.Failed, s.LeftOut)
}

// testCase is one thing that a broker does.
type testCase struct {
	name string // a sentence, unique in its chapter
	run  func(*T)
}

// chapter is a part of the list.
type chapter struct {
	name  string
	cases []testCase
}

// chapters is the list.
func chapters() []chapter {
	return []chapter{
		{"frames", frameCases()},
		{"produce", produceCases()},
		{"idempotence", idempotenceCases()},
		{"transactions", transactionCases()},
		{"transactions of KIP-890", verifiedCases()},
		{"offsets in transactions", txnOffsetCases()},
		{"fetch", fetchCases()},
		{"fetch sessions", sessionCases()},
		{"list offsets", listOffsetsCases()},
		{"groups", groupCases()},
		{"group administration", groupAdminCases()},
		{"offsets", offsetCases()},
		{"metadata", metadataCases()},
		{"topics", topicCases()},
		{"configs", configCases()},
		{"housekeeping", housekeepingCases()},
		{"descriptions", descriptionCases()},
		{"ACLs", aclCases()},
		{"quotas", quotaCases()},
		{"users", userCases()},
	}
}

// Run runs the list against a target and reports how it went. It fails t if a case fails that is not in the list of
// differences, or passes although it is.
func Run(t *testing.T, target Target) Summary {
	t.Helper()
	differences, err := differencesOf(target.Name)
	if err != nil {
		t.Fatal(err)
	}
	r := &runner{target: target, differences: differences, nonce: time.Now().UnixNano() / 1e6 % 1e9}
	r.known(t)
	r.warm(t)
	t.Run("list", r.list)
	if target.Restart != nil {
		t.Run("restart", r.restart)
	} else {
		r.summary.LeftOut += len(restartCases())
	}
	r.summary.Target = target.Name
	t.Log(r.summary)
	return r.summary
}

// runner is the list under way.
type runner struct {
	target      Target
	nonce       int64 // keeps the names of two runs apart
	differences map[string]string

	mu      sync.Mutex
	names   int
	summary Summary
}

func (r *runner) list(t *testing.T) {
	for _, ch := range chapters() {
		for _, c := range ch.cases {
			name := ch.name + "/" + c.name
			t.Run(name, func(tt *testing.T) {
				tt.Parallel()
				ct := r.begin(tt, name)
				defer ct.end()
				ct.survivable()
				ct.attempt(c.run)
			})
		}
	}
}

// restart runs the cases of a restart: what each does before, one restart, what each finds after.
func (r *runner) restart(t *testing.T) {
	type half struct {
		name  string
		after func(*T)
	}
	var halves []half
	for _, c := range restartCases() {
		t.Run("before/"+c.name, func(tt *testing.T) {
			ct := r.begin(tt, "restart/"+c.name)
			ct.quiet = true // the second half counts
			halves = append(halves, half{c.name, c.before(ct)})
		})
	}
	r.target.Restart(t)
	r.warm(t)
	for _, h := range halves {
		t.Run("after/"+h.name, func(tt *testing.T) {
			ct := r.begin(tt, "restart/"+h.name)
			defer ct.end()
			ct.attempt(h.after)
		})
	}
}

// known refuses differences of cases that do not exist.
func (r *runner) known(t *testing.T) {
	t.Helper()
	var names []string
	for _, ch := range chapters() {
		for _, c := range ch.cases {
			names = append(names, ch.name+"/"+c.name)
		}
	}
	for _, c := range restartCases() {
		names = append(names, "restart/"+c.name)
	}
	for name := range r.differences {
		if !slices.Contains(names, name) {
			t.Errorf("the list of differences names a case that does not exist: %q", name)
		}
	}
	if slices.Sort(names); len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Error("two cases have one name")
	}
}

// T is one case under way.
type T struct {
	testing.TB
	runner *runner
	target Target
	name   string
	reason string // why a difference is accepted, or ""
	quiet  bool   // does not count
	done   bool   // reached its end
	ctx    context.Context
	conn   *conn // opened by the first request
}

func (r *runner) begin(t *testing.T, name string) *T {
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	t.Cleanup(cancel)
	return &T{TB: t, runner: r, target: r.target, name: name, reason: r.differences[name], ctx: ctx}
}

// Fatalf ends the case. Where the difference is accepted it is shown and counted, and the test goes on.
func (t *T) Fatalf(format string, args ...any) {
	t.Helper()
	if t.reason == "" || t.ctx.Err() != nil && strings.Contains(t.name, "restart/") {
		t.TB.Fatalf(format, args...)
	}
	t.TB.Skipf("ACCEPTED DIFFERENCE: %s: found: %s", t.reason, fmt.Sprintf(format, args...))
}

// attempt runs a case. An answer without the parts that a case looks at makes it panic, which is a failure like others.
func (t *T) attempt(run func(*T)) {
	defer func() {
		if !t.done && !t.Failed() && !t.Skipped() {
			if cause := recover(); cause != nil {
				t.Fatalf("the answer lacks something: %v\n%s", cause, debug.Stack())
			}
		}
	}()
	run(t)
	t.done = true
}

// survivable ends a case before it begins if the target is known not to survive it.
func (t *T) survivable() {
	t.Helper()
	if strings.HasPrefix(t.reason, fatal) {
		t.Fatalf("not tried")
	}
}

// leaveOut ends the case because the target lacks what it needs.
func (t *T) leaveOut(what string) {
	t.Helper()
	t.reason = ""
	t.TB.Skipf("LEFT OUT, NOT TESTED: %s", what)
}

// end counts the case, and fails it if it passes although it is said not to.
func (t *T) end() {
	r := t.runner
	if t.done && t.reason != "" {
		t.TB.Errorf("passes, but is in the list of differences: %s", t.reason)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case t.Failed():
		r.summary.Failed++
	case t.done:
		r.summary.Passed++
	case t.reason != "":
		r.summary.Accepted++
	case t.Skipped():
		r.summary.LeftOut++
	default:
		r.summary.Failed++
	}
}

// unique makes a name that nobody else has.
func (t *T) unique(kind string) string {
	r := t.runner
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names++
	return fmt.Sprintf("kt-%d-%s-%d", r.nonce, kind, r.names)
}

// eventually polls until a condition holds, and ends the case if it never does.
func (t *T) eventually(what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-t.ctx.Done():
			t.Fatalf("never seen: %s", what)
		}
	}
}
