package retail_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/examples/retail"
	"ravenswood.dev/stream"
	"ravenswood.dev/stream/streamtest"
)

func TestSampleIsAnsweredInGoAsCalculated(t *testing.T) { checkGo(t, "sample.jsonl", 1) }

func TestRealInvoicesAreAnsweredInGoAsCalculated(t *testing.T) { checkGo(t, dataFile(t), 4) }

// checkGo drives the topology in Go over a file, without a broker, and holds its topics against the calculation.
func checkGo(t *testing.T, path string, partitions int) {
	t.Helper()
	lines := readLines(t, path)
	want := calculate(t, lines)
	topo, err := retail.Topology()
	if err != nil {
		t.Fatal(err)
	}
	d := streamtest.New(t, topo, streamtest.Partitions(partitions))
	in := streamtest.Input(d, retail.Invoices)
	for i, l := range invoiceLines(t, path) {
		if i == len(lines)/2 {
			d.Restart()
		}
		in.Send(l.InvoiceNo, l)
	}
	compare(t, "revenue", newestOf(d, retail.Revenue, func(w stream.Windowed[string], o retail.Total) string {
		return fmt.Sprintf("%s %s: %d lines, %s, returned %s", w.Key, hourOf(t, w.Start), o.Lines, o.Amount, o.Returned)
	}), want.revenue)
	compare(t, "best sellers", newestOf(d, retail.Best, func(day string, best []retail.Sold) string {
		text := day + ":"
		for _, s := range best {
			text += fmt.Sprintf(" %s %d for %s,", s.Product, s.Units, s.Amount)
		}
		return text
	}), want.best)
	compare(t, "sessions", newestOf(d, retail.Sessions, func(w stream.Windowed[string], v retail.Visit) string {
		return sessionText(w.Key, w.Start, w.End, v.Lines, len(v.Invoices), v.Amount.String())
	}), want.sessions)
	found := make(map[string]int)
	for _, r := range streamtest.Output(d, retail.Returns).Records() {
		back, sale := r.Value.Returned, r.Value.Sale
		found[returnText(back.InvoiceNo, r.Key, back.Quantity, back.Amount().String(), sale.InvoiceNo, sale.Quantity, sale.Amount().String())]++
	}
	compare(t, "returns", found, want.returns)
}

func hourOf(t *testing.T, start time.Time) string {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	return start.In(london).Format("2006-01-02 15")
}

// newestOf is a compacted topic as it is meant, as texts.
func newestOf[K comparable, V any](d *streamtest.Driver, topic stream.TopicOf[K, V], text func(K, V) string) map[string]int {
	newest := make(map[K]V)
	for _, r := range streamtest.Output(d, topic).Records() {
		if r.Deleted {
			delete(newest, r.Key)
			continue
		}
		newest[r.Key] = r.Value
	}
	out := make(map[string]int)
	for k, v := range newest {
		out[text(k, v)]++
	}
	return out
}

// invoiceLines reads the file as the topology does.
func invoiceLines(t *testing.T, path string) (lines []retail.Line) {
	t.Helper()
	for _, text := range fileLines(t, path) {
		var l retail.Line
		if err := json.Unmarshal(text, &l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}

func fileLines(t *testing.T, path string) (lines [][]byte) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var in io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if in, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	scanner := bufio.NewScanner(in)
	for scanner.Scan() {
		lines = append(lines, []byte(scanner.Text()))
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}
