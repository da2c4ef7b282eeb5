// Package call is the bolt that asks a versioned service about each record and merges the JSON answer into it.
//
// The bolt names a service, never a version: package router decides by the service's route, makes the call and classes
// its errors. The bolt builds the request, may merge calls (batches, single flight, a cache), and puts the answer into
// the record without touching any other byte of it.
//
// The engine may run Process for many records at once, one per key; everything here is safe for that. Do not assume
// that a record is asked about only once: after a crash, or within a batch that fails, it is asked about again, with the
// same Idempotency-Key.
package call

import (
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/document"
	"ravenswood.dev/internal/record"
)

//go:embed call.md
var doc string

// Config is the settings of the bolt.
type Config struct {
	Service      string            `yaml:"service" required:"true" doc:"The service to call; its route picks the version." example:"users"`
	Send         []string          `yaml:"send" doc:"Fields of the event that are sent, where they stand in it; empty sends the whole event." example:"[userId, user.segment]"`
	Headers      map[string]string `yaml:"headers" doc:"Headers of the call and the fields whose values they get; routes may match on them, too." example:"{X-Segment: users.segment}"`
	Into         string            `yaml:"into" doc:"Where the answer goes; empty puts the fields of an answer that is an object at the top." example:"users"`
	VersionField string            `yaml:"versionField" doc:"Field that gets the name of the version that answered, null for a fallback; empty for none." example:"usersVersion"`
	Timeout      api.Duration      `yaml:"timeout" default:"0" doc:"Longest time one attempt may take; 0 takes the service's." example:"500ms"`
	Batch        *Batch            `yaml:"batch" doc:"Asks about several records in one call: a list goes out, a list of the same length comes back."`
	SingleFlight bool              `yaml:"singleFlight" default:"false" doc:"Makes one call for equal requests that are in flight at the same time."`
	Cache        *Cache            `yaml:"cache" doc:"Keeps answers for a while and gives them to equal requests."`
}

// Batch is how records are put together.
type Batch struct {
	Size int          `yaml:"size" default:"50" doc:"Most records in one call."`
	Wait api.Duration `yaml:"wait" default:"5ms" doc:"How long the first record waits for others."`
}

// Cache is how long answers are kept, and how many.
type Cache struct {
	TTL     api.Duration `yaml:"ttl" default:"1m" doc:"How long an answer is good for."`
	Entries int          `yaml:"entries" default:"10000" doc:"Most answers kept; the least used goes first."`
	Bytes   api.Size     `yaml:"bytes" default:"64MB" doc:"Most bytes of answers kept."`
	Key     string       `yaml:"key" doc:"Field that stands for the request: equal values, equal answers. Empty compares the whole request." example:"userId"`
}

// The bounds of a batch.
const (
	maxBatchSize  = 1000
	maxBatchBytes = 4 << 20
	maxBatchWait  = time.Second
)

// Definition is the component.
func Definition() component.Definition {
	d := component.DefineBolt(component.Spec{
		Name:     "call",
		Summary:  "Calls a versioned service about each record and merges the JSON answer into it.",
		Doc:      doc,
		Blocking: true,
		Examples: []component.Example{
			{Title: "Enrich at the top", YAML: "call: {service: users}"},
			{Title: "Send one field, keep the answer apart", YAML: "call: {service: users, send: [userId], into: user, timeout: 500ms}"},
			{Title: "Let the next route see an earlier answer", YAML: "call: {service: svc2, headers: {X-Segment: user.segment}, into: svc2, versionField: svc2.version}"},
			{Title: "Fifty records in one call", YAML: "call: {service: prices, send: [sku], into: price, batch: {size: 50, wait: 5ms}}"},
			{Title: "Ask once a minute per user", YAML: "call: {service: users, send: [userId], into: user, singleFlight: true, cache: {ttl: 1m, key: userId}}"},
		},
	}, check, open)
	return component.WithUses(d, func(c *Config) []string { return []string{c.Service} })
}

func check(c *Config) []component.Problem {
	var k checker
	for i, path := range c.Send {
		k.path(fmt.Sprintf("send[%d]", i), path)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		k.header(name)
		k.path("headers."+name, c.Headers[name])
	}
	k.optionalPath("into", c.Into)
	k.optionalPath("versionField", c.VersionField)
	if c.Batch != nil {
		k.batch(c)
	}
	if c.Cache != nil {
		k.cache(*c.Cache)
	}
	return k.problems
}

type checker struct{ problems []component.Problem }

func (k *checker) add(path, code, message, hint string) {
	k.problems = append(k.problems, component.Problem{Path: path, Code: code, Message: message, Hint: hint})
}

func (k *checker) optionalPath(at, path string) {
	if path != "" {
		k.path(at, path)
	}
}

func (k *checker) path(at, path string) {
	_, err := document.ParsePath(path)
	if err == nil {
		return
	}
	p := component.Problem{Path: at, Code: "path-invalid", Message: err.Error()}
	if where, ok := errors.AsType[*document.PathError](err); ok {
		p.Column = where.Column
	}
	k.problems = append(k.problems, p)
}

func (k *checker) header(name string) {
	switch lower := strings.ToLower(name); {
	case !validHeader(name):
		k.add("headers."+name, "header-invalid", fmt.Sprintf("send header %q: HTTP does not allow this name", name), "Use letters, digits and '-'.")
	case strings.HasPrefix(lower, record.Prefix), slices.Contains(reservedHeaders, lower):
		k.add("headers."+name, "header-reserved", fmt.Sprintf("send header %q: it is set by raven or by HTTP itself", name), "Choose another name, such as X-"+http.CanonicalHeaderKey(name)+".")
	}
}

// reservedHeaders are those the router sets or leaves out.
var reservedHeaders = []string{"accept", "accept-encoding", "connection", "content-encoding", "content-length",
	"content-type", "expect", "host", "idempotency-key", "keep-alive", "proxy-authenticate", "proxy-authorization",
	"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "x-raven-mirror", "x-raven-service", "x-raven-version"}

func validHeader(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	})
}

func (k *checker) batch(c *Config) {
	if c.Batch.Size < 1 || c.Batch.Size > maxBatchSize {
		k.add("batch.size", "out-of-range", fmt.Sprintf("batch %d records: want 1 to %d", c.Batch.Size, maxBatchSize), "")
	}
	if time.Duration(c.Batch.Wait) > maxBatchWait {
		k.add("batch.wait", "out-of-range", fmt.Sprintf("wait %s for a batch: want at most %s", c.Batch.Wait, maxBatchWait), "")
	}
	if len(c.Headers) > 0 {
		k.add("headers", "batch-with-headers", "send headers with a batch: its records would need different ones", "Send the fields in the body.")
	}
}

func (k *checker) cache(c Cache) {
	if c.TTL <= 0 {
		k.add("cache.ttl", "out-of-range", "keep answers for no time: want a ttl above 0", "Leave out cache to keep none.")
	}
	if c.Entries < 1 || c.Bytes < 1 {
		k.add("cache", "out-of-range", "keep no answers: want entries and bytes above 0", "Leave out cache to keep none.")
	}
	k.optionalPath("cache.key", c.Key)
}
