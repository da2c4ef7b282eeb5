// The steps with kafkajs. Usage: node steps.js BOOTSTRAP PREFIX; one JSON object per step on stdout.
'use strict';

const assert = require('node:assert/strict');
const kafkajs = require('kafkajs');
const { Kafka, logLevel, CompressionTypes, ConfigResourceTypes, AclResourceTypes, AclOperationTypes,
  AclPermissionTypes, ResourcePatternTypes } = kafkajs;

const [bootstrap, prefix] = process.argv.slice(2);
const stepBound = 30_000;
const kafka = new Kafka({ clientId: prefix, brokers: [bootstrap], logLevel: logLevel.NOTHING, retry: { retries: 5 } });
const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');
const named = (name) => `${prefix}-${name}`;

// within rejects when the promise takes too long.
function within(millis, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing after ${millis} ms`)), millis);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// until waits for a condition by asking again.
async function until(what, condition) {
  const deadline = Date.now() + 15_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function step(name, run) {
  const began = Date.now();
  const line = { step: name, ok: true };
  try {
    line.detail = (await within(stepBound, name, run())) ?? '';
  } catch (err) {
    line.ok = false;
    const causes = (err.partitions ?? []).map((p) => `${p.error?.type ?? ''} ${p.error?.message ?? p.error ?? ''}`);
    line.detail = [`${err.name}: ${err.message}`, ...causes].join(', ');
  }
  say({ ...line, millis: Date.now() - began });
}

const admin = kafka.admin();

async function create(name, numPartitions = 1, configEntries = []) {
  const topic = named(name);
  await admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }] });
  return topic;
}

async function produce(topic, values, options = {}) {
  const producer = kafka.producer({ idempotent: options.idempotent ?? false });
  await producer.connect();
  await producer.send({ topic, acks: -1, compression: options.compression,
    messages: values.map((v) => (typeof v === 'string' ? { value: v } : v)) });
  await producer.disconnect();
}

// reader collects what a group reads.
async function reader(topic, groupId, options = {}) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 10_000, heartbeatInterval: 500, rebalanceTimeout: 10_000,
    maxWaitTimeInMs: 200, ...options });
  const seen = [];
  const self = { consumer, seen, joins: 0, parts: [] };
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    self.joins++;
    self.parts = payload.memberAssignment[topic] ?? [];
  });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({ eachMessage: async ({ partition, message }) => seen.push({ partition, ...message }) });
  return self;
}

async function readAll(topic, count) {
  const r = await reader(topic, named('all-' + Math.random().toString(36).slice(2)));
  try {
    await until(`${count} records, have ${r.seen.length}`, () => r.seen.length >= count);
  } finally {
    await r.consumer.disconnect();
  }
  assert.equal(r.seen.length, count);
  return r.seen;
}

async function administration() {
  await step('admin: describe the cluster', async () => {
    const cluster = await admin.describeCluster();
    assert.ok(cluster.brokers.length >= 1 && cluster.clusterId, JSON.stringify(cluster));
  });
  await step('admin: create, list and describe topics', async () => {
    const topic = await create('admin', 2, [{ name: 'retention.ms', value: '3600000' }]);
    assert.ok((await admin.listTopics()).includes(topic));
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    assert.equal(topics[0].partitions.length, 2);
    assert.equal(await admin.createTopics({ topics: [{ topic }] }), false, 'a second creation must be noticed');
  });
  await step('admin: add partitions', async () => {
    await admin.createPartitions({ topicPartitions: [{ topic: named('admin'), count: 4 }] });
    const count = async () => (await admin.fetchTopicMetadata({ topics: [named('admin')] })).topics[0].partitions.length;
    await until('4 partitions', async () => (await count()) === 4);
  });
  await step('admin: describe and alter configs', async () => {
    const resource = { type: ConfigResourceTypes.TOPIC, name: named('admin') };
    const value = async (name) => (await admin.describeConfigs({ includeSynonyms: true, resources: [resource] }))
      .resources[0].configEntries.find((c) => c.configName === name)?.configValue;
    assert.equal(await value('retention.ms'), '3600000');
    await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries: [{ name: 'retention.ms', value: '7200000' }] }] });
    await until('the new value', async () => (await value('retention.ms')) === '7200000');
  });
  await step('admin: offsets by time', async () => {
    const topic = await create('times');
    await produce(topic, [{ value: 'a', timestamp: '1000' }, { value: 'b', timestamp: '2000' }]);
    assert.equal((await admin.fetchTopicOffsetsByTimestamp(topic, 1500))[0].offset, '1');
    assert.deepEqual((await admin.fetchTopicOffsets(topic)).map(({ low, high }) => [low, high]), [['0', '2']]);
  });
  await step('admin: delete records', async () => {
    const topic = await create('trim');
    await produce(topic, ['a', 'b', 'c']);
    await admin.fetchTopicOffsets(topic); // it looks for leaders in what it was told last, and does not ask
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '2' }] });
    assert.equal((await admin.fetchTopicOffsets(topic))[0].low, '2');
  });
  await step('admin: create, describe and delete ACLs', async () => {
    const acl = { resourceType: AclResourceTypes.TOPIC, resourceName: named('acl'), resourcePatternType: ResourcePatternTypes.LITERAL,
      principal: 'User:somebody', host: '*', operation: AclOperationTypes.READ, permissionType: AclPermissionTypes.ALLOW };
    const count = async () => (await admin.describeAcls(acl)).resources.length;
    await admin.createAcls({ acl: [acl] });
    await until('the ACL', async () => (await count()) === 1);
    await admin.deleteAcls({ filters: [acl] });
    await until('no ACL', async () => (await count()) === 0);
  });
  await step('admin: delete topics', async () => {
    await admin.deleteTopics({ topics: [named('admin')] });
    await until('it to go', async () => !(await admin.listTopics()).includes(named('admin')));
  });
}

async function records() {
  await step('produce and consume', async () => {
    const topic = await create('plain', 3);
    await produce(topic, Array.from({ length: 500 }, (_, i) => ({ key: `k${i % 50}`, value: `v${i}` })));
    const seen = await readAll(topic, 500);
    assert.equal(new Set(seen.map((m) => m.value.toString())).size, 500);
  });
  await step('keys, headers, null values, timestamps', async () => {
    const topic = await create('parts');
    await produce(topic, [{ key: 'k', value: null, headers: { h: 'v' }, timestamp: '1234567890123' }]);
    const [m] = await readAll(topic, 1);
    assert.deepEqual([m.key.toString(), m.value, m.headers.h.toString(), m.timestamp], ['k', null, 'v', '1234567890123']);
  });
  await step('idempotent producer', async () => {
    const topic = await create('idempotent');
    await produce(topic, ['a', 'b'], { idempotent: true });
    await readAll(topic, 2);
  });
  await step('gzip', async () => {
    const topic = await create('gzip');
    await produce(topic, Array.from({ length: 200 }, () => 'x'.repeat(100)), { compression: CompressionTypes.GZIP });
    await readAll(topic, 200);
  });
}

async function groups() {
  const group = named('group');
  let topic;
  await step('group: rebalance when a member joins and leaves', async () => {
    topic = await create('group', 4);
    const one = await reader(topic, group);
    await until('all partitions', () => one.parts.length === 4);
    const two = await reader(topic, group);
    await until('two and two', () => one.parts.length === 2 && two.parts.length === 2);
    await two.consumer.disconnect();
    await until('all partitions again', () => one.parts.length === 4);
    await produce(topic, Array.from({ length: 100 }, (_, i) => ({ key: `${i}`, value: `${i}` })));
    await until('100 records', () => one.seen.length === 100);
    await one.consumer.disconnect();
  });
  await step('group: goes on where it stopped', async () => {
    await produce(topic, ['last']);
    const again = await reader(topic, group);
    await until('the last record', () => again.seen.length > 0);
    assert.deepEqual(again.seen.map((m) => m.value.toString()), ['last']);
    const { groups: [described] } = await admin.describeGroups([group]);
    assert.deepEqual([described.state, described.members.length], ['Stable', 1]);
    await again.consumer.disconnect();
  });
  await step('admin: list groups, fetch and set offsets', async () => {
    assert.ok((await admin.listGroups()).groups.some((g) => g.groupId === group));
    const fetched = await admin.fetchOffsets({ groupId: group, topics: [topic] });
    assert.equal(fetched[0].partitions.reduce((sum, p) => sum + Number(p.offset), 0), 101);
    await admin.setOffsets({ groupId: group, topic, partitions: [{ partition: 0, offset: '7' }] });
    const set = await admin.fetchOffsets({ groupId: group, topics: [topic] });
    assert.equal(set[0].partitions.find((p) => p.partition === 0).offset, '7');
  });
  await step('admin: delete a group', async () => {
    await admin.deleteGroups([group]);
    assert.ok(!(await admin.listGroups()).groups.some((g) => g.groupId === group));
  });
}

async function transactions() {
  const producer = kafka.producer({ transactionalId: named('tx'), idempotent: true, maxInFlightRequests: 1 });
  let topic;
  await step('transaction: commit', async () => {
    topic = await create('tx');
    await producer.connect();
    const tx = await producer.transaction();
    await tx.send({ topic, messages: [{ value: 'a' }, { value: 'b' }] });
    await tx.commit();
    await readAll(topic, 2);
  });
  await step('transaction: an aborted one is not read', async () => {
    const bad = await producer.transaction();
    await bad.send({ topic, messages: [{ value: 'never' }] });
    await bad.abort();
    const good = await producer.transaction();
    await good.send({ topic, messages: [{ value: 'c' }] });
    await good.commit();
    const seen = await readAll(topic, 3);
    assert.deepEqual(seen.map((m) => m.value.toString()), ['a', 'b', 'c']);
  });
  await step('transaction: offsets of a group go with it', async () => {
    const consumerGroupId = named('tx-group');
    const offset = async () => (await admin.fetchOffsets({ groupId: consumerGroupId, topics: [topic] }))[0].partitions[0].offset;
    const commit = async (value, end) => {
      const tx = await producer.transaction();
      await tx.send({ topic, messages: [{ value: 'd' }] });
      await tx.sendOffsets({ consumerGroupId, topics: [{ topic, partitions: [{ partition: 0, offset: value }] }] });
      await tx[end]();
    };
    await commit('2', 'commit');
    await until('the offset 2', async () => (await offset()) === '2');
    await commit('3', 'abort');
    assert.equal(await offset(), '2');
  });
  await step('transaction: the older of two producers is fenced', async () => {
    const newer = kafka.producer({ transactionalId: named('tx'), idempotent: true, maxInFlightRequests: 1 });
    await newer.connect();
    const tx = await newer.transaction();
    await tx.send({ topic, messages: [{ value: 'e' }] });
    const late = producer.transaction().then((old) => old.send({ topic, messages: [{ value: 'never' }] }));
    await assert.rejects(late);
    await tx.commit();
    await newer.disconnect();
  });
  await producer.disconnect().catch(() => {});
}

async function main() {
  say({ version: require('kafkajs/package.json').version });
  await step('connect', () => admin.connect());
  await administration();
  await records();
  await groups();
  await transactions();
  await step('disconnect', () => admin.disconnect());
  say({ end: true });
  process.exit(0); // what a failed step left open must not hold us
}

main();
