package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// toolStep is one call of one of Kafka's command line tools.
type toolStep struct {
	name    string
	class   string // of the tool, as its shell script names it
	args    string // separated by spaces; {t} is a topic, {g} a group, {u} a user, {x} a transactional id, {f} a file
	input   string
	want    []string // regular expressions that what it prints must match; {t} and the others as in args
	never   string   // one that it must not match
	cluster string
}

// Classes of the tools. The shell scripts that usually start them are not in Maven's artefacts.
const (
	classTopics          = "org.apache.kafka.tools.TopicCommand"
	classConsoleProducer = "org.apache.kafka.tools.ConsoleProducer"
	classConsoleConsumer = "org.apache.kafka.tools.consumer.ConsoleConsumer"
	classGroups          = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
	classAllGroups       = "org.apache.kafka.tools.GroupsCommand"
	classTransactions    = "org.apache.kafka.tools.TransactionsCommand"
	classConfigs         = "kafka.admin.ConfigCommand"
	classAcls            = "org.apache.kafka.tools.AclCommand"
	classOffsets         = "org.apache.kafka.tools.GetOffsetShell"
	classDeleteRecords   = "org.apache.kafka.tools.DeleteRecordsCommand"
	classLogDirs         = "org.apache.kafka.tools.LogDirsCommand"
	classVersions        = "org.apache.kafka.tools.BrokerApiVersionsCommand"
	classFeatures        = "org.apache.kafka.tools.FeatureCommand"
	classQuorum          = "org.apache.kafka.tools.MetadataQuorumCommand"
	classCluster         = "org.apache.kafka.tools.ClusterTool"
	classVerifyProducer  = "org.apache.kafka.tools.VerifiableProducer"
	classVerifyConsumer  = "org.apache.kafka.tools.VerifiableConsumer"
	classProducerPerf    = "org.apache.kafka.tools.ProducerPerformance"
	classConsumerPerf    = "org.apache.kafka.tools.ConsumerPerformance"
)

// toolSteps lists the calls in their order: later ones use what earlier ones made.
func toolSteps() []toolStep {
	return []toolStep{
		{name: "kafka-broker-api-versions", class: classVersions, want: []string{`Produce\(0\): .* \[usable: \d+\]`, `EndTxn\(26\): .* \[usable: \d+\]`}},
		{name: "kafka-features describe", class: classFeatures, args: "describe", want: []string{`transaction.version.*FinalizedVersionLevel: 2`}},
		{name: "kafka-cluster cluster-id", class: classCluster, args: "cluster-id", want: []string{`Cluster ID: \S+`}},
		{name: "kafka-topics --create", class: classTopics, args: "--create --topic {t} --partitions 2 --config retention.ms=3600000", want: []string{`Created topic {t}`}},
		{name: "kafka-topics --list", class: classTopics, args: "--list", want: []string{`(?m)^{t}$`}},
		{name: "kafka-topics --alter", class: classTopics, args: "--alter --topic {t} --partitions 3"},
		{name: "kafka-topics --describe", class: classTopics, args: "--describe --topic {t}", want: []string{`PartitionCount: 3`, `retention.ms=3600000`, `TopicId: \S+`}},
		{name: "kafka-console-producer", class: classConsoleProducer, args: "--topic {t} --reader-property parse.key=true --reader-property key.separator=:", input: "k1:v1\nk2:v2\nk3:v3\n", never: `ERROR`},
		{name: "kafka-console-producer, zstd, acks all", class: classConsoleProducer, args: "--topic {t} --compression-codec zstd --request-required-acks all", input: "v4\n", never: `ERROR`},
		{name: "kafka-console-consumer with a group", class: classConsoleConsumer, args: "--topic {t} --group {g} --from-beginning --max-messages 4 --timeout-ms 15000 --formatter-property print.key=true --formatter-property print.offset=true", want: []string{`k1\tv1`, `k3\tv3`, `null\tv4`}},
		{name: "kafka-console-consumer, read_committed", class: classConsoleConsumer, args: "--topic {t} --isolation-level read_committed --from-beginning --max-messages 4 --timeout-ms 15000", want: []string{`v1`, `v4`}},
		{name: "kafka-get-offsets --time latest", class: classOffsets, args: "--topic {t} --time latest", want: []string{`{t}:0:\d+\n{t}:1:\d+\n{t}:2:\d+`}},
		{name: "kafka-get-offsets --time max-timestamp", class: classOffsets, args: "--topic {t} --time max-timestamp", want: []string{`{t}:\d:\d+`}},
		{name: "kafka-consumer-groups --list", class: classGroups, args: "--list", want: []string{`(?m)^{g}$`}},
		{name: "kafka-consumer-groups --list --state", class: classGroups, args: "--list --state", want: []string{`{g}\s+Empty`}},
		{name: "kafka-consumer-groups --describe", class: classGroups, args: "--describe --group {g}", want: []string{`{g}\s+{t}\s+\d\s+\d+\s+\d+\s+0`}},
		{name: "kafka-consumer-groups --describe --state", class: classGroups, args: "--describe --group {g} --state", want: []string{`{g}\s.*Empty\s+0`}},
		{name: "kafka-consumer-groups --reset-offsets", class: classGroups, args: "--reset-offsets --group {g} --topic {t} --to-earliest --execute", want: []string{`{g}\s+{t}\s+0\s+0`, `{g}\s+{t}\s+2\s+0`}},
		{name: "kafka-consumer-groups --reset-offsets by time", class: classGroups, args: "--reset-offsets --group {g} --topic {t} --to-datetime 2020-01-01T00:00:00.000 --execute", want: []string{`{g}\s+{t}\s+0\s+0`}},
		{name: "kafka-consumer-groups --delete-offsets", class: classGroups, args: "--delete-offsets --group {g} --topic {t}", want: []string{`{t}\s+0\s+Successful`}},
		{name: "kafka-consumer-groups --delete", class: classGroups, args: "--delete --group {g}", want: []string{`was successful`}},
		{name: "kafka-groups --list", class: classAllGroups, args: "--list", never: `(?m)^{g}\s`},
		{name: "kafka-verifiable-producer", class: classVerifyProducer, args: "--topic {t}-v --max-messages 500 --acks -1", want: []string{`"sent":500,"acked":500`}},
		{name: "kafka-verifiable-consumer", class: classVerifyConsumer, args: "--topic {t}-v --group-id {g}-v --max-messages 500 --reset-policy earliest", want: []string{`records_consumed`, `offsets_committed.*"offset":500.*"success":true`}},
		{name: "kafka-producer-perf-test", class: classProducerPerf, args: "--topic {t}-v --num-records 20000 --record-size 100 --throughput -1", want: []string{`20000 records sent`}},
		{name: "kafka-producer-perf-test with transactions", class: classProducerPerf, args: "--topic {t}-v --num-records 5000 --record-size 100 --throughput -1 --transactional-id {x} --transaction-duration-ms 50", want: []string{`5000 records sent`}},
		{name: "kafka-consumer-perf-test", class: classConsumerPerf, args: "--topic {t}-v --num-records 20000 --timeout 15000", want: []string{`(?m)^20.*, 2\d{4},`}},
		{name: "kafka-transactions list", class: classTransactions, args: "list", want: []string{`{x}\s+\d+\s+\d+\s+CompleteCommit`}},
		{name: "kafka-transactions describe", class: classTransactions, args: "describe --transactional-id {x}", want: []string{`{x}\s.*CompleteCommit`}},
		{name: "kafka-transactions describe-producers", class: classTransactions, args: "describe-producers --topic {t}-v --partition 0", want: []string{`ProducerEpoch`, `(?m)^\d+\s+\d+\s`}},
		{name: "kafka-transactions find-hanging", class: classTransactions, args: "find-hanging --broker-id {n}", want: []string{`ProducerEpoch`}, never: `{t}`},
		{name: "kafka-configs --alter a topic", class: classConfigs, args: "--alter --entity-type topics --entity-name {t} --add-config max.message.bytes=100000", want: []string{`Completed updating`}},
		{name: "kafka-configs --describe a topic", class: classConfigs, args: "--describe --entity-type topics --entity-name {t}", want: []string{`max.message.bytes=100000`, `retention.ms=3600000`}},
		{name: "kafka-configs --describe the broker, all", class: classConfigs, args: "--describe --all --entity-type brokers --entity-name {n}", want: []string{`log.retention|log.dir|retention.ms`}},
		{name: "kafka-configs, SCRAM user", class: classConfigs, args: "--alter --entity-type users --entity-name {u} --add-config SCRAM-SHA-256=[password=secret]", want: []string{`Completed updating`}},
		{name: "kafka-configs, quota of a client", class: classConfigs, args: "--alter --entity-type clients --entity-name {u} --add-config producer_byte_rate=1000000", want: []string{`Completed updating`}},
		{name: "kafka-configs, describe users", class: classConfigs, args: "--describe --entity-type users --entity-name {u}", want: []string{`SCRAM-SHA-256=iterations=\d+`}},
		{name: "kafka-configs, describe clients", class: classConfigs, args: "--describe --entity-type clients --entity-name {u}", want: []string{`producer_byte_rate=1000000`}},
		{name: "kafka-acls --add", class: classAcls, args: "--add --allow-principal User:{u} --operation read --topic {t}", want: []string{`principal=User:{u}`}},
		{name: "kafka-acls --list", class: classAcls, args: "--list --topic {t}", want: []string{`principal=User:{u}.*READ.*ALLOW`}},
		{name: "kafka-acls --remove", class: classAcls, args: "--remove --force --allow-principal User:{u} --operation read --topic {t}", never: `principal=User:{u}.*READ`},
		{name: "kafka-delete-records", class: classDeleteRecords, args: "--offset-json-file {f}", want: []string{`low_watermark: 100`}},
		{name: "kafka-log-dirs --describe", class: classLogDirs, args: "--describe --topic-list {t}-v", want: []string{`"partition":"{t}-v-0"`}},
		{name: "kafka-metadata-quorum describe", class: classQuorum, args: "describe --status", want: []string{`LeaderId`}, cluster: "one node has no quorum"},
		{name: "kafka-topics --delete", class: classTopics, args: "--delete --topic {t}"},
		{name: "kafka-topics --list, it is gone", class: classTopics, args: "--list", never: `(?m)^{t}$`},
	}
}

// tools runs the list against one broker.
type tools struct {
	*session
	words *strings.Replacer
}

func runTools(ctx context.Context, s *session) error {
	s.version = jarVersion(s.dir)
	dir, err := os.MkdirTemp("", "raven-clients-tools-*")
	if err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	t := tools{session: s}
	file := filepath.Join(dir, "records.json")
	if err := os.WriteFile(file, fmt.Appendf(nil, `{"version":1,"partitions":[{"topic":"%s-t-v","partition":0,"offset":100}]}`, s.prefix), 0o600); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	t.words = strings.NewReplacer("{t}", s.prefix+"-t", "{g}", s.prefix+"-g", "{u}", s.prefix+"-u", "{x}", s.prefix+"-x", "{f}", file, "{n}", t.node(ctx))
	for _, step := range toolSteps() {
		s.stepMarked(ctx, step.name, step.cluster, func(ctx context.Context) (string, error) { return "", t.call(ctx, step) })
	}
	return nil
}

// jarVersion reads the version off the name of the jar.
func jarVersion(dir string) string {
	found, _ := filepath.Glob(filepath.Join(dir, "jars", "kafka-tools-[0-9]*.jar")) // the pattern is right
	if len(found) == 0 {
		return ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(filepath.Base(found[0]), "kafka-tools-"), ".jar")
}

var nodeID = regexp.MustCompile(`\(id: (\d+) `)

// node is the id of the broker, or 0; a wrong one fails the steps that need it.
func (t tools) node(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, stepBound)
	defer cancel()
	out, err := t.run(ctx, toolStep{class: classVersions})
	if m := nodeID.FindStringSubmatch(out); err == nil && m != nil {
		return m[1]
	}
	return "0"
}

// call runs a step and compares what it printed.
func (t tools) call(ctx context.Context, step toolStep) error {
	out, err := t.run(ctx, step)
	if err != nil {
		return err
	}
	for _, want := range step.want {
		if !t.expression(want).MatchString(out) {
			return fmt.Errorf("printed %q, want something like %q", clip(oneLine(out)), want)
		}
	}
	if step.never != "" && t.expression(step.never).MatchString(out) {
		return fmt.Errorf("printed %q, which must not be like %q", clip(oneLine(out)), step.never)
	}
	return nil
}

func (t tools) expression(s string) *regexp.Regexp {
	if t.words != nil {
		s = t.words.Replace(s)
	}
	return regexp.MustCompile(s)
}

// run starts the tool and returns what it printed, errors included.
func (t tools) run(ctx context.Context, step toolStep) (string, error) {
	args := []string{"--bootstrap-server", t.addr}
	if step.args != "" {
		words := step.args
		if t.words != nil {
			words = t.words.Replace(words)
		}
		args = append(args, strings.Fields(words)...)
	}
	if step.class == classCluster { // it wants its verb first
		args = append(args[2:], args[:2]...)
	}
	cmd := java(t.dir, filepath.Join(t.dir, "jars", "*"), step.class, args...)
	cmd.Stdin = strings.NewReader(step.input)
	out, err := command(ctx, cmd)
	if err != nil {
		err = fmt.Errorf("%w: %s", err, clip(oneLine(out)))
	}
	return out, err
}
