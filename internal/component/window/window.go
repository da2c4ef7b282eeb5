// Package window is the bolt that collects the records of each key's window and emits them together when it closes.
//
// An instance belongs to one task, as package processor says. What it holds of a window is bounded; do not assume that a
// window that is full still tells its records apart: it only counts them.
package window

import (
	"bytes"
	_ "embed"
	"fmt"
	"strconv"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/check"
	"ravenswood.dev/internal/component/windows"
	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/engine/aggregate"
	"ravenswood.dev/internal/engine/processor"
	"ravenswood.dev/internal/expr"
	"ravenswood.dev/internal/record"
)

//go:embed window.md
var doc string

// Config is the settings of the bolt.
type Config struct {
	Window     windows.Window `yaml:"window" required:"true" doc:"The windows." example:"{tumbling: 1h, grace: 5m}"`
	Collect    string         `yaml:"collect" default:"event" doc:"Expression; what is collected of each record." example:"{\"sku\": event.sku, \"at\": time}"`
	Key        string         `yaml:"key" default:"group" enum:"group|windowed" doc:"Key of the result: that of the group, or key@start/end, one for each window, as a compacted topic needs it." state:"results"`
	MaxRecords int            `yaml:"maxRecords" default:"1000" doc:"Most records of a window; the others are only counted."`
	MaxBytes   api.Size       `yaml:"maxBytes" default:"256KB" doc:"Most bytes of what is collected in a window; what does not fit is only counted."`
	Retention  api.Duration   `yaml:"retention" default:"0" doc:"How long a window can be asked for after its start; 0 is until a day after it has closed."`
	Store      string         `yaml:"store" default:"disk" enum:"disk|memory" doc:"Where the windows are kept."`
}

// The bounds of the bounds: a window is written anew with each record.
const (
	recordsMax = 10_000
	bytesMax   = 8 << 20
)

// Definition is the component.
func Definition() component.Definition {
	return component.WithFormat(component.DefineProcessor(component.Spec{
		Name:    "window",
		Summary: "Collects the records of each key's window and emits them as one when the window closes.",
		Doc:     doc,
		Outputs: []string{"late"},
		Examples: []component.Example{
			{Title: "A customer's session as one record", YAML: `window: {window: {session: 30m, grace: 1m}, collect: event.page}`},
			{Title: "Everything of a minute", YAML: `window: {window: {tumbling: 1m}, maxRecords: 500}`},
		},
	}, validate, func(c *Config) component.Shape { return c.bolt().Shape() }, open), func(*Config) record.Format { return record.JSON })
}

func validate(c *Config) (problems []component.Problem) {
	add := func(path, message string) {
		problems = append(problems, component.Problem{Path: path, Code: "value-invalid", Message: message})
	}
	problems = append(problems, c.Window.Check("window")...)
	problems = append(problems, check.Expression("collect", c.collect(), expr.Any)...)
	if c.MaxRecords < 1 || c.MaxRecords > recordsMax {
		add("maxRecords", fmt.Sprintf("read maxRecords %q: want 1 to %d", strconv.Itoa(c.MaxRecords), recordsMax))
	}
	if c.MaxBytes < 1 || c.MaxBytes > bytesMax {
		add("maxBytes", fmt.Sprintf("read maxBytes %q: want 1 to %s", c.MaxBytes, api.Size(bytesMax)))
	}
	if problems != nil {
		return problems
	}
	o, err := options(c)
	if err == nil {
		err = o.Check()
	}
	if err != nil { // the window is in order, so it is the retention that does not go with it
		add("retention", err.Error())
	}
	return problems
}

func (c *Config) collect() string {
	if c.Collect == "" {
		return "event"
	}
	return c.Collect
}

// bolt is what the settings say besides what is collected.
func (c *Config) bolt() windows.Bolt {
	return windows.Bolt{Window: &c.Window, Results: "final", Key: c.Key, Store: c.Store, Retention: c.Retention}
}

func options(c *Config) (aggregate.Options, error) {
	o, err := c.bolt().Options()
	if err != nil {
		return o, err
	}
	program, problems := expr.Compile(c.collect(), expr.Any)
	if problems != nil {
		return o, fmt.Errorf("compile collect: %s", problems[0].Message)
	}
	b := &basket{program: program, records: c.MaxRecords, bytes: int(c.MaxBytes)}
	o.Init, o.Merge, o.Inputs = b.init, b.merge, []aggregate.Input{{Add: b.add}}
	return o, nil
}

func open(c *Config, _ component.Env) (processor.Processor, error) {
	o, err := options(c)
	if err != nil {
		return nil, fmt.Errorf("open window: %w", err)
	}
	return aggregate.New(o), nil
}

// basket collects records into {"count": n, "records": [...]}.
type basket struct {
	program        *expr.Program
	records, bytes int
	in             expr.Input
}

func (b *basket) init() []byte { return write(0, []byte("[]")) }

func write(n int64, list []byte) []byte {
	out := append(make([]byte, 0, len(list)+40), `{"count":`...)
	out = append(strconv.AppendInt(out, n, 10), `,"records":`...)
	return append(append(out, list...), '}')
}

func read(window []byte) (n int64, list []byte, err error) {
	count, _ := document.Member(window, "count")
	list, ok := document.Member(window, "records")
	n, err = strconv.ParseInt(string(count), 10, 64)
	if err != nil || !ok || len(list) < 2 {
		return 0, nil, fmt.Errorf("read window %.40q: want count and records", window)
	}
	return n, list, nil
}

func (b *basket) add(r *record.Record, window []byte) ([]byte, error) {
	n, list, err := read(window)
	if err != nil {
		return nil, err
	}
	b.in.Reset(r)
	one, absent, err := b.program.AppendJSON(nil, &b.in)
	b.in.Reset(nil)
	if err != nil {
		return nil, component.Permanent(fmt.Errorf("collect: %w", err))
	}
	if !absent && b.fits(list, one) {
		list = put(list, one)
	}
	return write(n+1, list), nil
}

func (b *basket) fits(list, one []byte) bool {
	if len(list)+len(one)+1 > b.bytes {
		return false
	}
	n := 0
	for range document.Elements(list) {
		n++
	}
	return n < b.records
}

func put(list, one []byte) []byte {
	out := append(make([]byte, 0, len(list)+len(one)+1), list[:len(list)-1]...)
	if len(out) > 1 {
		out = append(out, ',')
	}
	return append(append(out, one...), ']')
}

func (b *basket) merge(_, x, y []byte) ([]byte, error) {
	n, list, err := read(x)
	if err != nil {
		return nil, err
	}
	m, further, err := read(y)
	if err != nil {
		return nil, err
	}
	list = bytes.Clone(list)
	for one := range document.Elements(further) {
		if !b.fits(list, one) {
			break
		}
		list = put(list, one)
	}
	return write(n+m, list), nil
}
