package kafkatest

import (
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func configCases() []testCase {
	return []testCase{
		{"a setting of a topic is described with its source", configSource},
		{"a default is described as one", configDefault},
		{"synonyms are told in their order", configSynonyms},
		{"names limit a description", configNames},
		{"an incremental change keeps the other settings", configIncremental},
		{"a setting can be taken back", configDelete},
		{"lists can be appended to and subtracted from", configAppend},
		{"a whole change replaces all settings", configReplace},
		{"validating changes nothing", configValidate},
		{"an unknown setting is refused", configUnknown},
		{"a bad value is refused", configBad},
		{"one bad setting refuses them all", configAtomic},
		{"settings of an unknown topic are refused", configUnknownTopic},
		{"settings of a broker are described", configBroker},
		{"settings of an unknown broker are refused", configUnknownBroker},
		{"a resource of an unknown kind is refused", configUnknownKind},
		{"a limit of the batch takes effect at once", configEffective},
		{"a setting without a value is refused", configNull},
		{"types and documentation are told when asked for", configTypes},
	}
}

// topicConfig describes one setting of a topic.
func (t *T) topicConfig(topic, name string) kmsg.DescribeConfigsResponseResourceConfig {
	t.Helper()
	res := t.describeConfigs(kmsg.ConfigResourceTypeTopic, topic, name)
	t.ok("describe configs", res.ErrorCode)
	if len(res.Configs) != 1 {
		t.Fatalf("describe %q: %d settings", name, len(res.Configs))
	}
	return res.Configs[0]
}

func (t *T) describeConfigs(kind kmsg.ConfigResourceType, resource string, names ...string) kmsg.DescribeConfigsResponseResource {
	t.Helper()
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms, req.IncludeDocumentation = true, true
	req.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kind, ResourceName: resource, ConfigNames: names}}
	return ask(t, req.RequestWith).Resources[0]
}

// change is one incremental change.
type change struct {
	name  string
	op    kmsg.IncrementalAlterConfigOp
	value string
}

func (t *T) alter(topic string, validateOnly bool, changes ...change) int16 {
	t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.ValidateOnly = validateOnly
	resource := kmsg.IncrementalAlterConfigsRequestResource{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: topic}
	for _, c := range changes {
		config := kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: c.name, Op: c.op}
		if c.op != kmsg.IncrementalAlterConfigOpDelete {
			config.Value = &c.value
		}
		resource.Configs = append(resource.Configs, config)
	}
	req.Resources = append(req.Resources, resource)
	return ask(t, req.RequestWith).Resources[0].ErrorCode
}

func set(name, value string) change {
	return change{name: name, op: kmsg.IncrementalAlterConfigOpSet, value: value}
}

func (t *T) wantConfig(topic, name, want string) {
	t.Helper()
	t.eventually(name+" = "+want, func() bool { return *t.topicConfig(topic, name).Value == want })
}

func configSource(t *T) {
	c := t.topicConfig(t.topic(1, "retention.ms", "777"), "retention.ms")
	equal(t, "value", *c.Value, "777")
	equal(t, "source", c.Source, kmsg.ConfigSourceDynamicTopicConfig)
	equal(t, "read only", c.ReadOnly, false)
	equal(t, "sensitive", c.IsSensitive, false)
}

func configDefault(t *T) {
	c := t.topicConfig(t.topic(1), "cleanup.policy")
	equal(t, "value", *c.Value, "delete")
	equal(t, "source", c.Source, kmsg.ConfigSourceDefaultConfig)
}

func configSynonyms(t *T) {
	c := t.topicConfig(t.topic(1, "cleanup.policy", "compact"), "cleanup.policy")
	var found []string
	for _, s := range c.ConfigSynonyms {
		found = append(found, s.Name+"="+*s.Value+" "+s.Source.String())
	}
	equal(t, "synonyms", strings.Join(found, ", "), "cleanup.policy=compact DYNAMIC_TOPIC_CONFIG, log.cleanup.policy=delete DEFAULT_CONFIG")
}

func configNames(t *T) {
	topic := t.topic(1)
	equal(t, "settings", len(t.describeConfigs(kmsg.ConfigResourceTypeTopic, topic, "retention.ms", "no.such.setting").Configs), 1)
	if n := len(t.describeConfigs(kmsg.ConfigResourceTypeTopic, topic).Configs); n < 20 {
		t.Fatalf("all settings of a topic: only %d", n)
	}
}

func configIncremental(t *T) {
	topic := t.topic(1, "retention.ms", "1000")
	t.ok("alter", t.alter(topic, false, set("retention.bytes", "5000")))
	t.wantConfig(topic, "retention.bytes", "5000")
	t.wantConfig(topic, "retention.ms", "1000")
}

func configDelete(t *T) {
	topic := t.topic(1, "retention.ms", "1000")
	t.ok("alter", t.alter(topic, false, change{"retention.ms", kmsg.IncrementalAlterConfigOpDelete, ""}))
	t.eventually("the default", func() bool { return t.topicConfig(topic, "retention.ms").Source != kmsg.ConfigSourceDynamicTopicConfig })
}

func configAppend(t *T) {
	topic := t.topic(1, "cleanup.policy", "delete")
	t.ok("append", t.alter(topic, false, change{"cleanup.policy", kmsg.IncrementalAlterConfigOpAppend, "compact"}))
	t.wantConfig(topic, "cleanup.policy", "delete,compact")
	t.ok("subtract", t.alter(topic, false, change{"cleanup.policy", kmsg.IncrementalAlterConfigOpSubtract, "delete"}))
	t.wantConfig(topic, "cleanup.policy", "compact")
	t.want("append to a number", t.alter(topic, false, change{"retention.ms", kmsg.IncrementalAlterConfigOpAppend, "1"}), kerr.InvalidConfig)
}

func configReplace(t *T) {
	topic := t.topic(1, "retention.ms", "1000", "retention.bytes", "5000")
	req := kmsg.NewPtrAlterConfigsRequest()
	value := "2000"
	req.Resources = []kmsg.AlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: topic,
		Configs: []kmsg.AlterConfigsRequestResourceConfig{{Name: "retention.ms", Value: &value}}}}
	t.ok("alter", ask(t, req.RequestWith).Resources[0].ErrorCode)
	t.wantConfig(topic, "retention.ms", "2000")
	t.wantConfig(topic, "retention.bytes", "-1")
}

func configValidate(t *T) {
	topic := t.topic(1, "retention.ms", "1000")
	t.ok("validate", t.alter(topic, true, set("retention.ms", "2000")))
	t.want("validate", t.alter(topic, true, set("retention.ms", "soon")), kerr.InvalidConfig)
	equal(t, "value", *t.topicConfig(topic, "retention.ms").Value, "1000")
}

func configUnknown(t *T) {
	t.want("alter", t.alter(t.topic(1), false, set("no.such.setting", "1")), kerr.InvalidConfig)
}

func configBad(t *T) {
	topic := t.topic(1)
	for name, value := range map[string]string{"retention.ms": "soon", "cleanup.policy": "sometimes", "max.message.bytes": "-1", "segment.bytes": "1", "message.timestamp.type": "Now", "compression.type": "rar"} {
		t.want("alter "+name, t.alter(topic, false, set(name, value)), kerr.InvalidConfig)
	}
}

func configAtomic(t *T) {
	topic := t.topic(1, "retention.ms", "1000")
	t.want("alter", t.alter(topic, false, set("retention.ms", "2000"), set("retention.bytes", "many")), kerr.InvalidConfig)
	equal(t, "value", *t.topicConfig(topic, "retention.ms").Value, "1000")
}

func configUnknownTopic(t *T) {
	name := t.unique("none")
	t.want("alter", t.alter(name, false, set("retention.ms", "2000")), kerr.UnknownTopicOrPartition)
	t.want("describe", t.describeConfigs(kmsg.ConfigResourceTypeTopic, name).ErrorCode, kerr.UnknownTopicOrPartition)
}

func configBroker(t *T) {
	res := t.describeConfigs(kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(t.node())), "num.partitions", "log.retention.ms", "auto.create.topics.enable")
	t.ok("describe", res.ErrorCode)
	if len(res.Configs) < 2 {
		t.Fatalf("settings: %+v", res.Configs)
	}
}

func configUnknownBroker(t *T) {
	t.want("describe", t.describeConfigs(kmsg.ConfigResourceTypeBroker, "99").ErrorCode, kerr.InvalidRequest)
}

func configUnknownKind(t *T) {
	t.want("describe", t.describeConfigs(77, "a").ErrorCode, kerr.InvalidRequest)
}

func configEffective(t *T) {
	topic := t.topic(1)
	raw := plain(strings.Repeat("x", 2000)).bytes()
	t.ok("produce", t.tryProduce(topic, 0, raw).ErrorCode)
	t.ok("alter", t.alter(topic, false, set("max.message.bytes", "1000")))
	t.eventually("the limit", func() bool { return t.tryProduce(topic, 0, raw).ErrorCode == kerr.MessageTooLarge.Code })
}

func configNull(t *T) {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Resources = []kmsg.IncrementalAlterConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: t.topic(1),
		Configs: []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "retention.ms"}}}}
	t.want("alter", ask(t, req.RequestWith).Resources[0].ErrorCode, kerr.InvalidRequest, kerr.InvalidConfig)
}

func configTypes(t *T) {
	topic := t.topic(1)
	equal(t, "type of retention.ms", t.topicConfig(topic, "retention.ms").ConfigType, kmsg.ConfigTypeLong)
	c := t.topicConfig(topic, "cleanup.policy")
	equal(t, "type of cleanup.policy", c.ConfigType, kmsg.ConfigTypeList)
	if c.Documentation == nil || *c.Documentation == "" {
		t.Fatalf("no documentation")
	}
}
