package retail_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"ravenswood.dev/examples/retail"
	"ravenswood.dev/stream"
	"ravenswood.dev/stream/streamtest"
)

func TestAmountsOfMoneyAreExact(t *testing.T) {
	for _, c := range []struct {
		text string
		want retail.Mills
	}{
		{"0", 0}, {"2.55", 2550}, {"-2.55", -2550}, {"-0.5", -500}, {"0.001", 1}, {"-0.001", -1}, {"12", 12000}, {"1.2500", 1250},
		{"1099511627776.001", 1099511627776001},
	} {
		var got, again retail.Mills
		if err := json.Unmarshal([]byte(c.text), &got); err != nil || got != c.want {
			t.Errorf("%s: got %d (%v), want %d", c.text, got, err, c.want)
		}
		if err := json.Unmarshal([]byte(got.String()), &again); err != nil || again != got {
			t.Errorf("%s was written as %s and read as %d (%v)", c.text, got, again, err)
		}
	}
	for _, text := range []string{"0.0001", "1e3", "1.5e1", "1E-2", `"1"`, "null", "true", "9223372036854775807"} {
		var got retail.Mills
		if err := got.UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%s was read as %d", text, got)
		}
	}
	if got := retail.Mills(-7).String(); got != "-0.007" {
		t.Errorf("got %s", got)
	}
}

// checkGo drives the topology in Go over the lines of a file, without a broker, and holds its topics against the
// calculation. It is restarted half way.
func checkGo(t *testing.T, lines []line, texts [][]byte, partitions int, want answers) {
	t.Helper()
	topo, err := retail.Topology()
	if err != nil {
		t.Fatal(err)
	}
	d := streamtest.New(t, topo, streamtest.Partitions(partitions))
	in := streamtest.Input(d, retail.Invoices)
	for i, text := range texts {
		if i == len(texts)/2 {
			d.Restart()
		}
		in.SendRaw([]byte(lines[i].InvoiceNo), text)
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
		back, sold, quantity, amount := r.Value.Returned, "", int64(0), ""
		if sale := r.Value.Sale; sale != nil {
			sold, quantity, amount = sale.InvoiceNo, sale.Quantity, sale.Amount().String()
		}
		found[returnText(back.InvoiceNo, r.Key, back.Quantity, back.Amount().String(), sold, quantity, amount)]++
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
