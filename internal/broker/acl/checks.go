package acl

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Subject is what part of a request a check is about.
type Subject int8

// The subjects.
const (
	OnCluster         Subject = iota // the broker as a whole
	OnTopic                          // each topic that the request names
	OnGroup                          // each group that it names
	OnTransactionalID                // the transactional id, if it has one
	OnAnyTopic                       // some topic, whichever; only as an alternative
)

// Check is one thing that must be allowed for a request of some kind.
type Check struct {
	Subject Subject
	Op      kmsg.ACLOperation
	// Or is another permission that is as good.
	Or []Alternative
	// Err is the answer for a subject that is not allowed, whether it exists or not: who may not see a topic must not
	// learn that it is there. The check therefore comes before the look-up.
	Err *kerr.Error
	// ByID is the answer instead of Err if the subject was named by an id; nil: Err.
	ByID *kerr.Error
	// Listed: when the request asks for all subjects, those not allowed are left out without an error.
	Listed bool
}

// Alternative is a permission that stands in for that of a check.
type Alternative struct {
	Subject Subject
	Op      kmsg.ACLOperation
}

// Rule is what a kind of request needs. Every check whose subject the request names must hold for each of them.
type Rule struct {
	Key    kmsg.Key
	Checks []Check // none: open to everyone who may connect
	Note   string  // what the table cannot say
}

// The operations, short, for the table.
const (
	read            = kmsg.ACLOperationRead
	write           = kmsg.ACLOperationWrite
	create          = kmsg.ACLOperationCreate
	remove          = kmsg.ACLOperationDelete
	alter           = kmsg.ACLOperationAlter
	describe        = kmsg.ACLOperationDescribe
	clusterAction   = kmsg.ACLOperationClusterAction
	describeConfigs = kmsg.ACLOperationDescribeConfigs
	alterConfigs    = kmsg.ACLOperationAlterConfigs
	idempotentWrite = kmsg.ACLOperationIdempotentWrite
)

func cluster(op kmsg.ACLOperation, or ...Alternative) Check {
	return Check{Subject: OnCluster, Op: op, Or: or, Err: kerr.ClusterAuthorizationFailed}
}

func topic(op kmsg.ACLOperation, or ...Alternative) Check {
	return Check{Subject: OnTopic, Op: op, Or: or, Err: kerr.TopicAuthorizationFailed}
}

func group(op kmsg.ACLOperation, or ...Alternative) Check {
	return Check{Subject: OnGroup, Op: op, Or: or, Err: kerr.GroupAuthorizationFailed}
}

func transactionalID(op kmsg.ACLOperation) Check {
	return Check{Subject: OnTransactionalID, Op: op, Err: kerr.TransactionalIDAuthorizationFailed}
}

func listed(c Check) Check {
	c.Listed = true
	return c
}

func hiddenByID(c Check) Check {
	c.ByID = kerr.UnknownTopicID
	return c
}

// Rules is the whole table, by API key, as Kafka's documentation of security states it.
func Rules() []Rule {
	return []Rule{
		{kmsg.Produce, []Check{transactionalID(write), topic(write)}, ""},
		{kmsg.Fetch, []Check{topic(read)}, "Followers do not exist here."},
		{kmsg.ListOffsets, []Check{topic(describe)}, ""},
		{kmsg.Metadata, []Check{hiddenByID(listed(topic(describe)))}, "A topic that would be created needs what CreateTopics needs."},
		{kmsg.OffsetCommit, []Check{group(read), topic(read)}, ""},
		{kmsg.OffsetFetch, []Check{group(describe), listed(topic(describe))}, ""},
		{kmsg.FindCoordinator, []Check{group(describe), transactionalID(describe)}, "By the type of the key."},
		{kmsg.JoinGroup, []Check{group(read)}, ""},
		{kmsg.Heartbeat, []Check{group(read)}, ""},
		{kmsg.LeaveGroup, []Check{group(read)}, ""},
		{kmsg.SyncGroup, []Check{group(read)}, ""},
		{kmsg.DescribeGroups, []Check{group(describe)}, ""},
		{kmsg.ListGroups, []Check{listed(group(describe, Alternative{OnCluster, describe}))}, ""},
		{kmsg.SASLHandshake, nil, ""},
		{kmsg.ApiVersions, nil, ""},
		{kmsg.CreateTopics, []Check{topic(create, Alternative{OnCluster, create})}, "The configs of the new topic are shown to who passes DescribeConfigs."},
		{kmsg.DeleteTopics, []Check{topic(remove)}, "By id: the name is shown to who may describe the topic."},
		{kmsg.DeleteRecords, []Check{topic(remove)}, ""},
		{kmsg.InitProducerID, []Check{transactionalID(write), cluster(idempotentWrite, Alternative{OnAnyTopic, write})}, "The cluster only without a transactional id."},
		{kmsg.OffsetForLeaderEpoch, []Check{topic(describe, Alternative{OnCluster, clusterAction})}, ""},
		{kmsg.AddPartitionsToTxn, []Check{transactionalID(write), topic(write)}, ""},
		{kmsg.AddOffsetsToTxn, []Check{transactionalID(write), group(read)}, ""},
		{kmsg.EndTxn, []Check{transactionalID(write)}, ""},
		{kmsg.WriteTxnMarkers, []Check{cluster(clusterAction, Alternative{OnCluster, alter})}, ""},
		{kmsg.TxnOffsetCommit, []Check{transactionalID(write), group(read), topic(read)}, ""},
		{kmsg.DescribeACLs, []Check{cluster(describe)}, ""},
		{kmsg.CreateACLs, []Check{cluster(alter)}, ""},
		{kmsg.DeleteACLs, []Check{cluster(alter)}, ""},
		{kmsg.DescribeConfigs, []Check{topic(describeConfigs), group(describeConfigs), cluster(describeConfigs)}, "By the type of the resource; the cluster stands for brokers."},
		{kmsg.AlterConfigs, []Check{topic(alterConfigs), group(alterConfigs), cluster(alterConfigs)}, "By the type of the resource; the cluster stands for brokers."},
		{kmsg.IncrementalAlterConfigs, []Check{topic(alterConfigs), group(alterConfigs), cluster(alterConfigs)}, "By the type of the resource; the cluster stands for brokers."},
		{kmsg.AlterReplicaLogDirs, []Check{cluster(alter)}, ""},
		{kmsg.DescribeLogDirs, []Check{cluster(describe)}, ""},
		{kmsg.SASLAuthenticate, nil, ""},
		{kmsg.CreatePartitions, []Check{topic(alter)}, ""},
		{kmsg.DeleteGroups, []Check{group(remove)}, ""},
		{kmsg.ElectLeaders, []Check{cluster(alter)}, ""},
		{kmsg.AlterPartitionAssignments, []Check{cluster(alter)}, ""},
		{kmsg.ListPartitionReassignments, []Check{cluster(describe)}, ""},
		{kmsg.OffsetDelete, []Check{group(remove), topic(read)}, ""},
		{kmsg.DescribeClientQuotas, []Check{cluster(describeConfigs)}, ""},
		{kmsg.AlterClientQuotas, []Check{cluster(alterConfigs)}, ""},
		{kmsg.DescribeUserSCRAMCredentials, []Check{cluster(describe)}, ""},
		{kmsg.AlterUserSCRAMCredentials, []Check{cluster(alter)}, ""},
		{kmsg.UpdateFeatures, []Check{cluster(alter)}, ""},
		{kmsg.DescribeCluster, nil, "The authorised operations are shown to who may describe the cluster."},
		{kmsg.DescribeProducers, []Check{topic(read)}, ""},
		{kmsg.DescribeTransactions, []Check{transactionalID(describe)}, "Topics that may not be described are left out."},
		{kmsg.ListTransactions, []Check{listed(transactionalID(describe))}, ""},
		{kmsg.ConsumerGroupHeartbeat, []Check{group(read), topic(describe)}, "The topics subscribed to by name."},
		{kmsg.ConsumerGroupDescribe, []Check{group(describe), topic(describe)}, "A member of topics that may not be described refuses the group."},
		{kmsg.GetTelemetrySubscriptions, nil, ""},
		{kmsg.PushTelemetry, nil, ""},
		{kmsg.ListConfigResources, []Check{cluster(describeConfigs)}, ""},
		{kmsg.DescribeTopicPartitions, []Check{listed(topic(describe))}, ""},
		{kmsg.ShareGroupHeartbeat, []Check{group(read), topic(describe)}, "The topics subscribed to by name."},
		{kmsg.ShareGroupDescribe, []Check{group(describe), topic(describe)}, ""},
		{kmsg.ShareFetch, []Check{group(read), topic(read)}, ""},
		{kmsg.ShareAcknowledge, []Check{group(read), topic(read)}, ""},
		{kmsg.StreamsGroupHeartbeat, []Check{group(read), topic(describe)}, "The topics that the topology names; internal ones that are missing need what CreateTopics needs."},
		{kmsg.StreamsGroupDescribe, []Check{group(describe), topic(describe)}, ""},
		{kmsg.StreamsGroupTopologyDescriptionUpdate, []Check{group(read)}, ""},
		{kmsg.DescribeShareGroupOffsets, []Check{group(describe), listed(topic(describe))}, ""},
		{kmsg.AlterShareGroupOffsets, []Check{group(read), topic(read)}, ""},
		{kmsg.DeleteShareGroupOffsets, []Check{group(remove), topic(read)}, ""},
	}
}
