package server

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"ravenswood.dev/internal/broker/config"
)

// A topicID names one life of a topic: a topic that is made anew under an old name gets another.
type topicID [16]byte

func (id topicID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText writes the id as hexadecimal digits, as in the names of directories.
func (id topicID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText reads what MarshalText wrote.
func (id *topicID) UnmarshalText(b []byte) error {
	if hex.DecodedLen(len(b)) != len(id) {
		return fmt.Errorf("read topic id %q: want %d hexadecimal digits", b, hex.EncodedLen(len(id)))
	}
	_, err := hex.Decode(id[:], b)
	return err
}

// A topic is one topic with its partitions. Its lists only grow, by replacement, so that readers need no lock.
type topic struct {
	s          *Server
	name       string
	id         topicID
	settings   atomic.Pointer[map[string]string] // as set by clients, never changed in place
	effective  atomic.Pointer[config.Topic]      // settings with their defaults
	partitions atomic.Pointer[[]*partition]
}

// partition returns a partition, or nil if there is none of that number.
func (t *topic) partition(index int32) *partition {
	all := *t.partitions.Load()
	if index < 0 || int(index) >= len(all) {
		return nil
	}
	return all[index]
}

func (t *topic) all() []*partition { return *t.partitions.Load() }

// dir is where a partition's files are, below the root of the file system.
func (t *topic) dir(index int32) string {
	return path.Join(topicsDir, t.name, t.id.String(), fmt.Sprint(index))
}

// configure replaces the settings.
func (t *topic) configure(settings map[string]string, sources config.Sources) {
	t.settings.Store(&settings)
	effective := sources.Topic(settings)
	t.effective.Store(&effective)
}

// A catalog is the set of topics.
type catalog struct {
	mu     sync.RWMutex
	byName map[string]*topic  // GUARDED_BY(mu)
	byID   map[topicID]*topic // GUARDED_BY(mu)
}

func newCatalog() *catalog {
	return &catalog{byName: map[string]*topic{}, byID: map[topicID]*topic{}}
}

func (c *catalog) named(name string) *topic {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byName[name]
}

func (c *catalog) withID(id topicID) *topic {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byID[id]
}

// partition returns a partition, or nil.
func (c *catalog) partition(topic string, index int32) *partition {
	t := c.named(topic)
	if t == nil {
		return nil
	}
	return t.partition(index)
}

// sorted returns all topics by name.
func (c *catalog) sorted() []*topic {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.SortedFunc(maps.Values(c.byName), func(a, b *topic) int { return cmp.Compare(a.name, b.name) })
}

func (c *catalog) put(t *topic) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byName[t.name], c.byID[t.id] = t, t
}

func (c *catalog) remove(t *topic) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byName, t.name)
	delete(c.byID, t.id)
}

// alike returns a topic whose name differs in dots and underscores only: Kafka allows one of them, since names of metrics
// cannot tell them apart.
func (c *catalog) alike(name string) string {
	if !strings.ContainsAny(name, "._") {
		return ""
	}
	flat := strings.ReplaceAll(name, ".", "_")
	c.mu.RLock()
	defer c.mu.RUnlock()
	for other := range c.byName {
		if strings.ReplaceAll(other, ".", "_") == flat {
			return other
		}
	}
	return ""
}

// partitions returns every partition of every topic, in order.
func (c *catalog) partitions() []*partition {
	var all []*partition
	for _, t := range c.sorted() {
		all = append(all, t.all()...)
	}
	return all
}
