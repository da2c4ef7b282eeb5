// Package edits_test runs the example on its own sample, and topologies of the same shape on the real event files of
// the project's data folder, and compares what came out with a calculation that shares no code with what is tested.
package edits_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	_ "modernc.org/sqlite" // the driver the databases are read with

	"ravenswood.dev/internal/cli"
	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/demo"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/node"
	"ravenswood.dev/test/realdata"
)

// story is one file of events: how it is keyed, which of its records are of the kind that is enriched, and a number in
// every record that is summed up.
type story struct {
	File   string // in the data folder
	Key    string // expression for the key
	When   string // expression for the kind that is enriched
	Number string // path of the number
	Send   string // fields the service is sent

	kind func(event map[string]any) bool // what When says, in Go
	rows int64
}

func stories() []story {
	return []story{
		{
			File: "wikipedia-edits-dev.jsonl.gz", Key: "event.user", When: "event.isRobot", Number: "added", Send: "[user, page]", rows: 23546,
			kind: func(e map[string]any) bool { return e["isRobot"] == true },
		}, {
			File: "github-events-dev.jsonl.gz", Key: "event.actor.login", When: `event.type == "PushEvent"`, Number: "actor.id", Send: "[actor.login, repo.name]", rows: 7702,
			kind: func(e map[string]any) bool { return e["type"] == "PushEvent" },
		}, {
			File: "earthquakes-dev.jsonl.gz", Key: "event.EventID", When: `event.Source == "NC"`, Number: "Magnitude", Send: "[EventID]", rows: 22856,
			kind: func(e map[string]any) bool { return e["Source"] == "NC" },
		}, {
			File: "nasa-http-dev.jsonl.gz", Key: "event.host", When: "event.response == 404", Number: "bytes", Send: "[host, url]", rows: 18581,
			kind: func(e map[string]any) bool { return fmt.Sprint(e["response"]) == "404" },
		}, {
			File: "retail-dev.jsonl.gz", Key: "event.InvoiceNo", When: "event.Quantity < 0", Number: "UnitPrice", Send: "[StockCode]", rows: 270959,
			kind: func(e map[string]any) bool { return strings.HasPrefix(fmt.Sprint(e["Quantity"]), "-") },
		}, {
			File: "nab-metrics-dev.jsonl.gz", Key: "event.series", When: `event.series.startsWith("realTraffic/")`, Number: "value", Send: "[series]", rows: 192709,
			kind: func(e map[string]any) bool { return strings.HasPrefix(e["series"].(string), "realTraffic/") },
		},
	}
}

// shape is the topology of all stories: part by kind, enrich one kind, keep the number of both kinds in a table.
var shape = template.Must(template.New("").Parse(`
apiVersion: ravenswood.dev/v1alpha1
kind: Topology
metadata: {name: real}
spec:
  spouts:
    events: {file: {path: '{{.Path}}'}}
  bolts:
    keyed: {from: events, transform: {key: '{{.Key}}'}}
    kinds: {from: keyed, branch: {outputs: [{name: chosen, when: '{{.When}}'}], otherwise: rest}}
    asked: {from: kinds.chosen, call: {service: reviewer, send: {{.Send}}, into: review}}
  sinks:
    chosen: {from: asked, topic: {name: chosen}}
    rest: {from: kinds.rest, topic: {name: rest}}
    numbers:
      from: [asked, kinds.rest]
      sql:
        table: numbers
        create: true
        mode: append
        columns: {number: {field: '{{.Number}}', type: numeric}, version: review.version}
---
apiVersion: ravenswood.dev/v1alpha1
kind: Service
metadata: {name: reviewer}
spec: {versions: [{name: v1, url: '{{.URL}}'}]}
`))

// TestMain lets the test program be the service: the word raven in its exec means the program that runs it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "example-service" {
		os.Exit(cli.Run(context.Background(), os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	os.Exit(m.Run())
}

// TestSampleIsWorkedThroughOnceAlsoWhenStartedAgain runs what the README shows, twice: the second start finds nothing
// left to do.
func TestSampleIsWorkedThroughOnceAlsoWhenStartedAgain(t *testing.T) {
	data := t.TempDir()
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var out, said bytes.Buffer
		args := []string{"up", ".", "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--until-done", "--output", "json"}
		if code := cli.Run(ctx, args, cli.Streams{In: &bytes.Buffer{}, Out: &out, Err: &said}); code != cli.ExitOK {
			t.Fatalf("raven up ended with %d\n%s%s", code, &out, &said)
		}
		if want := `"sent":60,"enriched":60,"stored":0,"lost":0,"duplicated":0,`; !strings.Contains(out.String(), want) {
			t.Errorf("got %s, want %s in it", &out, want)
		}
	}
	checkSample(t, filepath.Join(data, "state", "edits", "latest", "edits.db"))
}

// checkSample holds the table against the sample, read with the standard library.
func checkSample(t *testing.T, path string) {
	t.Helper()
	raw, err := os.ReadFile("sample.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var wantRows, wantGrown int64
	for line := range strings.Lines(string(raw)) {
		var e struct {
			Kind string
			Page struct{ Size struct{ Before, After int64 } }
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Kind == "edit" || e.Kind == "create" {
			wantRows++
			wantGrown += e.Page.Size.After - e.Page.Size.Before
		}
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var rows, grown, scored int64
	err = db.QueryRowContext(t.Context(), "SELECT count(*), sum(grown), count(score) FROM edits WHERE id > 9007199254740992").Scan(&rows, &grown, &scored)
	if err != nil || rows != wantRows || grown != wantGrown || scored != rows {
		t.Errorf("got %d rows, %d scored, grown by %d (%v), want %d rows grown by %d", rows, scored, grown, err, wantRows, wantGrown)
	}
}

func TestRealEventsComeOutCompleteAndUntouched(t *testing.T) {
	for _, s := range stories() {
		t.Run(s.File, func(t *testing.T) {
			path := realdata.Events(t, s.File, fmt.Sprintf("%d real events of %s", s.rows, s.File))
			want := calculate(t, path, s)
			if want.chosen+want.rest != s.rows || want.chosen == 0 || want.rest == 0 {
				t.Fatalf("the file is not what it was: %d and %d records, want %d in all", want.chosen, want.rest, s.rows)
			}
			n, data := run(t, path, s)
			want.checkTopics(t, n.Kafka())
			want.checkTable(t, filepath.Join(data, "state", "real", "numbers", "real.db"))
		})
	}
}

// calculation is what must come out, worked out from the file with the standard library alone.
type calculation struct {
	story        story
	chosen, rest int64
	sum          *big.Rat       // of the numbers, exact
	lines        map[string]int // every line of the file, as often as it is there
}

func calculate(t *testing.T, path string, s story) *calculation {
	t.Helper()
	c := &calculation{story: s, sum: new(big.Rat), lines: map[string]int{}}
	for _, line := range realdata.Lines(t, path) {
		c.line(t, string(line))
	}
	return c
}

func (c *calculation) line(t *testing.T, line string) {
	t.Helper()
	c.lines[line]++
	var event map[string]any
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&event); err != nil {
		t.Fatal(err)
	}
	if c.story.kind(event) {
		c.chosen++
	} else {
		c.rest++
	}
	add(t, c.sum, number(event, c.story.Number))
}

// number finds a number by its path; empty if it is null.
func number(event map[string]any, path string) string {
	head, tail, deeper := strings.Cut(path, ".")
	switch v := event[head].(type) {
	case map[string]any:
		if deeper {
			return number(v, tail)
		}
	case json.Number:
		return v.String()
	}
	return ""
}

func add(t *testing.T, sum *big.Rat, literal string) {
	t.Helper()
	if literal == "" {
		return
	}
	r, ok := new(big.Rat).SetString(literal)
	if !ok {
		t.Fatalf("read number %q", literal)
	}
	sum.Add(sum, r)
}

// run lets the topology work through the file and returns the node, still up.
func run(t *testing.T, path string, s story) (*node.Node, string) {
	t.Helper()
	service := httptest.NewServer(demo.Handler(demo.Options{Name: "reviewer", Version: "v1"}))
	t.Cleanup(service.Close)
	dir, data := t.TempDir(), t.TempDir()
	var files strings.Builder
	if err := shape.Execute(&files, struct {
		story
		Path, URL string
	}{s, path, service.URL}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "real.yaml"), []byte(files.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := node.Up(t.Context(), node.Options{
		Dir: dir, Data: data, ID: "test", Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Registry: all.Components(),
		Topologies: true, Started: time.Now(), Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	await(t, n)
	return n, data
}

func await(t *testing.T, n *node.Node) {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for {
		done, err := n.Done(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not come to its end: %+v", n.Status().Topologies)
		}
		select {
		case err := <-n.Ended():
			t.Fatal(err)
		case <-time.After(100 * time.Millisecond): // a poll: the node is at work
		}
	}
}

// checkTopics compares counts, and every record byte by byte: what went in must be in the record as it was.
func (c *calculation) checkTopics(t *testing.T, cfg kafka.Config) {
	t.Helper()
	chosen := c.readTopic(t, cfg, "chosen", func(value string) string {
		line, answer, ok := cutLast(value, `,"review":`)
		if !ok || !strings.Contains(answer, `"version":"v1"`) {
			t.Errorf("not enriched, or not at the end: %s", value)
		}
		return line + "}"
	})
	rest := c.readTopic(t, cfg, "rest", func(value string) string { return value })
	if chosen != c.chosen || rest != c.rest {
		t.Errorf("got %d chosen and %d other records, want %d and %d", chosen, rest, c.chosen, c.rest)
	}
	for line, n := range c.lines {
		if n != 0 {
			t.Fatalf("a line came out changed, or not as often as it is in the file (%d): %s", n, line)
		}
	}
}

func (c *calculation) readTopic(t *testing.T, cfg kafka.Config, topic string, original func(string) string) (n int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := kafka.ReadToEnd(ctx, cfg, topic, nil, func(r *kgo.Record) error {
		n++
		c.lines[original(string(r.Value))]--
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// checkTable compares counts and the exact sum with what the database holds.
func (c *calculation) checkTable(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), "SELECT coalesce(number, ''), coalesce(version, '') FROM numbers")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	sum, chosen, rest := new(big.Rat), int64(0), int64(0)
	for rows.Next() {
		var literal, version string
		if err := rows.Scan(&literal, &version); err != nil {
			t.Fatal(err)
		}
		add(t, sum, literal)
		if version == "v1" {
			chosen++
		} else {
			rest++
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if chosen != c.chosen || rest != c.rest || sum.Cmp(c.sum) != 0 {
		t.Errorf("got %d and %d rows and the sum %s, want %d, %d and %s", chosen, rest, sum.FloatString(6), c.chosen, c.rest, c.sum.FloatString(6))
	}
}
