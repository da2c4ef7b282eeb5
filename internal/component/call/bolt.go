package call

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"time"

	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/record"
)

// maxTopFields is how many fields an answer may have that is merged at the top: more is a map, not an enrichment.
const maxTopFields = 256

// bolt is the running component. It does not change after open, but for the parts that merge calls.
type bolt struct {
	name     string
	service  string
	services component.Services
	chooser  component.Chooser // nil unless calls are merged
	timeout  time.Duration

	send      []document.Path
	projected *document.Edits // puts the sent fields into an empty object; nil sends the event
	headers   []headerField

	into         string
	intoEdit     *document.Edits // nil merges at the top
	versionEdit  *document.Edits // nil for none
	versionField string

	log    *slog.Logger
	batch  *batcher // nil for none
	flight *flight  // nil for none
	cache  *cache   // nil for none
	keyOf  document.Path
}

var (
	_ component.Bolt = (*bolt)(nil)
	_ io.Closer      = (*bolt)(nil)
)

type headerField struct {
	name string
	path document.Path
}

func open(c *Config, env component.Env) (component.Bolt, error) {
	if env.Services == nil {
		return nil, fmt.Errorf("open bolt %q: no services to call", env.Name)
	}
	b := &bolt{
		name: env.Name, service: c.Service, services: env.Services, timeout: time.Duration(c.Timeout),
		into: c.Into, versionField: c.VersionField, log: env.Log,
	}
	if err := errors.Join(b.prepareRequest(c), b.prepareMerge(c), b.prepareMerging(c)); err != nil {
		return nil, fmt.Errorf("open bolt %q: %w", env.Name, err)
	}
	return b, nil
}

func (b *bolt) prepareRequest(c *Config) error {
	var errs []error
	var puts []document.Edit
	for _, s := range c.Send {
		p, err := document.ParsePath(s)
		errs = append(errs, err)
		b.send = append(b.send, p)
		puts = append(puts, document.Edit{Op: document.Put, Path: p})
	}
	if len(puts) > 0 {
		b.projected = document.Prepare(puts...)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		p, err := document.ParsePath(c.Headers[name])
		errs = append(errs, err)
		b.headers = append(b.headers, headerField{name, p})
	}
	return errors.Join(errs...)
}

func (b *bolt) prepareMerge(c *Config) (err error) {
	if b.intoEdit, err = putAt(c.Into); err != nil {
		return err
	}
	b.versionEdit, err = putAt(c.VersionField)
	return err
}

func putAt(path string) (*document.Edits, error) {
	if path == "" {
		return nil, nil
	}
	p, err := document.ParsePath(path)
	if err != nil {
		return nil, err
	}
	return document.Prepare(document.Edit{Op: document.Put, Path: p}), nil
}

// prepareMerging sets up what merges calls.
func (b *bolt) prepareMerging(c *Config) (err error) {
	if c.Batch != nil {
		b.batch = newBatcher(c.Batch.Size, time.Duration(c.Batch.Wait), b.services)
	}
	if c.SingleFlight {
		b.flight = new(flight)
	}
	if c.Cache != nil {
		b.cache = newCache(c.Cache.Entries, int64(c.Cache.Bytes), time.Duration(c.Cache.TTL))
		if c.Cache.Key != "" {
			b.keyOf, err = document.ParsePath(c.Cache.Key)
		}
	}
	if b.batch != nil || b.flight != nil || b.cache != nil {
		b.chooser, _ = b.services.(component.Chooser)
	}
	return err
}

// Close says what the cache was good for.
func (b *bolt) Close() error {
	if b.cache != nil && b.log != nil {
		b.log.Debug("answers from the cache", "bolt", b.name, "service", b.service, "hits", b.cache.hits.Load(), "misses", b.cache.misses.Load())
	}
	return nil
}

// Process asks about one record and emits it with the answer.
func (b *bolt) Process(ctx context.Context, r *record.Record, emit component.Emit) error {
	if r.Value == nil { // a tombstone says that something is gone: there is nothing to ask about
		emit(0, r)
		return nil
	}
	var event document.Object
	if err := b.readEvent(r, &event); err != nil {
		return component.Permanent(err)
	}
	c, err := b.newCall(r, &event)
	if err != nil {
		return err
	}
	answer, err := b.ask(ctx, c, &event)
	if err != nil {
		return err
	}
	out, err := b.merged(r, &event, answer)
	if err != nil {
		return component.Permanent(fmt.Errorf("merge answer of service %q version %q: %w", b.service, answer.Version, err))
	}
	emit(0, out)
	return nil
}

func (b *bolt) readEvent(r *record.Record, event *document.Object) error {
	if r.Format != record.JSON {
		return fmt.Errorf("call service %q: the record is %s, want json", b.service, r.Format)
	}
	if err := event.Read(r.Value); err != nil {
		return fmt.Errorf("call service %q: read the event: %w", b.service, err)
	}
	return nil
}

// newCall makes the request, and chooses the version if calls are merged.
func (b *bolt) newCall(r *record.Record, event *document.Object) (component.Call, error) {
	c := component.Call{
		Service: b.service, Event: r.Value, Key: r.Key, Headers: b.callHeaders(r, event),
		IdempotencyKey: r.Origin.String() + "/" + url.PathEscape(b.name), Timeout: b.timeout,
	}
	var err error
	if c.Body, err = b.body(event); err != nil {
		return c, component.Permanent(fmt.Errorf("call service %q: choose the fields to send: %w", b.service, err))
	}
	if b.chooser != nil {
		c.Version, err = b.chooser.Choose(c)
	}
	return c, err
}

// callHeaders is the record's headers and the chosen fields. A field that is missing or null is no header.
func (b *bolt) callHeaders(r *record.Record, event *document.Object) []record.Header {
	if len(b.headers) == 0 {
		return r.Headers
	}
	out := make([]record.Header, 0, len(r.Headers)+len(b.headers))
	out = append(out, r.Headers...)
	for _, h := range b.headers {
		raw, ok := event.Lookup(h.path)
		switch kind := document.KindOf(raw); {
		case !ok, kind == document.KindNull:
			continue
		case kind == document.KindString:
			text, _ := document.Text(raw) // valid: it is part of the event
			raw = []byte(text)
		}
		out = append(out, record.Header{Key: h.name, Value: raw})
	}
	return out
}

// body is what is sent: the whole event as it is, or an object with the chosen fields that are there.
func (b *bolt) body(event *document.Object) ([]byte, error) {
	if b.projected == nil {
		return event.Raw(), nil
	}
	values := make([][]byte, len(b.send))
	for i, path := range b.send {
		values[i], _ = event.Lookup(path)
	}
	var empty document.Object
	if err := empty.Read([]byte("{}")); err != nil {
		return nil, err
	}
	return b.projected.Apply(nil, &empty, values)
}

// ask gets the answer: from the cache, from a call in flight, from a batch or by a call of its own.
func (b *bolt) ask(ctx context.Context, c component.Call, event *document.Object) (component.Answer, error) {
	if b.cache == nil && b.flight == nil {
		return b.call(ctx, c)
	}
	key, ok := b.requestKey(c, event)
	if !ok {
		return b.call(ctx, c)
	}
	if b.cache != nil {
		if body, found := b.cache.get(key, time.Now()); found {
			return component.Answer{Body: body, Version: c.Version}, nil
		}
	}
	answer, err := b.fly(ctx, key, c)
	if err == nil && !answer.Degraded && b.cache != nil && answer.Version == c.Version {
		b.cache.put(key, bytes.Clone(answer.Body), time.Now()) // it may be a small part of a batch's
	}
	return answer, err
}

func (b *bolt) fly(ctx context.Context, key requestKey, c component.Call) (component.Answer, error) {
	if b.flight == nil {
		return b.call(ctx, c)
	}
	return b.flight.do(ctx, key, func() (component.Answer, error) { return b.call(ctx, c) })
}

func (b *bolt) call(ctx context.Context, c component.Call) (component.Answer, error) {
	if b.batch != nil {
		return b.batch.call(ctx, c)
	}
	return b.services.Call(ctx, c)
}

// merged is the record with the answer in it. The record itself stays as it is: the engine may need it for a retry.
func (b *bolt) merged(r *record.Record, event *document.Object, answer component.Answer) (*record.Record, error) {
	value, err := b.mergeBody(event, tidy(answer.Body))
	if err != nil {
		return nil, err
	}
	if b.versionEdit != nil {
		if value, err = putVersion(b.versionEdit, value, answer); err != nil {
			return nil, fmt.Errorf("put version into %q: %w", b.versionField, err)
		}
	}
	out := r.Clone()
	out.Value = value
	if answer.Degraded {
		out.RemoveHeader(record.HeaderAnswered + b.name)
		out.SetHeader(record.HeaderDegraded+b.name, []byte(b.service))
	} else {
		out.RemoveHeader(record.HeaderDegraded + b.name)
		out.SetHeader(record.HeaderAnswered+b.name, []byte(b.service+"/"+answer.Version))
	}
	return out, nil
}

func (b *bolt) mergeBody(event *document.Object, answer []byte) ([]byte, error) {
	if b.intoEdit == nil {
		return mergeTop(event, answer)
	}
	value, err := b.intoEdit.Apply(nil, event, [][]byte{answer})
	if err != nil {
		return nil, fmt.Errorf("put answer into %q: %w", b.into, err)
	}
	return value, nil
}

// mergeTop sets each field of an answer that is an object at the top of the event.
func mergeTop(event *document.Object, answer []byte) ([]byte, error) {
	var fields document.Object
	if err := fields.Read(answer); err != nil {
		return nil, fmt.Errorf("put answer at the top: %w", err)
	}
	if fields.Len() > maxTopFields {
		return nil, fmt.Errorf("put answer at the top: it has %d fields, want at most %d", fields.Len(), maxTopFields)
	}
	edits := make([]document.Edit, 0, fields.Len())
	values := make([][]byte, 0, fields.Len())
	for name, value := range fields.All() {
		text, err := document.Text(name)
		if err != nil {
			return nil, err
		}
		edits = append(edits, document.Edit{Op: document.Put, Path: document.Path{{Name: text}}})
		values = append(values, value)
	}
	if len(edits) == 0 {
		return event.Raw(), nil
	}
	return document.Prepare(edits...).Apply(nil, event, values)
}

func putVersion(edit *document.Edits, value []byte, answer component.Answer) ([]byte, error) {
	var o document.Object
	if err := o.Read(value); err != nil {
		return nil, err
	}
	version := []byte("null") // nobody answered, the fallback did
	if !answer.Degraded {
		version = document.AppendText(nil, answer.Version)
	}
	return edit.Apply(nil, &o, [][]byte{version})
}

// tidy takes the line breaks out of an answer: a record is one line wherever it is shown or filed.
func tidy(answer []byte) []byte {
	answer = bytes.TrimSpace(answer)
	if !bytes.ContainsAny(answer, "\r\n") {
		return answer
	}
	var out bytes.Buffer
	if err := json.Compact(&out, answer); err != nil {
		return answer
	}
	return out.Bytes()
}
