// Package txn knows what producers may write and how transactions end: [Producers] is the state of all producers of one
// partition, [Coordinator] that of all transactional ids of the broker.
//
// Nothing here locks, waits, reads a clock or touches a file: the caller passes the time, carries out the effects that
// methods return, and guards each value with one mutex. Two orders of locks keep a transaction whole; they are the
// caller's part and described in docs/internals/broker-txn.md: [Coordinator.Join] runs with the lock of the partition
// held until the batch is in its log, and [Coordinator.JoinGroup] with the lock of the group held until its offsets are
// in the journal.
//
// Errors for clients are those of kerr, as Apache Kafka 4 gives them to the newest versions of the requests; [ErrorFor]
// translates them for older ones. Do not assume that a call with an error has no effects: an InitProducerId that finds
// an open transaction ends it and is told to come again.
package txn
