package chaos_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ravenswood.dev/internal/admin"
)

// endAnsweredLate keeps the answer to EndTxn back for seconds, then for so long that the worker asks again.
func endAnsweredLate(t *testing.T, on string, target target, name string) {
	s := begin(t, on, target, name, exactlyOnce).proxied()
	s.flow(2)
	late := s.workers[0].proxy.catch(kmsg.EndTxn, answer)
	s.caught(late)
	s.sendMore(2)
	late.release()
	s.awaitAll()
	if wanted() == full {
		w := s.workers[1]
		late := w.proxy.catch(kmsg.EndTxn, answer)
		s.caught(late)
		again := w.proxy.catch(kmsg.EndTxn, request)
		s.caught(again) // the worker has given the first up
		again.release()
		late.release()
		s.awaitAll()
	}
	s.audit()
}

// endNotAnswered cuts the connection with the answer to EndTxn on it: decided, and the worker does not know.
func endNotAnswered(t *testing.T, on string, target target, name string) {
	s := begin(t, on, target, name, exactlyOnce).proxied()
	s.flow(2)
	for i := range 4 {
		w := s.workers[i%2]
		first := w.proxy.catch(kmsg.EndTxn, answer)
		s.caught(first)
		first.cut()
		if i >= 2 { // nor is what it asks next
			second := w.proxy.catch(kmsg.EndTxn, answer)
			s.caught(second)
			second.cut()
		}
		s.awaitAll()
	}
	s.audit()
}

// endDeliveredLate lets an EndTxn arrive when a later transaction of the same producer is open. It must not end that one
// (KIP-890): its offsets and results are not complete.
func endDeliveredLate(t *testing.T, on string, target target, name string) {
	s := begin(t, on, target, name, exactlyOnce).proxied()
	s.flow(2)
	for _, step := range []string{"after-flush", "after-offsets"} {
		w := s.workers[0]
		stale := w.proxy.catch(kmsg.EndTxn, request)
		s.caught(stale)
		stale.cut() // the worker asks again, or begins again
		s.awaitAll()
		w.holdAt(step)
		resp, err := stale.deliver(s.ctx)
		s.must(err)
		code := kerr.ErrorForCode(resp.(*kmsg.EndTxnResponse).ErrorCode)
		if code == nil {
			s.Errorf("a stale EndTxn was taken at %s", step)
		}
		s.happened["stale EndTxn: "+kerr.TypedErrorForCode(resp.(*kmsg.EndTxnResponse).ErrorCode).Message]++
		if state := s.transaction(w.id()); state != "Ongoing" {
			s.Errorf("after a stale EndTxn at %s the open transaction is %s", step, state)
		}
		w.goOn()
		s.awaitAll()
	}
	s.audit()
}

// transaction is the state of an id's transaction.
func (s *story) transaction(id string) string {
	s.Helper()
	list, err := s.admin.DescribeTransactions(s.ctx, id)
	s.must(err)
	s.must(list[id].Err)
	return list[id].State
}

// foreignTransaction leaves a transaction of somebody else open in the input: one that is aborted after a while, and one
// that nobody ends.
func foreignTransaction(t *testing.T, on string, target target, name string) {
	s := begin(t, on, target, name, exactlyOnce)
	s.flow(2)
	foreign := s.openForeign(time.Minute)
	s.await("records behind the open transaction", func() bool { return s.behind(0) >= held })
	s.readersWait()
	s.must(foreign.EndTransaction(s.ctx, kgo.TryAbort))
	s.happened["foreign transaction aborted"]++
	s.awaitAll()

	s.openForeign(3 * time.Second)
	s.await("records behind the open transaction", func() bool { return s.behind(0) >= held })
	s.happened["foreign transaction timed out"]++
	s.awaitAll()
	s.audit()
}

// held is how many records the open transaction keeps back before we look.
const held = 100

// openForeign writes events that must never be seen to partition 0 of the input, in a transaction that stays open.
func (s *story) openForeign(timeout time.Duration) *kgo.Client {
	s.Helper()
	client, err := kgo.NewClient(append(s.cfg.Options(), kgo.TransactionalID(s.name+".foreign"), kgo.TransactionTimeout(timeout),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	s.must(err)
	s.Cleanup(client.Close)
	s.must(client.BeginTransaction())
	value, _ := json.Marshal(event{Key: "foreign", N: -1, ID: -1}) // plain numbers and text
	s.must(client.ProduceSync(s.ctx, &kgo.Record{Topic: s.in(), Partition: 0, Key: []byte("foreign"), Value: value}).FirstErr())
	return client
}

// behind is how many offsets of an input partition lie behind an open transaction.
func (s *story) behind(partition int32) int64 {
	ends, err1 := s.admin.ListEndOffsets(s.ctx, s.in())
	stable, err2 := s.admin.ListCommittedOffsets(s.ctx, s.in())
	if err1 != nil || err2 != nil {
		return 0
	}
	end, _ := ends.Lookup(s.in(), partition)
	lso, _ := stable.Lookup(s.in(), partition)
	return end.Offset - lso.Offset
}

// readersWait checks that nothing behind an open transaction is taken, and that the other partitions flow.
func (s *story) readersWait() {
	s.Helper()
	before := stored(s.ctx, s.database(), s.load.sent.Load())
	s.await("the other partitions to flow", func() bool { return stored(s.ctx, s.database(), s.load.sent.Load()) > before+loadRate/2 })
	stable, err := s.admin.ListCommittedOffsets(s.ctx, s.in())
	s.must(err)
	done, err := s.admin.FetchOffsets(s.ctx, s.group())
	s.must(err)
	lso, _ := stable.Lookup(s.in(), 0)
	if at, _ := done.Lookup(s.in(), 0); at.At > lso.Offset {
		s.Errorf("the group is at %d, behind the last stable offset %d", at.At, lso.Offset)
	}
	s.stands(held)
	status, err := admin.NewClient(s.workers[0].admin).Status(s.ctx)
	s.must(err)
	text, _ := json.Marshal(status.Topologies) // as it came
	s.Logf("status while a foreign transaction is open: %s", text)
}

// rebalanceInCommit lets a second worker join and leave while the first one's commit waits for a broker.
func rebalanceInCommit(t *testing.T, on string, target target, name string) {
	s := begin(t, on, target, name, exactlyOnce).proxied()
	s.flow(1)
	stays, comes := s.workers[0], s.workers[1]
	sides := []side{answer}
	if wanted() == full {
		sides = append(sides, request)
	}
	for _, key := range []kmsg.Key{kmsg.TxnOffsetCommit, kmsg.EndTxn} {
		for _, side := range sides {
			c := stays.proxy.catch(key, side)
			s.caught(c)
			comes.start()
			s.await("the other to join", func() bool { return s.member(comes.id()) })
			c.release()
			s.await("both to have partitions", func() bool { return s.owners() == 2 })
			s.awaitAll()

			c = stays.proxy.catch(key, side)
			s.caught(c)
			comes.stop()
			s.await("the other to leave", func() bool { return !s.member(comes.id()) })
			c.release()
			s.awaitAll()
			s.happened["rebalance in a commit"] += 2
		}
	}
	s.audit()
}

// owners counts the workers that have partitions of the input, once the group has settled.
func (s *story) owners() (n int) {
	groups, err := s.admin.DescribeGroups(s.ctx, s.group())
	if err != nil || groups[s.group()].State != "Stable" {
		return 0
	}
	for _, m := range groups[s.group()].Members {
		if a, ok := m.Assigned.AsConsumer(); ok && len(a.Topics) > 0 {
			n++
		}
	}
	return n
}
