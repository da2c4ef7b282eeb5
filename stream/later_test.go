package stream_test

import (
	"strings"
	"testing"

	"ravenswood.dev/internal/topology"
	"ravenswood.dev/stream"
)

// TestAJoinByForeignKeyThatIsAddedLaterSaysWhatItLacks: the rows of the left table were never subscribed.
func TestAJoinByForeignKeyThatIsAddedLaterSaysWhatItLacks(t *testing.T) {
	version := func(join bool) *topology.Plan {
		topo := stream.New("shop")
		left := stream.TableOf(topo, orders, stream.Named("left"))
		right := stream.TableOf(topo, customers, stream.Named("right"))
		if join {
			stream.JoinForeign(left, right, func(_ string, o order) string { return o.Customer }, func(o order, c customer) order { return o }, stream.WithValue(orders.Value()), stream.Named("joined"))
		}
		plan, err := topo.Plan()
		if err != nil {
			t.Fatal(err)
		}
		return plan
	}
	before, after := version(false), version(true)
	missing := topology.WithoutRows(after, before.Kept(nil))
	if len(missing) != 1 || missing[0].Name != "joined-subscriptions" || !strings.Contains(missing[0].Message, `rows that table "left" holds already come into it only when they change`) ||
		!strings.Contains(missing[0].Hint, "`raven table reset shop left`") {
		t.Errorf("%+v", missing)
	}
	if again := topology.WithoutRows(after, after.Kept(nil)); len(again) > 0 {
		t.Errorf("what is kept lacks nothing: %+v", again)
	}
	if first := topology.WithoutRows(after, nil); len(first) > 0 {
		t.Errorf("a first start lacks nothing: %+v", first)
	}
}
