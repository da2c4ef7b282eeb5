package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func mustBeObject(t *testing.T, value []byte) {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(value, &v); err != nil {
		t.Fatalf("read %s: %v", value, err)
	}
}

// TestBenchmarksRun runs each benchmark at its smallest: the numbers mean nothing, but every one of them must be there.
func TestBenchmarksRun(t *testing.T) {
	small := map[string]Options{
		"pass":         {Records: 20_000, Rounds: 1},
		"transform":    {Records: 20_000, Rounds: 1},
		"calls":        {Records: 300, Rounds: 1, Span: 200 * time.Millisecond},
		"exactly-once": {Records: 20_000, Rounds: 1},
		"route":        {Records: 2000, Rounds: 1, Span: 100 * time.Millisecond},
		"switch":       {Span: 800 * time.Millisecond},
		"query":        {Records: 500, Rounds: 1, Span: 100 * time.Millisecond},
		"count":        {Records: 5000, Rounds: 1},
		"join":         {Records: 5000, Rounds: 1},
		"memory":       {Records: 1000, Self: []string{os.Args[0]}},
	}
	wanted := map[string][]string{
		"pass":         {"records_per_s", "reference_per_s", "ratio", "heap_mb_start", "heap_mb_end", "heap_mb_peak", "commit_p50_ms"},
		"transform":    {"records_per_s", "reference_per_s", "ratio", "heap_mb_peak"},
		"calls":        {"records_per_s", "bound_per_s", "ratio", "factor", "uniform", "plain_http_per_s"},
		"exactly-once": {"curve"},
		"route":        {"decision_p50_ns", "decision_p99_ns", "direct", "proxy"},
		"switch":       {"calls_per_s", "changes"},
		"query":        {"local", "forwarded", "added_p50_us", "read_your_writes"},
		"count":        {"records_per_s", "reference_per_s", "ratio", "heap_mb_peak"},
		"join":         {"records_per_s", "reference_per_s", "ratio", "heap_mb_peak"},
		"memory":       {"steps", "rss_mb_peak", "rss_mb_end", "heap_mb_end", "bound_rss_mb"},
	}
	for _, b := range All() {
		if b.Name == "restore" { // TestStoresComeBack
			continue
		}
		t.Run(b.Name, func(t *testing.T) {
			var said bytes.Buffer
			o := small[b.Name]
			o.Out = &said
			result, err := b.Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(result)
			if err != nil {
				t.Fatal(err)
			}
			var numbers map[string]any
			if err := json.Unmarshal(text, &numbers); err != nil {
				t.Fatal(err)
			}
			for _, name := range wanted[b.Name] {
				if v, ok := numbers[name]; !ok || v == 0.0 || v == nil {
					t.Errorf("%s is %v in %s", name, v, text)
				}
			}
			if said.Len() == 0 {
				t.Error("nothing was said on the way")
			}
		})
	}
}

func TestSwitchFailsAndRepeatsNothing(t *testing.T) {
	got, err := Switch(t.Context(), Options{Span: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if got.Failed != 0 || got.Repeated != 0 || got.Misrouted != 0 || got.Calls == 0 {
		t.Errorf("%+v", got)
	}
}

func TestPlanNamesWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"not YAML":     {"a: [", "build topology"},
		"no topology":  {"apiVersion: ravenswood.dev/v1alpha1\nkind: Topic\nmetadata: {name: a}\n", "0 plans"},
		"unknown bolt": {subject{bolts: "last: {from: in, frobnicate: {}}", format: "raw", delivery: "exactly-once", commit: Commit}.text("a", "b", "c"), "frobnicate"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := plan(c.text, t.TempDir()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestAClusterLeavesNothingBehind(t *testing.T) {
	c, err := newCluster(t.Context(), Options{}.orElse(1, 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.topic(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if err := c.drop(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	c.close()
	if _, err := os.Stat(c.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder %s is still there: %v", c.dir, err)
	}
}
