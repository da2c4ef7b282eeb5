package chaos_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The topics in which Kafka keeps what groups and transactions have decided.
const (
	groupTopic       = "__consumer_offsets"
	transactionTopic = "__transaction_state"
)

func (s *story) killBroker(n int) {
	s.Helper()
	s.must(s.target.Kill(n))
	s.happened["broker killed"]++
}

func (s *story) restartBroker(n int) {
	s.Helper()
	s.must(s.target.Restart(s.ctx, n))
}

// pauseBroker lets a broker stand still. However the story ends, it goes on.
func (s *story) pauseBroker(n int) {
	s.Helper()
	s.must(s.target.Pause(n))
	s.Cleanup(func() { _ = s.target.Resume(n) }) // it may go on already
	s.happened["broker paused"]++
}

// brokerKilled kills the only broker while a commit stands at each step that still needs it.
func brokerKilled(t *testing.T, on string, target target, name string) {
	s := begin(t, on, target, name, exactlyOnce)
	s.flow(2)
	at := steps[1:3]
	if wanted() == full {
		at = steps[:3]
	}
	for i, step := range at {
		w := s.workers[i%2]
		w.holdAt(step)
		s.killBroker(1)
		w.goOn()
		s.restartBroker(1)
		s.awaitAll()
	}
	s.audit()
}

// brokerKilledDecided kills the only broker when it has decided a transaction and nobody was told. Apache Kafka may forget
// then what it has decided: see forgotten.
func brokerKilledDecided(t *testing.T, on string, target target, name string) {
	s := begin(t, on, target, name, exactlyOnce).proxied()
	s.flow(2)
	c := s.workers[0].proxy.catch(kmsg.EndTxn, answer)
	s.caught(c)
	s.killBroker(1)
	c.cut()
	s.restartBroker(1)
	if why := s.awaitAllUnless(s.forgotten); why != "" {
		s.Skipf("NOT TESTED: the broker has forgotten a transaction that it had decided, and every reader waits for its marks: %s", why)
	}
	s.audit()
}

// forgotten finds out whether Apache Kafka gave up the marks of a decided transaction of this job. 4.3.1, alone, may do so when it
// comes up: it knows the transaction before it knows itself to be the leader of anything, takes the partitions for deleted, and
// leaves out their marks. Nobody can read past them then, whatever the clients do.
func (s *story) forgotten() (line string) {
	kafka, ok := s.target.(interface{ Logs() []string })
	if !ok {
		return ""
	}
	given := regexp.MustCompile("(?m)^.*Couldn't find leader endpoint for partitions .* transaction markers for " + regexp.QuoteMeta(s.group()) + "[.].*$")
	for _, name := range kafka.Logs() {
		text, err := os.ReadFile(name)
		s.must(err)
		if found := given.Find(text); found != nil {
			return string(found)
		}
	}
	return ""
}

// eachBrokerKilled kills one of three brokers in turn, in the middle of a commit. The job goes on without it.
func eachBrokerKilled(t *testing.T, on string, target target, name string) {
	s := begin(t, on, target, name, exactlyOnce)
	s.flow(2)
	for n := 1; n <= 3; n++ {
		w, step := s.workers[n%2], steps[n%3]
		w.holdAt(step)
		s.killBroker(n)
		w.goOn()
		s.awaitAll() // without it
		s.restartBroker(n)
		s.awaitInSync()
	}
	s.awaitAll()
	s.audit()
}

// coordinatorKilled kills the broker that decides a worker's transactions: when it has decided and nobody was told, and
// before it is asked.
func coordinatorKilled(t *testing.T, on string, target target, name string) {
	s := begin(t, on, target, name, exactlyOnce).proxied()
	s.flow(2)
	w := s.workers[0]
	c := w.proxy.catch(kmsg.EndTxn, answer)
	s.caught(c)
	n := s.coordinator(w)
	s.killBroker(n)
	c.cut()
	s.awaitAll()
	s.restartBroker(n)
	s.awaitInSync()
	if wanted() == full {
		w.holdAt("after-offsets")
		n = s.coordinator(w)
		s.killBroker(n)
		w.goOn()
		s.awaitAll()
		s.restartBroker(n)
		s.awaitInSync()
	}
	s.audit()
}

// coordinator is the number of the broker that decides a worker's transactions.
func (s *story) coordinator(w *worker) int {
	s.Helper()
	found := s.admin.FindTxnCoordinators(s.ctx, w.id())[w.id()]
	s.must(found.Err)
	return int(found.NodeID)
}

// coordinatorMoved gives the deciding of transactions, and then that of groups, to another broker in the middle of a
// commit.
func coordinatorMoved(t *testing.T, on string, target target, name string) {
	s := begin(t, on, target, name, exactlyOnce)
	s.flow(2)
	topics := []string{transactionTopic, groupTopic}
	if wanted() == full {
		topics = append(topics, topics...)
	}
	for i, topic := range topics {
		w := s.workers[i%2]
		w.holdAt(steps[2-i/2])
		before := s.coordinator(w)
		s.moveLeaders(topic)
		if topic == transactionTopic {
			s.await("another broker to coordinate", func() bool { return s.coordinator(w) != before })
		}
		w.goOn()
		s.awaitAll()
	}
	s.audit()
}

// leadersMoved gives the partitions of the job to other leaders, again and again.
func leadersMoved(t *testing.T, on string, target target, name string) {
	s := begin(t, on, target, name, exactlyOnce)
	s.flow(2)
	for i, step := range steps[:3] {
		w := s.workers[i%2]
		w.holdAt(step)
		s.moveLeaders(s.in(), s.out(), name+".stored.deliver")
		w.goOn()
		s.moveLeaders(s.in(), s.out()) // and once more while it goes on
		s.awaitAll()
	}
	s.audit()
}

// moveLeaders makes the next replica of every partition the preferred one, elects it, and waits until it leads.
func (s *story) moveLeaders(topics ...string) {
	s.Helper()
	var req kadm.AlterPartitionAssignmentsReq
	wanted, all := map[string]map[int32]int32{}, kadm.TopicsSet{}
	for topic, detail := range s.topics(topics...) {
		wanted[topic] = map[int32]int32{}
		for _, p := range detail.Partitions {
			order := slices.Sorted(slices.Values(p.Replicas))
			i := (slices.Index(order, p.Leader) + 1) % len(order)
			order = append(order[i:], order[:i]...)
			req.Assign(topic, p.Partition, order)
			wanted[topic][p.Partition] = order[0]
			all.Add(topic, p.Partition)
		}
	}
	moved, err := s.admin.AlterPartitionAssignments(s.ctx, req)
	s.must(err)
	s.must(moved.Error())
	s.await("the new leaders", func() bool {
		_, err := s.admin.ElectLeaders(s.ctx, kadm.ElectPreferredReplica, all) // that one leads already is an error, too
		return err == nil && s.led(wanted)
	})
	s.happened["leaders moved"] += len(all.IntoList())
}

func (s *story) led(wanted map[string]map[int32]int32) bool {
	for topic, partitions := range wanted {
		detail, err := s.admin.ListTopicsWithInternal(s.ctx, topic)
		if err != nil {
			return false
		}
		for p, leader := range partitions {
			if detail[topic].Partitions[p].Leader != leader {
				return false
			}
		}
	}
	return true
}

func (s *story) topics(names ...string) kadm.TopicDetails {
	s.Helper()
	list, err := s.admin.ListTopicsWithInternal(s.ctx, names...)
	s.must(err)
	s.must(list.Error())
	return list
}

// awaitInSync waits until every replica of every partition has caught up, so that one more broker may go.
func (s *story) awaitInSync() {
	s.Helper()
	s.await("all replicas in sync", func() bool {
		list, err := s.admin.ListTopicsWithInternal(s.ctx)
		if err != nil {
			return false
		}
		for _, topic := range list {
			for _, p := range topic.Partitions {
				if p.Err != nil || len(p.ISR) < len(p.Replicas) {
					return false
				}
			}
		}
		return true
	})
}

// tooFewInSync lets the output ask for one more replica than there are for a while.
func tooFewInSync(t *testing.T, on string, target target, name string) {
	s := begin(t, on, target, name, exactlyOnce)
	s.flow(2)
	s.awaitInSync()
	s.minInSync(3)
	s.pauseBroker(2)
	s.await("a replica to fall out", func() bool { return s.fewestInSync(s.out()) < 3 })
	s.sendMore(2)
	s.stands(loadRate / 2)
	s.must(target.Resume(2))
	s.awaitInSync()
	s.awaitAll()
	s.minInSync(2)
	s.audit()
}

func (s *story) minInSync(n int) {
	s.Helper()
	value := fmt.Sprint(n)
	changed, err := s.admin.AlterTopicConfigs(s.ctx, []kadm.AlterConfig{{Name: "min.insync.replicas", Value: &value}}, s.out())
	s.must(err)
	for _, c := range changed {
		s.must(c.Err)
	}
}

func (s *story) fewestInSync(topic string) int {
	list, err := s.admin.ListTopics(s.ctx, topic)
	if err != nil {
		return len(s.target.Addrs()) // the one that does not answer was asked; the next time it is another
	}
	fewest := len(s.target.Addrs())
	for _, p := range list[topic].Partitions {
		fewest = min(fewest, len(p.ISR))
	}
	return fewest
}

// mostPaused lets two of three brokers stand still for a while: nothing can be decided any more.
func mostPaused(t *testing.T, on string, target target, name string) {
	s := begin(t, on, target, name, exactlyOnce)
	s.flow(2)
	s.awaitInSync()
	for _, n := range []int{1, 3} {
		s.pauseBroker(n)
	}
	s.sendMore(8)
	s.stands(loadRate / 2)
	for _, n := range []int{1, 3} {
		s.must(target.Resume(n))
	}
	s.awaitAll()
	s.awaitInSync()
	s.audit()
}

// sendMore waits until as much was sent as in so many seconds.
func (s *story) sendMore(seconds int64) {
	s.Helper()
	until := s.load.sent.Load() + seconds*loadRate
	s.await("more to be sent", func() bool { return s.load.sent.Load() >= until })
}

// stands checks that at least so many events do not come out: the disturbance that a story is about is there.
func (s *story) stands(least int64) {
	s.Helper()
	if sent := s.load.sent.Load(); stored(s.ctx, s.database(), sent) > sent-least {
		s.Errorf("nothing was held up: %d sent", sent)
	}
}
