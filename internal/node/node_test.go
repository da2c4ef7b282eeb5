package node_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/cli"
	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/demo"
	"ravenswood.dev/internal/node"
	"ravenswood.dev/internal/router"
)

// TestMain lets the test program be a service: the word raven in an exec means the program that runs it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "example-service" {
		os.Exit(cli.Run(context.Background(), os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	os.Exit(m.Run())
}

const (
	twoVersions = `
apiVersion: ravenswood.dev/v1alpha1
kind: Service
metadata: {name: svc}
spec:
  versions:
    - {name: v1, exec: [raven, example-service, --name, svc, --version, v1, --port, $PORT]}
    - {name: v2, exec: [raven, example-service, --name, svc, --version, v2, --port, $PORT]}
---
apiVersion: ravenswood.dev/v1alpha1
kind: Route
metadata: {name: svc}
spec: {service: svc, default: v1}
`
	enriching = `
apiVersion: ravenswood.dev/v1alpha1
kind: Topology
metadata: {name: flow}
spec:
  commitInterval: 20ms
  audit: {id: id}
  spouts:
    in: {topic: {name: in}}
  bolts:
    ask: {from: in, call: {service: svc, into: svc}}
  sinks:
    out: {from: ask, topic: {name: out}}
`
)

// folder writes resource files.
func folder(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i, f := range files {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.yaml", i)), []byte(f), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func options(t *testing.T, dir, data string) node.Options {
	t.Helper()
	return node.Options{
		Dir: dir, Data: data, ID: "up", Registry: all.Components(), Listen: "127.0.0.1:0", Admin: "127.0.0.1:0",
		Topologies: true, Supervise: true, Started: time.Now(), Output: io.Discard,
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
	}
}

func up(t *testing.T, o node.Options) *node.Node {
	t.Helper()
	n, err := node.Up(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, n) })
	return n
}

func stop(t *testing.T, n *node.Node) {
	t.Helper()
	if err := n.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// eventually polls until holds says true.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
		time.Sleep(10 * time.Millisecond) // sleep: a poll, what is waited for is in other goroutines and processes
	}
}

func produce(t *testing.T, n *node.Node, topic string, values ...string) {
	t.Helper()
	client, err := kgo.NewClient(n.Kafka().Options()...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for i, v := range values {
		r := &kgo.Record{Topic: topic, Key: fmt.Append(nil, i), Value: []byte(v)}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func events(from, to int) (values []string) {
	for i := from; i < to; i++ {
		values = append(values, fmt.Sprintf(`{"id":"e%d"}`, i))
	}
	return values
}

func switchTo(version string) func(api.RouteSpec) (api.RouteSpec, error) {
	return func(r api.RouteSpec) (api.RouteSpec, error) { return router.Switch(r, version), nil }
}

func switched(n *node.Node) string { return n.Routes()[0].Route.Switch }

func TestRouteChangedAtRunTimeSurvivesARestartUntilItsFileChanges(t *testing.T) {
	dir, data := folder(t, twoVersions), t.TempDir()
	n := up(t, options(t, dir, data))
	change, err := n.EditRoute(t.Context(), "svc", switchTo("v2"))
	if err != nil || change.Before.Route.Switch != "" || change.After.Route.Switch != "v2" || change.After.Generation != 1 {
		t.Fatalf("got %+v, %v", change, err)
	}
	stop(t, n)

	n = up(t, options(t, dir, data))
	if r := n.Routes()[0]; r.Route.Switch != "v2" || r.Source != "run time" || r.Changed == nil {
		t.Errorf("after a restart: got %+v", r)
	}
	stop(t, n)

	edited := strings.Replace(twoVersions, "default: v1", "default: v2", 1)
	if err := os.WriteFile(filepath.Join(dir, "0.yaml"), []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	n = up(t, options(t, dir, data))
	if r := n.Routes()[0]; r.Route.Switch != "" || r.Route.Default != "v2" || r.Source != "files" {
		t.Errorf("after the file was changed: got %+v", r)
	}
}

func TestRouteEditsThatMakeNoSenseChangeNothing(t *testing.T) {
	n := up(t, options(t, folder(t, twoVersions), t.TempDir()))
	if _, err := n.EditRoute(t.Context(), "svc", switchTo("v3")); err == nil || !strings.Contains(err.Error(), "no such version") {
		t.Errorf("an unknown version: got %v", err)
	}
	if _, err := n.EditRoute(t.Context(), "scv", switchTo("v2")); err == nil || !strings.Contains(err.Error(), "no such service") {
		t.Errorf("an unknown service: got %v", err)
	}
	if switched(n) != "" {
		t.Errorf("got switch %q", switched(n))
	}
}

// TestWorkersAndRoutersFollowTheNodeThatRunsTheServices: three nodes on one cluster; only the first starts processes,
// the second works, the third serves the proxy. The other two learn endpoints and route changes through the log.
func TestWorkersAndRoutersFollowTheNodeThatRunsTheServices(t *testing.T) {
	dir := folder(t, twoVersions, enriching)
	first := options(t, dir, t.TempDir())
	first.Topologies = false
	home := up(t, first)
	others := func(id string) node.Options {
		o := options(t, dir, t.TempDir())
		o.ID, o.Brokers, o.Supervise = id, home.Kafka().Brokers, false
		return o
	}
	work := up(t, others("w1"))
	proxy := others("router")
	proxy.Topologies, proxy.Proxy = false, "127.0.0.1:0"
	front := up(t, proxy)

	produce(t, work, "in", events(0, 50)...)
	audits, err := work.Drain(t.Context(), 15*time.Second)
	if err != nil || len(audits) != 1 || audits[0].Sent != 50 || audits[0].Lost != 0 || audits[0].Duplicated != 0 {
		t.Errorf("got %+v, %v", audits, err)
	}
	eventually(t, "the proxy answers with v1", func() bool { return strings.Contains(ask(t, front), `"version":"v1"`) })
	if _, err := home.EditRoute(t.Context(), "svc", switchTo("v2")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both follow the switch", func() bool { return switched(work) == "v2" && switched(front) == "v2" })
	if got := ask(t, front); !strings.Contains(got, `"version":"v2"`) {
		t.Errorf("the proxy answered %s", got)
	}
	if _, err := front.EditRoute(t.Context(), "svc", nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first follows a reset elsewhere", func() bool { return switched(home) == "" })
}

func ask(t *testing.T, n *node.Node) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+n.Proxy()+"/svc", strings.NewReader(`{"id":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	return do(t, r)
}

// TestReadyTellsWhatIsMissing: a service whose process never gets healthy keeps the node from being ready.
func TestReadyTellsWhatIsMissing(t *testing.T) {
	sick := strings.Replace(twoVersions, "--version, v2, --port, $PORT]", "--version, v2]", 1)
	n := up(t, options(t, folder(t, sick), t.TempDir()))
	eventually(t, "only v2 is missing", func() bool {
		err := n.Ready()
		return err != nil && strings.Contains(err.Error(), `service "svc" version "v2"`) && !strings.Contains(err.Error(), `"v1"`)
	})
	if s := n.Status(); s.Node.Ready == "" || len(s.Processes) != 2 || len(s.Services) != 1 {
		t.Errorf("got %+v", s)
	}
}

// TestAuditSeesLossAndRepetition is the negative control of the audit: it must not say that all is well when it is not.
func TestAuditSeesLossAndRepetition(t *testing.T) {
	service := httptest.NewServer(demo.Handler(demo.Options{Name: "svc", Version: "v1"}))
	defer service.Close()
	dropping := strings.NewReplacer("call: {service: svc, into: svc}", `filter: {drop: 'event.id == "e3"'}`).Replace(enriching)
	n := up(t, options(t, folder(t, dropping), t.TempDir()))
	produce(t, n, "in", append(events(0, 10), `{"name":"nobody"}`)...)
	eventually(t, "nine are out", func() bool { return n.Status().Topologies[0].Out >= 9 })
	produce(t, n, "out", `{"id":"e5"}`, `{"id":"stranger"}`)
	audits, err := n.Drain(t.Context(), 500*time.Millisecond)
	if err != nil || len(audits) != 1 {
		t.Fatalf("got %+v, %v", audits, err)
	}
	a := audits[0]
	if a.Sent != 10 || a.NoID != 1 || a.Lost != 1 || a.Duplicated != 1 || a.Sinks[0].Events != 10 || a.Sinks[0].Unknown != 1 {
		t.Errorf("got %+v, want 10 sent, 1 without id, 1 lost, 1 duplicated, 1 unknown", a)
	}
}

// TestFailedTopologyLeavesTheOthersRunning: the file of one is missing, the other works on.
func TestFailedTopologyLeavesTheOthersRunning(t *testing.T) {
	missing := `
apiVersion: ravenswood.dev/v1alpha1
kind: Topology
metadata: {name: missing}
spec:
  spouts: {in: {file: {path: nowhere.jsonl}}}
  sinks: {out: {from: in, topic: {name: never}}}
`
	t.Log("an error in the log below is what is tested")
	fine := strings.NewReplacer("call: {service: svc, into: svc}", `filter: {keep: 'true'}`).Replace(enriching)
	n := up(t, options(t, folder(t, missing, fine), t.TempDir()))
	produce(t, n, "in", events(0, 5)...)
	eventually(t, "the other topology works", func() bool { return n.Status().Topologies[0].Out == 5 })
	eventually(t, "the failure is shown", func() bool {
		s := n.Status().Topologies[1]
		return s.State == "failed" && strings.Contains(s.Error, "nowhere.jsonl")
	})
	if err := n.Failed(); err == nil || !strings.Contains(err.Error(), `run topology "missing"`) {
		t.Errorf("got %v", err)
	}
}

func TestUpSaysWhatKeepsItFromStarting(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	foreign := t.TempDir()
	if err := os.MkdirAll(filepath.Join(foreign, "log"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(foreign, "log", "thesis.txt"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	const topic = "apiVersion: ravenswood.dev/v1alpha1\nkind: Topic\nmetadata: {name: events}\nspec: {partitions: %d}"
	dir := folder(t, twoVersions, fmt.Sprintf(topic, 3))
	running := options(t, dir, t.TempDir())
	home := up(t, running)
	cases := []struct {
		name         string
		change       func(*node.Options)
		want, advice string
	}{
		{"files with errors", func(o *node.Options) { o.Dir = folder(t, "kind: Nonsense") }, "the files have errors", ""},
		{"the broker's port is taken", func(o *node.Options) { o.Listen = taken.Addr().String() }, "has the port", "--listen"},
		{"the admin port is taken", func(o *node.Options) { o.Admin = taken.Addr().String() }, "serve the admin API", ""},
		{"an admin address for everybody", func(o *node.Options) { o.Admin = "0.0.0.0:0" }, "serves this machine only", "loopback"},
		{"somebody else's folder", func(o *node.Options) { o.Data = foreign }, "it is not empty and not ours", "--data"},
		{"a folder in use", func(o *node.Options) { o.Data = running.Data }, "has it open", "raven worker DIR"},
		{"a cluster that is not there", func(o *node.Options) { o.Brokers = []string{"127.0.0.1:1"} }, "reach a Kafka cluster", "--brokers"},
		{"a topic of another shape", func(o *node.Options) {
			o.Brokers = home.Kafka().Brokers
			o.Dir = folder(t, fmt.Sprintf(topic, 7))
		}, "it has 3 partitions, 7 are declared", "declare partitions: 3"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := options(t, dir, t.TempDir())
			c.change(&o)
			n, err := node.Up(t.Context(), o)
			if err == nil {
				stop(t, n)
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(adviceOf(err), c.advice) {
				t.Errorf("got %q with advice %q, want %q with %q", err, adviceOf(err), c.want, c.advice)
			}
		})
	}
	if raw, err := os.ReadFile(filepath.Join(foreign, "log", "thesis.txt")); err != nil || string(raw) != "mine" {
		t.Errorf("the foreign file was touched: %q, %v", raw, err)
	}
}

func adviceOf(err error) string {
	if a, ok := errors.AsType[*node.AdvisedError](err); ok {
		return a.Advice
	}
	return ""
}

// TestMetricsTellOfTopologiesServicesAndProcesses: one page has the numbers of every room.
func TestMetricsTellOfTopologiesServicesAndProcesses(t *testing.T) {
	n := up(t, options(t, folder(t, twoVersions, enriching), t.TempDir()))
	produce(t, n, "in", events(0, 3)...)
	eventually(t, "three are out", func() bool { return n.Status().Topologies[0].Out == 3 })
	page := get(t, "http://"+n.Admin()+"/metrics")
	for _, want := range []string{
		`raven_records_in_total{topology="flow"} 3`,
		`raven_service_calls_total{result="ok",service="svc",version="v1"} 3`,
		`raven_service_process_up{service="svc",version="v2"}`,
		"process_resident_memory_bytes",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%s is not on the page", want)
		}
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, r)
}

func do(t *testing.T, r *http.Request) string {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
