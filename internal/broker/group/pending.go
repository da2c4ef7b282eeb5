package group

import "iter"

// Pending are the groups with offsets that wait for the end of a transaction, and whose.
func (o *Offsets) Pending() iter.Seq2[string, Producer] {
	return func(yield func(string, Producer) bool) {
		for name, l := range o.groups {
			for id, epoch := range l.epochs {
				if !yield(name, Producer{ID: id, Epoch: epoch}) {
					return
				}
			}
		}
	}
}
