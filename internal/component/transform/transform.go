// Package transform is the bolt that changes fields, key, event time and headers of a record by expressions.
//
// An instance is used by one goroutine at a time, as package component says of bolts that do not block. It must not be
// assumed that a failed record was left as it was: the engine keeps its own.
package transform

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/component/check"
	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/expr"
	"ravenswood.dev/internal/record"
)

//go:embed transform.md
var doc string

// Config is the settings of the bolt.
type Config struct {
	Set      map[string]string `yaml:"set" doc:"Fields to set: path to expression." example:"{total: event.price * event.count}" state:"free"`
	Remove   []string          `yaml:"remove" doc:"Paths of fields to remove; a missing one is fine." example:"[user.password]" state:"free"`
	Rename   map[string]string `yaml:"rename" doc:"Fields to rename or move: old path to new path; a missing one is fine." example:"{ts: time}" state:"free"`
	Key      string            `yaml:"key" doc:"Expression for the record's key; empty leaves it as it is." example:"event.userId"`
	Time     string            `yaml:"time" doc:"Expression for the record's event time: a time, a text such as 2010-12-01T08:26:00Z or 2010-12-01 08:26, or seconds or milliseconds since 1970; null leaves it as it is." example:"event.createdAt"`
	TimeZone string            `yaml:"timeZone" doc:"Where a time is meant that names no zone; empty is UTC." example:"Europe/London"`
	Headers  Headers           `yaml:"headers" doc:"Headers to set and remove." state:"free"`
}

// Headers is what changes among the headers.
type Headers struct {
	Set    map[string]string `yaml:"set" doc:"Headers to set: name to expression." example:"{segment: event.user.segment}"`
	Remove []string          `yaml:"remove" doc:"Names of headers to remove." example:"[trace]"`
}

// Definition is the component.
func Definition() component.Definition {
	return component.WithTimes(component.WithShape(component.DefineBolt(component.Spec{
		Name:    "transform",
		Summary: "Sets, removes and renames fields, and computes key, event time and headers, by expressions.",
		Doc:     doc,
		Examples: []component.Example{
			{Title: "Compute a field", YAML: "transform: {set: {total: event.price * event.count}}"},
			{Title: "Key by a field", YAML: "transform: {key: event.userId}"},
			{Title: "The time at which it happened, for windows and joins", YAML: "transform: {time: event.createdAt, timeZone: Europe/London}"},
			{Title: "Tidy up", YAML: "transform: {rename: {ts: time, user.mail: user.email}, remove: [user.password, debug]}"},
			{Title: "A field with a default, and a header from it", YAML: `transform: {set: {segment: 'event.?user.segment.orValue("none")'}, headers: {set: {segment: 'event.?user.segment.orValue("none")'}}}`},
		},
	}, validate, open), shape), func(c *Config) bool { return c.Time != "" })
}

// shape says that records with a computed key belong elsewhere.
func shape(c *Config) component.Shape { return component.Shape{Rekeys: c.Key != ""} }

func validate(c *Config) []component.Problem {
	if len(c.Set)+len(c.Remove)+len(c.Rename)+len(c.Headers.Set)+len(c.Headers.Remove) == 0 && c.Key+c.Time == "" {
		return []component.Problem{{Code: "setting-missing", Message: "check transform: it changes nothing",
			Hint: "give at least one of set, remove, rename, key, time and headers"}}
	}
	var problems []component.Problem
	for _, path := range slices.Sorted(maps.Keys(c.Set)) {
		problems = append(problems, check.Path("set."+path, path)...)
		problems = append(problems, check.Expression("set."+path, c.Set[path], expr.Any)...)
	}
	for i, path := range c.Remove {
		problems = append(problems, check.Path(fmt.Sprintf("remove[%d]", i), path)...)
	}
	for _, path := range slices.Sorted(maps.Keys(c.Rename)) {
		problems = append(problems, check.Path("rename."+path, path)...)
		problems = append(problems, check.Path("rename."+path, c.Rename[path])...)
	}
	if c.Key != "" {
		problems = append(problems, check.Expression("key", c.Key, expr.String)...)
	}
	if c.Time != "" {
		problems = append(problems, check.Expression("time", c.Time, expr.Any)...)
	}
	problems = append(problems, check.TimeZone("timeZone", c.TimeZone)...)
	return append(problems, validateHeaders(c.Headers)...)
}

func validateHeaders(h Headers) (problems []component.Problem) {
	for _, name := range slices.Sorted(maps.Keys(h.Set)) {
		problems = append(problems, check.Header("headers.set."+name, name)...)
		problems = append(problems, check.Expression("headers.set."+name, h.Set[name], expr.String)...)
	}
	for i, name := range h.Remove {
		problems = append(problems, check.Header(fmt.Sprintf("headers.remove[%d]", i), name)...)
	}
	return problems
}

// bolt is an instance. The fields below the line are scratch space of the record in hand.
type bolt struct {
	edits   *document.Edits // nil if no field changes
	fields  []field         // what edits puts, in its order
	key     *expr.Program   // nil leaves the key
	time    *expr.Program   // nil leaves the event time
	zone    *time.Location  // of times that name none
	headers []field
	remove  []string // headers

	in     expr.Input
	buffer []byte
	values [][]byte
	texts  []text
}

// field is a path or header and the expression for it.
type field struct {
	name    string
	program *expr.Program
}

// text is the value of a key or header; absent takes it away.
type text struct {
	value  []byte
	absent bool
}

func open(c *Config, _ component.Env) (component.Bolt, error) {
	b := &bolt{remove: c.Headers.Remove}
	edits, err := b.prepare(c)
	if err != nil {
		return nil, err
	}
	if len(edits) > 0 {
		b.edits = document.Prepare(edits...)
	}
	if b.headers, err = compile(c.Headers.Set, expr.String); err != nil {
		return nil, err
	}
	if b.key, err = compileOne("key", c.Key, expr.String); err != nil {
		return nil, err
	}
	if b.time, err = compileOne("time", c.Time, expr.Any); err != nil {
		return nil, err
	}
	if b.zone, err = time.LoadLocation(c.TimeZone); err != nil {
		return nil, fmt.Errorf("read timeZone %q: %w", c.TimeZone, err)
	}
	b.values = make([][]byte, len(b.fields))
	b.texts = make([]text, len(b.headers))
	return b, nil
}

// prepare puts the edits in the order in which they are made: rename, remove, set.
func (b *bolt) prepare(c *Config) (edits []document.Edit, err error) {
	for _, from := range slices.Sorted(maps.Keys(c.Rename)) {
		edit := document.Edit{Op: document.Rename}
		if edit.Path, err = document.ParsePath(from); err != nil {
			return nil, err
		}
		if edit.To, err = document.ParsePath(c.Rename[from]); err != nil {
			return nil, err
		}
		edits = append(edits, edit)
	}
	for _, path := range slices.Sorted(slices.Values(c.Remove)) {
		edit := document.Edit{Op: document.Remove}
		if edit.Path, err = document.ParsePath(path); err != nil {
			return nil, err
		}
		edits = append(edits, edit)
	}
	if b.fields, err = compile(c.Set, expr.Any); err != nil {
		return nil, err
	}
	for _, f := range b.fields {
		edit := document.Edit{Op: document.Put}
		if edit.Path, err = document.ParsePath(f.name); err != nil {
			return nil, err
		}
		edits = append(edits, edit)
	}
	return edits, nil
}

// compileOne compiles a setting that may be empty: nil then.
func compileOne(name, source string, want expr.Kind) (*expr.Program, error) {
	if source == "" {
		return nil, nil
	}
	fields, err := compile(map[string]string{name: source}, want)
	if err != nil {
		return nil, err
	}
	return fields[0].program, nil
}

func compile(sources map[string]string, want expr.Kind) ([]field, error) {
	var fields []field
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		program, problems := expr.Compile(sources[name], want)
		if problems != nil {
			return nil, fmt.Errorf("set %q: %s", name, problems[0].Message)
		}
		fields = append(fields, field{name, program})
	}
	return fields, nil
}

// Process implements component.Bolt.
func (b *bolt) Process(_ context.Context, r *record.Record, emit component.Emit) error {
	b.in.Reset(r)
	defer b.forget()
	if err := b.change(r); err != nil {
		return component.Permanent(err)
	}
	emit(0, r)
	return nil
}

// maxScratch is the largest buffer that is kept for the next record.
const maxScratch = 1 << 20

func (b *bolt) forget() {
	b.in.Reset(nil)
	if cap(b.buffer) > maxScratch {
		b.buffer = nil
	}
}

// change evaluates everything before it changes anything: every expression sees the record as it came in.
func (b *bolt) change(r *record.Record) error {
	key, err := b.evaluateTexts()
	if err != nil {
		return err
	}
	at, err := b.evaluateTime(r)
	if err != nil {
		return err
	}
	if err := b.changeValue(r); err != nil {
		return err
	}
	if b.key != nil {
		r.Key = key.value
	}
	r.Time = at
	b.changeHeaders(r)
	return nil
}

func (b *bolt) evaluateTexts() (key text, err error) {
	if b.key != nil {
		if key.value, key.absent, err = b.key.AppendText([]byte{}, &b.in); err != nil {
			return key, fmt.Errorf("set the key: %w", err)
		}
		if key.absent {
			key.value = nil
		}
	}
	for i, h := range b.headers {
		t := &b.texts[i]
		if t.value, t.absent, err = h.program.AppendText(nil, &b.in); err != nil {
			return key, fmt.Errorf("set header %q: %w", h.name, err)
		}
	}
	return key, nil
}

// evaluateTime returns the record's own time if there is no other.
func (b *bolt) evaluateTime(r *record.Record) (time.Time, error) {
	if b.time == nil {
		return r.Time, nil
	}
	out, absent, err := b.time.AppendJSON(b.buffer[:0], &b.in)
	b.buffer = out
	if err != nil {
		return r.Time, fmt.Errorf("set the time: %w", err)
	}
	if absent || document.KindOf(out) == document.KindNull {
		return r.Time, nil
	}
	at, ok := document.Time(out, b.zone)
	if !ok {
		return r.Time, fmt.Errorf("set the time: %.100s is none between 1970 and 2262", out)
	}
	return at, nil
}

func (b *bolt) changeValue(r *record.Record) error {
	if b.edits == nil || r.Value == nil {
		return nil
	}
	if r.Format != record.JSON {
		return fmt.Errorf("change fields: the value is %s, want a JSON object", r.Format)
	}
	object, err := b.in.Object()
	if err != nil {
		return fmt.Errorf("change fields: %w", err)
	}
	if err := b.evaluateFields(); err != nil {
		return err
	}
	value, err := b.edits.Apply(nil, object, b.values)
	if err != nil {
		return err
	}
	r.Value = value
	return nil
}

// evaluateFields fills values with slices of one buffer, which is used again for the next record: Apply copies them.
func (b *bolt) evaluateFields() error {
	b.buffer = b.buffer[:0]
	for i, f := range b.fields {
		start := len(b.buffer)
		out, absent, err := f.program.AppendJSON(b.buffer, &b.in)
		if err != nil {
			return fmt.Errorf("set %q: %w", f.name, err)
		}
		if b.buffer, b.values[i] = out, nil; !absent {
			b.values[i] = out[start:]
		}
	}
	return nil
}

func (b *bolt) changeHeaders(r *record.Record) {
	for _, name := range b.remove {
		r.RemoveHeader(name)
	}
	for i, h := range b.headers {
		if b.texts[i].absent {
			r.RemoveHeader(h.name)
			continue
		}
		r.SetHeader(h.name, b.texts[i].value)
	}
}
