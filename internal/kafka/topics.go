package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TopicWish is a topic that must exist.
type TopicWish struct {
	Name       string
	Partitions int
	Replicas   int               // 0 takes the cluster's default
	Config     map[string]string // settings, by their Kafka names; used when the topic is made
}

// PartitionsError says that a topic exists with another number of partitions than wanted. Nothing was changed:
// growing a topic moves keys to other partitions.
type PartitionsError struct {
	Topic      string
	Have, Want int
}

func (e *PartitionsError) Error() string {
	return fmt.Sprintf("ensure topic %q: it has %d partitions, not %d", e.Topic, e.Have, e.Want)
}

// EnsureTopics makes the topics that are missing and returns their names, sorted. All problems come back at once,
// joined; a topic whose partition count differs is a *PartitionsError. If a problem shows before the first topic is
// made, none is. It returns when every topic can be written to.
func (a *Admin) EnsureTopics(ctx context.Context, wishes []TopicWish) (created []string, err error) {
	missing, err := a.missing(ctx, wishes)
	if err != nil || len(missing) == 0 {
		return nil, err
	}
	created, err = a.create(ctx, missing)
	slices.Sort(created)
	if err != nil {
		return created, err
	}
	return created, a.awaitTopics(ctx, created)
}

func (a *Admin) missing(ctx context.Context, wishes []TopicWish) ([]TopicWish, error) {
	have, err := a.admin.ListTopics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	var missing []TopicWish
	var problems []error
	for _, w := range wishes {
		if !have.Has(w.Name) {
			missing, problems = append(missing, w), append(problems, checkTopicName(w.Name))
			continue
		}
		if n := len(have[w.Name].Partitions); n != w.Partitions {
			problems = append(problems, &PartitionsError{Topic: w.Name, Have: n, Want: w.Partitions})
		}
	}
	return missing, errors.Join(problems...)
}

// checkTopicName holds names to Kafka's rule; the embedded broker would take anything, and the files written against
// it would fail on a cluster.
func checkTopicName(name string) error {
	legal := name != "." && name != ".." && name != "" && len(name) <= 249
	for _, c := range name {
		legal = legal && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-')
	}
	if !legal {
		return fmt.Errorf("create topic %q: a topic's name is 1 to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-'", name)
	}
	return nil
}

func (a *Admin) create(ctx context.Context, wishes []TopicWish) (created []string, err error) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 15_000
	for _, w := range wishes {
		req.Topics = append(req.Topics, w.request())
	}
	resp, err := req.RequestWith(ctx, a.client)
	if err != nil {
		return nil, fmt.Errorf("create topics: %w", err)
	}
	var problems []error
	for _, t := range resp.Topics {
		err := kerr.ErrorForCode(t.ErrorCode)
		switch {
		case err == nil:
			created = append(created, t.Topic)
		case errors.Is(err, kerr.TopicAlreadyExists): // another process was faster with the same wish
		default:
			problems = append(problems, fmt.Errorf("create topic %q: %w", t.Topic, answered(err, deref(t.ErrorMessage))))
		}
	}
	return created, errors.Join(problems...)
}

func (w TopicWish) request() kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = w.Name, int32(w.Partitions), int16(w.Replicas)
	if w.Replicas == 0 {
		t.ReplicationFactor = -1
	}
	for _, name := range slices.Sorted(maps.Keys(w.Config)) {
		value := w.Config[name]
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = name, &value
		t.Configs = append(t.Configs, c)
	}
	return t
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// awaitTopics waits until every broker that answers names a leader for each partition: right after creation some do not
// know the topics yet, and whoever asks next may ask one of those.
func (a *Admin) awaitTopics(ctx context.Context, topics []string) error {
	for len(topics) > 0 {
		ready, err := a.led(ctx, topics)
		if err != nil {
			return err
		}
		if ready {
			return nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("wait for the leaders of new topics: %w", err)
		}
	}
	return nil
}

func (a *Admin) led(ctx context.Context, topics []string) (bool, error) {
	have, err := a.admin.Metadata(ctx, topics...) // through the client, so that its own memory has them, too
	if err != nil {
		return false, fmt.Errorf("list topics: %w", err)
	}
	for _, name := range topics {
		if !have.Topics.Has(name) || have.Topics[name].Err != nil {
			return false, nil
		}
	}
	for _, b := range have.Brokers {
		if known, err := a.known(ctx, b.NodeID, topics); err == nil && !known {
			return false, nil
		}
	}
	return true, nil
}

// metadataOf asks one broker for topics. One that does not answer soon is nobody to wait for.
func (a *Admin) metadataOf(ctx context.Context, broker int32, topics []string) (*kmsg.MetadataResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &name
		req.Topics = append(req.Topics, t)
	}
	return req.RequestWith(ctx, a.client.Broker(int(broker)))
}

// known asks one broker.
func (a *Admin) known(ctx context.Context, broker int32, topics []string) (bool, error) {
	resp, err := a.metadataOf(ctx, broker, topics)
	if err != nil {
		return false, err
	}
	for _, t := range resp.Topics {
		leaderless := func(p kmsg.MetadataResponseTopicPartition) bool { return p.ErrorCode != 0 || p.Leader < 0 }
		if t.ErrorCode != 0 || len(t.Partitions) == 0 || slices.ContainsFunc(t.Partitions, leaderless) {
			return false, nil
		}
	}
	return true, nil
}
