package acl

import (
	"fmt"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Run with -race: changes and decisions from many goroutines at once.
func TestEverythingMayBeCalledAtOnce(t *testing.T) {
	s := withUser(t, "secret")
	gate := NewGate(10, 10)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			b, e := on(fmt.Sprint("topic-", i)), Entity{User: Default}
			g := s.ACLs.Guard("User:alice", "h")
			for n := range 50 {
				name := fmt.Sprint("u", n%3)
				for _, entry := range []Entry{
					{Kind: KindBindingAdded, Binding: &b}, {Kind: KindQuotaSet, Entity: &e, Quotas: map[string]float64{producerByteRate: float64(n + 1)}},
					setUser(name, s.Users.credential("alice", ScramSHA256)), {Kind: KindUserRemoved, User: name, Mechanism: ScramSHA256},
				} {
					if err := s.Apply(entry); err != nil {
						t.Error(err)
					}
				}
				g.Topic(kmsg.Fetch, b.Name)
				g.Cluster(kmsg.InitProducerID)
				s.Quotas.Charge(Client{User: name}, Produced, 10, noon)
				s.Users.Describe(kmsg.NewPtrDescribeUserSCRAMCredentialsRequest())
				if _, _, err := s.Users.Converse(ScramSHA256).Step([]byte("n,,n=alice,r=abc")); err != nil {
					t.Error(err)
				}
				if leave, err := gate.Enter(name); err == nil {
					leave()
				}
				s.Snapshot()
			}
		})
	}
	all.Wait()
	if gate.Open() != 0 || len(s.ACLs.list()) != 4 || len(s.Users.Names()) != 1 {
		t.Errorf("%d connections, %d bindings, users %v", gate.Open(), len(s.ACLs.list()), s.Users.Names())
	}
}
