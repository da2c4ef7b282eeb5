package kafka

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// checkTimeout is how long a cluster may take to answer that it is there.
const checkTimeout = 5 * time.Second

// brokerTimeout is how long one broker may take, so that one that hangs leaves time to ask another.
const brokerTimeout = checkTimeout / 3

// Cluster is what answers at the configured addresses.
type Cluster struct {
	ID      string
	Brokers int
	Version string // as guessed from the requests it knows, such as "v4.1"
	// TransactionsV2 says that the cluster guards every transaction by an epoch of its own (transaction.version 2 or
	// newer, from Kafka 4.0 on). Without it a delayed end of one transaction can decide a later one.
	TransactionsV2 bool
}

// Check asks a cluster who it is. An *UnreachableError means that nobody answered within five seconds.
func Check(ctx context.Context, cfg Config) (Cluster, error) {
	client, err := cfg.client(kgo.RetryTimeout(checkTimeout), kgo.RequestRetries(3), kgo.RequestTimeoutOverhead(brokerTimeout))
	if err != nil {
		return Cluster{}, fmt.Errorf("prepare a client for %s: %w", quoted(cfg.Brokers), err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	meta, err := kadm.NewClient(client).BrokerMetadata(ctx)
	if err != nil {
		return Cluster{}, &UnreachableError{Brokers: cfg.Brokers, Err: err}
	}
	c := Cluster{ID: meta.Cluster, Brokers: len(meta.Brokers)}
	return c, c.ask(ctx, client)
}

func (c *Cluster) ask(ctx context.Context, client *kgo.Client) error {
	versions, err := kadm.NewClient(client).ApiVersions(ctx)
	if err != nil {
		return fmt.Errorf("ask for versions: %w", err)
	}
	for _, v := range versions {
		c.Version = v.VersionGuess()
		break
	}
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "raven", "1"
	resp, err := req.RequestWith(ctx, client)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("ask for features: %w", err)
	}
	for _, f := range resp.FinalizedFeatures {
		if f.Name == "transaction.version" && f.MaxVersionLevel >= 2 {
			c.TransactionsV2 = true
		}
	}
	return nil
}

// UnreachableError says that no broker answered.
type UnreachableError struct {
	Brokers []string
	Err     error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("reach a Kafka cluster at %s: %v", quoted(e.Brokers), reason(e.Err))
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// reason shortens an error of the network to what a person needs: which address is said elsewhere.
func reason(err error) error {
	for e := err; e != nil; e = unwrap(e) {
		if op, ok := e.(*net.OpError); ok && op.Err != nil { //nolint:errorlint // the loop does the unwrapping
			return op.Err
		}
	}
	return err
}

func unwrap(err error) error {
	u, ok := err.(interface{ Unwrap() error })
	if !ok {
		return nil
	}
	return u.Unwrap()
}

func quoted(addrs []string) string {
	q := make([]string, len(addrs))
	for i, a := range addrs {
		q[i] = strconv.Quote(a)
	}
	return strings.Join(q, ", ")
}
