package retail_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

// line is one line of an invoice, as the file has it; the price is a decimal number and never becomes a float.
type line struct {
	InvoiceNo, StockCode string
	Quantity             int64
	InvoiceDate          string
	UnitPrice            json.Number
	CustomerID           *string
	Country              string

	amount *big.Int // quantity times price, exactly, in thousandths of a pound
}

func (l line) day() string  { return l.InvoiceDate[:10] }
func (l line) hour() string { return l.InvoiceDate[:13] }

// thousandths multiplies a decimal number of at most three places by a thousand.
func thousandths(t *testing.T, n json.Number) *big.Int {
	t.Helper()
	r, ok := new(big.Rat).SetString(n.String())
	if !ok || !r.Mul(r, big.NewRat(1000, 1)).IsInt() {
		t.Fatalf("price %q has no or too many decimal places", n)
	}
	return r.Num()
}

// pounds writes an amount as all results are compared: with the three places that the prices have at most.
func pounds(thousandths *big.Int) string {
	return new(big.Rat).SetFrac(thousandths, big.NewInt(1000)).FloatString(3)
}

func readLines(t *testing.T, texts [][]byte) []line {
	t.Helper()
	lines := make([]line, len(texts))
	for i, text := range texts {
		l := &lines[i]
		if err := json.Unmarshal(text, l); err != nil {
			t.Fatal(err)
		}
		l.amount = thousandths(t, l.UnitPrice)
		l.amount.Mul(l.amount, big.NewInt(l.Quantity))
	}
	return lines
}

// answers is what must come out, by maps and loops over the file: each answer as text, with how often it is there.
type answers struct {
	revenue  map[string]int // of a country in an hour
	best     map[string]int // of a day
	sessions map[string]int // of a customer
	returns  map[string]int // each with a sale before it, or by itself
}

func calculate(t *testing.T, lines []line) answers {
	t.Helper()
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	at := make([]time.Time, len(lines))
	for i, l := range lines {
		if at[i], err = time.ParseInLocation(time.DateTime, l.InvoiceDate, london); err != nil {
			t.Fatal(err)
		}
		if i > 0 && at[i].Before(at[i-1]) {
			t.Fatalf("line %d is older than the one before it: the file is not what it was", i)
		}
	}
	return answers{revenue(lines), best(lines), sessions(lines, at), returns(t, lines, at)}
}

// total is what is added up of lines.
type total struct {
	lines, units     int64
	amount, returned *big.Int
	invoices         map[string]bool
}

func (o *total) add(l line) *total {
	if o == nil {
		o = &total{amount: new(big.Int), returned: new(big.Int), invoices: map[string]bool{}}
	}
	o.lines++
	o.units += l.Quantity
	o.amount.Add(o.amount, l.amount)
	if l.Quantity < 0 {
		o.returned.Add(o.returned, l.amount)
	}
	o.invoices[l.InvoiceNo] = true
	return o
}

func revenue(lines []line) map[string]int {
	totals := make(map[string]*total)
	for _, l := range lines {
		k := l.Country + " " + l.hour()
		totals[k] = totals[k].add(l)
	}
	out := make(map[string]int)
	for k, o := range totals {
		out[fmt.Sprintf("%s: %d lines, %s, returned %s", k, o.lines, pounds(o.amount), pounds(o.returned))]++
	}
	return out
}

// topLength is how many products of a day are listed.
const topLength = 5

func best(lines []line) map[string]int {
	days := make(map[string]map[string]*total)
	for _, l := range lines {
		if days[l.day()] == nil {
			days[l.day()] = make(map[string]*total)
		}
		days[l.day()][l.StockCode] = days[l.day()][l.StockCode].add(l)
	}
	delete(days, lines[len(lines)-1].day()) // it is not over
	out := make(map[string]int)
	for day, products := range days {
		codes := make([]string, 0, len(products))
		for code := range products {
			codes = append(codes, code)
		}
		slices.SortFunc(codes, func(a, b string) int {
			return cmp.Or(products[b].amount.Cmp(products[a].amount), cmp.Compare(a, b))
		})
		text := day + ":"
		for _, code := range codes[:min(topLength, len(codes))] {
			text += fmt.Sprintf(" %s %d for %s,", code, products[code].units, pounds(products[code].amount))
		}
		out[text]++
	}
	return out
}

func sessions(lines []line, at []time.Time) map[string]int {
	type session struct {
		from, to time.Time
		total    *total
	}
	all := make(map[string][]session)
	for i, l := range lines {
		if l.CustomerID == nil {
			continue
		}
		of := all[*l.CustomerID]
		if n := len(of); n == 0 || at[i].Sub(of[n-1].to) > time.Hour {
			of = append(of, session{from: at[i]})
		}
		last := &of[len(of)-1]
		last.to, last.total = at[i], last.total.add(l)
		all[*l.CustomerID] = of
	}
	out := make(map[string]int)
	for customer, of := range all {
		for _, s := range of {
			out[sessionText(customer, s.from, s.to, s.total.lines, len(s.total.invoices), pounds(s.total.amount))]++
		}
	}
	return out
}

func sessionText(customer string, from, to time.Time, lines int64, invoices int, amount string) string {
	return fmt.Sprintf("%s from %d to %d: %d lines of %d invoices, %s", customer, from.Unix(), to.Unix(), lines, invoices, amount)
}

// returns are all pairs of a return and a sale of the same product to the same customer in the 30 days before, and the
// returns without such a sale.
func returns(t *testing.T, lines []line, at []time.Time) map[string]int {
	t.Helper()
	sales := make(map[string][]int) // lines by customer and product
	key := func(l line) string { return *l.CustomerID + "/" + l.StockCode }
	for i, l := range lines {
		if l.CustomerID != nil && l.Quantity >= 0 {
			sales[key(l)] = append(sales[key(l)], i)
		}
	}
	out, pairs, alone := make(map[string]int), 0, 0
	for i, l := range lines {
		if l.CustomerID == nil || l.Quantity >= 0 {
			continue
		}
		met := 0
		for _, j := range sales[key(l)] {
			if before := at[i].Sub(at[j]); before >= 0 && before <= 30*24*time.Hour {
				out[returnText(l.InvoiceNo, key(l), l.Quantity, pounds(l.amount), lines[j].InvoiceNo, lines[j].Quantity, pounds(lines[j].amount))]++
				met++
			}
		}
		pairs += met
		if met > 0 {
			continue
		}
		out[returnText(l.InvoiceNo, key(l), l.Quantity, pounds(l.amount), "", 0, "")]++
		alone++
		if at[len(at)-1].Sub(at[i]) < time.Hour {
			t.Fatalf("return %s has no sale, and comes so near to the end of the file that nobody knows yet: take another file", l.InvoiceNo)
		}
	}
	if pairs == 0 || alone == 0 {
		t.Fatalf("%d returns with a sale and %d without: the file does not ask both", pairs, alone)
	}
	return out
}

// returnText is a return with a sale; one without has nothing for sold.
func returnText(invoice, key string, quantity int64, amount, sold string, soldQuantity int64, soldAmount string) string {
	return fmt.Sprintf("%s of %s: %d for %s; sold in %q: %d for %s", invoice, key, quantity, amount, sold, soldQuantity, soldAmount)
}

// compare says how two answers differ, by a few of the differences.
func compare(t *testing.T, what string, got, want map[string]int) {
	t.Helper()
	if len(want) == 0 {
		t.Errorf("%s: nothing was calculated", what)
	}
	var wrong []string
	for text, n := range want {
		if got[text] != n {
			wrong = append(wrong, fmt.Sprintf("want %d times, got %d: %s", n, got[text], text))
		}
	}
	for text, n := range got {
		if want[text] == 0 {
			wrong = append(wrong, fmt.Sprintf("got %d times what must not be: %s", n, text))
		}
	}
	slices.Sort(wrong)
	if len(wrong) > 0 {
		t.Errorf("%s: %d differences among %d; the first:\n%s", what, len(wrong), len(want), strings.Join(wrong[:min(6, len(wrong))], "\n"))
	}
}
