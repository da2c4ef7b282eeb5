package txn

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrorFor is the error of this package that a client of this version of a request understands.
func ErrorFor(key kmsg.Key, version int16, err error) error {
	for _, r := range replacements {
		if r.key == key && version < r.before && errors.Is(err, r.given) {
			return r.instead
		}
	}
	return err
}

const everyVersion = 1<<15 - 1

// replacements are Kafka's. A producer that is fenced while it writes learns that its epoch is old: only InitProducerId
// tells it that somebody else took its place.
var replacements = []struct {
	key            kmsg.Key
	before         int16
	given, instead error
}{
	{kmsg.Produce, everyVersion, kerr.ProducerFenced, kerr.InvalidProducerEpoch},
	{kmsg.Produce, 11, kerr.TransactionAbortable, kerr.InvalidTxnState},
	{kmsg.Produce, 12, kerr.ConcurrentTransactions, kerr.NotEnoughReplicas},
	{kmsg.TxnOffsetCommit, everyVersion, kerr.ProducerFenced, kerr.InvalidProducerEpoch},
	{kmsg.TxnOffsetCommit, 4, kerr.TransactionAbortable, kerr.InvalidTxnState},
	{kmsg.TxnOffsetCommit, 5, kerr.ConcurrentTransactions, kerr.CoordinatorNotAvailable},
	{kmsg.InitProducerID, 4, kerr.ProducerFenced, kerr.InvalidProducerEpoch},
	{kmsg.AddPartitionsToTxn, 2, kerr.ProducerFenced, kerr.InvalidProducerEpoch},
	{kmsg.AddPartitionsToTxn, 5, kerr.TransactionAbortable, kerr.InvalidTxnState},
	{kmsg.AddOffsetsToTxn, 2, kerr.ProducerFenced, kerr.InvalidProducerEpoch},
	{kmsg.EndTxn, 2, kerr.ProducerFenced, kerr.InvalidProducerEpoch},
}
