package server

import (
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"ravenswood.dev/internal/broker/disk"
)

// The Java client now and then sends EndTxn ahead of the records of its transaction. It is not lost for that.
func TestCommitAheadOfTheRecordsComesAgain(t *testing.T) {
	s := tell(t, disk.NewMemory())
	s.create("a", 4, nil)
	p, err := s.initProducer("x")
	ok(t, err)
	var want []string
	for i := range 3 {
		if _, err := s.end(5, "x", p, true); !errors.Is(err, kerr.ConcurrentTransactions) {
			t.Fatalf("ahead of the records: %v, want CONCURRENT_TRANSACTIONS, after which the client comes again", err)
		}
		value := fmt.Sprint(i)
		batches := map[at]sending{}
		for partition := range int32(4) {
			batches[at{"a", partition}] = sending{producer: p, txn: true, records: []entry{{value: value}}}
		}
		_, err := s.produce(12, "x", batches)
		ok(t, err)
		s.has(at{"a", 0}, want...)
		p, err = s.end(5, "x", p, true)
		ok(t, err)
		want = append(want, value)
		for partition := range int32(4) {
			s.has(at{"a", partition}, want...)
		}
	}
}

// A client that drops its records before it comes again must not write them in the transaction after.
func TestAbortAheadOfTheRecordsComesAgain(t *testing.T) {
	s := tell(t, disk.NewMemory())
	p, err := s.initProducer("x")
	ok(t, err)
	if _, err := s.end(5, "x", p, false); !errors.Is(err, kerr.ConcurrentTransactions) {
		t.Fatalf("ahead of the records: %v, want CONCURRENT_TRANSACTIONS, after which the client comes again", err)
	}
	next, err := s.end(5, "x", p, false)
	ok(t, err)
	if next.Epoch != p.Epoch+1 {
		t.Fatalf("after the abort of %v: %v, want the next epoch", p, next)
	}
}

// A client that has nothing to commit does not come again for ever.
func TestCommitOfNothingIsRefusedInTheEnd(t *testing.T) {
	s := tell(t, disk.NewMemory())
	p, err := s.initProducer("x")
	ok(t, err)
	for _, want := range []error{kerr.ConcurrentTransactions, kerr.InvalidTxnState, kerr.InvalidTxnState} {
		if _, err := s.end(5, "x", p, true); !errors.Is(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
	}
}
