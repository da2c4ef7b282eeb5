package server

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

// The kinds of entries in the journal. Numbers are on the disk: they are never used for anything else.
const (
	entryTopic     uint16 = 1  // topicEntry: a topic as it is from here on
	entryTopicGone uint16 = 2  // goneEntry
	entryStart     uint16 = 3  // startEntry: where a partition begins
	entryProducers uint16 = 4  // producersEntry: ids below are given out
	entrySettings  uint16 = 5  // settingsEntry: settings of the broker
	entryTxn       uint16 = 6  // txn.Entry: a transactional id as it is
	entryDecided   uint16 = 7  // decidedEntry: how a transaction ends
	entryGroup     uint16 = 8  // group.Entry: members and generation
	entryOffsets   uint16 = 9  // group.OffsetsEntry
	entrySecurity  uint16 = 10 // acl.Entry
	entryEpoch     uint16 = 11 // epochEntry: the leader epoch of a start after a crash
)

const entryVersion = 1

type topicEntry struct {
	Name       string            `json:"name"`
	ID         topicID           `json:"id"`
	Partitions int32             `json:"partitions"`
	Settings   map[string]string `json:"settings,omitempty"`
}

type goneEntry struct {
	ID topicID `json:"id"`
}

type startEntry struct {
	ID        topicID `json:"id"`
	Partition int32   `json:"partition"`
	Offset    int64   `json:"offset"`
}

type producersEntry struct {
	Next int64 `json:"next"`
}

type settingsEntry struct {
	Node    map[string]string `json:"node,omitempty"`
	Cluster map[string]string `json:"cluster,omitempty"`
}

type epochEntry struct {
	Epoch int32 `json:"epoch"`
	Clean bool  `json:"clean"` // the last thing a server writes when it is closed
}

// note appends an entry. The caller holds gate for reading from here until the memory agrees with the entry.
func (s *Server) note(kind uint16, v any) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode a journal entry of kind %d: %w", kind, err)
	}
	if err := s.journal.Append(kind, entryVersion, payload); err != nil {
		s.refusedJournal(err)
		return kerr.KafkaStorageError
	}
	return nil
}

// change writes an entry, applies it, and returns when it is durable.
func (s *Server) change(ctx context.Context, kind uint16, v any, apply func()) error {
	if err := s.noteAndApply(kind, v, apply); err != nil {
		return err
	}
	return s.lasting(ctx)
}

func (s *Server) noteAndApply(kind uint16, v any, apply func()) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if err := s.note(kind, v); err != nil {
		return err
	}
	apply()
	return nil
}

// lasting waits until the journal is durable up to here.
func (s *Server) lasting(ctx context.Context) error {
	if err := s.sync.enlist(s.journal).wait(ctx, s.journal); err != nil {
		s.refusedJournal(err)
		return kerr.KafkaStorageError
	}
	return nil
}
