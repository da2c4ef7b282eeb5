// Package kafka is the one seam to the log: every other room produces, consumes, transacts and administers through it,
// over Kafka's protocol, whether the cluster is the embedded broker or Apache Kafka.
//
// Clients are read_committed everywhere. Nothing here knows which broker answers.
package kafka

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Config says which cluster to talk to and as whom.
type Config struct {
	Brokers  []string // host:port, at least one
	ClientID string   // shown in the broker's logs; empty means "raven"
	Log      *slog.Logger
}

// logger is Log, or one that says nothing.
func (c Config) logger() *slog.Logger {
	if c.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Log
}

// The pauses between two attempts of a client. The longest is how much longer than it lasts an outage may be felt: each part of a
// client that waits, for metadata, for the group, to read or to write, can be in its pause when the cluster is back.
const (
	backoffLeast = 250 * time.Millisecond
	backoffMost  = time.Second
)

// retryBackoff doubles from the least pause to the longest, a fifth more or less: those who have failed together must not come
// back together.
func retryBackoff(fails int) time.Duration {
	pause := min(backoffLeast<<min(max(fails-1, 0), 8), backoffMost)
	return time.Duration(float64(pause) * (0.8 + 0.4*rand.Float64()))
}

// Options are the client options every client of ours has in common.
func (c Config) Options() []kgo.Opt {
	id := c.ClientID
	if id == "" {
		id = "raven"
	}
	return []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID(id),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ProducerLinger(0),
		kgo.RetryTimeout(20 * time.Second),
		kgo.RequestRetries(100), // the time decides
		kgo.RetryBackoffFn(retryBackoff),
		kgo.MetadataMinAge(50 * time.Millisecond),
	}
}
