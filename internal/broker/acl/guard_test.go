package acl

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// Requests that only brokers and controllers send to each other, and those for delegation tokens, have no rule: a guard
// refuses them whatever they name.
var notForClients = []kmsg.Key{
	kmsg.LeaderAndISR, kmsg.StopReplica, kmsg.UpdateMetadata, kmsg.ControlledShutdown,
	kmsg.CreateDelegationToken, kmsg.RenewDelegationToken, kmsg.ExpireDelegationToken, kmsg.DescribeDelegationToken,
	kmsg.Vote, kmsg.BeginQuorumEpoch, kmsg.EndQuorumEpoch, kmsg.DescribeQuorum, kmsg.AlterPartition, kmsg.Envelope, kmsg.FetchSnapshot,
	kmsg.BrokerRegistration, kmsg.BrokerHeartbeat, kmsg.UnregisterBroker, kmsg.AllocateProducerIDs,
	kmsg.ControllerRegistration, kmsg.AssignReplicasToDirs, kmsg.AddRaftVoter, kmsg.RemoveRaftVoter, kmsg.UpdateRaftVoter,
	kmsg.InitializeShareGroupState, kmsg.ReadShareGroupState, kmsg.WriteShareGroupState, kmsg.DeleteShareGroupState, kmsg.ReadShareGroupStateSummary,
	kmsg.UnregisterController,
}

func TestEveryRequestOfClientsHasOneRule(t *testing.T) {
	count := map[kmsg.Key]int{}
	for _, r := range Rules() {
		count[r.Key]++
	}
	for k := range kmsg.Key(200) {
		if kmsg.RequestForKey(int16(k)) == nil {
			continue
		}
		if want := map[bool]int{true: 0, false: 1}[slices.Contains(notForClients, k)]; count[k] != want {
			t.Errorf("%s (%d) has %d rules", kmsg.NameForKey(int16(k)), k, count[k])
		}
	}
}

func TestGuardAsksForWhatTheTableSays(t *testing.T) {
	const theGroup, theID = "workers", "tx-1"
	bind := func(kind kmsg.ACLResourceType, name string, op kmsg.ACLOperation) Binding {
		return Binding{kind, literal, name, "User:alice", "*", op, allow}
	}
	onTopic := func(op kmsg.ACLOperation) Binding { return bind(kmsg.ACLResourceTypeTopic, "orders", op) }
	onGroup := func(op kmsg.ACLOperation) Binding { return bind(kmsg.ACLResourceTypeGroup, theGroup, op) }
	onID := func(op kmsg.ACLOperation) Binding { return bind(kmsg.ACLResourceTypeTransactionalId, theID, op) }
	onCluster := func(op kmsg.ACLOperation) Binding { return bind(kmsg.ACLResourceTypeCluster, ClusterName, op) }
	for _, c := range []struct {
		key       kmsg.Key
		ask       func(Guard, kmsg.Key) *kerr.Error
		refusal   *kerr.Error
		permitted []Binding // each alone
		not       []Binding // each alone
	}{
		{kmsg.Produce, askTopic, kerr.TopicAuthorizationFailed, []Binding{onTopic(write), onTopic(every)}, []Binding{onTopic(read), onCluster(every)}},
		{kmsg.Produce, askID, kerr.TransactionalIDAuthorizationFailed, []Binding{onID(write)}, []Binding{onID(describe), onTopic(write)}},
		{kmsg.Fetch, askTopic, kerr.TopicAuthorizationFailed, []Binding{onTopic(read)}, []Binding{onTopic(write), onTopic(describe)}},
		{kmsg.Metadata, askTopic, kerr.TopicAuthorizationFailed, []Binding{onTopic(read), onTopic(write), onTopic(describe)}, []Binding{onTopic(create)}},
		{kmsg.Metadata, askTopicByID, kerr.UnknownTopicID, []Binding{onTopic(describe)}, []Binding{onTopic(create)}},
		{kmsg.Fetch, askTopicByID, kerr.TopicAuthorizationFailed, []Binding{onTopic(read)}, nil},
		{kmsg.CreateTopics, askTopic, kerr.TopicAuthorizationFailed, []Binding{onTopic(create), onCluster(create)}, []Binding{onTopic(alter), onCluster(alter)}},
		{kmsg.DeleteTopics, askTopic, kerr.TopicAuthorizationFailed, []Binding{onTopic(remove)}, []Binding{onTopic(write)}},
		{kmsg.OffsetCommit, askGroup, kerr.GroupAuthorizationFailed, []Binding{onGroup(read)}, []Binding{onGroup(describe)}},
		{kmsg.OffsetCommit, askTopic, kerr.TopicAuthorizationFailed, []Binding{onTopic(read)}, []Binding{onTopic(describe)}},
		{kmsg.OffsetFetch, askGroup, kerr.GroupAuthorizationFailed, []Binding{onGroup(read), onGroup(describe)}, []Binding{onGroup(describeConfigs)}},
		{kmsg.ListGroups, askGroup, kerr.GroupAuthorizationFailed, []Binding{onGroup(describe), onCluster(describe)}, []Binding{onCluster(create)}},
		{kmsg.InitProducerID, askCluster, kerr.ClusterAuthorizationFailed, []Binding{onCluster(idempotentWrite), onTopic(write)}, []Binding{onTopic(read), onCluster(create)}},
		{kmsg.InitProducerID, askID, kerr.TransactionalIDAuthorizationFailed, []Binding{onID(write)}, []Binding{onTopic(write)}},
		{kmsg.FindCoordinator, askID, kerr.TransactionalIDAuthorizationFailed, []Binding{onID(write), onID(describe)}, []Binding{onGroup(every)}},
		{kmsg.CreateACLs, askCluster, kerr.ClusterAuthorizationFailed, []Binding{onCluster(alter)}, []Binding{onCluster(describe)}},
		{kmsg.AlterUserSCRAMCredentials, askCluster, kerr.ClusterAuthorizationFailed, []Binding{onCluster(alter)}, []Binding{onCluster(alterConfigs)}},
		{kmsg.OffsetForLeaderEpoch, askTopic, kerr.TopicAuthorizationFailed, []Binding{onTopic(read), onCluster(clusterAction)}, []Binding{onCluster(describe)}},
		{kmsg.Vote, askCluster, kerr.ClusterAuthorizationFailed, nil, []Binding{onCluster(every)}},
		{kmsg.Produce, askGroup, kerr.ClusterAuthorizationFailed, nil, []Binding{onGroup(every)}}, // what the table does not know
	} {
		if c.ask(bound(t, Options{}).Guard("User:alice", "h"), c.key) != c.refusal {
			t.Errorf("%s: with no binding the answer is not %s", c.key.Name(), c.refusal.Message)
		}
		for _, b := range c.permitted {
			if err := c.ask(bound(t, Options{}, b).Guard("User:alice", "h"), c.key); err != nil {
				t.Errorf("%s with %v: %v", c.key.Name(), b, err)
			}
		}
		for _, b := range c.not {
			if c.ask(bound(t, Options{}, b).Guard("User:alice", "h"), c.key) != c.refusal {
				t.Errorf("%s: %v is enough", c.key.Name(), b)
			}
		}
		if err := c.ask(Guard{}, c.key); err != nil {
			t.Errorf("%s: no authorisation, yet %v", c.key.Name(), err)
		}
	}
}

func askTopic(g Guard, k kmsg.Key) *kerr.Error     { return g.Topic(k, "orders") }
func askTopicByID(g Guard, k kmsg.Key) *kerr.Error { return g.TopicByID(k, "orders") }
func askGroup(g Guard, k kmsg.Key) *kerr.Error     { return g.Group(k, "workers") }
func askID(g Guard, k kmsg.Key) *kerr.Error        { return g.TransactionalID(k, "tx-1") }
func askCluster(g Guard, k kmsg.Key) *kerr.Error   { return g.Cluster(k) }

func TestOperationsAreBits(t *testing.T) {
	g := bound(t, Options{}, on("orders")).Guard("User:alice", "h")
	if got := g.Operations(Topic("orders")); got != 1<<read|1<<describe {
		t.Errorf("operations %b", got)
	}
	if got, want := (Guard{}).Operations(Group("g")), int32(1<<read|1<<describe|1<<remove|1<<describeConfigs|1<<alterConfigs); got != want {
		t.Errorf("without authorisation %b, want %b", got, want)
	}
}

func TestGateCountsConnections(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := NewGate(5, 2)
		from := map[string][]func(){}
		total := 0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			a := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "address")
			if rapid.Bool().Draw(t, "leave") && len(from[a]) > 0 {
				from[a][0]()
				from[a][0]() // again does nothing
				from[a], total = from[a][1:], total-1
				continue
			}
			leave, err := g.Enter(a)
			switch {
			case total == 5 && !errors.Is(err, ErrFull), total < 5 && len(from[a]) == 2 && !errors.Is(err, ErrAddressFull):
				t.Fatalf("%d open, %d from %s: %v", total, len(from[a]), a, err)
			case err == nil:
				from[a], total = append(from[a], leave), total+1
			case total < 5 && len(from[a]) < 2:
				t.Fatal(err)
			}
			if g.Open() != total {
				t.Fatalf("Open() = %d, want %d", g.Open(), total)
			}
		}
		for _, all := range from {
			for _, leave := range all {
				leave()
			}
		}
		if len(g.from) != 0 {
			t.Fatal("an address without connections is remembered")
		}
	})
	if g := NewGate(0, 0); func() bool { _, err := g.Enter("a"); return err != nil }() {
		t.Error("a gate without limits refuses")
	}
}

func TestMappingRules(t *testing.T) {
	const subject = "CN=Duke,OU=Service Users,O=Acme\\, Inc,C=US"
	for _, c := range []struct{ name, rules, want string }{ // empty: no rule makes a name of it
		{"none", "", subject},
		{"default", "DEFAULT", subject},
		{"common name", `RULE:^CN=(.*?),OU=.*$/$1/`, "Duke"},
		{"lower case", `RULE:^CN=(.*?),OU=(.*?),.*$/$1@$2/L`, "duke@service users"},
		{"upper case", `RULE:CN=(.*?),.*/$1/U`, "DUKE"},
		{"must match as a whole", `RULE:CN=(.*?),OU/$1/`, ""},
		{"first that matches", `RULE:^OU=(.*)$/$1/, RULE:^CN=(.*?),.*$/$1/ ,DEFAULT`, "Duke"},
		{"default last", `RULE:^OU=(.*)$/$1/L,DEFAULT`, subject},
		{"comma and slash inside", `RULE:CN=(\w+),OU=(.*?),O=(.*), Inc,.*/$1\/$3,x/`, `Duke/Acme\,x`},
		{"whole match", `RULE:.*/<$0>/`, "<" + subject + ">"},
		{"digits that are no group", `RULE:CN=(\w+).*/$12/`, "Duke2"},
		{"escaped dollar", `RULE:CN=(\w+).*/\$1/`, "$1"},
		{"empty name", `RULE:.*//`, ""},
	} {
		m, err := ParseMapping(c.rules)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got, _ := m.apply(subject)
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	for name, rules := range map[string]string{
		"unknown word":       "ALL",
		"no end":             "RULE:CN=(.*)/$1",
		"no replacement":     "RULE:CN=(.*)",
		"bad pattern":        "RULE:CN=(/$1/",
		"group not there":    "RULE:CN=.*/$1/",
		"unknown flag":       "RULE:CN=(.*)/$1/X",
		"no comma":           "DEFAULT DEFAULT",
		"longer than bounds": "RULE:" + strings.Repeat("x", maxRulesBytes) + "/x/",
	} {
		if _, err := ParseMapping(rules); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func FuzzMapping(f *testing.F) {
	f.Add(`RULE:^CN=(.*?),OU=(.*?)$/$1@$2\/\$/L, DEFAULT`, "CN=a,OU=b")
	f.Add(`RULE:(a)(b)?/$2$12$0/U`, "a")
	f.Fuzz(func(t *testing.T, rules, subject string) {
		m, err := ParseMapping(rules)
		if err != nil {
			return
		}
		if _, ok := m.apply(subject); !ok && len(m.rules) == 0 {
			t.Fatal("no rules, and no name")
		}
	})
}
