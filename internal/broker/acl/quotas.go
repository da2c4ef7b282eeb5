package acl

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// The keys of quotas, as Kafka names them; see QuotaKind.
const (
	producerByteRate = "producer_byte_rate"
	consumerByteRate = "consumer_byte_rate"
	requestPercent   = "request_percentage"
	mutationRate     = "controller_mutation_rate"
	connectionRate   = "connection_creation_rate"
)

// Default stands in an Entity for the name of everybody who has no quota of his own.
const Default = "<default>"

const (
	maxQuotaEntities = 100_000 // with quotas
	maxQuotaChanges  = 10_000  // entities in one request
)

// Entity is whom a quota is for: a user, a client id, both together, or an address. An empty field is not part of it.
// A field of Default is everybody who has no quota of his own.
type Entity struct {
	User     string `json:"user,omitempty"`
	ClientID string `json:"clientId,omitempty"`
	IP       string `json:"ip,omitempty"`
}

// String tells the entity the way Kafka's tools do.
func (e Entity) String() string {
	var parts []string
	for _, p := range e.parts() {
		parts = append(parts, p.kind+"="+p.name)
	}
	return strings.Join(parts, ",")
}

type entityPart struct{ kind, name string }

func (e Entity) parts() (all []entityPart) {
	for _, p := range []entityPart{{"user", e.User}, {"client-id", e.ClientID}, {"ip", e.IP}} {
		if p.name != "" {
			all = append(all, p)
		}
	}
	return all
}

func (e Entity) check() error {
	switch {
	case e == Entity{}:
		return fmt.Errorf("an entity needs a user, a client id or an address")
	case e.IP != "" && (e.User != "" || e.ClientID != ""):
		return fmt.Errorf("an address cannot be together with a user or a client id")
	case max(len(e.User), len(e.ClientID), len(e.IP)) > maxNameBytes:
		return fmt.Errorf("a name has at most %d bytes", maxNameBytes)
	}
	if e.IP != "" && e.IP != Default {
		if _, err := netip.ParseAddr(e.IP); err != nil {
			return fmt.Errorf("%q is no address", e.IP)
		}
	}
	return nil
}

func (e Entity) checkValue(key string, value float64) error {
	switch key {
	case producerByteRate, consumerByteRate, requestPercent, mutationRate:
		if e.IP != "" {
			return fmt.Errorf("%s cannot be set for an address", key)
		}
	case connectionRate:
		if e.IP == "" {
			return fmt.Errorf("%s can be set for an address only", key)
		}
	default:
		return fmt.Errorf("unknown quota %q", key)
	}
	whole := key == producerByteRate || key == consumerByteRate || key == connectionRate
	switch {
	case math.IsNaN(value) || value <= 0 || value > math.MaxInt64/2:
		return fmt.Errorf("%s must be a positive number", key)
	case whole && value != math.Trunc(value):
		return fmt.Errorf("%s must be a whole number", key)
	}
	return nil
}

// Quotas are how fast clients may be, and how fast they are.
type Quotas struct {
	mu      sync.Mutex
	of      map[Entity]map[string]float64 // guarded by mu
	count   map[string]int                // guarded by mu; entities with a value for this key
	buckets *buckets                      // guarded by mu
}

func newQuotas(o QuotaOptions) *Quotas {
	return &Quotas{of: map[Entity]map[string]float64{}, count: map[string]int{}, buckets: newBuckets(o)}
}

func (q *Quotas) put(e Entity, values map[string]float64) error {
	if err := e.check(); err != nil {
		return err
	}
	for key, v := range values {
		if err := e.checkValue(key, v); err != nil {
			return err
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for key := range q.of[e] {
		q.count[key]--
	}
	for key := range values {
		q.count[key]++
	}
	if len(values) == 0 {
		delete(q.of, e)
		return nil
	}
	q.of[e] = maps.Clone(values)
	return nil
}

// quotaOf finds what holds for a client: the value, and whom it is shared by. The first entity with a value wins, from
// the most specific to the most general, as in Kafka. It needs mu.
func (q *Quotas) quotaOf(c Client, key string) (value float64, shared Entity, ok bool) {
	if q.count[key] == 0 {
		return 0, Entity{}, false
	}
	c = c.named()
	for _, try := range c.precedence() {
		if v, found := q.of[try][key]; found {
			return v, c.share(try), true
		}
	}
	return 0, Entity{}, false
}

// named replaces what a client does not tell by a name that no quota has: it then falls under the defaults.
func (c Client) named() Client {
	const nobody = "\x00"
	return Client{User: cmp.Or(c.User, nobody), ID: cmp.Or(c.ID, nobody), IP: cmp.Or(c.IP, nobody)}
}

func (c Client) precedence() []Entity {
	user, id := c.User, c.ID
	return []Entity{
		{User: user, ClientID: id}, {User: user, ClientID: Default}, {User: user},
		{User: Default, ClientID: id}, {User: Default, ClientID: Default}, {User: Default},
		{ClientID: id}, {ClientID: Default},
		{IP: c.IP}, {IP: Default},
	}
}

// share replaces defaults by the client's own names: a default is a quota for each, not one for all.
func (c Client) share(e Entity) Entity {
	if e.User != "" {
		e.User = c.User
	}
	if e.ClientID != "" {
		e.ClientID = c.ID
	}
	if e.IP != "" {
		e.IP = c.IP
	}
	return e
}

func (q *Quotas) snapshot() (entries []Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range slices.SortedFunc(maps.Keys(q.of), Entity.compare) {
		entries = append(entries, Entry{Kind: KindQuotaSet, Entity: &e, Quotas: maps.Clone(q.of[e])})
	}
	return entries
}

func (e Entity) compare(o Entity) int {
	return cmp.Or(cmp.Compare(e.User, o.User), cmp.Compare(e.ClientID, o.ClientID), cmp.Compare(e.IP, o.IP))
}
