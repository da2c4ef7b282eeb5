package config

import (
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Names that code asks for.
const (
	cleanupPolicy     = "cleanup.policy"
	retentionMs       = "retention.ms"
	retentionBytes    = "retention.bytes"
	segmentBytes      = "segment.bytes"
	segmentMs         = "segment.ms"
	maxMessageBytes   = "max.message.bytes"
	timestampType     = "message.timestamp.type"
	timestampBefore   = "message.timestamp.before.max.ms"
	timestampAfter    = "message.timestamp.after.max.ms"
	dirtyRatio        = "min.cleanable.dirty.ratio"
	minCompactionLag  = "min.compaction.lag.ms"
	maxCompactionLag  = "max.compaction.lag.ms"
	deleteRetentionMs = "delete.retention.ms"
	indexInterval     = "index.interval.bytes"
)

const (
	maxInt32 = math.MaxInt32
	maxInt64 = math.MaxInt64

	forever  = "9223372036854775807"
	minuteMs = 60 * 1000
	hourMs   = 60 * minuteMs

	// maxBatch bounds what one batch may be set to: more than this no request carries.
	maxBatch = 100 << 20

	noEffect = "Accepted, no effect: "
)

// topicDefinitions are the settings of a topic.
func topicDefinitions() map[string]Definition {
	return byName(slices.Concat(ofSegments(), ofBatches(), ofCompaction(), fixedForTopics(), withoutEffect()))
}

// ofSegments say how long and how much is kept, and in what pieces.
func ofSegments() []Definition {
	return []Definition{
		{
			Name: cleanupPolicy, Type: kmsg.ConfigTypeList, Default: "delete", check: someOf("delete", "compact"),
			Doc:      "What happens to old records: delete removes what is past its retention, compact keeps the newest record of each key; both may be given.",
			Synonyms: plain("log.cleanup.policy"),
		},
		{
			Name: retentionMs, Type: kmsg.ConfigTypeLong, Default: "604800000", check: between(-1, maxInt64),
			Doc:      "Milliseconds that records are kept under the policy delete, by their timestamps; -1 is for ever.",
			Synonyms: []Synonym{{Name: "log.retention.ms"}, {Name: "log.retention.minutes", Scale: minuteMs}, {Name: "log.retention.hours", Scale: hourMs}},
		},
		{
			Name: retentionBytes, Type: kmsg.ConfigTypeLong, Default: "-1", check: between(-1, maxInt64),
			Doc:      "Bytes that a partition keeps under the policy delete, by whole segments; -1 is without a limit.",
			Synonyms: plain("log.retention.bytes"),
		},
		{
			Name: segmentBytes, Type: kmsg.ConfigTypeInt, Default: "67108864", check: between(14, maxInt32),
			Doc:      "Bytes after which a segment of a partition is full and the next one begins. Retention and compaction work on full segments; a start after a crash reads the last one.",
			Synonyms: plain("log.segment.bytes"),
		},
		{
			Name: segmentMs, Type: kmsg.ConfigTypeLong, Default: "604800000", check: between(1, maxInt64),
			Doc:      "Milliseconds after which a segment ends even if it is not full, so that it can be compacted or removed.",
			Synonyms: []Synonym{{Name: "log.roll.ms"}, {Name: "log.roll.hours", Scale: hourMs}},
		},
		{
			Name: indexInterval, Type: kmsg.ConfigTypeInt, Default: "16384", check: between(0, maxInt32),
			Doc:      "Bytes of a segment per entry of its index. Smaller finds faster and takes more memory.",
			Synonyms: plain("log.index.interval.bytes"),
		},
	}
}

// ofBatches say what may be written.
func ofBatches() []Definition {
	return []Definition{
		{
			Name: maxMessageBytes, Type: kmsg.ConfigTypeInt, Default: "1048588", check: between(0, maxBatch),
			Doc:      "The largest batch that may be written, in bytes as it is sent.",
			Synonyms: plain("message.max.bytes"),
		},
		{
			Name: timestampType, Type: kmsg.ConfigTypeString, Default: "CreateTime", check: oneOf("CreateTime", "LogAppendTime"),
			Doc:      "Whether records keep the timestamp of their producer (CreateTime) or get that of the broker (LogAppendTime).",
			Synonyms: plain("log.message.timestamp.type"),
		},
		{
			Name: timestampBefore, Type: kmsg.ConfigTypeLong, Default: forever, check: between(0, maxInt64),
			Doc:      "How many milliseconds a producer's timestamp may be behind the broker's clock. Not checked with LogAppendTime.",
			Synonyms: plain("log.message.timestamp.before.max.ms"),
		},
		{
			Name: timestampAfter, Type: kmsg.ConfigTypeLong, Default: "3600000", check: between(0, maxInt64),
			Doc:      "How many milliseconds a producer's timestamp may be ahead of the broker's clock. Not checked with LogAppendTime.",
			Synonyms: plain("log.message.timestamp.after.max.ms"),
		},
	}
}

// ofCompaction say when compaction comes, and what it leaves.
func ofCompaction() []Definition {
	return []Definition{
		{
			Name: dirtyRatio, Type: kmsg.ConfigTypeDouble, Default: "0.5", check: ratio,
			Doc:      "A partition is compacted when this share of the bytes that can be compacted has come since the last time.",
			Synonyms: plain("log.cleaner.min.cleanable.ratio"),
		},
		{
			Name: minCompactionLag, Type: kmsg.ConfigTypeLong, Default: "0", check: between(0, maxInt64),
			Doc:      "Milliseconds for which a record is safe from compaction, by its timestamp.",
			Synonyms: plain("log.cleaner.min.compaction.lag.ms"),
		},
		{
			Name: maxCompactionLag, Type: kmsg.ConfigTypeLong, Default: forever, check: between(1, maxInt64),
			Doc:      "Milliseconds after which a record is compacted whatever the dirty ratio says.",
			Synonyms: plain("log.cleaner.max.compaction.lag.ms"),
		},
		{
			Name: deleteRetentionMs, Type: kmsg.ConfigTypeLong, Default: "86400000", check: between(0, maxInt64),
			Doc:      "Milliseconds that a tombstone, and the end of a transaction, stay readable after compaction first met them; a reader that starts at the beginning must come past them in this time.",
			Synonyms: plain("log.cleaner.delete.retention.ms"),
		},
	}
}

// fixedForTopics have one value that is possible here.
func fixedForTopics() []Definition {
	return []Definition{
		{
			Name: "compression.type", Type: kmsg.ConfigTypeString, Default: "producer", check: only("producer", "this broker stores batches as they were sent"),
			Doc:      "Batches keep the codec of their producer.",
			Synonyms: plain("compression.type"),
		},
		{
			Name: "min.insync.replicas", Type: kmsg.ConfigTypeInt, Default: "1", check: only("1", "there is one node"),
			Doc:      "Replicas that must have a record before it is acknowledged with acks=all.",
			Synonyms: plain("min.insync.replicas"),
		},
		{
			Name: "remote.storage.enable", Type: kmsg.ConfigTypeBoolean, Default: "false", check: only("false", "there is no remote storage"),
			Doc: "Whether old segments move to remote storage.",
		},
	}
}

// withoutEffect are set by tools and people out of habit.
func withoutEffect() []Definition {
	return []Definition{
		{
			Name: "file.delete.delay.ms", Type: kmsg.ConfigTypeLong, Default: "60000", check: between(0, maxInt64),
			Doc:      noEffect + "files are removed at once; readers that have one open finish with it.",
			Synonyms: plain("log.segment.delete.delay.ms"),
		},
		{
			Name: "flush.messages", Type: kmsg.ConfigTypeLong, Default: forever, check: between(1, maxInt64),
			Doc:      noEffect + "with fsync on, every acknowledged record is on the disk; with it off, the operating system decides.",
			Synonyms: plain("log.flush.interval.messages"),
		},
		{
			Name: "flush.ms", Type: kmsg.ConfigTypeLong, Default: forever, check: between(0, maxInt64),
			Doc:      noEffect + "with fsync on, every acknowledged record is on the disk; with it off, the operating system decides.",
			Synonyms: plain("log.flush.interval.ms"),
		},
		{
			Name: "preallocate", Type: kmsg.ConfigTypeBoolean, Default: "false", check: boolean,
			Doc:      noEffect + "segments grow as they are written.",
			Synonyms: plain("log.preallocate"),
		},
		{
			Name: "segment.index.bytes", Type: kmsg.ConfigTypeInt, Default: "10485760", check: between(4, maxInt32),
			Doc:      noEffect + "the index of a segment is as large as it has to be.",
			Synonyms: plain("log.index.size.max.bytes"),
		},
		{
			Name: "segment.jitter.ms", Type: kmsg.ConfigTypeLong, Default: "0", check: between(0, maxInt64),
			Doc:      noEffect + "segments that end at the same time cost this broker little.",
			Synonyms: []Synonym{{Name: "log.roll.jitter.ms"}, {Name: "log.roll.jitter.hours", Scale: hourMs}},
		},
		{
			Name: "unclean.leader.election.enable", Type: kmsg.ConfigTypeBoolean, Default: "false", check: boolean,
			Doc:      noEffect + "one node, so there is nobody else to elect.",
			Synonyms: plain("unclean.leader.election.enable"),
		},
		{
			Name: "leader.replication.throttled.replicas", Type: kmsg.ConfigTypeList, Default: "", check: text,
			Doc: noEffect + "one node, so nothing is replicated.",
		},
		{
			Name: "follower.replication.throttled.replicas", Type: kmsg.ConfigTypeList, Default: "", check: text,
			Doc: noEffect + "one node, so nothing is replicated.",
		},
		{
			Name: "local.retention.ms", Type: kmsg.ConfigTypeLong, Default: "-2", check: between(-2, maxInt64),
			Doc: noEffect + "there is no remote storage.",
		},
		{
			Name: "local.retention.bytes", Type: kmsg.ConfigTypeLong, Default: "-2", check: between(-2, maxInt64),
			Doc: noEffect + "there is no remote storage.",
		},
		{
			Name: "message.downconversion.enable", Type: kmsg.ConfigTypeBoolean, Default: "true", check: boolean,
			Doc: noEffect + "every client in use reads the format in which records are stored.",
		},
	}
}

func plain(names ...string) []Synonym {
	all := make([]Synonym, 0, len(names))
	for _, n := range names {
		all = append(all, Synonym{Name: n})
	}
	return all
}

func byName(all []Definition) map[string]Definition {
	m := make(map[string]Definition, len(all))
	for _, d := range all {
		m[d.Name] = d
	}
	return m
}
