// Package retail_test runs the example as its README says, on its sample and on half a year of a real shop's invoices, and
// compares each answer with a calculation that shares no code with what is tested.
package retail_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/kafka"
	"ravenswood.dev/internal/node"
	"ravenswood.dev/test/realdata"
)

func TestSampleIsAnsweredAsCalculated(t *testing.T) {
	path, err := filepath.Abs("sample.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	check(t, path, 1) // so few lines that the tasks of more partitions would not all see a day's end
}

func TestRealInvoicesAreAnsweredAsCalculated(t *testing.T) {
	check(t, realdata.Events(t, "retail-dev.jsonl.gz", "270,959 lines of real invoices"), 4)
}

// check holds both forms against one calculation. Partitions is how many the topics of the one in Go have.
func check(t *testing.T, path string, partitions int) {
	t.Helper()
	texts := realdata.Lines(t, path)
	lines := readLines(t, texts)
	want := calculate(t, lines)
	t.Run("files", func(t *testing.T) {
		t.Parallel()
		checkFiles(t, path, want)
	})
	t.Run("Go", func(t *testing.T) {
		t.Parallel()
		checkGo(t, lines, texts, partitions, want)
	})
}

// checkFiles runs the resource files of this folder over an invoice file and holds the topics against the calculation.
func checkFiles(t *testing.T, path string, want answers) {
	t.Helper()
	cfg := run(t, path)
	newest := func(topic string) map[string]json.RawMessage { return readNewest(t, cfg, topic) }
	compare(t, "revenue", textsOf(t, newest("revenue"), revenueText), want.revenue)
	compare(t, "best sellers", textsOf(t, newest("best-sellers"), bestText), want.best)
	compare(t, "sessions", textsOf(t, newest("sessions"), foundSessionText), want.sessions)
	found := make(map[string]int)
	readTopic(t, cfg, "returns", func(r *kgo.Record) { found[foundReturnText(t, string(r.Key), r.Value)]++ })
	compare(t, "returns", found, want.returns)
}

// run lets the topology work through a file of invoices, twice started: the second start finds nothing left to do.
func run(t *testing.T, invoices string) kafka.Config {
	t.Helper()
	files, err := os.ReadFile("topology.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir, data := t.TempDir(), t.TempDir()
	here := bytes.Replace(files, []byte("path: sample.jsonl"), []byte("path: "+strconv.Quote(invoices)), 1)
	if err := os.WriteFile(filepath.Join(dir, "topology.yaml"), here, 0o600); err != nil {
		t.Fatal(err)
	}
	options := node.Options{
		Dir: dir, Data: data, ID: "test", Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Registry: all.Components(),
		Topologies: true, Started: time.Now(), Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	first := up(t, options)
	await(t, first)
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	second := up(t, options)
	t.Cleanup(func() {
		if err := second.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	await(t, second)
	return second.Kafka()
}

func up(t *testing.T, options node.Options) *node.Node {
	t.Helper()
	n, err := node.Up(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// await waits until everything has come out. It gives up when nothing moves for a minute: how long all of it takes says
// more about the machine.
func await(t *testing.T, n *node.Node) {
	t.Helper()
	var moved int64
	var deadline time.Time
	for {
		done, err := n.Done(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if done {
			return
		}
		if now := moves(n); deadline.IsZero() || now != moved {
			moved, deadline = now, time.Now().Add(time.Minute)
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not come to its end: %+v", n.Status().Topologies)
		}
		select {
		case err := <-n.Ended():
			t.Fatal(err)
		case <-time.After(50 * time.Millisecond): // a poll: the node is at work
		}
	}
}

// moves counts the records that were read and written so far.
func moves(n *node.Node) (all int64) {
	for _, t := range n.Status().Topologies {
		all += t.In + t.Out
	}
	return all
}

func readTopic(t *testing.T, cfg kafka.Config, topic string, visit func(*kgo.Record)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := kafka.ReadToEnd(ctx, cfg, topic, nil, func(r *kgo.Record) error {
		visit(r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// readNewest is a compacted topic as it is meant: the newest value of each key, unless that was deleted.
func readNewest(t *testing.T, cfg kafka.Config, topic string) map[string]json.RawMessage {
	newest := make(map[string]json.RawMessage)
	readTopic(t, cfg, topic, func(r *kgo.Record) {
		if r.Value == nil {
			delete(newest, string(r.Key))
			return
		}
		newest[string(r.Key)] = bytes.Clone(r.Value)
	})
	return newest
}

func textsOf(t *testing.T, rows map[string]json.RawMessage, text func(t *testing.T, key string, value []byte) string) map[string]int {
	t.Helper()
	out := make(map[string]int)
	for key, value := range rows {
		out[text(t, key, value)]++
	}
	return out
}

// ofMills writes an amount in pounds that the topology counts in thousandths of one; nothing if there is none.
func ofMills(n json.Number) string {
	if n == "" {
		return ""
	}
	r, ok := new(big.Rat).SetString(n.String())
	if !ok || !r.IsInt() {
		return "no whole number: " + n.String()
	}
	return pounds(r.Num())
}

func decode(t *testing.T, value []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(value, into); err != nil {
		t.Fatalf("read %s: %v", value, err)
	}
}

func revenueText(t *testing.T, _ string, value []byte) string {
	var v struct {
		Country, Hour    string
		Lines            int64
		Amount, Returned json.Number
	}
	decode(t, value, &v)
	return fmt.Sprintf("%s %s: %d lines, %s, returned %s", v.Country, v.Hour, v.Lines, ofMills(v.Amount), ofMills(v.Returned))
}

func bestText(t *testing.T, key string, value []byte) string {
	var v struct {
		Top []struct {
			Product string
			Units   int64
			Amount  json.Number
		}
	}
	decode(t, value, &v)
	text := key + ":"
	for _, p := range v.Top {
		text += fmt.Sprintf(" %s %d for %s,", p.Product, p.Units, ofMills(p.Amount))
	}
	return text
}

func foundSessionText(t *testing.T, key string, value []byte) string {
	var v struct {
		Customer string
		Lines    int64
		Invoices int
		Amount   json.Number
	}
	decode(t, value, &v)
	from, to := windowOf(t, key)
	return sessionText(v.Customer, from, to, v.Lines, v.Invoices, ofMills(v.Amount))
}

// windowOf reads the times in key@start/end.
func windowOf(t *testing.T, key string) (from, to time.Time) {
	t.Helper()
	_, window, _ := strings.Cut(key, "@")
	start, end, _ := strings.Cut(window, "/")
	a, err := strconv.ParseInt(start, 10, 64)
	b, err2 := strconv.ParseInt(end, 10, 64)
	if err != nil || err2 != nil {
		t.Fatalf("read the window of key %q", key)
	}
	return time.UnixMilli(a), time.UnixMilli(b)
}

func foundReturnText(t *testing.T, key string, value []byte) string {
	var v struct {
		InvoiceNo    string
		Quantity     int64
		Amount       json.Number
		Sold         string
		SoldQuantity int64
		SoldAmount   json.Number
	}
	decode(t, value, &v)
	return returnText(v.InvoiceNo, key, v.Quantity, ofMills(v.Amount), v.Sold, v.SoldQuantity, ofMills(v.SoldAmount))
}
