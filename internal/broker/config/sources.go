package config

import (
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Sources is what is set for the broker, by where it was set. The zero value is a broker with defaults only.
type Sources struct {
	Start   map[string]string // given when the process was started
	Node    map[string]string // changed by a request for this node
	Cluster map[string]string // changed by a request for all nodes
}

// A found value is one that is set somewhere, already in the unit of the setting that was asked for.
type found struct {
	name, value string
	source      kmsg.ConfigSource
}

// find returns every value of a setting, the one that counts first. own are the settings of the topic, nil for the broker.
func (s Sources) find(d Definition, own map[string]string, definitions map[string]Definition) []found {
	var all []found
	if value, ok := own[d.Name]; ok {
		all = append(all, found{d.Name, value, kmsg.ConfigSourceDynamicTopicConfig})
	}
	names := d.Synonyms
	if own == nil {
		names = append([]Synonym{{Name: d.Name}}, names...)
	}
	for _, layer := range s.layers() {
		for _, n := range names {
			if value, ok := layer.set[n.Name]; ok {
				all = append(all, found{n.Name, scaled(value, n.Scale), layer.source})
			}
		}
	}
	return append(all, builtIn(d, own, definitions))
}

// builtIn is the default, under the name that Kafka gives it: for a setting of a topic that of the broker, if there is one.
func builtIn(d Definition, own map[string]string, definitions map[string]Definition) found {
	name := d.Name
	if own != nil && len(d.Synonyms) > 0 {
		name = d.Synonyms[0].Name
	}
	return found{name, definitions[d.Name].Default, kmsg.ConfigSourceDefaultConfig}
}

type layer struct {
	set    map[string]string
	source kmsg.ConfigSource
}

func (s Sources) layers() []layer {
	return []layer{
		{s.Node, kmsg.ConfigSourceDynamicBrokerConfig},
		{s.Cluster, kmsg.ConfigSourceDynamicDefaultBrokerConfig},
		{s.Start, kmsg.ConfigSourceStaticBrokerConfig},
	}
}

// Topic is what the settings of a topic come to. Durations and sizes below zero are without a limit.
type Topic struct {
	Delete  bool // cleanup.policy has delete
	Compact bool // cleanup.policy has compact

	Retention      time.Duration // retention.ms
	RetentionBytes int64         // retention.bytes

	SegmentBytes int64         // segment.bytes
	SegmentAge   time.Duration // segment.ms
	IndexBytes   int           // index.interval.bytes

	MaxMessageBytes int           // max.message.bytes
	LogAppendTime   bool          // message.timestamp.type is LogAppendTime
	TimestampBefore time.Duration // message.timestamp.before.max.ms
	TimestampAfter  time.Duration // message.timestamp.after.max.ms

	DirtyRatio       float64       // min.cleanable.dirty.ratio
	CompactionLagMin time.Duration // min.compaction.lag.ms
	CompactionLagMax time.Duration // max.compaction.lag.ms
	DeleteRetention  time.Duration // delete.retention.ms
}

// Topic returns what counts for a topic with these settings of its own, which CheckTopic has passed.
func (s Sources) Topic(set map[string]string) Topic {
	v := values(s, set, topicDefinitions())
	t := Topic{
		Retention: millis(v(retentionMs)), RetentionBytes: number(v(retentionBytes)),
		SegmentBytes: number(v(segmentBytes)), SegmentAge: millis(v(segmentMs)), IndexBytes: int(number(v(indexInterval))),
		MaxMessageBytes: int(number(v(maxMessageBytes))), LogAppendTime: v(timestampType) == "LogAppendTime",
		TimestampBefore: millis(v(timestampBefore)), TimestampAfter: millis(v(timestampAfter)),
		DirtyRatio: decimal(v(dirtyRatio)), CompactionLagMin: millis(v(minCompactionLag)),
		CompactionLagMax: millis(v(maxCompactionLag)), DeleteRetention: millis(v(deleteRetentionMs)),
	}
	for _, policy := range list(v(cleanupPolicy)) {
		t.Delete = t.Delete || policy == "delete"
		t.Compact = t.Compact || policy == "compact"
	}
	return t
}

// values looks settings up; one that is not defined is a mistake in this package. own is nil for the broker.
func values(s Sources, own map[string]string, definitions map[string]Definition) func(name string) string {
	if own == nil {
		own = map[string]string{}
	}
	return func(name string) string { return s.find(definitions[name], own, definitions)[0].value }
}

// Broker is what the settings of the broker itself come to.
type Broker struct {
	AutoCreateTopics bool // auto.create.topics.enable
	DeleteTopics     bool // delete.topic.enable
	Compact          bool // log.cleaner.enable

	Partitions int32 // num.partitions

	GroupInitialDelay         time.Duration // group.initial.rebalance.delay.ms
	GroupSessionMin           time.Duration // group.min.session.timeout.ms
	GroupSessionMax           time.Duration // group.max.session.timeout.ms
	GroupMembersMax           int           // group.max.size
	ConsumerGroupHeartbeat    time.Duration // group.consumer.heartbeat.interval.ms
	ConsumerGroupSession      time.Duration // group.consumer.session.timeout.ms
	OffsetMetadataBytesMax    int           // offset.metadata.max.bytes
	OffsetsRetention          time.Duration // offsets.retention.minutes
	TransactionTimeoutMax     time.Duration // transaction.max.timeout.ms
	TransactionalIDExpiration time.Duration // transactional.id.expiration.ms
	ProducerIDExpiration      time.Duration // producer.id.expiration.ms
	RetentionCheckInterval    time.Duration // log.retention.check.interval.ms
	CleanerBackoff            time.Duration // log.cleaner.backoff.ms
	CleanerMapBytes           int64         // log.cleaner.dedupe.buffer.size
	CleanerBytesPerSecond     float64       // log.cleaner.io.max.bytes.per.second; 0: without a limit
	ConnectionsMax            int           // max.connections
	ConnectionsPerAddressMax  int           // max.connections.per.ip
	ConnectionIdleMax         time.Duration // connections.max.idle.ms
	FetchSessionsMax          int           // max.incremental.fetch.session.cache.slots
	FetchBytesMax             int           // fetch.max.bytes
	RequestBytesMax           int           // socket.request.max.bytes
	RequestBytesInFlightMax   int64         // queued.max.request.bytes; -1: without a limit
}

// Broker returns what counts for the broker itself.
func (s Sources) Broker() Broker {
	definitions := brokerDefinitions()
	v := func(name string) string { return s.find(definitions[name], nil, definitions)[0].value }
	n := func(name string) int { return int(number(v(name))) }
	ms := func(name string) time.Duration { return millis(v(name)) }
	return Broker{
		AutoCreateTopics: truth(v("auto.create.topics.enable")), DeleteTopics: truth(v("delete.topic.enable")),
		Compact: truth(v("log.cleaner.enable")), Partitions: int32(n("num.partitions")), //nolint:gosec // checked: at most 10,000
		GroupInitialDelay: ms("group.initial.rebalance.delay.ms"), GroupSessionMin: ms("group.min.session.timeout.ms"),
		GroupSessionMax: ms("group.max.session.timeout.ms"), GroupMembersMax: n("group.max.size"),
		ConsumerGroupHeartbeat: ms("group.consumer.heartbeat.interval.ms"), ConsumerGroupSession: ms("group.consumer.session.timeout.ms"),
		OffsetMetadataBytesMax: n("offset.metadata.max.bytes"), OffsetsRetention: minutes(v("offsets.retention.minutes")),
		TransactionTimeoutMax: ms("transaction.max.timeout.ms"), TransactionalIDExpiration: ms("transactional.id.expiration.ms"),
		ProducerIDExpiration: ms("producer.id.expiration.ms"), RetentionCheckInterval: ms("log.retention.check.interval.ms"),
		CleanerBackoff: ms("log.cleaner.backoff.ms"), CleanerMapBytes: number(v("log.cleaner.dedupe.buffer.size")),
		CleanerBytesPerSecond: decimal(v("log.cleaner.io.max.bytes.per.second")), ConnectionsMax: n("max.connections"), ConnectionsPerAddressMax: n("max.connections.per.ip"),
		ConnectionIdleMax: ms("connections.max.idle.ms"), FetchSessionsMax: n("max.incremental.fetch.session.cache.slots"),
		FetchBytesMax: n("fetch.max.bytes"), RequestBytesMax: n("socket.request.max.bytes"),
		RequestBytesInFlightMax: number(v("queued.max.request.bytes")),
	}
}

func minutes(value string) time.Duration {
	n := number(value)
	if n > int64(math.MaxInt64/time.Minute) {
		return math.MaxInt64
	}
	return time.Duration(n) * time.Minute
}
