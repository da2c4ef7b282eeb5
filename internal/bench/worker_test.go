package bench

import (
	"context"
	"flag"
	"os"
	"strings"
	"testing"
)

// serveWorker makes this test binary the worker that a measurement kills or weighs.
func serveWorker(args []string) error {
	var o WorkerOptions
	flags := flag.NewFlagSet("state-worker", flag.ContinueOnError)
	brokers := flags.String("broker", "", "")
	flags.StringVar(&o.Dir, "dir", "", "")
	flags.StringVar(&o.ID, "id", "", "")
	flags.StringVar(&o.Topology, "topology", "", "")
	flags.StringVar(&o.Input, "input", "", "")
	flags.StringVar(&o.Bolt, "bolt", "", "")
	flags.StringVar(&o.Snapshots, "snapshots", "", "")
	flags.DurationVar(&o.SnapshotEvery, "snapshot-every", 0, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o.Brokers = strings.Split(*brokers, ",")
	return ServeWorker(context.Background(), o, os.Stdin, os.Stdout)
}

// TestStoresComeBack takes as long as the group needs to notice a death.
func TestStoresComeBack(t *testing.T) {
	t.Parallel()
	r, err := Restore(t.Context(), Options{Records: 2000, Self: []string{os.Args[0]}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Changelog.Records != 2000 || r.Snapshot.Records != 0 {
		t.Errorf("%d records were read without a snapshot and %d with one, want 2000 and none", r.Changelog.Records, r.Snapshot.Records)
	}
	if r.Changelog.Seconds <= 0 || r.Snapshot.Seconds <= 0 || r.Standby.Detected <= 0 || r.Standby.Seconds <= 0 || r.Standby.Tasks == 0 || r.Saving <= 0 {
		t.Errorf("a number is missing: %+v", r)
	}
}

func TestAMeasurementThatNeedsAProcessSaysSo(t *testing.T) {
	for _, b := range All() {
		if b.Name != "restore" && b.Name != "memory" {
			continue
		}
		if _, err := b.Run(t.Context(), Options{Records: 100}); err == nil || !strings.Contains(err.Error(), "no program") {
			t.Errorf("%s: %v", b.Name, err)
		}
	}
}
