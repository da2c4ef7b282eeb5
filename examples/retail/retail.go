// Package retail answers four questions about a shop's invoices: what each country spends hour by hour, what sells best on
// a day, when customers shop, and what was paid for what comes back.
//
// The answers are given twice, by topology.yaml for people who write files and by Topology for people who write Go. Both
// count money in whole thousandths of a pound, and both are held against one calculation in the tests.
package retail

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // London has its time everywhere

	"ravenswood.dev/stream"
)

// Mills is an amount of money in thousandths of a pound. JSON has it in pounds: 2.55 is 2550.
type Mills int64

// millsPlaces is how many decimal places Mills keep.
const millsPlaces = 3

// UnmarshalJSON reads a decimal number of at most three places, exactly.
func (m *Mills) UnmarshalJSON(text []byte) error {
	pounds, fraction, _ := strings.Cut(string(text), ".")
	fraction = strings.TrimRight(fraction, "0")
	if len(fraction) > millsPlaces {
		return fmt.Errorf("read amount %q: more than three places", text)
	}
	n, err := strconv.ParseInt(pounds+fraction+"000"[len(fraction):], 10, 64)
	if err != nil {
		return fmt.Errorf("read amount %q: not a decimal number", text)
	}
	*m = Mills(n)
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads.
func (m Mills) MarshalJSON() ([]byte, error) { return []byte(m.String()), nil }

func (m Mills) String() string {
	digits, sign := strconv.FormatInt(int64(m), 10), ""
	if m < 0 {
		digits, sign = digits[1:], "-"
	}
	if n := millsPlaces + 1 - len(digits); n > 0 {
		digits = "0000"[:n] + digits
	}
	pounds := len(digits) - millsPlaces
	return sign + digits[:pounds] + "." + digits[pounds:]
}

// Line is one line of an invoice. A negative quantity is a return.
type Line struct {
	InvoiceNo   string
	StockCode   string
	Quantity    int64
	InvoiceDate string // local time, such as 2010-12-01 08:26:00
	UnitPrice   Mills
	CustomerID  string // empty if unknown
	Country     string
}

// Amount is what the line adds to the shop's revenue.
func (l Line) Amount() Mills { return Mills(l.Quantity) * l.UnitPrice }

// Total is what is added up of lines.
type Total struct {
	Lines, Units     int64
	Amount, Returned Mills
}

func (o Total) add(l Line) Total {
	o.Lines++
	o.Units += l.Quantity
	o.Amount += l.Amount()
	if l.Quantity < 0 {
		o.Returned += l.Amount()
	}
	return o
}

// Visit is a customer's session.
type Visit struct {
	Lines    int64
	Amount   Mills
	Invoices []string // sorted
}

func (v Visit) add(l Line) Visit {
	return v.merge(Visit{1, l.Amount(), []string{l.InvoiceNo}})
}

func (v Visit) merge(o Visit) Visit {
	invoices := slices.Concat(v.Invoices, o.Invoices)
	slices.Sort(invoices)
	return Visit{v.Lines + o.Lines, v.Amount + o.Amount, slices.Compact(invoices)}
}

// Sold is what was sold of a product on a day.
type Sold struct {
	Product string
	Units   int64
	Amount  Mills
}

// bestMax is how many products of a day are listed.
const bestMax = 5

// ranked puts a product into the list of the best ones.
func ranked(best []Sold, s Sold) []Sold {
	best = append(slices.Clone(best), s)
	slices.SortFunc(best, func(a, b Sold) int { return cmp.Or(cmp.Compare(b.Amount, a.Amount), cmp.Compare(a.Product, b.Product)) })
	return best[:min(bestMax, len(best))]
}

// Return is a return with one of the sales before it, or with none.
type Return struct {
	Returned Line
	Sale     *Line
}

// The topics of Topology.
var (
	Invoices = stream.Topic("invoice-lines", stream.String(), stream.JSON[Line]())
	Revenue  = stream.Topic("revenue", stream.WindowedKey(stream.String()), stream.JSON[Total]()).Compacted() // by country
	Best     = stream.Topic("best-sellers", stream.String(), stream.JSON[[]Sold]()).Compacted()               // by day
	Sessions = stream.Topic("sessions", stream.WindowedKey(stream.String()), stream.JSON[Visit]()).Compacted()
	Returns  = stream.Topic("returns", stream.String(), stream.JSON[Return]()).Retention(0)
)

// month is how long a sale may be found for what comes back, and how far back tables can be asked.
const month = 30 * 24 * time.Hour

// Topology is what topology.yaml says, in Go; the lines come from a topic.
func Topology() (*stream.Topology, error) {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		return nil, err
	}
	t := stream.New("retail")
	lines := stream.From(t, Invoices).Timed(func(r stream.Record[string, Line]) time.Time {
		at, err := time.ParseInLocation(time.DateTime, r.Value.InvoiceDate, london)
		if err != nil {
			return r.Time
		}
		return at
	})
	revenue(lines)
	bestSellers(lines, london)
	known := lines.Filter(func(_ string, l Line) bool { return l.CustomerID != "" })
	sessions(known)
	returns(known)
	return t, nil
}

func revenue(lines stream.Stream[string, Line]) {
	byCountry := stream.GroupBy(lines, func(_ string, l Line) string { return l.Country })
	stream.AggregateWindows(byCountry.Windowed(stream.Tumbling(time.Hour)), stream.JSON[Total](),
		func() Total { return Total{} },
		func(_ string, l Line, so Total) Total { return so.add(l) },
		stream.Named("revenue"), stream.TTL(month)).To(Revenue)
}

// bestSellers waits until a day is over: each product comes once, with all of the day.
func bestSellers(lines stream.Stream[string, Line], london *time.Location) {
	byProduct := stream.GroupBy(lines, func(_ string, l Line) string { return l.StockCode })
	sold := stream.AggregateWindows(byProduct.Windowed(stream.Tumbling(24*time.Hour).Days(london)), stream.JSON[Total](),
		func() Total { return Total{} },
		func(_ string, l Line, so Total) Total { return so.add(l) },
		stream.Named("sold"), stream.OnlyFinal())
	byDay := stream.Map(sold.Changes(), func(w stream.Windowed[string], o Total) (string, Sold) {
		return w.Start.In(london).Format(time.DateOnly), Sold{w.Key, o.Units, o.Amount}
	}).WithCodecs(stream.String(), stream.JSON[Sold]())
	stream.Aggregate(byDay.GroupByKey(), stream.JSON[[]Sold](),
		func() []Sold { return nil },
		func(_ string, s Sold, so []Sold) []Sold { return ranked(so, s) },
		stream.Named("best")).To(Best)
}

func sessions(lines stream.Stream[string, Line]) {
	byCustomer := stream.GroupBy(lines, func(_ string, l Line) string { return l.CustomerID })
	stream.AggregateWindows(byCustomer.Windowed(stream.Session(time.Hour)), stream.JSON[Visit](),
		func() Visit { return Visit{} },
		func(_ string, l Line, so Visit) Visit { return so.add(l) },
		stream.Merging(Visit.merge), stream.Named("sessions"), stream.TTL(month)).To(Sessions)
}

// returns has a result for each sale that a return may belong to. The file knows times to the minute.
func returns(lines stream.Stream[string, Line]) {
	purchases := stream.Rekey(lines, func(_ string, l Line) string { return l.CustomerID + "/" + l.StockCode })
	kinds := purchases.Branch(func(_ string, l Line) bool { return l.Quantity < 0 }, func(_ string, l Line) bool { return l.Quantity >= 0 })
	stream.LeftJoinStreams(kinds[0], kinds[1], stream.Within(month).After(0).Grace(time.Minute),
		func(back Line, sale *Line) Return { return Return{back, sale} },
		stream.Named("returns")).To(Returns)
}
