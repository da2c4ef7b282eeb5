import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.header.internals.RecordHeader;

/** Produce and consume. */
final class Records {
    private final Steps steps;
    private final Connections to;

    Records(Steps steps, Connections to) {
        this.steps = steps;
        this.to = to;
    }

    void run() {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            steps.step("produce and consume, " + codec, () -> codec(codec));
        }
        steps.step("idempotent producer, 5000 records in order", this::idempotent);
        steps.step("acks 0 and 1", this::acks);
        steps.step("keys, headers, null values, timestamps", this::parts);
        steps.step("seek, pause, positions, offsets for times", this::seek);
        steps.step("topic made by producing to it", this::autoCreate);
        steps.step("a record that is too large, a topic with a bad name", this::refusals);
    }

    private static String[] values(int count, String tail) {
        return IntStream.range(0, count).mapToObj(i -> String.format("%05d%s", i, tail)).toArray(String[]::new);
    }

    private Object codec(String codec) throws Exception {
        String topic = to.create("codec-" + codec);
        String[] want = values(500, "x".repeat(100));
        to.send(topic, Map.of("compression.type", codec), want);
        Steps.same(to.everything(topic), List.of(want));
        return null;
    }

    private Object idempotent() throws Exception {
        String topic = to.create("idempotent");
        String[] want = values(5000, "");
        to.send(topic, Map.of("enable.idempotence", true, "batch.size", 512, "max.in.flight.requests.per.connection", 5), want);
        Steps.same(to.everything(topic), List.of(want));
        return null;
    }

    private Object acks() throws Exception {
        String topic = to.create("acks");
        to.send(topic, Map.of("enable.idempotence", false, "acks", "1"), "one");
        try (Producer<String, String> producer = to.producer(Map.of("enable.idempotence", false, "acks", "0"))) {
            Steps.same(producer.send(new ProducerRecord<>(topic, 0, null, "zero")).get().hasOffset(), false);
        }
        Steps.eventually("both", () -> to.everything(topic).equals(List.of("one", "zero")));
        return null;
    }

    private Object parts() throws Exception {
        String topic = to.create("parts", 1, Map.of("retention.ms", "-1"));
        try (Producer<String, String> producer = to.producer(Map.of())) {
            RecordMetadata at = producer.send(new ProducerRecord<>(topic, 0, 1234567890123L, "k", null,
                List.of(new RecordHeader("h", new byte[] {1}), new RecordHeader("n", (byte[]) null)))).get();
            Steps.same(List.of(at.offset(), at.timestamp()), List.of(0L, 1234567890123L));
        }
        try (Consumer<String, String> consumer = to.consumer(steps.named("parts"), Map.of())) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            List<ConsumerRecord<String, String>> seen = new ArrayList<>();
            Steps.until("a record", () -> {
                consumer.poll(Duration.ofMillis(50)).forEach(seen::add);
                return !seen.isEmpty();
            });
            ConsumerRecord<String, String> one = seen.get(0);
            Steps.same(one.value() == null, true);
            Steps.same(List.of(one.key(), one.timestamp(), one.headers().toArray().length), List.of("k", 1234567890123L, 2));
            Steps.same(one.headers().lastHeader("n").value() == null, true);
        }
        return null;
    }

    private Object seek() throws Exception {
        String topic = to.create("seek", 1, Map.of("retention.ms", "-1"));
        TopicPartition at = new TopicPartition(topic, 0);
        try (Producer<String, String> producer = to.producer(Map.of())) {
            for (long time : new long[] {1000, 2000, 3000}) {
                producer.send(new ProducerRecord<>(topic, 0, time, null, "at " + time));
            }
        }
        try (Consumer<String, String> consumer = to.consumer(steps.named("seek"), Map.of())) {
            consumer.assign(List.of(at));
            var found = consumer.offsetsForTimes(Map.of(at, 1500L)).get(at);
            Steps.same(List.of(found.offset(), found.timestamp()), List.of(1L, 2000L));
            consumer.seek(at, 2);
            Steps.same(Connections.take(consumer, 1), List.of("at 3000"));
            consumer.pause(List.of(at));
            consumer.seek(at, 0);
            Steps.same(consumer.poll(Duration.ofMillis(200)).count(), 0);
            consumer.resume(List.of(at));
            Steps.same(Connections.take(consumer, 3).size(), 3);
            Steps.same(consumer.currentLag(at).orElse(-1), 0L);
        }
        return null;
    }

    private Object autoCreate() throws Exception {
        String topic = steps.named("made");
        to.send(topic, Map.of(), "a");
        Steps.same(to.everything(topic), List.of("a"));
        return null;
    }

    private Object refusals() throws Exception {
        String topic = to.create("small", 1, Map.of("max.message.bytes", "1000"));
        Steps.refused(RecordTooLargeException.class, () -> {
            to.send(topic, Map.of(), "x".repeat(5000));
            return null;
        });
        Steps.refused(InvalidTopicException.class, () -> {
            to.send("a name/with a slash", Map.of(), "x");
            return null;
        });
        return null;
    }
}
