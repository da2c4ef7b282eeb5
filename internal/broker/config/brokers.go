package config

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// brokerDefinitions are the settings of the broker: what it does itself, and what stands in for topics that do not say.
func brokerDefinitions() map[string]Definition {
	all := byName(brokerOwn())
	for _, t := range topicDefinitions() {
		for i, s := range t.Synonyms {
			all[s.Name] = standIn(t, i)
		}
	}
	return all
}

// standIn is the broker's setting behind a topic's. The first of them has the default and is what the others are converted to.
func standIn(t Definition, i int) Definition {
	d, s := t, t.Synonyms[i]
	d.Name, d.Doc, d.Synonyms = s.Name, "For topics that do not set "+t.Name+". "+t.Doc, nil
	if i == 0 {
		d.Synonyms = t.Synonyms[1:]
		return d
	}
	whole := between(-1, maxInt64/s.Scale)
	d.Default = ""
	d.Doc = "Another unit for " + t.Synonyms[0].Name + ", which counts if both are set."
	d.check = func(value string) error {
		if err := whole(value); err != nil {
			return err
		}
		return t.check(scaled(value, s.Scale))
	}
	return d
}

func brokerOwn() []Definition {
	switches := []Definition{
		flag("auto.create.topics.enable", "true", "Whether a topic comes into being when a client writes to it or asks for it."),
		flag("delete.topic.enable", "true", "Whether topics may be deleted."),
		flag("log.cleaner.enable", "true", "Whether compacted topics are compacted."),
	}
	numbers := []Definition{
		whole("num.partitions", "1", 1, 10_000, "Partitions of a topic whose maker does not say."),
		whole("group.initial.rebalance.delay.ms", "100", 0, maxInt32, "Milliseconds that the first round of a new group waits for more members."),
		whole("group.min.session.timeout.ms", "6000", 1, maxInt32, "The shortest session timeout that a member may ask for."),
		whole("group.max.session.timeout.ms", "1800000", 1, maxInt32, "The longest session timeout that a member may ask for."),
		whole("group.max.size", "1000", 1, maxInt32, "The most members of a group."),
		whole("group.consumer.heartbeat.interval.ms", "5000", 100, maxInt32, "How often members of groups of the consumer protocol report."),
		whole("group.consumer.session.timeout.ms", "45000", 1000, maxInt32, "After how many milliseconds of silence a member of such a group is gone."),
		whole("offset.metadata.max.bytes", "4096", 0, 1<<20, "The largest text that may be stored with an offset."),
		long("offsets.retention.minutes", "10080", 1, maxInt32, "Minutes that the offsets of a group stay after its last member has gone."),
		long("transaction.max.timeout.ms", "900000", 1, maxInt32, "The longest timeout that a transaction may ask for."),
		long("transactional.id.expiration.ms", "604800000", 1, maxInt64, "Milliseconds without a transaction after which a transactional id is forgotten."),
		long("producer.id.expiration.ms", "86400000", 1, maxInt64, "Milliseconds without a batch after which a partition forgets a producer and its sequences."),
		long("log.retention.check.interval.ms", "60000", 1, maxInt64, "Milliseconds between two looks for segments past their retention."),
		long("log.cleaner.backoff.ms", "15000", 0, maxInt64, "Milliseconds that compaction waits when there is nothing to do."),
		long("log.cleaner.dedupe.buffer.size", "67108864", 1<<16, 1<<34, "Bytes of memory for the keys of the partition that is compacted."),
		long("connections.max.idle.ms", "600000", 1, maxInt64, "Milliseconds without a request after which a connection is closed."),
		whole("max.incremental.fetch.session.cache.slots", "1000", 0, 1_000_000, "The most fetch sessions that are remembered."),
		whole("fetch.max.bytes", "57671680", 1024, maxInt32, "The most bytes of an answer to a fetch, one batch excepted."),
	}
	return append(append(switches, numbers...), append(fixed(), atStart()...)...)
}

// fixed are settings that people look at or set out of habit.
func fixed() []Definition {
	return []Definition{
		{
			Name: "default.replication.factor", Type: kmsg.ConfigTypeInt, Default: "1", check: only("1", "there is one node"),
			Doc: "Replicas of a topic whose maker does not say.",
		},
		{
			Name: "offsets.topic.replication.factor", Type: kmsg.ConfigTypeShort, Default: "1", check: only("1", "there is one node"), ReadOnly: true,
			Doc: noEffect + "group offsets are not kept in a topic.",
		},
		{
			Name: "transaction.state.log.replication.factor", Type: kmsg.ConfigTypeShort, Default: "1", check: only("1", "there is one node"), ReadOnly: true,
			Doc: noEffect + "the state of transactions is not kept in a topic.",
		},
		{
			Name: "log.cleaner.threads", Type: kmsg.ConfigTypeInt, Default: "1", check: only("1", "one partition is compacted at a time"),
			Doc: "Partitions that are compacted at a time.",
		},
		{
			Name: "log.cleaner.io.max.bytes.per.second", Type: kmsg.ConfigTypeDouble, Default: "33554432", check: atLeastZero,
			Doc: "Bytes per second that compaction reads and writes together; 0 is without a limit.",
		},
	}
}

// atStart are settings that the process is started with; the server says what they are.
func atStart() []Definition {
	all := []Definition{
		whole("broker.id", "0", 0, maxInt32, "The number of this node."),
		whole("node.id", "0", 0, maxInt32, "The number of this node."),
		{Name: "process.roles", Type: kmsg.ConfigTypeList, Default: "broker,controller", Doc: "What this process does.", check: text},
		{Name: "listeners", Type: kmsg.ConfigTypeString, Default: "", Doc: "Addresses that it listens on.", check: text},
		{Name: "advertised.listeners", Type: kmsg.ConfigTypeString, Default: "", Doc: "Addresses that clients are told.", check: text},
		{Name: "log.dirs", Type: kmsg.ConfigTypeString, Default: "", Doc: "The data directory.", check: text},
		whole("max.connections", "10000", 0, maxInt32, "The most connections at a time."),
		whole("max.connections.per.ip", "2147483647", 0, maxInt32, "The most connections of one address at a time."),
		whole("socket.request.max.bytes", strconv.Itoa(maxBatch+1<<20), 1<<16, maxInt32, "The largest request."),
		long("queued.max.request.bytes", "268435456", -1, maxInt64, "Bytes of requests that may be worked on at a time."),
	}
	for i := range all {
		all[i].ReadOnly = true
	}
	return all
}

func flag(name, def, doc string) Definition {
	return Definition{Name: name, Type: kmsg.ConfigTypeBoolean, Default: def, Doc: doc, check: boolean}
}

func whole(name, def string, least, most int64, doc string) Definition {
	return Definition{Name: name, Type: kmsg.ConfigTypeInt, Default: def, Doc: doc, check: between(least, most)}
}

func long(name, def string, least, most int64, doc string) Definition {
	return Definition{Name: name, Type: kmsg.ConfigTypeLong, Default: def, Doc: doc, check: between(least, most)}
}
