package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/internal/cli"
)

// steps are those of a commit, as package engine names them.
var steps = []string{"before-flush", "after-flush", "after-offsets", "after-end"}

// mainJob is the example, as its README starts it but on this cluster: everything that was sent is enriched and stored
// once, by its own count.
func mainJob(t *testing.T, on string, target target, _ string) {
	span := "6s"
	if wanted() == full {
		span = "20s"
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out, said bytes.Buffer
	args := []string{"up", "../../examples/enrich", "--brokers", strings.Join(target.Addrs(), ","), "--data", t.TempDir(), "--admin", "127.0.0.1:0", "--for", span, "--output", "json"}
	if code := cli.Run(ctx, args, cli.Streams{In: &bytes.Buffer{}, Out: &out, Err: &said}); code != cli.ExitOK {
		t.Fatalf("raven up ended with %d\n%s%s", code, &out, &said)
	}
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	last := lines[len(lines)-1]
	var n struct{ Sent, Enriched, Stored, Lost, Duplicated int64 }
	if err := json.Unmarshal(last, &n); err != nil {
		t.Fatalf("read the last line %q: %v", last, err)
	}
	if n.Sent == 0 || n.Enriched != n.Sent || n.Stored != n.Sent || n.Lost != 0 || n.Duplicated != 0 {
		t.Errorf("sent, enriched and stored must be equal and not zero, nothing lost or duplicated: %s", last)
	}
	t.Logf("%s: %s", on, last)
	outcomes.add(outcome{
		Target: on, Story: "main_job", Delivery: exactlyOnce, Seconds: tenths(time.Since(began)),
		verdict: verdict{Sent: n.Sent, Lost: n.Lost, Duplicated: n.Duplicated, InTopic: n.Enriched, InSQLite: n.Stored, Same: n.Enriched == n.Stored},
	})
}

// workerKilled kills a worker at every step of a commit and some at random.
func workerKilled(t *testing.T, on string, target target, name string) {
	s := begin(t, on, target, name, exactlyOnce)
	s.flow(2)
	rounds := 1
	if wanted() == full {
		rounds = 5
	}
	for round := range rounds {
		for i, step := range steps {
			w := s.workers[(i+round)%2]
			w.dieAt(step)
			w.start()
		}
		s.awaitAll()
		for _, w := range s.workers {
			time.Sleep(rand.N(500 * time.Millisecond)) // sleep: a random moment
			w.kill()
			w.start()
		}
		s.awaitAll()
	}
	s.audit()
}

// workerPaused stops a worker in the middle of a commit until the group gave its partitions away, and lets it go on.
func workerPaused(t *testing.T, on string, target target, name string) {
	s := begin(t, on, target, name, exactlyOnce)
	s.flow(2)
	zombie := s.workers[0]
	zombie.holdAt("after-offsets")
	zombie.child.signal(sigStop)
	s.await("the group to give up the sleeping worker", func() bool { return !s.member(zombie.id()) })
	s.awaitTopic() // the other has taken over; the database may be locked by the one that sleeps
	zombie.child.signal(sigCont)
	zombie.goOn()
	s.happened["worker paused past its session"]++
	s.await("the woken worker to come back", func() bool { return s.member(zombie.id()) })
	s.awaitAll()
	s.audit()
}

// awaitTopic waits until everything that is sent by now has come out in the topic.
func (s *story) awaitTopic() {
	s.Helper()
	sent := s.load.sent.Load()
	s.await(fmt.Sprintf("the first %d events in the topic", sent), func() bool {
		h, err := readTopic(s.ctx, s.cfg, s.out(), sent)
		return err == nil && h.lost() == 0
	})
}

// member says whether the job's group has a member of this id.
func (s *story) member(id string) bool {
	groups, err := s.admin.DescribeGroups(s.ctx, s.group())
	if err != nil {
		return false
	}
	for _, m := range groups[s.group()].Members {
		if m.InstanceID != nil && *m.InstanceID == id {
			return true
		}
	}
	return false
}

// control is the job without transactions, killed where repetitions come from: an audit that found none would prove
// nothing.
func control(t *testing.T, on string, target target, name string) {
	s := begin(t, on, target, name, atLeastOnce)
	s.flow(1)
	for range 3 {
		s.workers[0].dieAt("after-flush")
		s.workers[0].start()
	}
	s.awaitAll()
	if v := s.end(); !v.repeatedOnly() {
		t.Errorf("the audit must find repetitions and nothing lost: %+v", v)
	}
}
