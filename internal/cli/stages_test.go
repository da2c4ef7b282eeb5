package cli

import (
	"strings"
	"testing"
	"time"

	"ravenswood.dev/internal/admin"
	"ravenswood.dev/internal/engine"
)

func TestStatusShowsStagesWithState(t *testing.T) {
	early := time.Date(2026, 1, 31, 12, 0, 0, 0, time.Local)
	later := early.Add(time.Minute)
	store := func(bytes int64) []engine.StoreStatus {
		return []engine.StoreStatus{{Store: "totals", Kind: "key-value", Bytes: bytes}, {Store: "seen", Kind: "window", Memory: true, Bytes: 10}}
	}
	s := admin.Status{Topologies: []admin.TopologyStatus{{Status: engine.Status{
		Topology: "shop", State: "running",
		Bolts: []engine.BoltStatus{
			{Bolt: "parse", Records: 7},
			{Bolt: "totals", Records: 12345, Errors: 2, Late: 3, Dropped: 4, ScheduleErrors: 1},
		},
		Stages: []engine.StageStatus{{Stage: "sums", Bolts: []string{"totals"}, Tasks: []engine.StageTask{
			{Partition: 0, State: engine.TaskRunning, StreamTime: &later, Behind: time.Second, Stores: store(1000), DiskBytes: 2000},
			{Partition: 1, State: engine.TaskRunning, StreamTime: &early, Behind: 61 * time.Second, Stores: store(500), DiskBytes: 1000},
			{Partition: 2, State: engine.TaskRestoring, Restore: &engine.RestoreStatus{
				Records: 1200000, Bytes: 123456789, Done: 1300000, Total: 5200000, Took: 20 * time.Second, Left: time.Minute,
			}},
			{Partition: 3, State: engine.TaskStandby, Stores: store(-1)},
		}}},
	}}}}
	var out strings.Builder
	if err := writeStatus(&out, paint{}, s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"STAGE           TASKS                              STREAM TIME          BEHIND  RECORDS  ERRORS  LATE  DROPPED  SIZE\n",
		"shop.sums       2 running, 1 restoring, 1 standby  2026-01-31 12:00:00  1m1s                                    3.0 kB\n",
		"  store totals  key-value                                                                                       1.5 kB\n",
		"  store seen    window, in memory                                                                               30 B\n",
		"  bolt totals                                                                   12 345   2       3     4        \n",
		"! shop: 1 scheduled call of bolt totals failed; the log says why\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "parse") {
		t.Error("a bolt without state is among those with state")
	}
}

func TestSizesForPeople(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 9949: "9.9 kB", 9950: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB", 123456789: "123 MB",
		5_000_000_000: "5.0 GB", 1 << 62: "4612 PB",
	} {
		if got := sizeText(n); got != want {
			t.Errorf("%d bytes are %q, want %q", n, got, want)
		}
	}
}
