// Package aggregate is the bolt that brings the records of a key together in one value, by functions and expressions, with
// or without windows.
//
// An instance belongs to one task, as package processor says. The exactness of its numbers is that of the expressions: what
// is copied from an event keeps all digits and is added up exactly, what an expression calculates has passed through 64 bits.
package aggregate

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/check"
	"ravenswood.dev/internal/component/windows"
	"ravenswood.dev/internal/engine/aggregate"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/expr"
	"ravenswood.dev/internal/record"
)

//go:embed aggregate.md
var doc string

// Config is the settings of the bolt.
type Config struct {
	Window    *windows.Window  `yaml:"window" doc:"Windows; without, each key has one aggregate for ever."`
	Compute   map[string]Field `yaml:"compute" required:"true" doc:"Fields of the result by name; each has one function." example:"{orders: count, revenue: {sum: event.total}}"`
	Results   string           `yaml:"results" default:"changes" enum:"changes|final" doc:"When results go on: at every change, or once for each window when it has closed."`
	Key       string           `yaml:"key" default:"group" enum:"group|windowed" doc:"Key of a window's result: that of the group, or key@start/end, one for each window, as a compacted topic needs it." state:"results"`
	Table     bool             `yaml:"table" default:"false" doc:"The records are the rows of a table: what a row was is taken out before what it is goes in. Not every function can do that."`
	Retention api.Duration     `yaml:"retention" default:"0" doc:"How long a group is kept after its last record, or a window after its start; 0 keeps groups for ever, windows until a day after they have closed." example:"30d"`
	Store     string           `yaml:"store" default:"disk" enum:"disk|memory" doc:"Where the aggregates are kept."`
}

// Field is one field of the result: exactly one function.
type Field struct {
	Count    bool     `yaml:"count" default:"false" doc:"The number of records. The word count alone says the same."`
	Sum      string   `yaml:"sum" doc:"Expression; the sum of its numbers, exactly." example:"event.total"`
	Average  string   `yaml:"average" doc:"Expression; the average of its numbers." example:"event.total"`
	Min      string   `yaml:"min" doc:"Expression; the least of its numbers or texts." example:"event.price"`
	Max      string   `yaml:"max" doc:"Expression; the greatest of its numbers or texts." example:"event.price"`
	First    string   `yaml:"first" doc:"Expression; its value for the record with the least time." example:"event.status"`
	Last     string   `yaml:"last" doc:"Expression; its value for the record with the greatest time." example:"event.status"`
	Distinct string   `yaml:"distinct" doc:"Expression; the number of its different values, counted up to limit." example:"event.user"`
	Collect  string   `yaml:"collect" doc:"Expression; the list of its values, up to limit, as they come." example:"event.sku"`
	Top      string   `yaml:"top" doc:"Expression; the list of the limit records for which its number is greatest." example:"event.total"`
	Of       string   `yaml:"of" doc:"Expression; what of a record is listed by top; empty is the whole event." example:"event.sku"`
	Values   bool     `yaml:"values" default:"false" doc:"Makes distinct list the values instead of their number, in the order in which they came."`
	Limit    int      `yaml:"limit" default:"0" doc:"Most values of top (0 is 10), distinct and collect (0 is 1000)."`
	MaxBytes api.Size `yaml:"maxBytes" default:"0" doc:"Most bytes that top, distinct, collect and fold keep; 0 is 256KB. What does not fit is left out and counted; a record whose fold does not fit becomes a dead letter." state:"free"`
	Fold     string   `yaml:"fold" doc:"Own expression for the new value, over state (the value before) and the event." example:"state + event.total"`
	Start    string   `yaml:"start" doc:"Expression for the state that fold begins with; empty is null." example:"0"`
	Remove   string   `yaml:"remove" doc:"Expression that undoes fold, for tables." example:"state - event.total"`
	Merge    string   `yaml:"merge" doc:"Expression that joins the values of two sessions that become one, over a and b." example:"a + b"`
	When     string   `yaml:"when" doc:"Condition; the field looks only at records for which it is true." example:"event.returned"`
}

// UnmarshalText reads the short form, which only a function without an expression has: count.
func (f *Field) UnmarshalText(text []byte) error {
	if string(text) != "count" {
		return fmt.Errorf("function %q: want count, or a function with its expression such as {sum: event.total}", text)
	}
	*f = Field{Count: true}
	return nil
}

// Definition is the component.
func Definition() component.Definition {
	d := component.WithFormat(component.DefineProcessor(component.Spec{
		Name:    "aggregate",
		Summary: "Counts, sums up and collects the records of each key, with or without windows.",
		Doc:     doc,
		Outputs: []string{"late"},
		Examples: []component.Example{
			{Title: "For each key, for ever", YAML: `aggregate: {compute: {orders: count, revenue: {sum: event.total}, customers: {distinct: event.customer}}}`},
			{Title: "By the hour, one result for each hour, five minutes after its end", YAML: `aggregate: {window: {tumbling: 1h, grace: 5m}, results: final, compute: {revenue: {sum: event.total}}}`},
			{Title: "The best of the last hour, every five minutes", YAML: `aggregate: {window: {hopping: 1h, every: 5m}, compute: {best: {top: event.total, of: event.sku, limit: 3}}}`},
			{Title: "Days in London, into a compacted topic", YAML: `aggregate: {window: {tumbling: 1d, timeZone: Europe/London}, key: windowed, compute: {returns: {count: true, when: event.quantity < 0}}}`},
			{Title: "Sessions with an own function", YAML: `aggregate: {window: {session: 30m}, compute: {path: {start: '""', fold: 'state + "/" + event.page', merge: a + b}, pages: count}}`},
		},
	}, validate, func(c *Config) component.Shape { return c.bolt().Shape() }, open), func(*Config) record.Format { return record.JSON })
	d.Show = visible
	return d
}

func validate(c *Config) (problems []component.Problem) {
	add := func(path, code, message, hint string) {
		problems = append(problems, component.Problem{Path: path, Code: code, Message: message, Hint: hint})
	}
	if len(c.Compute) == 0 {
		add("compute", "setting-missing", "check aggregate: it computes nothing", "name at least one field, as in compute: {orders: count}")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Compute)) {
		problems = append(problems, checkField(c, name)...)
	}
	if size := c.bytes(); size > entryMax {
		add("compute", "value-invalid", fmt.Sprintf("check aggregate: its lists and folds may keep %s together, and %s is the most", size, api.Size(entryMax)), "give some of them a smaller maxBytes")
	}
	switch {
	case c.Window != nil:
		problems = append(problems, c.Window.Check("window")...)
	case c.Results == "final":
		add("results", "setting-conflict", "check aggregate: without a window no result is ever final", "give a window, or take the changes")
	case c.Key == "windowed":
		add("key", "setting-conflict", "check aggregate: without a window there is no windowed key", "give a window, or leave key out")
	}
	if c.Window != nil && c.Table {
		add("table", "setting-conflict", "check aggregate: the rows of a table have no place in windows, since a row goes at another time than it came", "leave out the window or table")
	}
	if len(problems) > 0 {
		return problems
	}
	o, err := options(c)
	if err == nil {
		err = o.Check()
	}
	switch {
	case err != nil && c.Window != nil && c.Retention != 0:
		add("retention", "value-invalid", err.Error(), "keep windows longer, or leave retention out")
	case err != nil:
		add("", "value-invalid", err.Error(), "")
	}
	return problems
}

func checkField(c *Config, name string) (problems []component.Problem) {
	f, at := c.Compute[name], "compute."+name
	add := func(path, code, message, hint string) {
		problems = append(problems, component.Problem{Path: path, Code: code, Message: message, Hint: hint})
	}
	if name == "" || strings.HasPrefix(name, record.Prefix) {
		add(at, "name-invalid", fmt.Sprintf("name field %q: the name is empty or begins with %s, which is reserved", name, record.Prefix), "choose another name")
	}
	given := f.functions()
	if len(given) != 1 {
		add(at, "setting-conflict", fmt.Sprintf("compute field %q: %d functions are given, want one", name, len(given)), "for example {sum: event.total}")
		return problems
	}
	fn := given[0]
	if f.Limit < 0 || f.Limit > limitMax {
		add(at+".limit", "value-invalid", fmt.Sprintf("compute field %q: the limit %d is not between 1 and %d", name, f.Limit, limitMax), "")
	}
	if f.MaxBytes < 0 || f.MaxBytes > bytesMax {
		add(at+".maxBytes", "value-invalid", fmt.Sprintf("compute field %q: maxBytes %s is not between 1B and %s", name, f.MaxBytes, api.Size(bytesMax)), "")
	}
	only := func(setting string, present bool, functions ...string) {
		if present && !slices.Contains(functions, fn) {
			add(at+"."+setting, "setting-conflict", fmt.Sprintf("compute field %q: %s means nothing to %s", name, setting, fn), "it belongs to "+strings.Join(functions, ", "))
		}
	}
	only("of", f.Of != "", "top")
	only("values", f.Values, "distinct")
	only("limit", f.Limit != 0, "top", "distinct", "collect")
	only("maxBytes", f.MaxBytes != 0, "top", "distinct", "collect", "fold")
	only("start", f.Start != "", "fold")
	only("remove", f.Remove != "", "fold")
	only("merge", f.Merge != "", "fold")
	switch {
	case c.Table && !f.removable():
		add(at, "setting-conflict", fmt.Sprintf("compute field %q: %s cannot take out the row of a table that has changed", name, fn), "count, sum, average, distinct, collect can, and fold with remove")
	case fn == "fold" && f.Merge == "" && c.Window != nil && c.Window.Session != 0:
		add(at+".merge", "setting-missing", fmt.Sprintf("compute field %q: sessions may become one, and nothing says how to join two values", name), "merge: a + b")
	}
	for _, e := range f.expressions() {
		_, faults := e.compile()
		problems = append(problems, check.Expressions(at+"."+e.name, e.src, faults)...)
	}
	return problems
}

// functions lists the functions that are given.
func (f Field) functions() (given []string) {
	if f.Count {
		given = append(given, "count")
	}
	for _, fn := range f.withExpression() {
		if fn.src != "" {
			given = append(given, fn.name)
		}
	}
	return given
}

func (f Field) withExpression() []expression {
	return []expression{{"sum", f.Sum}, {"average", f.Average}, {"min", f.Min}, {"max", f.Max}, {"first", f.First}, {"last", f.Last},
		{"distinct", f.Distinct}, {"collect", f.Collect}, {"top", f.Top}, {"fold", f.Fold}}
}

func (f Field) removable() bool {
	return f.Count || f.Sum != "" || f.Average != "" || f.Distinct != "" || f.Collect != "" || f.Fold != "" && f.Remove != ""
}

// expressions lists all that are given.
func (f Field) expressions() (given []expression) {
	for _, e := range append(f.withExpression(), expression{"of", f.Of}, expression{"start", f.Start}, expression{"remove", f.Remove}, expression{"merge", f.Merge},
		expression{"when", f.When}) {
		if e.src != "" {
			given = append(given, e)
		}
	}
	return given
}

// bytes is the most that the fields which grow may keep in one aggregate.
func (c *Config) bytes() (size api.Size) {
	for _, f := range c.Compute {
		if fn := f.functions(); len(fn) == 1 && slices.Contains([]string{"top", "distinct", "collect", "fold"}, fn[0]) {
			size += api.Size(f.bytes())
		}
	}
	return size
}

// bolt is what the settings say besides the functions.
func (c *Config) bolt() windows.Bolt {
	return windows.Bolt{Window: c.Window, Results: c.Results, Key: c.Key, Store: c.Store, Retention: c.Retention, Table: c.Table}
}

func options(c *Config) (aggregate.Options, error) {
	o, err := c.bolt().Options()
	if err != nil {
		return o, err
	}
	f, err := newFolder(c.Compute, func() {})
	if err != nil {
		return o, err
	}
	f.options(&o)
	return o, nil
}

// options are what the processor does with a folder.
func (f *folder) options(o *aggregate.Options) {
	o.Init, o.Merge = f.init, f.merge
	if f.hides() {
		o.Result = f.result
	}
	o.Inputs = []aggregate.Input{{Add: f.add, Remove: f.remove}}
}

func open(c *Config, _ component.Env) (processor.Processor, error) {
	o, err := c.bolt().Options()
	if err != nil {
		return nil, fmt.Errorf("open aggregate: %w", err)
	}
	b := &bolt{}
	f, err := newFolder(c.Compute, b.leaveOut)
	if err != nil {
		return nil, fmt.Errorf("open aggregate: %w", err)
	}
	f.options(&o)
	b.Aggregate = aggregate.New(o)
	return b, nil
}

// bolt is an instance: the aggregate, and what it leaves out because it does not fit.
type bolt struct {
	*aggregate.Aggregate
	left atomic.Uint64
	tell func(reason string)
}

// reasonTooLarge is why a value is left out of a list, as it is counted.
const reasonTooLarge = "too-large"

// Open implements processor.Processor. To count by reason is an optional power of the context.
func (b *bolt) Open(c processor.Context) error {
	if counter, ok := c.(interface{ Dropped(reason string) }); ok {
		b.tell = counter.Dropped
	}
	return b.Aggregate.Open(c)
}

// Dropped is the number of records that have no key or no value, and of values that did not fit.
func (b *bolt) Dropped() uint64 { return b.Aggregate.Dropped() + b.left.Load() }

func (b *bolt) leaveOut() {
	b.left.Add(1)
	if b.tell != nil {
		b.tell(reasonTooLarge)
	}
}

// expression is an expression of the settings, by the name of the setting.
type expression struct{ name, src string }

// compile compiles it in the language of its setting.
func (e expression) compile() (*expr.Program, []expr.Problem) {
	switch e.name {
	case "when":
		return expr.Compile(e.src, expr.Bool)
	case "fold", "remove":
		return compileIn(foldLanguage, e.src)
	case "merge":
		return compileIn(mergeLanguage, e.src)
	case "start":
		return compileIn(startLanguage, e.src)
	}
	return expr.Compile(e.src, expr.Any)
}
