package server

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/disk"
)

// The names that requests are about.
const (
	hiddenTopic = "hidden-topic"
	hiddenGroup = "hidden-group"
	hiddenID    = "hidden-id"
)

// A request about the hidden topic, group and transactional id; of those that are about one or the other, the one for the
// subject.
type asking func(id topicID, on acl.Subject) kmsg.Request

// askings are requests of every kind that needs a permission. A few kinds of administration are left out of changes: they
// ask for what cannot be.
func askings() map[kmsg.Key]asking {
	name := kmsg.StringPtr
	return map[kmsg.Key]asking{
		kmsg.Produce: func(id topicID, on acl.Subject) kmsg.Request {
			r := kmsg.NewPtrProduceRequest()
			r.Acks, r.TimeoutMillis = -1, 1000
			if on == acl.OnTransactionalID {
				r.TransactionID = name(hiddenID)
			}
			r.Topics = []kmsg.ProduceRequestTopic{{Topic: hiddenTopic, TopicID: id, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: rawBatch(0, 1, []byte{12, 0, 0, 0, 1, 0, 0})}}}}
			return r
		},
		kmsg.Fetch: func(id topicID, _ acl.Subject) kmsg.Request {
			r := kmsg.NewPtrFetchRequest()
			r.MaxBytes, r.SessionEpoch = 1<<20, -1
			p := kmsg.NewFetchRequestTopicPartition()
			p.PartitionMaxBytes = 1 << 20
			r.Topics = []kmsg.FetchRequestTopic{{Topic: hiddenTopic, TopicID: id, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
			return r
		},
		kmsg.ListOffsets: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrListOffsetsRequest()
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Timestamp = -1
			r.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: hiddenTopic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
			return r
		},
		kmsg.Metadata: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrMetadataRequest()
			r.Topics = []kmsg.MetadataRequestTopic{{Topic: name(hiddenTopic)}}
			return r
		},
		kmsg.OffsetCommit: func(id topicID, _ acl.Subject) kmsg.Request {
			r := kmsg.NewPtrOffsetCommitRequest()
			r.Group = hiddenGroup
			r.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: hiddenTopic, TopicID: id, Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: 1, LeaderEpoch: -1}}}}
			return r
		},
		kmsg.OffsetFetch: func(id topicID, _ acl.Subject) kmsg.Request {
			r := kmsg.NewPtrOffsetFetchRequest()
			r.Group, r.Topics = hiddenGroup, []kmsg.OffsetFetchRequestTopic{{Topic: hiddenTopic, Partitions: []int32{0}}}
			g := kmsg.NewOffsetFetchRequestGroup()
			g.Group, g.Topics = hiddenGroup, []kmsg.OffsetFetchRequestGroupTopic{{Topic: hiddenTopic, TopicID: id, Partitions: []int32{0}}}
			r.Groups = []kmsg.OffsetFetchRequestGroup{g}
			return r
		},
		kmsg.FindCoordinator: func(_ topicID, on acl.Subject) kmsg.Request {
			r := kmsg.NewPtrFindCoordinatorRequest()
			r.CoordinatorKey, r.CoordinatorKeys = hiddenGroup, []string{hiddenGroup}
			if on == acl.OnTransactionalID {
				r.CoordinatorType, r.CoordinatorKey, r.CoordinatorKeys = 1, hiddenID, []string{hiddenID}
			}
			return r
		},
		kmsg.JoinGroup: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrJoinGroupRequest()
			r.Group, r.ProtocolType, r.SessionTimeoutMillis, r.MemberID = hiddenGroup, "consumer", 10_000, "nobody"
			r.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range"}}
			return r
		},
		kmsg.Heartbeat: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrHeartbeatRequest()
			r.Group, r.MemberID = hiddenGroup, "nobody"
			return r
		},
		kmsg.LeaveGroup: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrLeaveGroupRequest()
			r.Group, r.MemberID, r.Members = hiddenGroup, "nobody", []kmsg.LeaveGroupRequestMember{{MemberID: "nobody"}}
			return r
		},
		kmsg.SyncGroup: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrSyncGroupRequest()
			r.Group, r.MemberID = hiddenGroup, "nobody"
			return r
		},
		kmsg.DescribeGroups: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrDescribeGroupsRequest()
			r.Groups = []string{hiddenGroup}
			return r
		},
		kmsg.CreateTopics: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrCreateTopicsRequest()
			r.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: hiddenTopic, NumPartitions: 1, ReplicationFactor: 1}}
			return r
		},
		kmsg.DeleteTopics: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrDeleteTopicsRequest()
			r.TopicNames, r.Topics = []string{hiddenTopic}, []kmsg.DeleteTopicsRequestTopic{{Topic: name(hiddenTopic)}}
			return r
		},
		kmsg.DeleteRecords: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrDeleteRecordsRequest()
			r.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: hiddenTopic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Offset: 0}}}}
			return r
		},
		kmsg.InitProducerID: func(_ topicID, on acl.Subject) kmsg.Request {
			r := kmsg.NewPtrInitProducerIDRequest()
			r.TransactionTimeoutMillis = 1000
			if on == acl.OnTransactionalID {
				r.TransactionalID = name(hiddenID)
			}
			return r
		},
		kmsg.OffsetForLeaderEpoch: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrOffsetForLeaderEpochRequest()
			r.ReplicaID = -2
			p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
			r.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: hiddenTopic, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{p}}}
			return r
		},
		kmsg.AddPartitionsToTxn: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrAddPartitionsToTxnRequest()
			r.TransactionalID, r.Topics = hiddenID, []kmsg.AddPartitionsToTxnRequestTopic{{Topic: hiddenTopic, Partitions: []int32{0}}}
			return r
		},
		kmsg.AddOffsetsToTxn: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrAddOffsetsToTxnRequest()
			r.TransactionalID, r.Group = hiddenID, hiddenGroup
			return r
		},
		kmsg.EndTxn: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrEndTxnRequest()
			r.TransactionalID = hiddenID
			return r
		},
		kmsg.WriteTxnMarkers: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrWriteTxnMarkersRequest()
			r.Markers = []kmsg.WriteTxnMarkersRequestMarker{{ProducerID: 1, Topics: []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: hiddenTopic, Partitions: []int32{0}}}}}
			return r
		},
		kmsg.TxnOffsetCommit: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrTxnOffsetCommitRequest()
			r.TransactionalID, r.Group, r.ProducerID, r.Generation = hiddenID, hiddenGroup, 1, -1
			r.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: hiddenTopic, Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Offset: 1}}}}
			return r
		},
		kmsg.DescribeACLs: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrDescribeACLsRequest()
			r.ResourceType, r.ResourcePatternType, r.Operation, r.PermissionType = 1, 1, 1, 1
			return r
		},
		kmsg.CreateACLs: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrCreateACLsRequest()
			r.Creations = []kmsg.CreateACLsRequestCreation{binding("User:other", acl.Topic("x"), kmsg.ACLOperationRead)}
			return r
		},
		kmsg.DeleteACLs: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrDeleteACLsRequest()
			r.Filters = []kmsg.DeleteACLsRequestFilter{{ResourceType: 2, ResourceName: name("x"), ResourcePatternType: 3, Operation: 1, PermissionType: 1}}
			return r
		},
		kmsg.DescribeConfigs: func(_ topicID, on acl.Subject) kmsg.Request {
			r := kmsg.NewPtrDescribeConfigsRequest()
			x := kmsg.NewDescribeConfigsRequestResource()
			x.ResourceType, x.ResourceName = resourceOf(on)
			r.Resources = append(r.Resources, x)
			return r
		},
		kmsg.AlterConfigs: func(_ topicID, on acl.Subject) kmsg.Request {
			r := kmsg.NewPtrAlterConfigsRequest()
			x := kmsg.NewAlterConfigsRequestResource()
			x.ResourceType, x.ResourceName = resourceOf(on)
			r.Resources, r.ValidateOnly = append(r.Resources, x), true
			return r
		},
		kmsg.IncrementalAlterConfigs: func(_ topicID, on acl.Subject) kmsg.Request {
			r := kmsg.NewPtrIncrementalAlterConfigsRequest()
			x := kmsg.NewIncrementalAlterConfigsRequestResource()
			x.ResourceType, x.ResourceName = resourceOf(on)
			r.Resources, r.ValidateOnly = append(r.Resources, x), true
			return r
		},
		kmsg.DescribeLogDirs: func(topicID, acl.Subject) kmsg.Request { return kmsg.NewPtrDescribeLogDirsRequest() },
		kmsg.CreatePartitions: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrCreatePartitionsRequest()
			r.Topics, r.ValidateOnly = []kmsg.CreatePartitionsRequestTopic{{Topic: hiddenTopic, Count: 2}}, true
			return r
		},
		kmsg.DeleteGroups: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrDeleteGroupsRequest()
			r.Groups = []string{hiddenGroup}
			return r
		},
		kmsg.ElectLeaders: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrElectLeadersRequest()
			r.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: hiddenTopic, Partitions: []int32{0}}}
			return r
		},
		kmsg.AlterPartitionAssignments: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrAlterPartitionAssignmentsRequest()
			r.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: hiddenTopic, Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Replicas: []int32{0}}}}}
			return r
		},
		kmsg.ListPartitionReassignments: func(topicID, acl.Subject) kmsg.Request { return kmsg.NewPtrListPartitionReassignmentsRequest() },
		kmsg.OffsetDelete: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrOffsetDeleteRequest()
			r.Group, r.Topics = hiddenGroup, []kmsg.OffsetDeleteRequestTopic{{Topic: hiddenTopic, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}}}
			return r
		},
		kmsg.DescribeClientQuotas: func(topicID, acl.Subject) kmsg.Request { return kmsg.NewPtrDescribeClientQuotasRequest() },
		kmsg.AlterClientQuotas: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrAlterClientQuotasRequest()
			r.Entries = []kmsg.AlterClientQuotasRequestEntry{{
				Entity: []kmsg.AlterClientQuotasRequestEntryEntity{{Type: "user", Name: name("x")}},
				Ops:    []kmsg.AlterClientQuotasRequestEntryOp{{Key: "producer_byte_rate", Value: 1e9}},
			}}
			return r
		},
		kmsg.DescribeUserSCRAMCredentials: func(topicID, acl.Subject) kmsg.Request { return kmsg.NewPtrDescribeUserSCRAMCredentialsRequest() },
		kmsg.AlterUserSCRAMCredentials: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
			r.Deletions = []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: "nobody", Mechanism: 1}}
			return r
		},
		kmsg.DescribeProducers: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrDescribeProducersRequest()
			r.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: hiddenTopic, Partitions: []int32{0}}}
			return r
		},
		kmsg.DescribeTransactions: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrDescribeTransactionsRequest()
			r.TransactionalIDs = []string{hiddenID}
			return r
		},
		kmsg.ListConfigResources: func(topicID, acl.Subject) kmsg.Request { return kmsg.NewPtrListConfigResourcesRequest() },
		kmsg.DescribeTopicPartitions: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrDescribeTopicPartitionsRequest()
			r.Topics, r.ResponsePartitionLimit = []kmsg.DescribeTopicPartitionsRequestTopic{{Topic: hiddenTopic}}, 10
			return r
		},
	}
}

func resourceOf(on acl.Subject) (kmsg.ConfigResourceType, string) {
	switch on {
	case acl.OnTopic:
		return kmsg.ConfigResourceTypeTopic, hiddenTopic
	case acl.OnGroup:
		return kmsg.ConfigResourceTypeGroupConfig, hiddenGroup
	}
	return kmsg.ConfigResourceTypeBroker, "0"
}

// listings ask for everything there is: what may not be seen is left out.
func listings() map[kmsg.Key]asking {
	return map[kmsg.Key]asking{
		kmsg.Metadata: func(topicID, acl.Subject) kmsg.Request { return kmsg.NewPtrMetadataRequest() },
		kmsg.OffsetFetch: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrOffsetFetchRequest()
			r.Group = hiddenGroup
			g := kmsg.NewOffsetFetchRequestGroup()
			g.Group = hiddenGroup
			r.Groups = []kmsg.OffsetFetchRequestGroup{g}
			return r
		},
		kmsg.ListGroups:       func(topicID, acl.Subject) kmsg.Request { return kmsg.NewPtrListGroupsRequest() },
		kmsg.ListTransactions: func(topicID, acl.Subject) kmsg.Request { return kmsg.NewPtrListTransactionsRequest() },
		kmsg.DescribeTopicPartitions: func(topicID, acl.Subject) kmsg.Request {
			r := kmsg.NewPtrDescribeTopicPartitionsRequest()
			r.ResponsePartitionLimit = 10
			return r
		},
	}
}

func subjectOf(s acl.Subject) acl.Resource {
	switch s {
	case acl.OnTopic, acl.OnAnyTopic:
		return acl.Topic(hiddenTopic)
	case acl.OnGroup:
		return acl.Group(hiddenGroup)
	case acl.OnTransactionalID:
		return acl.TransactionalID(hiddenID)
	}
	return acl.Cluster()
}

func binding(principal string, on acl.Resource, op kmsg.ACLOperation) kmsg.CreateACLsRequestCreation {
	c := kmsg.NewCreateACLsRequestCreation()
	c.ResourceType, c.ResourceName, c.ResourcePatternType, c.Principal, c.Host = on.Type, on.Name, kmsg.ACLResourcePatternTypeLiteral, principal, "*"
	c.Operation, c.PermissionType = op, kmsg.ACLPermissionTypeAllow
	return c
}

// A stage is a server with authorisation, an administrator, and alice, who has what the test gives her.
type stage struct {
	t        *testing.T
	s        *Server
	producer *kmsg.InitProducerIDResponse // of the hidden id
	admin    *kgo.Client
	alice    *kgo.Broker
}

func newStage(t *testing.T, versions *kversion.Versions) *stage {
	t.Helper()
	s, _ := start(t, disk.NewMemory(), authorizing)
	addr := serveMore(t, s, Listener{Mechanisms: []acl.Mechanism{acl.ScramSHA256}})
	as := func(user string, more ...kgo.Opt) *kgo.Client {
		return client(t, addr, append(more, kgo.SASL(scram.Auth{User: user, Pass: passwords()[user]}.AsSha256Mechanism()), kgo.RequestRetries(0))...)
	}
	return &stage{t: t, s: s, admin: as("admin"), alice: as("alice", kgo.MaxVersions(versions)).SeedBrokers()[0]}
}

// grant makes this all that alice may do.
func (g *stage) grant(all ...kmsg.CreateACLsRequestCreation) {
	g.t.Helper()
	remove := kmsg.NewPtrDeleteACLsRequest()
	remove.Filters = []kmsg.DeleteACLsRequestFilter{{ResourceType: 1, ResourcePatternType: 1, Operation: 1, PermissionType: 1}}
	if _, err := remove.RequestWith(timeout(g.t), g.admin); err != nil {
		g.t.Fatal(err)
	}
	create := kmsg.NewPtrCreateACLsRequest()
	create.Creations = all
	r, err := create.RequestWith(timeout(g.t), g.admin)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, one := range r.Results {
		if one.ErrorCode != 0 {
			g.t.Fatal(kerr.ErrorForCode(one.ErrorCode), one.ErrorMessage)
		}
	}
}

// furnish makes sure that there is something to hide.
func (g *stage) furnish() topicID {
	g.t.Helper()
	if g.s.topics.named(hiddenTopic) == nil {
		if _, err := g.s.createTopic(g.t.Context(), hiddenTopic, 1, nil); err != nil {
			g.t.Fatal(err)
		}
	}
	id := g.s.topics.named(hiddenTopic).id
	commit := askings()[kmsg.OffsetCommit](id, acl.OnGroup).(*kmsg.OffsetCommitRequest)
	commit.Generation = -1
	if _, err := g.admin.SeedBrokers()[0].Request(timeout(g.t), commit); err != nil {
		g.t.Fatal(err)
	}
	r, err := g.admin.SeedBrokers()[0].Request(timeout(g.t), askings()[kmsg.InitProducerID](id, acl.OnTransactionalID))
	if err != nil {
		g.t.Fatal(err)
	}
	g.producer = r.(*kmsg.InitProducerIDResponse)
	return id
}

// ask returns all codes of an answer.
func (g *stage) ask(r kmsg.Request) (codes []int16, answer string, ok bool) {
	g.t.Helper()
	if c, ok := r.(*kmsg.TxnOffsetCommitRequest); ok {
		c.ProducerID, c.ProducerEpoch = g.producer.ProducerID, g.producer.ProducerEpoch
	}
	response, err := g.alice.Request(timeout(g.t), r)
	if err != nil {
		if old := strings.Contains(err.Error(), "too old") || strings.Contains(err.Error(), "unknown"); !old { // than this request
			g.t.Errorf("%s: %v", kmsg.NameForKey(r.Key()), err)
		}
		return nil, "", false
	}
	var texts []string
	gather(reflect.ValueOf(response), &codes, &texts)
	return codes, strings.Join(texts, " "), true
}

// gather collects the error codes and the texts of an answer.
func gather(v reflect.Value, codes *[]int16, texts *[]string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			gather(v.Elem(), codes, texts)
		}
	case reflect.Slice:
		for i := range v.Len() {
			gather(v.Index(i), codes, texts)
		}
	case reflect.Array:
		if id, ok := reflect.TypeAssert[[16]byte](v); ok {
			*texts = append(*texts, topicID(id).String())
		}
	case reflect.String:
		*texts = append(*texts, v.String())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name == "ErrorCode" {
				*codes = append(*codes, int16(v.Field(i).Int()))
			} else if v.Type().Field(i).IsExported() {
				gather(v.Field(i), codes, texts)
			}
		}
	}
}

func refusals(codes []int16) (some []error) {
	for _, c := range codes {
		for _, e := range []*kerr.Error{kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed, kerr.SecurityDisabled} {
			if c == e.Code {
				some = append(some, e)
			}
		}
	}
	return some
}

// TestEveryRequestAsksForWhatTheTableSays goes through the table of permissions over the wire, with the newest versions and
// old ones: without one of the permissions, the error of the table and nothing else; with all, no refusal.
func TestEveryRequestAsksForWhatTheTableSays(t *testing.T) {
	newest := kversion.Stable()
	newest.SetMaxKeyVersion(int16(kmsg.AddPartitionsToTxn), 3) // later ones are for brokers
	for name, versions := range map[string]*kversion.Versions{"newest": newest, "2.4": kversion.V2_4_0()} {
		t.Run(name, func(t *testing.T) {
			g := newStage(t, versions)
			tested := 0
			for _, rule := range acl.Rules() {
				if _, spoken := g.s.apis[int16(rule.Key)]; !spoken || len(rule.Checks) == 0 {
					continue
				}
				tested += g.rule(rule)
			}
			t.Logf("%d checks", tested)
		})
	}
}

func (g *stage) rule(rule acl.Rule) (tested int) {
	ask, list := askings()[rule.Key], listings()[rule.Key]
	if ask == nil && list == nil {
		g.t.Errorf("%s is not tested", kmsg.NameForKey(int16(rule.Key)))
	}
	for i, c := range rule.Checks {
		if ask != nil {
			g.refused(rule, i, ask)
			for _, ways := range append([]acl.Alternative{{Subject: c.Subject, Op: c.Op}}, c.Or...) {
				g.passes(rule, i, ways, ask)
				tested++
			}
		}
		if list != nil && c.Listed {
			g.leftOut(rule, i, list)
			tested++
		}
	}
	return tested
}

// others grants what a rule asks for, one check excepted.
func others(rule acl.Rule, except int) (all []kmsg.CreateACLsRequestCreation) {
	for i, c := range rule.Checks {
		if i != except && c.Subject != rule.Checks[except].Subject {
			all = append(all, binding("User:alice", subjectOf(c.Subject), c.Op))
		}
	}
	return all
}

func (g *stage) refused(rule acl.Rule, i int, ask asking) {
	g.t.Helper()
	id := g.furnish()
	g.grant(others(rule, i)...)
	c := rule.Checks[i]
	codes, answer, ok := g.ask(ask(id, c.Subject))
	if !ok {
		return
	}
	what := fmt.Sprintf("%s without %v on %v", kmsg.NameForKey(int16(rule.Key)), c.Op, subjectOf(c.Subject))
	if rule.Key == kmsg.DescribeLogDirs && answer == "" {
		return // old versions have no place for an error
	}
	if !slices.Contains(codes, c.Err.Code) {
		g.t.Errorf("%s: codes %v, want %v: %s", what, codes, c.Err, answer)
	}
	for _, err := range refusals(codes) {
		if !errors.Is(err, c.Err) {
			g.t.Errorf("%s: also %v", what, err)
		}
	}
}

func (g *stage) passes(rule acl.Rule, i int, way acl.Alternative, ask asking) {
	g.t.Helper()
	id := g.furnish()
	g.grant(append(others(rule, i), binding("User:alice", subjectOf(way.Subject), way.Op))...)
	if codes, answer, ok := g.ask(ask(id, rule.Checks[i].Subject)); ok && len(refusals(codes)) > 0 {
		g.t.Errorf("%s with all permissions, %v on %v among them: %v: %s", kmsg.NameForKey(int16(rule.Key)), way.Op, subjectOf(way.Subject), refusals(codes), answer)
	}
}

func (g *stage) leftOut(rule acl.Rule, i int, list asking) {
	g.t.Helper()
	id := g.furnish()
	c := rule.Checks[i]
	hidden := subjectOf(c.Subject).Name
	g.grant(others(rule, i)...)
	tells := func(answer string) bool {
		return strings.Contains(answer, hidden) || c.Subject == acl.OnTopic && strings.Contains(answer, id.String())
	}
	if codes, answer, ok := g.ask(list(id, c.Subject)); ok && (tells(answer) || len(refusals(codes)) > 0) {
		g.t.Errorf("%s lists what is hidden: %v %s", kmsg.NameForKey(int16(rule.Key)), codes, answer)
	}
	g.grant(append(others(rule, i), binding("User:alice", subjectOf(c.Subject), c.Op))...)
	if _, answer, ok := g.ask(list(id, c.Subject)); ok && !tells(answer) {
		g.t.Errorf("%s leaves out what may be seen: %s", kmsg.NameForKey(int16(rule.Key)), answer)
	}
}
