package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go"
)

// kafkaGoSteps holds what the steps with kafka-go share.
type kafkaGoSteps struct {
	*steps
	client *kafka.Client
}

func runKafkaGo(s *steps) {
	t := &kafkaGoSteps{s, &kafka.Client{Addr: kafka.TCP(s.bootstrap), Timeout: 10 * time.Second}}
	s.step("admin: create, describe and delete topics", t.topics)
	for codec, name := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		s.step("produce and consume, "+name, t.codec(kafka.Compression(codec), name))
	}
	s.step("keys, headers, timestamps", t.parts)
	s.step("first and last offset", t.offsets)
	s.step("group: goes on where it stopped", t.group)
	s.step("admin: describe and delete a group, its offsets", t.groups)
}

func (t *kafkaGoSteps) create(ctx context.Context, name string, partitions int) (string, error) {
	topic := t.named(name)
	made, err := t.client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1}}})
	if err == nil {
		err = made.Errors[topic]
	}
	if err != nil {
		return "", err
	}
	return topic, until(ctx, "leaders of "+topic, func() bool { return t.partitions(ctx, topic) == partitions })
}

// partitions counts those that have a leader; it is 0 for a topic that is not there.
func (t *kafkaGoSteps) partitions(ctx context.Context, topic string) (n int) {
	found, err := t.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil || len(found.Topics) != 1 || found.Topics[0].Error != nil {
		return 0
	}
	for _, p := range found.Topics[0].Partitions {
		if p.Error == nil {
			n++
		}
	}
	return n
}

func (t *kafkaGoSteps) topics(ctx context.Context) error {
	topic, err := t.create(ctx, "admin", 3)
	if err != nil {
		return err
	}
	gone, err := t.client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err = errors.Join(err, gone.Errors[topic]); err != nil {
		return err
	}
	return until(ctx, "it to go", func() bool { return t.partitions(ctx, topic) == 0 })
}

func (t *kafkaGoSteps) send(ctx context.Context, codec kafka.Compression, topic string, messages ...kafka.Message) error {
	w := &kafka.Writer{Addr: kafka.TCP(t.bootstrap), Topic: topic, RequiredAcks: kafka.RequireAll, Compression: codec, BatchTimeout: time.Millisecond}
	return errors.Join(w.WriteMessages(ctx, messages...), w.Close())
}

func valued(values ...string) (out []kafka.Message) {
	for _, v := range values {
		out = append(out, kafka.Message{Value: []byte(v)})
	}
	return out
}

func (t *kafkaGoSteps) codec(codec kafka.Compression, name string) func(context.Context) error {
	return func(ctx context.Context) error {
		topic, err := t.create(ctx, "codec-"+name, 1)
		if err != nil {
			return err
		}
		if err := t.send(ctx, codec, topic, valued(numbered(300)...)...); err != nil {
			return err
		}
		return t.wantRead(ctx, kafka.ReaderConfig{Topic: topic}, numbered(300)...)
	}
}

func (t *kafkaGoSteps) reader(c kafka.ReaderConfig) *kafka.Reader {
	c.Brokers, c.MaxWait, c.IsolationLevel, c.StartOffset = []string{t.bootstrap}, 100*time.Millisecond, kafka.ReadCommitted, kafka.FirstOffset
	return kafka.NewReader(c)
}

func (t *kafkaGoSteps) wantRead(ctx context.Context, c kafka.ReaderConfig, want ...string) error {
	r := t.reader(c)
	for i, w := range want {
		m, err := r.ReadMessage(ctx)
		if err != nil || string(m.Value) != w {
			return errors.Join(fmt.Errorf("record %d is %q, want %q: %v", i, m.Value, w, err), r.Close())
		}
	}
	return r.Close()
}

func (t *kafkaGoSteps) parts(ctx context.Context) error {
	topic, err := t.create(ctx, "parts", 1)
	if err != nil {
		return err
	}
	at := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	if err := t.send(ctx, 0, topic, kafka.Message{Key: []byte("k"), Value: []byte("v"), Time: at, Headers: []kafka.Header{{Key: "h", Value: []byte("x")}}}); err != nil {
		return err
	}
	r := t.reader(kafka.ReaderConfig{Topic: topic})
	defer r.Close()
	m, err := r.ReadMessage(ctx)
	if err != nil {
		return err
	}
	if string(m.Key) != "k" || string(m.Value) != "v" || !m.Time.Equal(at) || len(m.Headers) != 1 || string(m.Headers[0].Value) != "x" {
		return fmt.Errorf("read %+v", m)
	}
	return nil
}

func (t *kafkaGoSteps) offsets(ctx context.Context) error {
	conn, err := kafka.DialLeader(ctx, "tcp", t.bootstrap, t.named("codec-none"), 0)
	if err != nil {
		return err
	}
	defer conn.Close()
	if first, last, err := conn.ReadOffsets(); err != nil || first != 0 || last != 300 {
		return fmt.Errorf("offsets %d to %d, want 0 to 300: %v", first, last, err)
	}
	if _, err := conn.Seek(299, kafka.SeekAbsolute); err != nil {
		return err
	}
	batch := conn.ReadBatch(1, 1<<20)
	defer batch.Close()
	if m, err := batch.ReadMessage(); err != nil && !errors.Is(err, io.EOF) || m.Offset != 299 {
		return fmt.Errorf("read offset %d, want 299: %v", m.Offset, err)
	}
	return nil
}

func (t *kafkaGoSteps) group(ctx context.Context) error {
	topic, err := t.create(ctx, "group", 1)
	if err != nil {
		return err
	}
	for _, values := range [][]string{{"a", "b", "c"}, {"d"}} {
		if err := t.send(ctx, 0, topic, valued(values...)...); err != nil {
			return err
		}
		if err := t.wantRead(ctx, kafka.ReaderConfig{GroupID: t.named("group"), Topic: topic}, values...); err != nil {
			return err
		}
	}
	return nil
}

func (t *kafkaGoSteps) groups(ctx context.Context) error {
	group, topic := t.named("group"), t.named("group")
	stored, err := t.client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {0}}})
	if err != nil || stored.Topics[topic][0].CommittedOffset != 4 {
		return fmt.Errorf("offsets %+v, want 4: %v", stored, err)
	}
	found, err := t.client.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	if err != nil || len(found.Groups) != 1 || found.Groups[0].GroupState != "Empty" {
		return fmt.Errorf("described as %+v: %v", found, err)
	}
	gone, err := t.client.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return err
	}
	return gone.Errors[group]
}
