package topology

import (
	"strconv"
	"time"

	"ravenswood.dev/api"
)

// TopicConfig is a topic's settings by their Kafka names.
func TopicConfig(s api.TopicSpec) map[string]string {
	config := map[string]string{"cleanup.policy": s.Cleanup, "retention.ms": "-1"}
	if s.Retention > 0 {
		config["retention.ms"] = strconv.FormatInt(time.Duration(s.Retention).Milliseconds(), 10)
	}
	for key, value := range s.Config {
		config[key] = value
	}
	return config
}
