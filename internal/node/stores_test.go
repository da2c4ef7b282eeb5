package node

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/topology"
)

const counting = `
apiVersion: ravenswood.dev/v1alpha1
kind: Topology
metadata: {name: shop}
spec:
  commitInterval: 20ms
  spouts:
    in: {topic: {name: orders}}
  bolts:
    by-country: {from: in, rekey: {key: event.country, partitions: 4}}
    totals: {from: by-country, aggregate: {compute: {total: {sum: event.total}}}}
  sinks:
    out: {from: totals, topic: {name: results}}
`

// countingPrices is the same store with something else in it.
var countingPrices = strings.Replace(counting, "event.total", "event.price", 1)

func planOf(t *testing.T, files string) *topology.Plan {
	t.Helper()
	dir := filesOf(t, files)
	set, problems := manifest.Load(dir, all.Components())
	plans, more := topology.Build(set, all.Components())
	if manifest.HasErrors(append(problems, more...)) || len(plans) != 1 {
		t.Fatalf("got %v, %v", problems, more)
	}
	return plans[0]
}

func filesOf(t *testing.T, files string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "shop.yaml"), []byte(files), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// claimOf is a claim on a cluster that has what the plan says.
func claimOf(t *testing.T, files string) *claim {
	p := planOf(t, files)
	c := &claim{plan: p, have: map[string]int{}}
	for _, topic := range p.Topics {
		c.have[topic.Name] = topic.Spec.Partitions
	}
	return c
}

// after is what is known when some claims were made, one after the other.
func after(t *testing.T, claims ...*claim) map[string][]byte {
	t.Helper()
	rows := map[string][]byte{"route/svc": []byte("{}"), "store/shop.eu/totals": []byte("another topology's")}
	for _, c := range claims {
		changes, err := c.changes(rows)
		if err != nil {
			t.Fatal(err)
		}
		for key, value := range changes {
			rows[key] = value
			if value == nil {
				delete(rows, key)
			}
		}
	}
	return rows
}

func TestAClaimWritesWhatIsNotKnownYet(t *testing.T) {
	first := claimOf(t, counting)
	changes, err := first.changes(after(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"store/shop/totals", "stage/shop/totals", "stage/shop/in"} {
		if changes[key] == nil {
			t.Errorf("%q is not written", key)
		}
	}
	if len(changes) != 3 {
		t.Errorf("got %d changes", len(changes))
	}
	if again, err := first.changes(after(t, first)); err != nil || len(again) != 0 {
		t.Errorf("a second time: got %v, %v", again, err)
	}
	renamed := claimOf(t, strings.NewReplacer("in: {topic", "orders: {topic", "from: in,", "from: orders,").Replace(counting))
	changes, err = renamed.changes(after(t, first))
	gone, said := changes["stage/shop/in"]
	if err != nil || !said || gone != nil || changes["stage/shop/orders"] == nil {
		t.Errorf("a stage of another name: got %v, %v", changes, err)
	}
}

func TestAClaimIsRefused(t *testing.T) {
	first := claimOf(t, counting)
	half := after(t, first)
	var st storedStage
	if err := json.Unmarshal(half["stage/shop/totals"], &st); err != nil {
		t.Fatal(err)
	}
	st.Resetting = true
	half[st.key()], _ = json.Marshal(st)
	torn := after(t, first)
	torn["store/shop/totals"] = []byte("{")
	wide := claimOf(t, counting)
	wide.have["shop.totals.repartition"] = 12
	cases := map[string]struct {
		claim        *claim
		rows         map[string][]byte
		want, advice string
	}{
		"another store's changelog": {claimOf(t, countingPrices), after(t, first), "compute.total.sum was event.total, is event.price", "raven table reset shop totals"},
		"a reset that was begun":    {first, half, `stage "totals" is half reset`, "raven table reset shop totals"},
		"what cannot be read":       {first, torn, `read "store/shop/totals"`, ""},
		"topics that do not fit":    {wide, after(t, first), `topic "shop.totals.repartition" has 12 partitions`, "raven table reset shop totals"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := advised(c.claim.make(t.Context(), kafka.Config{}, c.rows))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			advice, _ := errors.AsType[*AdvisedError](err)
			if c.advice != "" && (advice == nil || !strings.Contains(advice.Advice, c.advice)) {
				t.Errorf("got %+v, want advice %q", advice, c.advice)
			}
		})
	}
}

// upWith starts a node with the embedded broker, and only that if no files are given.
func upWith(t *testing.T, data, files string) (*Node, error) {
	t.Helper()
	if files == "" {
		files = "apiVersion: ravenswood.dev/v1alpha1\nkind: Topic\nmetadata: {name: other}\nspec: {partitions: 1}\n"
	}
	dir := filesOf(t, files)
	n, err := Up(t.Context(), Options{
		Dir: dir, Data: data, ID: "up", Registry: all.Components(), Listen: "127.0.0.1:0", Admin: "127.0.0.1:0",
		Topologies: true, Supervise: true, Started: time.Now(), Output: io.Discard,
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err == nil {
		t.Cleanup(func() { _ = n.Stop() })
	}
	return n, err
}

// TestOfTwoVersionsThatStartAtOnceOneIsRefused: several processes of each start on a cluster that knows nothing. All of one
// version may run and none of the other; none that may run is told that it may not.
func TestOfTwoVersionsThatStartAtOnceOneIsRefused(t *testing.T) {
	n, err := upWith(t, t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		errs := claimAtOnce(t, n.kafka, claimOf(t, counting), claimOf(t, countingPrices))
		runs := func(i int) bool { return errs[i] == nil }
		if runs(0) == runs(1) || runs(0) != runs(2) || runs(1) != runs(3) {
			t.Fatalf("got %v", errs)
		}
		for _, err := range errs {
			if foreign, ok := errors.AsType[*topology.ForeignError](err); err != nil && (!ok || foreign.Store != "totals") {
				t.Errorf("got %v", err)
			}
		}
		err := editStores(t.Context(), n.kafka, "shop", func(rows map[string][]byte) (map[string][]byte, error) {
			changes := map[string][]byte{}
			for key := range rows {
				changes[key] = nil
			}
			return changes, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// claimAtOnce makes two claims twice each; the results of the first are at 0 and 2.
func claimAtOnce(t *testing.T, cfg kafka.Config, one, other *claim) (errs [4]error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var together sync.WaitGroup
	for i := range errs {
		c := []*claim{one, other}[i%2]
		together.Go(func() { errs[i] = c.make(ctx, cfg, nil) })
	}
	together.Wait()
	return errs
}

// TestAResetThatWasInterruptedIsFinishedByAnother: from its first step to its last the topology does not start.
func TestAResetThatWasInterruptedIsFinishedByAnother(t *testing.T) {
	data := t.TempDir()
	n, err := upWith(t, data, counting)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := PlanReset(t.Context(), ResetOptions{Kafka: n.kafka, Data: data, Topology: "shop", Table: "totals"}); err == nil {
		waitFor(t, "the group has members", func() bool {
			_, err := PlanReset(t.Context(), ResetOptions{Kafka: n.kafka, Data: data, Topology: "shop", Table: "totals"})
			return err != nil && strings.Contains(err.Error(), "processes work on it")
		})
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	log, err := upWith(t, data, "")
	if err != nil {
		t.Fatal(err)
	}
	options := ResetOptions{Kafka: log.kafka, Data: data, Topology: "shop", Table: "totals", Upstream: true}
	r, err := PlanReset(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.begin(t.Context(), log.kafka); err != nil {
		t.Fatal(err)
	}
	rows, err := readState(t.Context(), log.kafka)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := claimOf(t, counting).changes(rows); err == nil || !strings.Contains(err.Error(), "half reset") {
		t.Errorf("half reset: got %v", err)
	}
	options.Upstream = false
	if r, err = PlanReset(t.Context(), options); err != nil || len(r.Stages) != 2 {
		t.Fatalf("got %+v, %v", r, err)
	}
	if err := r.Run(t.Context(), log.kafka); err != nil {
		t.Fatal(err)
	}
	seen, err := Observe(t.Context(), log.kafka)
	if err != nil || len(seen.Stores) != 0 {
		t.Errorf("got %v, %v", seen.Stores, err)
	}
	for _, topic := range []string{"shop.totals.changelog", "shop.totals.repartition", "shop.totals.replay"} {
		if _, there := seen.Topics[topic]; there {
			t.Errorf("topic %q is there", topic)
		}
	}
	if _, there := seen.Topics["orders"]; !there {
		t.Error("a topic that is not the topology's own is gone")
	}
	if _, err := PlanReset(t.Context(), options); err == nil {
		t.Error("it could be reset twice")
	}
}

func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
		time.Sleep(20 * time.Millisecond) // sleep: a poll, what is waited for is in other goroutines
	}
}
