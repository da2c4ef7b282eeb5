package api

// Topic declares a topic of the log.
type Topic struct {
	Metadata Metadata  `yaml:"metadata" required:"true" doc:"Name and owner."`
	Spec     TopicSpec `yaml:"spec" doc:"What the topic looks like."`
}

// TopicSpec is the wanted state of a topic. A topic that exists with another partition count is an error at plan
// time: partitions are never changed behind anyone's back.
type TopicSpec struct {
	Partitions int               `yaml:"partitions" default:"8" doc:"Number of partitions." example:"8"`
	Replicas   int               `yaml:"replicas" default:"0" doc:"Copies of each partition; 0 takes the cluster's default."`
	Retention  Duration          `yaml:"retention" default:"7d" doc:"How long records are kept, counted from their timestamps: those of results are event times; 0 keeps them for ever." example:"7d"`
	Cleanup    string            `yaml:"cleanup" default:"delete" enum:"delete|compact" doc:"Whether old records are deleted, or compacted to the newest per key."`
	Config     map[string]string `yaml:"config" doc:"Further topic settings, passed to the cluster by their Kafka names." example:"{max.message.bytes: \"2000000\"}"`
}
