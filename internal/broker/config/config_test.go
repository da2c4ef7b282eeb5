package config

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestDefaultsPassTheirOwnChecks(t *testing.T) {
	for _, d := range append(Topics(), Brokers()...) {
		if d.Doc == "" || d.Type == 0 || d.check == nil {
			t.Errorf("%s: lacks documentation, type or check", d.Name)
			continue
		}
		if d.Default != "" && d.Check(d.Default) != nil {
			t.Errorf("%s: default %q: %v", d.Name, d.Default, d.Check(d.Default))
		}
	}
}

func TestEveryTopicSettingHasItsStandInAtTheBroker(t *testing.T) {
	for _, d := range Topics() {
		for _, s := range d.Synonyms {
			if _, ok := brokerDefinitions()[s.Name]; !ok {
				t.Errorf("%s: the broker has no %s", d.Name, s.Name)
			}
		}
	}
}

func TestCheckTopic(t *testing.T) {
	cases := []struct {
		name string
		set  map[string]string
		want string // in the error; empty: valid
	}{
		{"nothing", nil, ""},
		{"both policies", map[string]string{"cleanup.policy": "compact, delete"}, ""},
		{"policy twice", map[string]string{"cleanup.policy": "compact,compact"}, "has compact twice"},
		{"no policy", map[string]string{"cleanup.policy": ""}, "want a list of delete, compact"},
		{"unknown policy", map[string]string{"cleanup.policy": "compress"}, "want a list of delete, compact"},
		{"for ever", map[string]string{"retention.ms": "-1"}, ""},
		{"below for ever", map[string]string{"retention.ms": "-2"}, "want a whole number of at least -1"},
		{"not a number", map[string]string{"segment.bytes": "1GB"}, "want a whole number from 14 to 2147483647"},
		{"beyond 32 bits", map[string]string{"segment.bytes": "2147483648"}, "want a whole number from 14"},
		{"ratio", map[string]string{"min.cleanable.dirty.ratio": "1.01"}, "want a number from 0 to 1"},
		{"NaN", map[string]string{"min.cleanable.dirty.ratio": "NaN"}, "want a number from 0 to 1"},
		{"truth in capitals", map[string]string{"preallocate": "TRUE"}, ""},
		{"no truth", map[string]string{"preallocate": "yes"}, "want true or false"},
		{"codec of the producer", map[string]string{"compression.type": "producer"}, ""},
		{"codec of the broker", map[string]string{"compression.type": "zstd"}, "only producer is possible"},
		{"two replicas", map[string]string{"min.insync.replicas": "2"}, "there is one node"},
		{"typing error", map[string]string{"retension.ms": "1"}, `did you mean "retention.ms"?`},
		{"from nowhere", map[string]string{"color": "red"}, `set "color": no such setting`},
		{"lags crossed", map[string]string{"min.compaction.lag.ms": "10", "max.compaction.lag.ms": "9"}, "is more than max.compaction.lag.ms, which is 9"},
		{"all at once", map[string]string{"retention.ms": "x", "segment.ms": "0"}, "; set segment.ms"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := CheckTopic(c.set)
			if c.want == "" {
				if err != nil {
					t.Fatalf("got %v, want nil", err)
				}
				return
			}
			if _, ok := errors.AsType[*InvalidError](err); !ok || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want it to contain %q", err, c.want)
			}
		})
	}
}

func TestErrorsOfStrangersAreShort(t *testing.T) {
	set := map[string]string{strings.Repeat("x", 1<<20): "1", "segment.ms": strings.Repeat("y", 1<<20)}
	for i := range 100 {
		set[strings.Repeat("z", i+1)] = ""
	}
	if n := len(CheckTopic(set).Error()); n > 2000 {
		t.Errorf("the sentence has %d bytes", n)
	}
}

func TestTopicTakesTheNearestSource(t *testing.T) {
	s := Sources{
		Start:   map[string]string{"log.retention.hours": "2", "message.max.bytes": "1000"},
		Cluster: map[string]string{"message.max.bytes": "2000", "log.roll.hours": "3"},
		Node:    map[string]string{"message.max.bytes": "3000"},
	}
	got := s.Topic(map[string]string{"cleanup.policy": "compact,delete", "segment.ms": "5"})
	if got.Retention != 2*time.Hour || got.MaxMessageBytes != 3000 || got.SegmentAge != 5*time.Millisecond || !got.Delete || !got.Compact {
		t.Errorf("got %+v", got)
	}
	if got.TimestampBefore != math.MaxInt64 || got.RetentionBytes != -1 {
		t.Errorf("no limits became limits: %+v", got)
	}
	if got = s.Topic(nil); got.SegmentAge != 3*time.Hour || got.Compact {
		t.Errorf("without settings of its own: %+v", got)
	}
}

func TestRetentionForEverStaysForEverInEveryUnit(t *testing.T) {
	for _, name := range []string{"log.retention.ms", "log.retention.minutes", "log.retention.hours"} {
		s := Sources{Start: map[string]string{name: "-1"}}
		if err := CheckBroker(s.Start); err != nil {
			t.Error(err)
		}
		if got := s.Topic(nil).Retention; got >= 0 {
			t.Errorf("%s=-1 keeps records for %v", name, got)
		}
	}
	if err := CheckBroker(map[string]string{"log.roll.hours": "0"}); err == nil {
		t.Error("log.roll.hours=0 is accepted, but segment.ms cannot be 0")
	}
}

func TestBrokerDefaults(t *testing.T) {
	b := Sources{Cluster: map[string]string{"auto.create.topics.enable": "False", "num.partitions": "7"}}.Broker()
	if b.AutoCreateTopics || b.Partitions != 7 || b.TransactionTimeoutMax != 15*time.Minute || b.RequestBytesMax <= maxBatch {
		t.Errorf("got %+v", b)
	}
}

func world(topics map[string]map[string]string) World {
	return World{Node: 1, Topic: func(name string) (map[string]string, bool) {
		set, ok := topics[name]
		return set, ok
	}}
}

func TestDescribeTopicSaysWhereAValueIsFrom(t *testing.T) {
	w := world(map[string]map[string]string{"orders": {"retention.ms": "5"}})
	w.Sources.Start = map[string]string{"log.retention.hours": "1"}
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeTopic, "orders", []string{"retention.ms", "none"}
	got := w.Describe(r, true, true)
	if got.ErrorCode != 0 || len(got.Configs) != 1 {
		t.Fatalf("got %+v", got)
	}
	c := got.Configs[0]
	if *c.Value != "5" || c.Source != kmsg.ConfigSourceDynamicTopicConfig || c.Documentation == nil || c.ConfigType != kmsg.ConfigTypeLong {
		t.Errorf("got %+v", c)
	}
	var chain []string
	for _, s := range c.ConfigSynonyms {
		chain = append(chain, s.Name+"="+*s.Value+" "+s.Source.String())
	}
	want := "retention.ms=5 DYNAMIC_TOPIC_CONFIG, log.retention.hours=3600000 STATIC_BROKER_CONFIG, log.retention.ms=604800000 DEFAULT_CONFIG"
	if strings.Join(chain, ", ") != want {
		t.Errorf("synonyms\n got %s\nwant %s", strings.Join(chain, ", "), want)
	}
}

func TestDescribeOtherResources(t *testing.T) {
	w := world(map[string]map[string]string{"plain": nil})
	w.Sources.Cluster = map[string]string{"num.partitions": "3"}
	cases := []struct {
		name    string
		kind    kmsg.ConfigResourceType
		of      string
		code    int16
		configs int // -1: many
	}{
		{"topic without settings", kmsg.ConfigResourceTypeTopic, "plain", 0, -1},
		{"unknown topic", kmsg.ConfigResourceTypeTopic, "none", 3, 0},
		{"this broker", kmsg.ConfigResourceTypeBroker, "1", 0, -1},
		{"another broker", kmsg.ConfigResourceTypeBroker, "2", 42, 0},
		{"not a broker", kmsg.ConfigResourceTypeBroker, "x", 42, 0},
		{"all brokers", kmsg.ConfigResourceTypeBroker, "", 0, 1},
		{"loggers", kmsg.ConfigResourceTypeBrokerLogger, "1", 0, 0},
		{"client metrics", kmsg.ConfigResourceTypeClientMetrics, "m", 0, 0},
		{"group", kmsg.ConfigResourceTypeGroupConfig, "g", 0, 0},
		{"nonsense", 99, "g", 42, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := kmsg.NewDescribeConfigsRequestResource()
			r.ResourceType, r.ResourceName = c.kind, c.of
			got := w.Describe(r, true, false)
			if got.ErrorCode != c.code || (c.configs >= 0 && len(got.Configs) != c.configs) || (c.configs < 0 && len(got.Configs) < 20) {
				t.Errorf("got code %d and %d settings", got.ErrorCode, len(got.Configs))
			}
		})
	}
}

func TestAlterReplacesEverything(t *testing.T) {
	w := world(map[string]map[string]string{"orders": {"retention.ms": "5", "segment.ms": "6"}})
	r := kmsg.NewAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, "orders"
	value := "7"
	r.Configs = []kmsg.AlterConfigsRequestResourceConfig{{Name: "segment.ms", Value: &value}}
	got, err := w.Alter(r)
	if err != nil || len(got.Set) != 1 || got.Set["segment.ms"] != "7" || got.Target != TopicSettings || got.Topic != "orders" {
		t.Errorf("got %+v, %v", got, err)
	}
	r.Configs[0].Value = nil
	if _, err = w.Alter(r); err == nil {
		t.Error("null is taken for a value")
	}
}

func TestIncremental(t *testing.T) {
	type op = kmsg.IncrementalAlterConfigsRequestResourceConfig
	value := func(s string) *string { return &s }
	set, del := kmsg.IncrementalAlterConfigOpSet, kmsg.IncrementalAlterConfigOpDelete
	add, sub := kmsg.IncrementalAlterConfigOpAppend, kmsg.IncrementalAlterConfigOpSubtract
	before := map[string]string{"retention.ms": "5"}
	cases := []struct {
		name string
		ops  []op
		want string // the settings afterwards, or the error
		code int16
	}{
		{"set", []op{{Name: "segment.ms", Op: set, Value: value(" 9 ")}}, "retention.ms=5 segment.ms=9", 0},
		{"delete", []op{{Name: "retention.ms", Op: del}}, "", 0},
		{"delete what is not set", []op{{Name: "segment.ms", Op: del}}, "retention.ms=5", 0},
		{"delete what there is not", []op{{Name: "segment.mss", Op: del}}, "segment.ms", 40},
		{"append to the default", []op{{Name: "cleanup.policy", Op: add, Value: value("compact")}}, "cleanup.policy=delete,compact retention.ms=5", 0},
		{"append twice", []op{{Name: "cleanup.policy", Op: add, Value: value("delete")}}, "cleanup.policy=delete retention.ms=5", 0},
		{"subtract all", []op{{Name: "cleanup.policy", Op: sub, Value: value("delete")}}, "want a list", 40},
		{"append to a number", []op{{Name: "retention.ms", Op: add, Value: value("1")}}, "not a list", 40},
		{"append to nothing known", []op{{Name: "cleanup.policies", Op: add, Value: value("1")}}, "cleanup.policy", 40},
		{"null", []op{{Name: "retention.ms", Op: set}}, "null", 40},
		{"twice", []op{{Name: "retention.ms", Op: del}, {Name: "retention.ms", Op: del}}, "twice", 42},
		{"operation from nowhere", []op{{Name: "retention.ms", Op: 9, Value: value("1")}}, "no operation 9", 42},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := kmsg.NewIncrementalAlterConfigsRequestResource()
			r.ResourceType, r.ResourceName, r.Configs = kmsg.ConfigResourceTypeTopic, "orders", c.ops
			got, err := world(map[string]map[string]string{"orders": before}).Incremental(r)
			if code, _ := Code(err); code != c.code {
				t.Fatalf("code %d, want %d (%v)", code, c.code, err)
			}
			if c.code != 0 {
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %q, want it to contain %q", err, c.want)
				}
			} else if said := inWords(got.Set); said != c.want {
				t.Errorf("got %q, want %q", said, c.want)
			}
		})
	}
	if len(before) != 1 {
		t.Errorf("the settings before were changed: %v", before)
	}
}

func TestBrokerSettingsFromRequests(t *testing.T) {
	w := world(nil)
	change := func(name, key, value string) (Change, error) {
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeBroker, name
		r.Configs = []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: key, Value: &value}}
		return w.Incremental(r)
	}
	if got, err := change("", "log.retention.ms", "1"); err != nil || got.Target != AllSettings {
		t.Errorf("for all nodes: %+v, %v", got, err)
	}
	if got, err := change("1", "message.max.bytes", "1"); err != nil || got.Target != NodeSettings {
		t.Errorf("for this node: %+v, %v", got, err)
	}
	if _, err := change("1", "listeners", "x"); err == nil {
		t.Error("a setting of the start is changed by a request")
	}
	if _, err := change("2", "message.max.bytes", "1"); err == nil {
		t.Error("another node is changed")
	}
}

func inWords(set map[string]string) string {
	var all []string
	for _, d := range Topics() {
		if v, ok := set[d.Name]; ok {
			all = append(all, d.Name+"="+v)
		}
	}
	return strings.Join(all, " ")
}
