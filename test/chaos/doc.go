// Package chaos holds tests that disturb the main job - records through calls of a service into a topic and a database,
// exactly once - and audit what came out: on the embedded broker and on Apache Kafka, the same list.
//
// There is nothing here to import. The workers and the embedded broker run as processes of their own, which are this
// test binary again, so that they can be killed; a proxy between a worker and its brokers can keep a single request or
// answer back. The stories of one cluster run one after the other, the clusters side by side.
//
// Do not assume that a story is the same twice: its disturbance is at a certain step, but what else is under way then
// depends on the machine.
package chaos
