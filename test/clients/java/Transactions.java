import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TransactionalIdNotFoundException;

/** Transactions, as a producer and as an administrator. */
final class Transactions {
    private final Steps steps;
    private final Connections to;

    Transactions(Steps steps, Connections to) {
        this.steps = steps;
        this.to = to;
    }

    void run() {
        steps.step("transaction: commit and abort", this::commitAndAbort);
        steps.step("transaction: 50 one after the other, over 4 partitions", this::many);
        steps.step("transaction: every one has an epoch of its own (KIP-890)", this::epochs);
        steps.step("transaction: readers and an open one", this::readers);
        steps.step("transaction: exactly-once loop with offsets", this::transfer);
        steps.step("transaction: offsets of a group that has gone on are refused", this::staleMember);
        steps.step("transaction: the older of two producers is fenced", this::fencing);
        steps.step("admin: list and describe transactions, producers", this::describe);
        steps.step("admin: fence producers", this::fence);
        steps.step("admin: abort a transaction by its partition", this::abort);
        steps.step("admin: end a transaction by its name", this::terminate);
    }

    private static ProducerRecord<String, String> record(String topic, String value) {
        return new ProducerRecord<>(topic, 0, null, value);
    }

    private Object commitAndAbort() throws Exception {
        String topic = to.create("tx");
        try (var producer = to.transactional("tx")) {
            producer.initTransactions();
            for (String value : List.of("a", "never", "b")) {
                producer.beginTransaction();
                producer.send(record(topic, value)).get();
                if (value.equals("never")) {
                    producer.abortTransaction();
                } else {
                    producer.commitTransaction();
                }
            }
        }
        Steps.same(to.everything(topic), List.of("a", "b"));
        Steps.same(to.offset(new TopicPartition(topic, 0), OffsetSpec.latest()), 6L); // three markers
        return null;
    }

    private Object many() throws Exception {
        String topic = to.create("tx-many", 4, Map.of());
        try (var producer = to.transactional("tx-many")) {
            producer.initTransactions();
            for (int i = 0; i < 50; i++) {
                producer.beginTransaction();
                for (int p = 0; p < 4; p++) {
                    producer.send(new ProducerRecord<>(topic, p, null, "" + i));
                }
                producer.commitTransaction();
            }
        }
        Steps.same(to.everything(topic).size(), 50);
        return null;
    }

    private ProducerState producerOf(String topic) throws Exception {
        TopicPartition at = new TopicPartition(topic, 0);
        return Connections.get(to.admin.describeProducers(List.of(at)).partitionResult(at)).activeProducers().get(0);
    }

    private Object epochs() throws Exception {
        String topic = to.create("tx-epoch");
        try (var producer = to.transactional("tx-epoch")) {
            producer.initTransactions();
            int before = -1;
            for (int i = 0; i < 3; i++) {
                producer.beginTransaction();
                producer.send(record(topic, "" + i)).get();
                int now = producerOf(topic).producerEpoch();
                Steps.same(now, before < 0 ? now : before + 1);
                before = now;
                producer.commitTransaction();
            }
        }
        return null;
    }

    private Object readers() throws Exception {
        String topic = to.create("tx-open");
        TopicPartition at = new TopicPartition(topic, 0);
        try (var producer = to.transactional("tx-open");
             var committed = to.consumer(steps.named("tx-open"), Map.of());
             var any = to.consumer(steps.named("tx-open"), Map.of("isolation.level", "read_uncommitted"))) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(record(topic, "a")).get();
            any.assign(List.of(at));
            Steps.same(Connections.take(any, 1), List.of("a"));
            committed.assign(List.of(at));
            Steps.same(committed.poll(Duration.ofMillis(500)).count(), 0);
            Steps.same(committed.endOffsets(List.of(at)).get(at), 0L);
            producer.commitTransaction();
            Steps.same(Connections.take(committed, 1), List.of("a"));
        }
        return null;
    }

    private Object transfer() throws Exception {
        String source = to.create("from"), target = to.create("into"), group = steps.named("transfer");
        TopicPartition at = new TopicPartition(source, 0);
        to.send(source, Map.of(), "1", "2", "3");
        try (var producer = to.transactional("transfer"); var consumer = to.consumer(group, Map.of("heartbeat.interval.ms", 300))) {
            producer.initTransactions();
            consumer.subscribe(List.of(source));
            for (boolean commit : new boolean[] {false, true}) {
                List<String> got = Connections.take(consumer, 3);
                producer.beginTransaction();
                got.forEach(value -> producer.send(record(target, "out " + value)));
                producer.sendOffsetsToTransaction(Map.of(at, new OffsetAndMetadata(consumer.position(at))), consumer.groupMetadata());
                if (commit) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                    Steps.same(to.committed(group, at), -1L);
                    consumer.seek(at, 0);
                }
            }
        }
        Steps.same(to.everything(target), List.of("out 1", "out 2", "out 3"));
        Steps.same(to.committed(group, at), 3L);
        return null;
    }

    private Object staleMember() throws Exception {
        String source = to.create("stale"), group = steps.named("stale");
        TopicPartition at = new TopicPartition(source, 0);
        try (var producer = to.transactional("stale")) {
            producer.initTransactions();
            org.apache.kafka.clients.consumer.ConsumerGroupMetadata old;
            try (Consumer<String, String> consumer = to.consumer(group, Map.of())) {
                consumer.subscribe(List.of(source));
                Steps.until("an assignment", () -> !consumer.poll(Duration.ofMillis(20)).isEmpty() || !consumer.assignment().isEmpty());
                old = consumer.groupMetadata();
            }
            producer.beginTransaction();
            Exception refused = Steps.refused(org.apache.kafka.clients.consumer.CommitFailedException.class, () -> {
                producer.sendOffsetsToTransaction(Map.of(at, new OffsetAndMetadata(1)), old);
                producer.commitTransaction();
                return null;
            });
            producer.abortTransaction();
            return refused.getClass().getSimpleName();
        }
    }

    private Object fencing() throws Exception {
        String topic = to.create("fence");
        try (var old = to.transactional("fence"); var young = to.transactional("fence")) {
            old.initTransactions();
            old.beginTransaction();
            old.send(record(topic, "never")).get();
            young.initTransactions();
            Exception refused = fenced(() -> {
                old.send(record(topic, "never")).get();
                old.commitTransaction();
                return null;
            });
            young.beginTransaction();
            young.send(record(topic, "new"));
            young.commitTransaction();
            Steps.same(to.everything(topic), List.of("new"));
            return refused.getClass().getSimpleName();
        }
    }

    /** The client says either, depending on which request notices. */
    private static Exception fenced(java.util.concurrent.Callable<?> body) throws Exception {
        try {
            return Steps.refused(ProducerFencedException.class, body);
        } catch (Exception other) {
            return Steps.refused(InvalidProducerEpochException.class, () -> {
                throw other;
            });
        }
    }

    private Object describe() throws Exception {
        String topic = to.create("described-tx"), id = steps.named("described-tx");
        TopicPartition at = new TopicPartition(topic, 0);
        try (var producer = to.transactional("described-tx")) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(record(topic, "a")).get();
            var found = Connections.get(to.admin.describeTransactions(List.of(id)).description(id));
            Steps.same(List.of(found.state(), found.topicPartitions(), found.transactionTimeoutMs()), List.of(TransactionState.ONGOING, java.util.Set.of(at), 20000L));
            Steps.same(found.transactionStartTimeMs().isPresent(), true);
            var listed = Connections.get(to.admin.listTransactions().all()).stream().filter(t -> t.transactionalId().equals(id)).findFirst().orElseThrow();
            Steps.same(List.of(listed.producerId(), listed.state()), List.of(found.producerId(), TransactionState.ONGOING));
            Steps.same(List.of(producerOf(topic).producerId(), producerOf(topic).currentTransactionStartOffset().orElse(-1)), List.of(found.producerId(), 0L));
            producer.commitTransaction();
            Steps.eventually("the end", () -> Connections.get(to.admin.describeTransactions(List.of(id)).description(id)).state() == TransactionState.COMPLETE_COMMIT);
            Steps.same(producerOf(topic).currentTransactionStartOffset().isPresent(), false);
        }
        Steps.refused(TransactionalIdNotFoundException.class, () -> Connections.get(to.admin.describeTransactions(List.of("nobody")).description("nobody")));
        return null;
    }

    private Object fence() throws Exception {
        String topic = to.create("fenced");
        try (var producer = to.transactional("fenced")) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(record(topic, "never")).get();
            Connections.get(to.admin.fenceProducers(List.of(steps.named("fenced"))).all());
            fenced(() -> {
                producer.commitTransaction();
                return null;
            });
        }
        Steps.same(to.everything(topic), List.of());
        return null;
    }

    private Object abort() throws Exception {
        String topic = to.create("aborted");
        try (Producer<String, String> producer = to.transactional("aborted")) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(record(topic, "never")).get();
            ProducerState open = producerOf(topic);
            Connections.get(to.admin.abortTransaction(new AbortTransactionSpec(new TopicPartition(topic, 0), open.producerId(),
                (short) open.producerEpoch(), open.coordinatorEpoch().orElse(0))).all());
            Steps.same(producerOf(topic).currentTransactionStartOffset().isPresent(), false);
        }
        Steps.same(to.everything(topic), List.of());
        return null;
    }

    private Object terminate() throws Exception {
        String topic = to.create("terminated"), id = steps.named("terminated");
        try (Producer<String, String> producer = to.transactional("terminated")) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(record(topic, "never")).get();
            Connections.get(to.admin.forceTerminateTransaction(id).result());
        }
        Steps.same(to.everything(topic), List.of());
        return null;
    }
}
