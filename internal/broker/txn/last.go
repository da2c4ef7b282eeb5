package txn

// LastOf is the offset of the last record that a producer wrote, as far as the partition remembers it. Compaction keeps
// the batch of that record, because sequences are checked against it.
func (p *Producers) LastOf(producerID int64) (offset int64, known bool) {
	k := p.known[producerID]
	if k == nil || len(k.batches) == 0 {
		return 0, false
	}
	return k.batches[len(k.batches)-1].last, true
}
