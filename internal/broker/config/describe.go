package config

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Describe answers one resource of a DescribeConfigs request.
func (w World) Describe(r kmsg.DescribeConfigsRequestResource, synonyms, documentation bool) kmsg.DescribeConfigsResponseResource {
	answer := kmsg.NewDescribeConfigsResponseResource()
	answer.ResourceType, answer.ResourceName = r.ResourceType, r.ResourceName
	configs, err := w.describe(r, description{synonyms: synonyms, documentation: documentation})
	answer.Configs = configs
	answer.ErrorCode, answer.ErrorMessage = Code(err)
	return answer
}

// A description says what an answer is to have.
type description struct {
	synonyms, documentation bool
	dynamicOnly             bool // of the broker, only what requests have set for all nodes
}

func (w World) describe(r kmsg.DescribeConfigsRequestResource, o description) ([]kmsg.DescribeConfigsResponseResourceConfig, error) {
	switch r.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
		set, ok := w.Topic(r.ResourceName)
		if !ok {
			return nil, refuse(kerr.UnknownTopicOrPartition, "find topic %q: there is none", short(r.ResourceName))
		}
		if set == nil {
			set = map[string]string{}
		}
		return w.Sources.all(topicDefinitions(), set, r.ConfigNames, o), nil
	case kmsg.ConfigResourceTypeBroker:
		if r.ResourceName == "" {
			o.dynamicOnly = true
			return Sources{Cluster: w.Sources.Cluster}.all(brokerDefinitions(), nil, r.ConfigNames, o), nil
		}
		if err := w.thisNode(r.ResourceName); err != nil {
			return nil, err
		}
		return w.Sources.all(brokerDefinitions(), nil, r.ConfigNames, o), nil
	case kmsg.ConfigResourceTypeBrokerLogger:
		return nil, w.thisNode(r.ResourceName) // there are no loggers to set, so there is nothing to list
	case kmsg.ConfigResourceTypeClientMetrics, kmsg.ConfigResourceTypeGroupConfig:
		return nil, nil
	default:
		return nil, refuse(kerr.InvalidRequest, "describe settings: there is no kind of resource %d", r.ResourceType)
	}
}

// all describes the settings that are asked for, every one for no names; a name that there is not is left out, as Kafka does.
func (s Sources) all(definitions map[string]Definition, own map[string]string, names []string, o description) []kmsg.DescribeConfigsResponseResourceConfig {
	var all []kmsg.DescribeConfigsResponseResourceConfig
	for _, d := range sorted(definitions) {
		if len(names) > 0 && !slices.Contains(names, d.Name) {
			continue
		}
		if _, set := s.Cluster[d.Name]; o.dynamicOnly && !set {
			continue
		}
		all = append(all, s.one(d, own, definitions, o))
	}
	return all
}

func (s Sources) one(d Definition, own map[string]string, definitions map[string]Definition, o description) kmsg.DescribeConfigsResponseResourceConfig {
	values := s.find(d, own, definitions)
	first := values[0]
	c := kmsg.NewDescribeConfigsResponseResourceConfig()
	c.Name, c.Value, c.Source = d.Name, d.visible(first.value, first.source), first.source
	c.IsDefault = first.source == kmsg.ConfigSourceDefaultConfig
	c.ReadOnly, c.IsSensitive, c.ConfigType = d.ReadOnly, d.Sensitive, d.Type
	if o.documentation {
		c.Documentation = &d.Doc
	}
	if o.synonyms {
		c.ConfigSynonyms = described(d, values)
	}
	return c
}

func described(d Definition, values []found) []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym {
	var all []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym
	for _, v := range values {
		visible := d.visible(v.value, v.source)
		if visible == nil && v.source == kmsg.ConfigSourceDefaultConfig {
			continue // there is no default
		}
		s := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
		s.Name, s.Value, s.Source = v.name, visible, v.source
		all = append(all, s)
	}
	return all
}

// visible is a value as it is shown: nothing of a secret, and nothing for a number that has no default.
func (d Definition) visible(value string, source kmsg.ConfigSource) *string {
	textual := d.Type == kmsg.ConfigTypeList || d.Type == kmsg.ConfigTypeString
	if d.Sensitive || value == "" && source == kmsg.ConfigSourceDefaultConfig && !textual {
		return nil
	}
	return &value
}

// Created lists the settings of a topic for the answer to CreateTopics.
func (s Sources) Created(set map[string]string) []kmsg.CreateTopicsResponseTopicConfig {
	if set == nil {
		set = map[string]string{}
	}
	var all []kmsg.CreateTopicsResponseTopicConfig
	for _, c := range s.all(topicDefinitions(), set, nil, description{}) {
		created := kmsg.NewCreateTopicsResponseTopicConfig()
		created.Name, created.Value, created.ReadOnly = c.Name, c.Value, c.ReadOnly
		created.Source, created.IsSensitive = int8(c.Source), c.IsSensitive
		all = append(all, created)
	}
	return all
}
