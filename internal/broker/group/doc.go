// Package group decides what happens to consumer groups: who is a member, which generation counts, who may commit, and
// which offsets are committed. It speaks Kafka's classic group protocol at its face and is pure inside: time comes as an
// argument, chance as an option, and everything that has to be done comes back as an effect.
//
// A Group and an Offsets are each used by one goroutine at a time; the caller holds a lock around every call. No call
// waits. What a call returns shares no memory that the group changes later; what it is given, it keeps: a request must
// not be changed afterwards.
//
// Effects are carried out in their order. An Answer that stands behind a Save is sent when the entry is durable, because
// it tells a member something that a restart must remember. Nothing here checks rights, and nothing knows whether a topic
// exists: the caller does (Resolve). A Group does not know its offsets, and Offsets do not know members: the caller asks
// the one before it changes the other.
package group
