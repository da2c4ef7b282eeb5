package kafkatest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// warm waits until the target's coordinators answer: a broker makes their topics when they are first needed.
func (r *runner) warm(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := r.coordinated(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the coordinators of %s do not answer: %v", r.target.Name, err)
		}
	}
}

// coordinated asks after groups and transactions of enough names to meet every partition of the coordinators' topics.
func (r *runner) coordinated(ctx context.Context) error {
	c, err := dial(ctx, r.target.Seed)
	if err != nil {
		return err
	}
	defer c.Close()
	var names []string
	for i := range 16 {
		names = append(names, fmt.Sprintf("warm-%d", i))
	}
	for kind := range int8(2) {
		find := kmsg.NewPtrFindCoordinatorRequest()
		find.CoordinatorType, find.CoordinatorKeys = kind, names
		found, err := find.RequestWith(ctx, c)
		if err != nil {
			return err
		}
		for _, one := range found.Coordinators {
			if one.ErrorCode != 0 {
				return kerr.ErrorForCode(one.ErrorCode)
			}
		}
	}
	groups := kmsg.NewPtrDescribeGroupsRequest()
	groups.Groups = names
	described, err := groups.RequestWith(ctx, c)
	if err != nil {
		return err
	}
	for _, g := range described.Groups {
		if loading(g.ErrorCode) {
			return kerr.ErrorForCode(g.ErrorCode)
		}
	}
	txns := kmsg.NewPtrDescribeTransactionsRequest()
	txns.TransactionalIDs = names
	states, err := txns.RequestWith(ctx, c)
	if err != nil {
		return err
	}
	for _, s := range states.TransactionStates {
		if loading(s.ErrorCode) {
			return kerr.ErrorForCode(s.ErrorCode)
		}
	}
	return nil
}

// loading tells whether an error only means: later.
func loading(code int16) bool {
	return slices.Contains([]int16{kerr.CoordinatorLoadInProgress.Code, kerr.CoordinatorNotAvailable.Code, kerr.NotCoordinator.Code}, code)
}
