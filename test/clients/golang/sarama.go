package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// saramaSteps holds what the steps with sarama share.
type saramaSteps struct {
	*steps
	admin sarama.ClusterAdmin
}

func runSarama(s *steps) {
	t := &saramaSteps{steps: s}
	s.step("connect", t.connect)
	if t.admin == nil {
		return
	}
	s.step("admin: create, list and describe topics", t.topics)
	s.step("admin: describe and alter configs incrementally", t.configs)
	for codec, name := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		s.step("produce and consume, "+name, t.codec(sarama.CompressionCodec(codec), name))
	}
	s.step("idempotent producer", t.idempotent)
	s.step("offsets by time", t.offsets)
	s.step("admin: delete records", t.deleteRecords)
	s.step("group: goes on where it stopped", t.group)
	s.step("admin: list, describe and delete groups", t.groups)
	s.step("transaction: commit, abort, offsets", t.transaction)
	s.step("admin: create, list and delete ACLs", t.acls)
	s.step("admin: delete topics", t.delete)
}

func (t *saramaSteps) config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.MaxVersion
	c.Producer.Return.Successes = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Interval = 100 * time.Millisecond
	c.Consumer.IsolationLevel = sarama.ReadCommitted
	return c
}

func (t *saramaSteps) connect(context.Context) (err error) {
	t.admin, err = sarama.NewClusterAdmin([]string{t.bootstrap}, t.config())
	return err
}

func (t *saramaSteps) create(ctx context.Context, name string, partitions int32) (string, error) {
	topic := t.named(name)
	if err := t.admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false); err != nil {
		return "", err
	}
	return topic, until(ctx, "leaders of "+topic, func() bool {
		found, err := t.admin.DescribeTopics([]string{topic})
		return err == nil && len(found) == 1 && found[0].Err == sarama.ErrNoError && len(found[0].Partitions) == int(partitions)
	})
}

func (t *saramaSteps) topics(ctx context.Context) error {
	topic, err := t.create(ctx, "admin", 2)
	if err != nil {
		return err
	}
	all, err := t.admin.ListTopics()
	if err == nil && all[topic].NumPartitions != 2 {
		err = fmt.Errorf("listed as %+v", all[topic])
	}
	if again := t.admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}, false); !errors.Is(again, sarama.ErrTopicAlreadyExists) {
		return fmt.Errorf("a second creation: %w", again)
	}
	return err
}

func (t *saramaSteps) configs(ctx context.Context) error {
	value := "7200000"
	if err := t.admin.IncrementalAlterConfig(sarama.TopicResource, t.named("admin"),
		map[string]sarama.IncrementalAlterConfigsEntry{"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}}, false); err != nil {
		return err
	}
	return until(ctx, "the new value", func() bool {
		found, err := t.admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: t.named("admin"), ConfigNames: []string{"retention.ms"}})
		return err == nil && len(found) == 1 && found[0].Value == value
	})
}

func (t *saramaSteps) send(c *sarama.Config, topic string, values ...string) error {
	p, err := sarama.NewSyncProducer([]string{t.bootstrap}, c)
	if err != nil {
		return err
	}
	defer p.Close()
	var messages []*sarama.ProducerMessage
	for _, v := range values {
		messages = append(messages, &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(v)})
	}
	return p.SendMessages(messages)
}

// wantRead reads partition 0 and compares.
func (t *saramaSteps) wantRead(ctx context.Context, topic string, want []string) error {
	c, err := sarama.NewConsumer([]string{t.bootstrap}, t.config())
	if err != nil {
		return err
	}
	defer c.Close()
	p, err := c.ConsumePartition(topic, 0, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	defer p.AsyncClose()
	for i, w := range want {
		select {
		case m := <-p.Messages():
			if string(m.Value) != w {
				return fmt.Errorf("record %d is %q, want %q", i, m.Value, w)
			}
		case <-ctx.Done():
			return fmt.Errorf("only %d of %d records", i, len(want))
		}
	}
	return nil
}

func numbered(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("%05d some text that can be made smaller, smaller, smaller", i))
	}
	return out
}

func (t *saramaSteps) codec(codec sarama.CompressionCodec, name string) func(context.Context) error {
	return func(ctx context.Context) error {
		topic, err := t.create(ctx, "codec-"+name, 1)
		if err != nil {
			return err
		}
		c := t.config()
		c.Producer.Compression = codec
		if err := t.send(c, topic, numbered(300)...); err != nil {
			return err
		}
		return t.wantRead(ctx, topic, numbered(300))
	}
}

func (t *saramaSteps) idempotent(ctx context.Context) error {
	topic, err := t.create(ctx, "idempotent", 1)
	if err != nil {
		return err
	}
	c := t.config()
	c.Producer.Idempotent, c.Net.MaxOpenRequests = true, 1
	if err := t.send(c, topic, numbered(1000)...); err != nil {
		return err
	}
	return t.wantRead(ctx, topic, numbered(1000))
}

func (t *saramaSteps) offsets(context.Context) error {
	c, err := sarama.NewClient([]string{t.bootstrap}, t.config())
	if err != nil {
		return err
	}
	defer c.Close()
	for at, want := range map[int64]int64{sarama.OffsetOldest: 0, sarama.OffsetNewest: 1000, 1: 0} {
		if got, err := c.GetOffset(t.named("idempotent"), 0, at); err != nil || got != want {
			return fmt.Errorf("offset at %d is %d, want %d: %v", at, got, want, err)
		}
	}
	return nil
}

func (t *saramaSteps) deleteRecords(ctx context.Context) error {
	if err := t.admin.DeleteRecords(t.named("idempotent"), map[int32]int64{0: 990}); err != nil {
		return err
	}
	return t.wantRead(ctx, t.named("idempotent"), numbered(1000)[990:])
}

// member is a group's member that stops after so many records.
type member struct {
	mu   sync.Mutex
	want int
	seen []string
	stop context.CancelFunc
}

func (*member) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (*member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for record := range claim.Messages() {
		session.MarkMessage(record, "")
		m.mu.Lock()
		m.seen = append(m.seen, string(record.Value))
		done := len(m.seen) >= m.want
		m.mu.Unlock()
		if done {
			session.Commit()
			m.stop()
		}
	}
	return nil
}

func (t *saramaSteps) consume(ctx context.Context, group, topic string, count int) ([]string, error) {
	g, err := sarama.NewConsumerGroup([]string{t.bootstrap}, group, t.config())
	if err != nil {
		return nil, err
	}
	defer g.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := &member{want: count, stop: cancel}
	for ctx.Err() == nil && err == nil {
		err = g.Consume(ctx, []string{topic}, m)
	}
	slices.Sort(m.seen)
	return m.seen, err
}

func (t *saramaSteps) group(ctx context.Context) error {
	topic, err := t.create(ctx, "group", 2)
	if err != nil {
		return err
	}
	for _, values := range [][]string{{"a", "b", "c"}, {"d"}} {
		if err := t.send(t.config(), topic, values...); err != nil {
			return err
		}
		got, err := t.consume(ctx, t.named("group"), topic, len(values))
		if err != nil || !slices.Equal(got, values) {
			return fmt.Errorf("read %q, want %q: %v", got, values, err)
		}
	}
	return nil
}

func (t *saramaSteps) groups(context.Context) error {
	group := t.named("group")
	all, err := t.admin.ListConsumerGroups()
	if _, ok := all[group]; err != nil || !ok {
		return fmt.Errorf("not listed: %v", err)
	}
	found, err := t.admin.DescribeConsumerGroups([]string{group})
	if err != nil || len(found) != 1 || found[0].State != "Empty" {
		return fmt.Errorf("described as %+v: %v", found, err)
	}
	offsets, err := t.admin.ListConsumerGroupOffsets(group, map[string][]int32{t.named("group"): {0, 1}})
	if err != nil {
		return err
	}
	sum := int64(0)
	for _, b := range offsets.Blocks[t.named("group")] {
		sum += max(0, b.Offset)
	}
	if sum != 4 {
		return fmt.Errorf("offsets sum up to %d, want 4", sum)
	}
	return t.admin.DeleteConsumerGroup(group)
}

func (t *saramaSteps) transaction(ctx context.Context) error {
	topic, err := t.create(ctx, "tx", 1)
	if err != nil {
		return err
	}
	c := t.config()
	c.Producer.Idempotent, c.Net.MaxOpenRequests = true, 1
	c.Producer.Transaction.ID = t.named("tx")
	p, err := sarama.NewSyncProducer([]string{t.bootstrap}, c)
	if err != nil {
		return err
	}
	defer p.Close()
	for _, value := range []string{"a", "never", "b"} {
		if err := t.one(p, topic, value); err != nil {
			return fmt.Errorf("transaction with %q: %w", value, err)
		}
	}
	if err := t.wantRead(ctx, topic, []string{"a", "b"}); err != nil {
		return err
	}
	return until(ctx, "the offset 7", func() bool {
		found, err := t.admin.ListConsumerGroupOffsets(t.named("tx"), map[string][]int32{topic: {0}})
		return err == nil && found.GetBlock(topic, 0).Offset == 7
	})
}

func (t *saramaSteps) one(p sarama.SyncProducer, topic, value string) error {
	if err := p.BeginTxn(); err != nil {
		return err
	}
	if _, _, err := p.SendMessage(&sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(value)}); err != nil {
		return err
	}
	offset := int64(7)
	if value == "never" {
		offset = 8
	}
	offsets := map[string][]*sarama.PartitionOffsetMetadata{topic: {{Partition: 0, Offset: offset}}}
	if err := p.AddOffsetsToTxn(offsets, t.named("tx")); err != nil {
		return err
	}
	if value == "never" {
		return p.AbortTxn()
	}
	return p.CommitTxn()
}

func (t *saramaSteps) acls(ctx context.Context) error {
	name, principal, host := t.named("acl"), "User:somebody", "*"
	filter := sarama.AclFilter{ResourceType: sarama.AclResourceTopic, ResourceName: &name, ResourcePatternTypeFilter: sarama.AclPatternLiteral,
		Principal: &principal, Host: &host, Operation: sarama.AclOperationRead, PermissionType: sarama.AclPermissionAllow}
	count := func() int {
		found, err := t.admin.ListAcls(filter)
		if err != nil {
			return -1
		}
		return len(found)
	}
	err := t.admin.CreateACL(sarama.Resource{ResourceType: sarama.AclResourceTopic, ResourceName: name, ResourcePatternType: sarama.AclPatternLiteral},
		sarama.Acl{Principal: principal, Host: host, Operation: sarama.AclOperationRead, PermissionType: sarama.AclPermissionAllow})
	if err != nil {
		return err
	}
	if err := until(ctx, "the ACL", func() bool { return count() == 1 }); err != nil {
		return err
	}
	if _, err := t.admin.DeleteACL(filter, false); err != nil {
		return err
	}
	return until(ctx, "no ACL", func() bool { return count() == 0 })
}

func (t *saramaSteps) delete(ctx context.Context) error {
	if err := t.admin.DeleteTopic(t.named("admin")); err != nil {
		return err
	}
	return until(ctx, "it to go", func() bool {
		all, err := t.admin.ListTopics()
		_, there := all[t.named("admin")]
		return err == nil && !there
	})
}
