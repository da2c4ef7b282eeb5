// Package topic declares the spout and the sink of the log itself. They have settings only: the engine is their code.
package topic

import (
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/record"
)

// SpoutConfig is the settings of the topic spout.
type SpoutConfig struct {
	Name   string `yaml:"name" required:"true" doc:"Topic to read." example:"user-messages"`
	Format string `yaml:"format" default:"json" enum:"json|raw|text" doc:"What the values are; a record that is not becomes a dead letter."`
	Start  string `yaml:"start" default:"earliest" enum:"earliest|latest" doc:"Where to begin when the topology has never read the topic."`
}

// SinkConfig is the settings of the topic sink.
type SinkConfig struct {
	Name string `yaml:"name" required:"true" doc:"Topic to write; the record's key picks the partition." example:"enriched-messages"`
}

// Spout is the topic spout.
func Spout() component.Definition {
	return component.Definition{
		Spec: component.Spec{
			Kind: component.KindSpout, Name: "topic", Internal: true,
			Summary:  "Reads a topic of the log, each partition in order.",
			Examples: []component.Example{{Title: "Read JSON events", YAML: "topic: {name: user-messages, format: json}"}},
		},
		NewConfig: func() any { return new(SpoutConfig) },
		Check: func(config any) []component.Problem {
			c := config.(*SpoutConfig)
			if _, err := record.ParseFormat(c.Format); err != nil {
				return []component.Problem{{Path: "format", Code: "value-invalid", Message: err.Error()}}
			}
			return nil
		},
	}
}

// Sink is the topic sink.
func Sink() component.Definition {
	return component.Definition{
		Spec: component.Spec{
			Kind: component.KindSink, Name: "topic", Internal: true,
			Summary:  "Writes a topic of the log, in the transaction that commits the input.",
			Examples: []component.Example{{Title: "Write results", YAML: "topic: {name: enriched-messages}"}},
		},
		NewConfig: func() any { return new(SinkConfig) },
	}
}
