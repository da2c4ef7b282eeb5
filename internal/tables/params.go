package tables

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ravenswood.dev/stream/tables"
)

// keyMax bounds keys in addresses; the server bounds addresses as a whole.
const keyMax = 32 << 10

// params reads what an address says, strictly: a misspelt bound must not become "no bound". The first thing that is
// wrong is kept, and told by finish.
type params struct {
	path   string // the key in the path, if there is one
	values url.Values
	known  []string
	coding tables.Coding
	err    error
}

func newParams(r *http.Request, t *target) *params {
	p := &params{path: r.PathValue("key")}
	var err error
	if p.values, err = url.ParseQuery(r.URL.RawQuery); err != nil { // what cannot be read would be left out
		p.err = badRequest("read what follows the ? of the address: %s", clip(err.Error()))
	}
	p.coding.Key = p.encoding("keyEncoding", tables.Text)
	p.coding.Value = p.encoding("valueEncoding", t.encoding())
	return p
}

func (p *params) get(name string) string {
	p.known = append(p.known, name)
	if len(p.values[name]) > 1 {
		p.wrong("it is there %d times", name, len(p.values[name]))
	}
	return p.values.Get(name)
}

// wrong keeps the first complaint.
func (p *params) wrong(format, name string, args ...any) {
	if p.err == nil {
		p.err = badRequest("read parameter %q: %s", name, fmt.Sprintf(format, args...))
	}
}

func (p *params) encoding(name string, usual tables.Encoding) tables.Encoding {
	s := p.get(name)
	if s == "" {
		return usual
	}
	e, err := tables.ParseEncoding(s)
	if err != nil {
		p.wrong("%s", name, err)
		return usual
	}
	return e
}

func (p *params) flag(name string) bool {
	s := p.get(name)
	if s != "" && s != "true" && s != "false" {
		p.wrong("want true or false", name)
	}
	return s == "true"
}

// key reads a key from a parameter; nil if there is none.
func (p *params) key(name string) []byte {
	s := p.get(name)
	if !p.values.Has(name) {
		return nil
	}
	return p.bytes(name, s)
}

func (p *params) bytes(name, s string) []byte {
	key, err := p.coding.Key.Parse(s)
	switch {
	case err != nil:
		p.wrong("%s", name, err)
	case len(key) > keyMax:
		p.wrong("it is longer than %d bytes", name, keyMax)
	}
	return key
}

// prefix is like key, but a prefix of JSON need not be JSON.
func (p *params) prefix() []byte {
	if p.values.Has("prefix") && p.coding.Key != tables.Text && p.coding.Key != tables.Base64 {
		p.wrong("a prefix can be written as text or base64 only", "prefix")
	}
	return p.key("prefix")
}

func (p *params) time(name string) time.Time {
	s := p.get(name)
	if s == "" {
		return time.Time{}
	}
	if millis, err := strconv.ParseInt(s, 10, 64); err == nil {
		return shownTime(time.UnixMilli(millis))
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		p.wrong("want a time such as 2026-01-31T12:00:00Z, or milliseconds since 1970", name)
	}
	return t
}

func (p *params) limit() int {
	s := p.get("limit")
	if s == "" {
		return tables.LimitDefault
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > tables.LimitMax {
		p.wrong("want 1 to %d", "limit", tables.LimitMax)
	}
	return n
}

// wait is how long a question may wait.
func (p *params) wait() time.Duration {
	s := p.get("wait")
	if s == "" {
		return tables.WaitDefault
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > tables.WaitMax {
		p.wrong("want 0s to %s", "wait", tables.WaitMax)
	}
	return d
}

// asked are the parameters of every question.
func (p *params) asked(q *query) {
	fresh := p.get("fresh")
	if fresh != "" && fresh != "require" {
		p.wrong("want require", "fresh")
	}
	q.After, q.Wait = p.get("after"), p.wait()
	q.Stale = fresh == "" && q.After == ""
	if _, err := tables.ParseToken(q.After); err != nil {
		p.wrong("%s", "after", err)
	}
}

// paged are the parameters of questions for many entries.
func (p *params) paged(q *query) {
	q.Limit = p.limit()
	if cursor := p.get("cursor"); cursor != "" {
		behind, err := parseCursor(cursor)
		if err != nil {
			p.wrong("it is not what an answer gave as next", "cursor")
		}
		q.Behind = behind
	}
}

// finish tells what was wrong.
func (p *params) finish(q *query) error {
	p.asked(q)
	return p.end()
}

func (p *params) end() error {
	if p.err != nil {
		return p.err
	}
	for name := range p.values {
		if !slices.Contains(p.known, name) {
			slices.Sort(p.known)
			e := badRequest("read parameter %q: there is no such parameter here", clip(name))
			e.Hint = "there are " + strings.Join(p.known, ", ")
			return e
		}
	}
	return nil
}

// readKey reads a question for one key.
func readKey(p *params, _ *target) (*query, error) {
	q := &query{Form: formGet, Key: p.bytes("key", p.path), Limit: 1}
	if at := p.time("asOf"); !at.IsZero() {
		q.Form, q.Since = formAsOf, at
	}
	return q, p.err
}

// readRange reads a question for the entries of all keys: keys in order, or windows or sessions by time.
func readRange(p *params, t *target) (*query, error) {
	q := &query{Form: manyOf(t.table.Store.Kind)}
	if q.Form == formRange {
		q.From, q.To = p.key("from"), p.key("to")
	} else {
		q.Since, q.Until = p.time("from"), p.time("to")
	}
	q.Prefix = p.prefix()
	p.paged(q)
	return q, p.err
}

// readSpan reads a question for what a key has within some time.
func readSpan(p *params, f form) (*query, error) {
	q := &query{Form: f, Key: p.bytes("key", p.path), Since: p.time("from"), Until: p.time("to")}
	p.paged(q)
	return q, p.err
}
