package txn

import (
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Description is one transactional id, for DescribeTransactions.
type Description struct {
	ID         string
	State      State
	Producer   Producer
	Timeout    time.Duration
	Start      time.Time // zero: no transaction
	Partitions []TopicPartition
	Groups     []string
}

// Describe describes one transactional id.
func (c *Coordinator) Describe(id string) (Description, error) {
	if id == "" {
		return Description{}, kerr.InvalidRequest
	}
	t, ok := c.ids[id]
	if !ok {
		return Description{}, kerr.TransactionalIDNotFound
	}
	return Description{
		ID: id, State: t.state, Producer: t.producer, Timeout: t.timeout, Start: t.start,
		Partitions: t.sortedPartitions(), Groups: t.sortedGroups(),
	}, nil
}

// Filter is what ListTransactions asks for. The zero value asks for everything.
type Filter struct {
	States    []State
	Producers []int64
	// Longer asks for transactions that are open for longer. Ids without one are then left out.
	Longer time.Duration
	// Pattern is a regular expression that matches the whole id.
	Pattern string
}

// Listed is one line of ListTransactions.
type Listed struct {
	ID         string
	ProducerID int64
	State      State
}

// List lists transactional ids in their order.
func (c *Coordinator) List(now time.Time, f Filter) ([]Listed, error) {
	pattern, err := regexp.Compile(`\A(?:` + f.Pattern + `)\z`)
	if err != nil {
		return nil, kerr.InvalidRegularExpression
	}
	var all []Listed
	for _, id := range slices.Sorted(maps.Keys(c.ids)) {
		t := c.ids[id]
		if f.has(t, now) && (f.Pattern == "" || pattern.MatchString(id)) {
			all = append(all, Listed{ID: id, ProducerID: t.producer.ID, State: t.state})
		}
	}
	return all, nil
}

func (f Filter) has(t *transaction, now time.Time) bool {
	switch {
	case len(f.States) > 0 && !slices.Contains(f.States, t.state):
		return false
	case len(f.Producers) > 0 && !slices.Contains(f.Producers, t.producer.ID):
		return false
	}
	return f.Longer <= 0 || (!t.start.IsZero() && now.Sub(t.start) > f.Longer)
}
