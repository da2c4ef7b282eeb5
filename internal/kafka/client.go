package kafka

import "github.com/twmb/franz-go/pkg/kgo"

// client is a plain client for administration and for reading without a group.
func (c Config) client(more ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(c.Options(), more...)...)
}
