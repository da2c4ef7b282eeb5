"""The steps with kafka-python. Usage: kafkapython.py BOOTSTRAP PREFIX."""

import kafka
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, OffsetSpec, TopicPartition
from kafka import admin as ka
from kafka import errors as ke

from report import Steps, same, until

S = Steps(kafka.__version__)


def create(name, partitions=1, **config):
    topic = S.named(name)
    settings = {k.replace("_", "."): v for k, v in config.items()}
    ADMIN.create_topics([ka.NewTopic(topic, partitions, 1, topic_configs=settings)])
    return topic


def producer(**config):
    return KafkaProducer(bootstrap_servers=S.bootstrap, linger_ms=1, max_block_ms=15000, **config)


def send(topic, values, **config):
    p = producer(**config)
    sent = [p.send(topic, v) for v in values]
    p.flush(20)
    p.close(5)
    return [f.get(20) for f in sent]


def consumer(group=None, *topics, **config):
    return KafkaConsumer(*topics, bootstrap_servers=S.bootstrap, group_id=group, auto_offset_reset="earliest",
                         heartbeat_interval_ms=300, session_timeout_ms=10000, enable_auto_commit=False, fetch_max_wait_ms=100, isolation_level="read_committed", **config)


def take(c, count, bound=15):
    seen = []

    def more():
        for batch in c.poll(50).values():
            seen.extend(m.value.decode() for m in batch)
        return len(seen) >= count

    until(f"{count} records", more, bound, pause=0)
    return seen


def everything(topic, count):
    c = consumer()
    c.assign([TopicPartition(topic, 0)])
    c.seek_to_beginning()
    seen = take(c, count)
    same(c.poll(300), {})
    c.close()
    return seen


def connect():
    global ADMIN
    ADMIN = KafkaAdminClient(bootstrap_servers=S.bootstrap)


# --- administration


def cluster():
    d = ADMIN.describe_cluster()
    assert d["brokers"] and d["cluster_id"], d


def topics():
    topic = create("admin", 2, retention_ms="3600000")
    until("it to be listed", lambda: topic in ADMIN.list_topics())
    same(len(ADMIN.describe_topics([topic])[0]["partitions"]), 2)
    try:
        create("admin")
    except ke.TopicAlreadyExistsError:
        return
    raise AssertionError("a second creation was not refused")


def partitions():
    ADMIN.create_partitions({S.named("admin"): 4})
    until("4 partitions", lambda: len(ADMIN.describe_topics([S.named("admin")])[0]["partitions"]) == 4)


def configs():
    resource = ka.ConfigResource(ka.ConfigResourceType.TOPIC, S.named("admin"))
    assert "3600000" in repr(ADMIN.describe_configs([resource]))
    ADMIN.alter_configs([ka.ConfigResource(ka.ConfigResourceType.TOPIC, S.named("admin"), configs={"retention.ms": "7200000"})])
    until("the new value", lambda: "7200000" in repr(ADMIN.describe_configs([resource])))


def offsets():
    topic = create("offsets", retention_ms="-1")  # the times below are long ago
    p = producer()
    for ts in (1000, 2000, 3000):
        p.send(topic, b"x", partition=0, timestamp_ms=ts)
    p.close(15)
    at = TopicPartition(topic, 0)
    for spec, want in ((OffsetSpec.EARLIEST, 0), (OffsetSpec.LATEST, 3), (OffsetSpec.MAX_TIMESTAMP, 2)):
        same(ADMIN.list_partition_offsets({at: spec})[at].offset, want)
    c = consumer()
    same(c.offsets_for_times({at: 1500})[at].offset, 1)
    same((c.beginning_offsets([at])[at], c.end_offsets([at])[at]), (0, 3))
    c.close()


def delete_records():
    topic = create("trim")
    send(topic, [b"a", b"b", b"c"])
    ADMIN.delete_records({TopicPartition(topic, 0): 2})
    same(everything(topic, 1), ["c"])


def acls():
    pattern = (ka.ResourceType.TOPIC, S.named("acl"), ka.ACLResourcePatternType.LITERAL)
    acl = ka.ACL("User:somebody", "*", ka.ACLOperation.READ, ka.ACLPermissionType.ALLOW, ka.ResourcePattern(*pattern))
    rule = ka.ACLFilter("User:somebody", "*", ka.ACLOperation.READ, ka.ACLPermissionType.ALLOW, ka.ResourcePatternFilter(*pattern))
    same(len(ADMIN.create_acls([acl])["succeeded"]), 1)
    until("the ACL", lambda: len(ADMIN.describe_acls(rule)[0]) == 1)
    ADMIN.delete_acls([rule])
    until("no ACL", lambda: not ADMIN.describe_acls(rule)[0])


def log_dirs():
    assert ADMIN.describe_log_dirs(), "nothing"


def delete_topics():
    ADMIN.delete_topics([S.named("admin")])
    until("it to go", lambda: S.named("admin") not in ADMIN.list_topics())


# --- records, groups, transactions


def codec(name):
    def run():
        topic = create("codec-" + str(name))
        want = [f"{i:04d} {'x' * 100}" for i in range(300)]
        send(topic, [w.encode() for w in want], compression_type=name)
        same(everything(topic, 300), want)
    return run


def parts():
    topic = create("parts", retention_ms="-1")
    p = producer()
    p.send(topic, None, key=b"k", headers=[("h", b"v")], timestamp_ms=1234567890123).get(15)
    p.close(5)
    c = consumer()
    c.assign([TopicPartition(topic, 0)])
    c.seek_to_beginning()
    batch = until("a record", lambda: c.poll(50))
    (m,) = batch[TopicPartition(topic, 0)]
    same((m.key, m.value, list(m.headers), m.timestamp), (b"k", None, [("h", b"v")], 1234567890123))
    c.close()


def idempotent():
    topic = create("idempotent")
    want = [f"{i:04d}" for i in range(1000)]
    send(topic, [w.encode() for w in want], enable_idempotence=True, acks="all")
    same(everything(topic, 1000), want)


def group():
    name, topic = S.named("group"), create("group", 4)
    first = consumer(name, topic)

    def owns(*members, want):  # without a pause between polls, or this client's join never comes to its end
        def condition():
            for m in members:
                m.poll(50)
            return [len(m.assignment()) for m in members] == want
        until(f"shares of {want}", condition, 25, pause=0)

    owns(first, want=[4])
    second = consumer(name, topic)
    owns(first, second, want=[2, 2])
    second.close()
    owns(first, want=[4])
    send(topic, [f"{i:04d}".encode() for i in range(100)])
    same(sorted(take(first, 100)), [f"{i:04d}" for i in range(100)])
    first.commit()
    first.close()
    again = consumer(name, topic)
    send(topic, [b"last"])
    same(take(again, 1), ["last"])
    again.commit()
    again.close()


def manage_groups():
    name, topic = S.named("group"), S.named("group")
    assert name in repr(ADMIN.list_groups()), "not listed"
    assert "Empty" in repr(ADMIN.describe_groups([name])), ADMIN.describe_groups([name])

    def found():
        return sum(o.offset for o in ADMIN.list_group_offsets({name: None})[name].values() if o.offset > 0)

    same(found(), 101)
    at = TopicPartition(topic, 0)
    ADMIN.alter_group_offsets(name, {at: OffsetAndMetadata(0, "", -1)})
    same(ADMIN.list_group_offsets({name: [at]})[name][at].offset, 0)
    ADMIN.delete_group_offsets(name, [at])
    ADMIN.delete_groups([name])
    assert name not in repr(ADMIN.list_groups()), "still there"


def transaction():
    topic = create("tx")
    p = producer(transactional_id=S.named("tx"))
    p.init_transactions()
    for value, finish in ((b"a", p.commit_transaction), (b"never", p.abort_transaction), (b"b", p.commit_transaction)):
        p.begin_transaction()
        p.send(topic, value, partition=0)
        p.flush(15)
        finish()
    p.close(5)
    same(everything(topic, 2), ["a", "b"])


def transfer():
    source, target, name = create("from"), create("to"), S.named("transfer")
    send(source, [b"1", b"2", b"3"])
    c, p = consumer(name, source), producer(transactional_id=S.named("transfer"))
    p.init_transactions()
    got = take(c, 3)
    p.begin_transaction()
    for value in got:
        p.send(target, ("out " + value).encode(), partition=0)
    at = TopicPartition(source, 0)
    p.send_offsets_to_transaction({at: OffsetAndMetadata(c.position(at), "", -1)}, c.group_metadata())
    p.commit_transaction()
    same(everything(target, 3), ["out 1", "out 2", "out 3"])
    same(c.committed(at), 3)
    c.close()
    p.close(5)


def fencing():
    topic = create("fence")
    old, new = producer(transactional_id=S.named("fence")), producer(transactional_id=S.named("fence"))
    old.init_transactions()
    old.begin_transaction()
    old.send(topic, b"never", partition=0).get(15)
    new.init_transactions()
    try:
        old.commit_transaction()
    except ke.KafkaError as err:
        refused = type(err).__name__
    else:
        raise AssertionError("the old one could commit")
    new.begin_transaction()
    new.send(topic, b"new", partition=0)
    new.commit_transaction()
    same(everything(topic, 1), ["new"])
    return refused


def describe_transactions():
    name = S.named("tx")
    assert name in repr(ADMIN.list_transactions()), "not listed"
    assert "CompleteCommit" in repr(ADMIN.describe_transactions([name])), ADMIN.describe_transactions([name])
    assert ADMIN.describe_producers([TopicPartition(S.named("tx"), 0)]), "no producers"


def scram():
    user = S.named("user")
    ADMIN.alter_user_scram_credentials([ka.UserScramCredentialUpsertion(user, ka.ScramMechanism.SCRAM_SHA_512, "secret")])
    until("the user", lambda: user in repr(ADMIN.describe_user_scram_credentials()))
    ADMIN.alter_user_scram_credentials([ka.UserScramCredentialDeletion(user, ka.ScramMechanism.SCRAM_SHA_512)])
    until("no user", lambda: user not in repr(ADMIN.describe_user_scram_credentials()))


def main():
    S.step("connect", connect)
    S.step("admin: describe the cluster", cluster)
    S.step("admin: create, list and describe topics", topics)
    S.step("admin: add partitions", partitions)
    S.step("admin: describe and alter configs", configs)
    S.step("admin: list offsets, by time too", offsets)
    S.step("admin: delete records", delete_records)
    S.step("admin: create, describe and delete ACLs", acls)
    S.step("admin: create, describe and delete SCRAM users", scram)
    S.step("admin: describe log dirs", log_dirs)
    S.step("admin: delete topics", delete_topics)
    for name in (None, "gzip"):
        S.step(f"produce and consume, {name or 'none'}", codec(name))
    S.step("keys, headers, null values, timestamps", parts)
    S.step("idempotent producer, 1000 records in order", idempotent)
    S.step("group: rebalance, commit, go on", group)
    S.step("admin: list, describe, alter and delete groups", manage_groups)
    S.step("transaction: commit and abort", transaction)
    S.step("transaction: exactly-once loop with offsets", transfer)
    S.step("transaction: the older of two producers is fenced", fencing)
    S.step("admin: list and describe transactions, producers", describe_transactions)
    S.end()


main()
