// Package server speaks Kafka's protocol over the cores of the broker: it frames and decodes requests, calls one handler
// per request, and answers in the order of the requests of a connection.
//
// A Server is safe for concurrent use. The order of its locks, outermost first: gate (a checkpoint of the journal against
// everything that changes state), transactions, a group, the catalog, a partition. Nothing waits for the disk while it holds one of them
// except a write that the operating system buffers; waiting for a sync is done by the answer, after the locks are given back.
//
// What must not be assumed: that requests of one connection are worked on one after the other (their answers come in
// order, but a produce that waits for the disk does not hold up the next), and that bytes of a frame live longer than
// the handler unless it copied them or kept the request.
package server
