package bench

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

// envServe makes this test binary the broker that Log measures; its value says whether it syncs.
const envServe = "RAVEN_BENCH_SERVE"

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[2] == "state-worker" {
		if err := serveWorker(os.Args[3:]); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Getenv(envServe) == "" {
		os.Exit(m.Run())
	}
	o := ServeOptions{}
	for i, arg := range os.Args {
		switch arg {
		case "--dir":
			o.Dir = os.Args[i+1]
		case "--sync":
			o.Sync = true
		}
	}
	if err := ServeLog(context.Background(), o, os.Stdin, os.Stdout); err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Exit(0)
}

// TestLogRuns runs every part at its smallest, without references: the numbers mean nothing, but they must be there.
func TestLogRuns(t *testing.T) {
	t.Setenv(envServe, "yes")
	var said strings.Builder
	got, err := Log(t.Context(), LogOptions{
		Options: Options{Records: 2000, Rounds: 1, Span: 200 * time.Millisecond, Out: &said}, Quick: true, Gigabytes: 0.02,
		Parts: []string{"throughput", "exactly-once", "latency", "memory", "jetstream"}, Dir: t.TempDir(), Self: os.Args[:1],
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	if len(got.Throughput) != 6 || len(got.ExactlyOnce) != 2 || len(got.Commits) != 2 || len(got.Latency) != 3 {
		t.Errorf("something is missing in %+v", got)
	}
	for _, r := range got.Throughput {
		for _, name := range []string{ours, oursSync} {
			if r.Produce[name] <= 0 || r.Consume[name] <= 0 {
				t.Errorf("%s: no rate in %+v", name, r)
			}
		}
	}
	for _, l := range got.Latency {
		if p := l.Of[oursSync]; p.P50 <= 0 || p.P99 < p.P50 {
			t.Errorf("latency at %d/s: %+v", l.Rate, p)
		}
	}
	if m := got.Memory; m.HeapEnd <= 0 || m.Clean.Took <= 0 || m.Killed.Took <= 0 || m.PerS <= 0 {
		t.Errorf("memory: %+v", m)
	}
	if got.JetStream != nil {
		t.Error("a ratio to JetStream without JetStream")
	}
	if _, err := json.Marshal(got); err != nil {
		t.Error(err)
	}
}

func TestLogRefusesPartsThatAreNone(t *testing.T) {
	if _, err := Log(t.Context(), LogOptions{Parts: []string{"latencies"}}); err == nil || !strings.Contains(err.Error(), `"latencies"`) {
		t.Errorf("got %v", err)
	}
}

func TestLogSaysWhichProgramDoesNotStart(t *testing.T) {
	_, err := Log(t.Context(), LogOptions{Parts: []string{"latency"}, Dir: t.TempDir(), Self: []string{"/nowhere/raven"}})
	if err == nil || !strings.Contains(err.Error(), `start "/nowhere/raven"`) {
		t.Errorf("got %v", err)
	}
}

func TestEverybodyComesFirstOnce(t *testing.T) {
	first := map[string]int{}
	for round := range 6 {
		first[turn([]string{ours, kfake, oursSync}, round)[0]]++
	}
	if first[ours] != 2 || first[kfake] != 2 || first[oursSync] != 2 {
		t.Errorf("got %v", first)
	}
}
