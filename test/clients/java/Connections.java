import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Makes clients of one broker, and does with them what many steps begin or end with. */
final class Connections {
    private final Steps steps;
    final Admin admin;

    Connections(Steps steps) {
        this.steps = steps;
        this.admin = Admin.create(Map.of("bootstrap.servers", steps.bootstrap, "default.api.timeout.ms", 15000, "request.timeout.ms", 10000));
    }

    static <T> T get(KafkaFuture<T> future) throws Exception {
        return future.get(20, TimeUnit.SECONDS);
    }

    /** Creates a topic and waits until it has leaders. */
    String create(String name, int partitions, Map<String, String> configs) throws Exception {
        String topic = steps.named(name);
        get(admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(configs))).all());
        Steps.eventually("leaders of " + topic, () -> get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic)
            .partitions().stream().allMatch(p -> p.leader() != null));
        return topic;
    }

    String create(String name) throws Exception {
        return create(name, 1, Map.of());
    }

    Producer<String, String> producer(Map<String, Object> more) {
        return new KafkaProducer<>(Steps.with(Map.of("bootstrap.servers", steps.bootstrap, "linger.ms", 1, "max.block.ms", 15000,
            "delivery.timeout.ms", 15000, "request.timeout.ms", 10000), more), new StringSerializer(), new StringSerializer());
    }

    Producer<String, String> transactional(String id) {
        return producer(Map.of("transactional.id", steps.named(id), "transaction.timeout.ms", 20000));
    }

    Consumer<String, String> consumer(String group, Map<String, Object> more) {
        return new KafkaConsumer<>(Steps.with(Map.of("bootstrap.servers", steps.bootstrap, "group.id", group, "auto.offset.reset", "earliest",
            "enable.auto.commit", false, "isolation.level", "read_committed", "fetch.max.wait.ms", 100), more), new StringDeserializer(), new StringDeserializer());
    }

    void send(String topic, Map<String, Object> more, String... values) throws Exception {
        try (Producer<String, String> producer = producer(more)) {
            List<java.util.concurrent.Future<?>> sent = new ArrayList<>();
            for (String value : values) {
                sent.add(producer.send(new ProducerRecord<>(topic, 0, null, value)));
            }
            for (java.util.concurrent.Future<?> one : sent) {
                one.get(20, TimeUnit.SECONDS);
            }
        }
    }

    /** Reads so many values. */
    static List<String> take(Consumer<String, String> consumer, int count) throws Exception {
        List<String> seen = new ArrayList<>();
        Steps.until(count + " records", () -> {
            for (ConsumerRecord<String, String> one : consumer.poll(Duration.ofMillis(50))) {
                seen.add(one.value());
            }
            return seen.size() >= count;
        });
        return seen;
    }

    /** All that a committed reader sees of partition 0. */
    List<String> everything(String topic) throws Exception {
        TopicPartition at = new TopicPartition(topic, 0);
        try (Consumer<String, String> consumer = consumer(steps.named("everything"), Map.of())) {
            consumer.assign(List.of(at));
            consumer.seekToBeginning(List.of(at));
            long end = consumer.endOffsets(List.of(at)).get(at);
            List<String> seen = new ArrayList<>();
            Steps.until("the end of " + topic, () -> {
                consumer.poll(Duration.ofMillis(50)).forEach(one -> seen.add(one.value()));
                return consumer.position(at) >= end;
            });
            return seen;
        }
    }

    long offset(TopicPartition at, OffsetSpec spec) throws Exception {
        return get(admin.listOffsets(Map.of(at, spec)).partitionResult(at)).offset();
    }

    /** The offset a group has committed, or -1. */
    long committed(String group, TopicPartition at) throws Exception {
        var found = get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()).get(at);
        return found == null ? -1 : found.offset();
    }
}
