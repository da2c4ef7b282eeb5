package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Admin asks and changes what a cluster has: topics, settings, offsets. It is safe for concurrent use.
type Admin struct {
	client *kgo.Client
	admin  *kadm.Client
}

// NewAdmin makes an Admin; it connects when first used. Close it.
func NewAdmin(cfg Config) (*Admin, error) {
	client, err := cfg.client()
	if err != nil {
		return nil, fmt.Errorf("prepare a client for %s: %w", quoted(cfg.Brokers), err)
	}
	return &Admin{client: client, admin: kadm.NewClient(client)}, nil
}

// Close ends all connections.
func (a *Admin) Close() { a.client.Close() }

// TopicInfo is what the cluster says of a topic.
type TopicInfo struct {
	ID         string // the cluster's own name for it; a topic that is deleted and made again gets another
	Partitions int
	Replicas   int
	Config     map[string]string // every setting in force, by its Kafka name
}

// Topics describes every topic but the cluster's own.
func (a *Admin) Topics(ctx context.Context) (map[string]TopicInfo, error) {
	details, err := a.admin.ListTopics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	infos := map[string]TopicInfo{}
	for name, d := range details {
		if d.Err != nil {
			return nil, fmt.Errorf("describe topic %q: %w", name, d.Err)
		}
		infos[name] = TopicInfo{ID: d.ID.String(), Partitions: len(d.Partitions), Replicas: d.Partitions.NumReplicas(), Config: map[string]string{}}
	}
	if len(infos) == 0 {
		return infos, nil
	}
	return infos, a.describeConfigs(ctx, infos)
}

func (a *Admin) describeConfigs(ctx context.Context, infos map[string]TopicInfo) error {
	configs, err := a.admin.DescribeTopicConfigs(ctx, slices.Sorted(maps.Keys(infos))...)
	if err != nil {
		return fmt.Errorf("describe topic settings: %w", err)
	}
	for _, c := range configs {
		if c.Err != nil {
			return fmt.Errorf("describe settings of topic %q: %w", c.Name, c.Err)
		}
		for _, entry := range c.Configs {
			if entry.Value != nil && !entry.Sensitive {
				infos[c.Name].Config[entry.Key] = *entry.Value
			}
		}
	}
	return nil
}

// AlterConfigs sets settings of one topic; all other settings stay.
func (a *Admin) AlterConfigs(ctx context.Context, topic string, config map[string]string) error {
	var changes []kadm.AlterConfig
	for _, name := range slices.Sorted(maps.Keys(config)) {
		value := config[name]
		changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: name, Value: &value})
	}
	resp, err := a.admin.AlterTopicConfigs(ctx, changes, topic)
	if err == nil {
		_, err = resp.On(topic, func(r *kadm.AlterConfigsResponse) error { return answered(r.Err, r.ErrMessage) })
	}
	if err != nil {
		return fmt.Errorf("change settings of topic %q: %w", topic, err)
	}
	return nil
}

// Group is a consumer group.
type Group struct {
	Name  string
	State string
}

// Groups lists the consumer groups, sorted by name.
func (a *Admin) Groups(ctx context.Context) ([]Group, error) {
	listed, err := a.admin.ListGroups(ctx)
	if err != nil {
		return nil, fmt.Errorf("list groups: %w", err)
	}
	var groups []Group
	for _, g := range listed.Sorted() {
		groups = append(groups, Group{Name: g.Group, State: g.State})
	}
	return groups, nil
}

// answered makes one error of a code and the broker's own words.
func answered(err error, message string) error {
	if err == nil || message == "" {
		return err
	}
	return &answerError{err: err, message: message}
}

// answerError says what the broker said; Unwrap gives the code.
type answerError struct {
	err     error
	message string
}

func (e *answerError) Error() string { return e.message }
func (e *answerError) Unwrap() error { return e.err }
