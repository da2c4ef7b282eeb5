"""The steps with confluent-kafka, which is librdkafka. Usage: confluent.py BOOTSTRAP PREFIX."""

import confluent_kafka as ck
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka import admin as ca

from report import Steps, same, until

S = Steps(f"{ck.version()} (librdkafka {ck.libversion()[0]})")
ADMIN = ca.AdminClient({"bootstrap.servers": S.bootstrap})


def one(futures, timeout=15):
    """The only result of a call that answers for each of several things."""
    (future,) = futures.values()
    return future.result(timeout)


def create(name, partitions=1, **config):
    topic = S.named(name)
    one(ADMIN.create_topics([ca.NewTopic(topic, partitions, 1, config={k.replace("_", "."): v for k, v in config.items()})]))
    return topic


def producer(**config):
    base = {"bootstrap.servers": S.bootstrap, "linger.ms": 1, "message.timeout.ms": 15000}
    if "transactional_id" in config:
        base["transaction.timeout.ms"] = 15000
    return Producer(base | {k.replace("_", "."): v for k, v in config.items()})


def send(topic, values, **config):
    p, errors = producer(**config), []
    for v in values:
        p.produce(topic, v, key=v[:4], on_delivery=lambda err, _: errors.append(err) if err else None)
    same((p.flush(20), errors), (0, []))


def consumer(group, *topics, **config):
    c = Consumer({
        "bootstrap.servers": S.bootstrap, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False,
        "fetch.wait.max.ms": 100, "isolation.level": "read_committed",
    } | {k.replace("_", "."): v for k, v in config.items()})
    if topics:
        c.subscribe(list(topics))
    return c


def take(c, count, bound=15):
    """Exactly so many values."""
    seen = []

    def more():
        m = c.poll(0.05)
        if m is not None:
            if m.error():
                raise KafkaException(m.error())
            seen.append(m.value().decode() if m.value() is not None else None)
        return len(seen) >= count

    until(f"{count} records", more, bound, pause=0)
    return seen


def everything(topic, count):
    """All that a committed reader sees of a topic of one partition; then it must be at the end."""
    c = consumer(S.named("everything"))
    c.assign([TopicPartition(topic, 0, ck.OFFSET_BEGINNING)])
    seen = take(c, count)
    same(c.poll(0.3), None)
    c.close()
    return seen


def committed(group, topic, partition=0):
    request = [ck.ConsumerGroupTopicPartitions(group, [TopicPartition(topic, partition)])]
    return one(ADMIN.list_consumer_group_offsets(request)).topic_partitions[0].offset


# --- administration


def cluster():
    d = ADMIN.describe_cluster(include_authorized_operations=True).result(15)
    assert d.cluster_id and d.nodes and d.controller is not None, vars(d)
    return f"cluster id {d.cluster_id}"


def topics():
    topic = create("admin", 2, retention_ms="3600000")
    d = one(ADMIN.describe_topics(ck.TopicCollection([topic])))
    same((len(d.partitions), d.is_internal, len(str(d.topic_id)) > 10), (2, False, True))
    try:
        one(ADMIN.create_topics([ca.NewTopic(topic, 1, 1)]))
    except KafkaException as err:
        same(err.args[0].code(), ck.KafkaError.TOPIC_ALREADY_EXISTS)
    else:
        raise AssertionError("a second creation was not refused")


def partitions():
    one(ADMIN.create_partitions([ca.NewPartitions(S.named("admin"), 4)]))
    until("4 partitions", lambda: len(ADMIN.list_topics(S.named("admin"), 10).topics[S.named("admin")].partitions) == 4)


def configs():
    def value(name):
        return one(ADMIN.describe_configs([ca.ConfigResource("topic", S.named("admin"))]))[name].value

    def change(name, op, text=None):
        entry = ca.ConfigEntry(name, text, incremental_operation=op)
        one(ADMIN.incremental_alter_configs([ca.ConfigResource("topic", S.named("admin"), incremental_configs=[entry])]))

    same(value("retention.ms"), "3600000")
    change("retention.ms", ca.AlterConfigOpType.SET, "7200000")
    until("the new value", lambda: value("retention.ms") == "7200000")
    change("cleanup.policy", ca.AlterConfigOpType.APPEND, "compact")
    until("both policies", lambda: value("cleanup.policy") == "delete,compact")
    change("retention.ms", ca.AlterConfigOpType.DELETE)
    until("the default", lambda: value("retention.ms") == "604800000")


def refused_config():
    try:
        create("refused", 1, no_such_config="1")
    except KafkaException as err:
        same(err.args[0].code(), ck.KafkaError.INVALID_CONFIG)
    else:
        raise AssertionError("was not refused")


def broker_configs():
    node = next(iter(ADMIN.list_topics(timeout=10).brokers))
    found = one(ADMIN.describe_configs([ca.ConfigResource("broker", str(node))]))
    assert found, "no configs"
    return f"{len(found)} configs"


def offsets():
    topic = create("offsets", retention_ms="-1")  # the times below are long ago
    p = producer()
    for ts in (1000, 2000, 3000):
        p.produce(topic, b"x", partition=0, timestamp=ts)
    p.flush(15)
    for spec, want in ((ca.OffsetSpec.earliest(), 0), (ca.OffsetSpec.latest(), 3), (ca.OffsetSpec.max_timestamp(), 2),
                       (ca.OffsetSpec.for_timestamp(1500), 1)):
        same(one(ADMIN.list_offsets({TopicPartition(topic, 0): spec})).offset, want)


def delete_records():
    topic = create("trim")
    send(topic, [b"a", b"b", b"c"])
    same(one(ADMIN.delete_records([TopicPartition(topic, 0, 2)])).low_watermark, 2)
    same(everything(topic, 1), ["c"])


def acls():
    def binding(make, operation=ca.AclOperation.READ):
        return make(ca.ResourceType.TOPIC, S.named("acl"), ca.ResourcePatternType.PREFIXED, "User:somebody", "*",
                    operation, ca.AclPermissionType.ALLOW)

    one(ADMIN.create_acls([binding(ca.AclBinding)]))
    until("the ACL", lambda: len(ADMIN.describe_acls(binding(ca.AclBindingFilter)).result(15)) == 1)
    same(len(one(ADMIN.delete_acls([binding(ca.AclBindingFilter)]))), 1)
    until("no ACL", lambda: not ADMIN.describe_acls(binding(ca.AclBindingFilter)).result(15))


def scram():
    user, info = S.named("user"), ca.ScramCredentialInfo(ca.ScramMechanism.SCRAM_SHA_256, 8192)
    one(ADMIN.alter_user_scram_credentials([ca.UserScramCredentialUpsertion(user, info, b"secret", b"salt-of-somebody")]))

    def described():
        return one(ADMIN.describe_user_scram_credentials([user])).scram_credential_infos[0].iterations == 8192

    until("the user", lambda: quiet(described))
    one(ADMIN.alter_user_scram_credentials([ca.UserScramCredentialDeletion(user, ca.ScramMechanism.SCRAM_SHA_256)]))
    until("no user", lambda: not quiet(described))


def quiet(condition):
    try:
        return condition()
    except KafkaException:
        return False


def delete_topics():
    one(ADMIN.delete_topics([S.named("admin")]))
    until("it to go", lambda: S.named("admin") not in ADMIN.list_topics(timeout=10).topics)


# --- records


def codec(name):
    def run():
        topic = create("codec-" + name)
        want = [f"{i:04d} {'x' * 100}" for i in range(500)]
        send(topic, [w.encode() for w in want], compression_type=name)
        same(everything(topic, 500), want)
    return run


def idempotent():
    topic = create("idempotent")
    want = [f"{i:04d}" for i in range(5000)]
    send(topic, [w.encode() for w in want], enable_idempotence=True, batch_num_messages=50)
    same(everything(topic, 5000), want)


def parts():
    topic = create("parts", retention_ms="-1")
    p = producer()
    p.produce(topic, None, key=b"k", headers=[("h", b"v"), ("n", None)], timestamp=1234567890123)
    p.flush(15)
    c = consumer(S.named("parts"))
    c.assign([TopicPartition(topic, 0, 0)])
    found = []
    until("a record", lambda: found.append(c.poll(0.1)) or found[-1] is not None)  # a message with no value is false
    m = found[-1]
    same((m.key(), m.value(), m.headers(), m.timestamp()[1]), (b"k", None, [("h", b"v"), ("n", None)], 1234567890123))
    c.close()


def times():
    c = consumer(S.named("times"))
    found = c.offsets_for_times([TopicPartition(S.named("offsets"), 0, 1500)], 15)
    same(found[0].offset, 1)
    same(c.get_watermark_offsets(TopicPartition(S.named("offsets"), 0), 15), (0, 3))
    c.close()


# --- groups


def group(**config):
    def run():
        strategy = config["partition_assignment_strategy"]
        name, topic = S.named("group-" + strategy), create("group-" + strategy, 4)
        first = consumer(name, topic, **config)

        def owned(*members):
            for m in members:
                m.poll(0.05)
            return [len(m.assignment()) for m in members]

        until("one member with all", lambda: owned(first) == [4])
        second = consumer(name, topic, **config)
        until("two and two", lambda: owned(first, second) == [2, 2], 25)
        second.close()
        until("all again", lambda: owned(first) == [4], 25)
        send(topic, [f"{i:04d}".encode() for i in range(100)])
        same(sorted(take(first, 100)), [f"{i:04d}" for i in range(100)])
        first.commit(asynchronous=False)
        first.close()
        again = consumer(name, topic, **config)
        send(topic, [b"last"])
        same(take(again, 1), ["last"])
        again.close()
    return run


def new_protocol():
    """One member only: the broker's heartbeat interval of five seconds is what a second one would wait for."""
    name, topic = S.named("new-group"), create("new-group", 2)
    for value in (b"a", b"b"):
        send(topic, [value])
        c = consumer(name, topic, group_protocol="consumer")
        same(take(c, 1), [value.decode()])
        c.commit(asynchronous=False)
        c.close()


def static_member():
    name, topic = S.named("static"), create("static", 2)
    for _ in range(2):  # the second is the first come back: no rebalance, the same member
        c = consumer(name, topic, group_instance_id="one", session_timeout_ms=10000)
        until("an assignment", lambda c=c: c.poll(0.05) or c.assignment())
        members = one(ADMIN.describe_consumer_groups([name])).members
        same([m.group_instance_id for m in members], ["one"])
        c.close()


def manage_groups():
    name, topic = S.named("managed"), create("managed", 2)
    send(topic, [b"a", b"b", b"c"])
    c = consumer(name, topic)
    take(c, 3)
    c.commit(asynchronous=False)
    d = one(ADMIN.describe_consumer_groups([name]))
    same((d.state, len(d.members), len(d.members[0].assignment.topic_partitions)), (ck.ConsumerGroupState.STABLE, 1, 2))
    listed = ADMIN.list_consumer_groups(states={ck.ConsumerGroupState.STABLE}).result(15)
    assert name in [g.group_id for g in listed.valid], "not listed"
    c.close()
    same(sum(max(0, committed(name, topic, p)) for p in range(2)), 3)
    change = ck.ConsumerGroupTopicPartitions(name, [TopicPartition(topic, 0, 0)])
    one(ADMIN.alter_consumer_group_offsets([change]))
    same(committed(name, topic), 0)
    one(ADMIN.delete_consumer_groups([name]))
    assert name not in [g.group_id for g in ADMIN.list_consumer_groups().result(15).valid], "still there"


# --- transactions


def transaction():
    topic = create("tx")
    p = producer(transactional_id=S.named("tx"))
    p.init_transactions(15)
    for value, finish in ((b"a", p.commit_transaction), (b"never", p.abort_transaction), (b"b", p.commit_transaction)):
        p.begin_transaction()
        p.produce(topic, value, partition=0)
        p.flush(15)
        finish(15)
    same(everything(topic, 2), ["a", "b"])


def transfer():
    """Consume, transform and produce, exactly once."""
    source, target, name = create("from"), create("to"), S.named("transfer")
    send(source, [b"1", b"2", b"3"])
    c, p = consumer(name, source), producer(transactional_id=S.named("transfer"))
    p.init_transactions(15)
    for finish in (p.abort_transaction, p.commit_transaction):
        got = take(c, 3)
        p.begin_transaction()
        for value in got:
            p.produce(target, ("out " + value).encode(), partition=0)
        p.send_offsets_to_transaction(c.position(c.assignment()), c.consumer_group_metadata(), 15)
        finish(15)
        if finish == p.abort_transaction:
            same(committed(name, source), ck.OFFSET_INVALID)
            c.seek(TopicPartition(source, 0, 0))
    same(everything(target, 3), ["out 1", "out 2", "out 3"])
    same(committed(name, source), 3)
    c.close()


def open_transaction():
    """A committed reader waits in front of an open transaction; others do not."""
    topic = create("open")
    p = producer(transactional_id=S.named("open"))
    p.init_transactions(15)
    p.begin_transaction()
    p.produce(topic, b"a", partition=0)
    p.flush(15)
    c = consumer(S.named("open"), isolation_level="read_uncommitted")
    c.assign([TopicPartition(topic, 0, 0)])
    same(take(c, 1), ["a"])
    c.close()
    c = consumer(S.named("open"))
    c.assign([TopicPartition(topic, 0, 0)])
    same(c.poll(0.5), None)
    p.commit_transaction(15)
    same(take(c, 1), ["a"])
    c.close()


def fencing():
    topic = create("fence")
    old, new = producer(transactional_id=S.named("fence")), producer(transactional_id=S.named("fence"))
    old.init_transactions(15)
    old.begin_transaction()
    old.produce(topic, b"never", partition=0)
    old.flush(15)
    new.init_transactions(15)
    try:
        old.commit_transaction(15)
    except KafkaException as err:
        same((err.args[0].code(), err.args[0].fatal()), (ck.KafkaError._FENCED, True))
    else:
        raise AssertionError("the old one could commit")
    new.begin_transaction()
    new.produce(topic, b"new", partition=0)
    new.commit_transaction(15)
    same(everything(topic, 1), ["new"])


QUICK = {"heartbeat_interval_ms": "300", "session_timeout_ms": "10000"}  # a member learns of others by its heartbeat
NEW_GROUPS = "clients must ask for it, and the classic protocol does the same"


def main():
    S.step("admin: describe the cluster", cluster)
    S.step("admin: create and describe topics", topics)
    S.step("admin: add partitions", partitions)
    S.step("admin: describe and alter configs incrementally", configs)
    S.step("admin: a config nobody knows is refused", refused_config)
    S.step("admin: describe the broker's configs", broker_configs)
    S.step("admin: list offsets", offsets)
    S.step("admin: delete records", delete_records)
    S.step("admin: create, describe and delete ACLs", acls)
    S.step("admin: create, describe and delete SCRAM users", scram)
    S.step("admin: delete topics", delete_topics)
    for name in ("none", "gzip", "snappy", "lz4", "zstd"):
        S.step("produce and consume, " + name, codec(name))
    S.step("keys, headers, null values, timestamps", parts)
    S.step("idempotent producer, 5000 records in order", idempotent)
    S.step("offsets for times, watermarks", times)
    S.step("group: range", group(partition_assignment_strategy="range", **QUICK))
    S.step("group: cooperative-sticky", group(partition_assignment_strategy="cooperative-sticky", **QUICK))
    S.step("group: static member", static_member)
    S.step("group: group.protocol=consumer (KIP-848)", new_protocol, NEW_GROUPS)
    S.step("admin: list, describe, alter and delete groups", manage_groups)
    S.step("transaction: commit and abort", transaction)
    S.step("transaction: exactly-once loop with offsets", transfer)
    S.step("transaction: readers and an open one", open_transaction)
    S.step("transaction: the older of two producers is fenced", fencing)
    S.end()


main()
