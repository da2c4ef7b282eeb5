package join

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// The messages of a foreign-key join, which travel through repartition topics:
//
//	subscription   key: the foreign key    value: version 1 │ operation 1 │ sum 16 │ key of the left entry …
//	answer         key: of the left entry  value: version 1 │ present 1   │ sum 16 │ value of the right entry …
//
// The sum is of the left value that asked. Topics of different releases never mix versions within one message, but an old
// message may still lie in a topic when a newer release reads it.
const messageVersion = 1

const headerSize = 2 + len(sum{})

// sum stands for a left value. It is long enough that two values with one sum do not happen.
type sum [16]byte

func sumOf(value []byte) (s sum) {
	full := sha256.Sum256(value)
	copy(s[:], full[:])
	return s
}

type operation byte

// The operations of a subscription.
const (
	subscribe   operation = 1 // answer now and at every change
	unsubscribe operation = 2 // never again
)

// subscription is what a left entry tells the task that has its foreign key.
type subscription struct {
	op  operation
	sum sum
	key []byte // of the left entry
}

func (s subscription) encode() []byte { return encode(byte(s.op), s.sum, s.key) }

func decodeSubscription(b []byte) (subscription, error) {
	second, sum, rest, err := decode(b)
	s := subscription{operation(second), sum, rest}
	if err == nil && s.op != subscribe && s.op != unsubscribe {
		err = fmt.Errorf("unknown operation %d", s.op)
	}
	if err != nil {
		return subscription{}, fmt.Errorf("read subscription: %w", err)
	}
	return s, nil
}

// answer is what the right table has for a subscription.
type answer struct {
	sum   sum
	value []byte // nil: there is no entry
}

func (a answer) encode() []byte {
	if a.value == nil {
		return encode(0, a.sum, nil)
	}
	return encode(1, a.sum, a.value)
}

func decodeAnswer(b []byte) (answer, error) {
	present, sum, rest, err := decode(b)
	switch {
	case err != nil:
	case present > 1:
		err = fmt.Errorf("unknown mark %d", present)
	case present == 0 && len(rest) > 0:
		err = errors.New("a value where there is none")
	}
	if err != nil {
		return answer{}, fmt.Errorf("read answer: %w", err)
	}
	if present == 0 {
		rest = nil
	}
	return answer{sum, rest}, nil
}

func encode(second byte, s sum, rest []byte) []byte {
	b := make([]byte, 0, headerSize+len(rest))
	b = append(b, messageVersion, second)
	b = append(b, s[:]...)
	return append(b, rest...)
}

func decode(b []byte) (second byte, s sum, rest []byte, err error) {
	if len(b) < headerSize {
		return 0, s, nil, fmt.Errorf("%d bytes, want at least %d", len(b), headerSize)
	}
	if b[0] != messageVersion {
		return 0, s, nil, fmt.Errorf("version %d, want %d", b[0], messageVersion)
	}
	copy(s[:], b[2:])
	return b[1], s, b[headerSize:], nil
}

// The keys of the store of subscriptions: the foreign key with its length before it, so that none is the beginning of
// another, then the key of the left entry.
func subscriptionKey(foreign, key []byte) []byte {
	return append(subscriptionPrefix(foreign, len(key)), key...)
}

func subscriptionPrefix(foreign []byte, room int) []byte {
	b := make([]byte, 0, binary.MaxVarintLen64+len(foreign)+room)
	b = binary.AppendUvarint(b, uint64(len(foreign)))
	return append(b, foreign...)
}
