package kafkatest

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func aclCases() []testCase {
	return []testCase{
		{"rules are made, described and deleted", aclRoundTrip},
		{"a description can be limited", aclFilters},
		{"a description of any pattern finds what matches a name", aclMatch},
		{"deleting tells what was deleted", aclDelete},
		{"a rule for a resource without a name cannot be made", aclInvalid},
		{"who has no rule may do nothing", aclNothing},
		{"who may read may not write", aclRead},
		{"who may write may describe", aclWrite},
		{"a prefix is a rule for many topics", aclPrefix},
		{"a denial beats a permission", aclDeny},
		{"a rule for everybody holds for everybody", aclWildcard},
		{"a rule that is deleted holds no more", aclRevoked},
		{"topics one may not describe are not listed", aclMetadata},
		{"a group needs a rule of its own", aclGroup},
		{"a transactional id needs a rule of its own", aclTransaction},
		{"making topics needs a rule of the cluster or the name", aclCreate},
	}
}

// rule is an ACL to be: for a topic by its name, unless said otherwise.
type rule struct {
	kind      kmsg.ACLResourceType
	name      string
	prefixed  bool
	user      string
	operation kmsg.ACLOperation
	deny      bool
}

func (r rule) pattern() kmsg.ACLResourcePatternType {
	if r.prefixed {
		return kmsg.ACLResourcePatternTypePrefixed
	}
	return kmsg.ACLResourcePatternTypeLiteral
}

func (r rule) permission() kmsg.ACLPermissionType {
	if r.deny {
		return kmsg.ACLPermissionTypeDeny
	}
	return kmsg.ACLPermissionTypeAllow
}

func (t *T) tryRule(r rule) int16 {
	t.Helper()
	if r.kind == 0 {
		r.kind = kmsg.ACLResourceTypeTopic
	}
	req := kmsg.NewPtrCreateACLsRequest()
	req.Creations = []kmsg.CreateACLsRequestCreation{{ResourceType: r.kind, ResourceName: r.name, ResourcePatternType: r.pattern(),
		Principal: "User:" + r.user, Host: "*", Operation: r.operation, PermissionType: r.permission()}}
	return ask(t, req.RequestWith).Results[0].ErrorCode
}

func (t *T) rule(r rule) {
	t.Helper()
	t.ok("make rule", t.tryRule(r))
}

// rules describes the rules of a user as words: operation, permission, pattern, name.
func (t *T) rules(limit func(*kmsg.DescribeACLsRequest)) (found []string) {
	t.Helper()
	req := kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType, req.ResourcePatternType = kmsg.ACLResourceTypeAny, kmsg.ACLResourcePatternTypeAny
	req.Operation, req.PermissionType = kmsg.ACLOperationAny, kmsg.ACLPermissionTypeAny
	limit(req)
	res := ask(t, req.RequestWith)
	t.ok("describe ACLs", res.ErrorCode)
	for _, r := range res.Resources {
		for _, a := range r.ACLs {
			found = append(found, strings.Join([]string{a.Operation.String(), a.PermissionType.String(), r.ResourcePatternType.String(), r.ResourceName}, " "))
		}
	}
	slices.Sort(found)
	return found
}

func ofUser(name string) func(*kmsg.DescribeACLsRequest) {
	principal := "User:" + name
	return func(req *kmsg.DescribeACLsRequest) { req.Principal = &principal }
}

// awaitRules waits until a user has so many rules.
func (t *T) awaitRules(user string, n int) (found []string) {
	t.Helper()
	t.eventually("the rules", func() bool {
		found = t.rules(ofUser(user))
		return len(found) == n
	})
	return found
}

func (t *T) deleteRules(user string) int {
	t.Helper()
	principal := "User:" + user
	req := kmsg.NewPtrDeleteACLsRequest()
	req.Filters = []kmsg.DeleteACLsRequestFilter{{ResourceType: kmsg.ACLResourceTypeAny, ResourcePatternType: kmsg.ACLResourcePatternTypeAny,
		Principal: &principal, Operation: kmsg.ACLOperationAny, PermissionType: kmsg.ACLPermissionTypeAny}}
	res := ask(t, req.RequestWith).Results[0]
	t.ok("delete ACLs", res.ErrorCode)
	return len(res.MatchingACLs)
}

func aclRoundTrip(t *T) {
	user := t.unique("user")
	t.rule(rule{name: "a", user: user, operation: kmsg.ACLOperationRead})
	t.rule(rule{name: "b", prefixed: true, user: user, operation: kmsg.ACLOperationWrite, deny: true})
	found := strings.Join(t.awaitRules(user, 2), ", ")
	equal(t, "rules", found, "READ ALLOW LITERAL a, WRITE DENY PREFIXED b")
	equal(t, "deleted", t.deleteRules(user), 2)
	t.awaitRules(user, 0)
}

func aclFilters(t *T) {
	user := t.unique("user")
	t.rule(rule{name: "a", user: user, operation: kmsg.ACLOperationRead})
	t.rule(rule{name: "a", user: user, operation: kmsg.ACLOperationWrite})
	t.rule(rule{kind: kmsg.ACLResourceTypeGroup, name: "a", user: user, operation: kmsg.ACLOperationRead})
	t.awaitRules(user, 3)
	count := func(limit func(*kmsg.DescribeACLsRequest)) int {
		return len(t.rules(func(req *kmsg.DescribeACLsRequest) { ofUser(user)(req); limit(req) }))
	}
	equal(t, "reads", count(func(req *kmsg.DescribeACLsRequest) { req.Operation = kmsg.ACLOperationRead }), 2)
	equal(t, "of groups", count(func(req *kmsg.DescribeACLsRequest) { req.ResourceType = kmsg.ACLResourceTypeGroup }), 1)
	equal(t, "denials", count(func(req *kmsg.DescribeACLsRequest) { req.PermissionType = kmsg.ACLPermissionTypeDeny }), 0)
}

func aclMatch(t *T) {
	user, name := t.unique("user"), t.unique("topic")
	t.rule(rule{name: name, user: user, operation: kmsg.ACLOperationRead})
	t.rule(rule{name: name[:len(name)-1], prefixed: true, user: user, operation: kmsg.ACLOperationRead})
	t.rule(rule{name: "*", user: user, operation: kmsg.ACLOperationRead})
	t.rule(rule{name: name + "x", prefixed: true, user: user, operation: kmsg.ACLOperationRead})
	t.awaitRules(user, 4)
	matching := t.rules(func(req *kmsg.DescribeACLsRequest) {
		ofUser(user)(req)
		req.ResourceType, req.ResourceName, req.ResourcePatternType = kmsg.ACLResourceTypeTopic, &name, kmsg.ACLResourcePatternTypeMatch
	})
	equal(t, "rules that match", len(matching), 3)
}

func aclDelete(t *T) {
	user := t.unique("user")
	equal(t, "deleted", t.deleteRules(user), 0)
	t.rule(rule{name: "a", user: user, operation: kmsg.ACLOperationRead})
	t.awaitRules(user, 1)
	equal(t, "deleted", t.deleteRules(user), 1)
}

func aclInvalid(t *T) {
	t.want("make rule", t.tryRule(rule{name: "", user: "u", operation: kmsg.ACLOperationRead}), kerr.InvalidRequest)
}

// produceAs produces as a user and returns the error code.
func (t *T) produceAs(client *conn, topic string) int16 {
	t.Helper()
	return onlyProduced(t, askOn(t, client, produceRequest(topic, 0, plain("a").bytes()).RequestWith)).ErrorCode
}

func (t *T) fetchAs(client *conn, topic string) int16 {
	t.Helper()
	return t.tryListOffset(client, topic, 0, -1, uncommitted).ErrorCode
}

func (t *T) readAs(client *conn, topic string) int16 {
	t.Helper()
	return onlyFetched(t, askOn(t, client, fetchRequest(topic, 0, 0).RequestWith)).ErrorCode
}

func aclNothing(t *T) {
	topic := t.topic(1)
	_, client := t.user()
	t.want("produce", t.produceAs(client, topic), kerr.TopicAuthorizationFailed)
	t.want("fetch", t.readAs(client, topic), kerr.TopicAuthorizationFailed)
	t.want("list offsets", t.fetchAs(client, topic), kerr.TopicAuthorizationFailed)
	t.wantValues(topic, 0, uncommitted)
}

// allowed waits until a rule has come through.
func (t *T) allowed(what string, code func() int16) {
	t.Helper()
	t.eventually(what, func() bool { return code() == 0 })
}

func aclRead(t *T) {
	topic := t.topic(1)
	user, client := t.user()
	t.rule(rule{name: topic, user: user, operation: kmsg.ACLOperationRead})
	t.allowed("reading", func() int16 { return t.readAs(client, topic) })
	t.want("produce", t.produceAs(client, topic), kerr.TopicAuthorizationFailed)
}

func aclWrite(t *T) {
	topic := t.topic(1)
	user, client := t.user()
	t.rule(rule{name: topic, user: user, operation: kmsg.ACLOperationWrite})
	t.allowed("writing", func() int16 { return t.produceAs(client, topic) })
	t.ok("list offsets", t.fetchAs(client, topic))
	t.want("fetch", t.readAs(client, topic), kerr.TopicAuthorizationFailed)
}

func aclPrefix(t *T) {
	one, other := t.topic(1), t.unique("other")
	t.createTopic(other, 1)
	user, client := t.user()
	t.rule(rule{name: strings.TrimRight(one, "0123456789"), prefixed: true, user: user, operation: kmsg.ACLOperationWrite})
	t.allowed("writing", func() int16 { return t.produceAs(client, one) })
	t.want("produce", t.produceAs(client, other), kerr.TopicAuthorizationFailed)
}

func aclDeny(t *T) {
	topic := t.topic(1)
	user, client := t.user()
	t.rule(rule{name: topic, user: user, operation: kmsg.ACLOperationAll})
	t.allowed("writing", func() int16 { return t.produceAs(client, topic) })
	t.rule(rule{name: topic, user: user, operation: kmsg.ACLOperationWrite, deny: true})
	t.eventually("writing denied", func() bool { return t.produceAs(client, topic) == kerr.TopicAuthorizationFailed.Code })
	t.ok("fetch", t.readAs(client, topic))
}

func aclWildcard(t *T) {
	topic := t.topic(1)
	_, client := t.user()
	t.rule(rule{name: topic, user: "*", operation: kmsg.ACLOperationRead})
	t.allowed("reading", func() int16 { return t.readAs(client, topic) })
}

func aclRevoked(t *T) {
	topic := t.topic(1)
	user, client := t.user()
	t.rule(rule{name: topic, user: user, operation: kmsg.ACLOperationRead})
	t.allowed("reading", func() int16 { return t.readAs(client, topic) })
	t.deleteRules(user)
	t.eventually("reading refused", func() bool { return t.readAs(client, topic) == kerr.TopicAuthorizationFailed.Code })
}

func aclMetadata(t *T) {
	seen, hidden := t.topic(1), t.topic(1)
	user, client := t.user()
	t.rule(rule{name: seen, user: user, operation: kmsg.ACLOperationDescribe})
	list := func() (names []string) {
		req := kmsg.NewPtrMetadataRequest()
		req.Topics = nil
		for _, topic := range askOn(t, client, req.RequestWith).Topics {
			names = append(names, *topic.Topic)
		}
		return names
	}
	t.eventually("the topic one may see", func() bool { return slices.Contains(list(), seen) })
	equal(t, "the other is listed", slices.Contains(list(), hidden), false)
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: &hidden}}
	t.want("metadata", askOn(t, client, req.RequestWith).Topics[0].ErrorCode, kerr.TopicAuthorizationFailed)
}

func aclGroup(t *T) {
	topic, group := t.topic(1), t.unique("group")
	user, client := t.user()
	t.rule(rule{name: topic, user: user, operation: kmsg.ACLOperationRead})
	t.allowed("reading", func() int16 { return t.readAs(client, topic) })
	commit := func() int16 {
		return askOn(t, client, commitRequest(group, "", -1, topic, 0, 1).RequestWith).Topics[0].Partitions[0].ErrorCode
	}
	t.want("commit", commit(), kerr.GroupAuthorizationFailed)
	t.rule(rule{kind: kmsg.ACLResourceTypeGroup, name: group, user: user, operation: kmsg.ACLOperationRead})
	t.allowed("committing", commit)
}

func aclTransaction(t *T) {
	id := t.unique("txn")
	user, client := t.user()
	begin := func() int16 {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID, req.TransactionTimeoutMillis, req.ProducerID, req.ProducerEpoch = &id, 60_000, -1, -1
		return askOn(t, client, req.RequestWith).ErrorCode
	}
	t.want("init producer id", begin(), kerr.TransactionalIDAuthorizationFailed)
	t.rule(rule{kind: kmsg.ACLResourceTypeTransactionalId, name: id, user: user, operation: kmsg.ACLOperationWrite})
	t.allowed("transactions", begin)
}

func aclCreate(t *T) {
	user, client := t.user()
	name := t.unique("topic")
	create := func(name string) int16 {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.Topics = append(req.Topics, newTopic(name))
		return askOn(t, client, req.RequestWith).Topics[0].ErrorCode
	}
	t.want("create topic", create(name), kerr.TopicAuthorizationFailed)
	t.rule(rule{name: name, user: user, operation: kmsg.ACLOperationCreate})
	t.allowed("making the topic", func() int16 { return create(name) })
	t.want("create another", create(t.unique("topic")), kerr.TopicAuthorizationFailed)
}
