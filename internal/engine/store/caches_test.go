package store

import "testing"

// Pebble takes memtables off the cache, so a cache must be larger than all of them together by what is meant for blocks.
func TestFullMemtablesLeaveTheCacheItsBlocks(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		name     string
		opt      CacheOptions
		memtable int64 // of each State, twice
		cache    int64
	}{
		{"as it is", CacheOptions{}, 8 * mb, 64*mb + 4*2*8*mb},
		{"one State has no more than it can use", CacheOptions{States: 1}, 16 * mb, 64*mb + 2*16*mb},
		{"many States share", CacheOptions{States: 16}, 2 * mb, 64*mb + 64*mb},
		{"so many that each has the least", CacheOptions{States: 500}, mb, 64*mb + 500*2*mb},
		{"as asked for", CacheOptions{CacheBytes: 10 * mb, MemtableBytes: 8 * mb, States: 2}, 2 * mb, 10*mb + 8*mb},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewCaches(c.opt)
			defer s.Close()
			if s.memtable != c.memtable || s.cache.MaxSize() != c.cache {
				t.Errorf("memtables of %d and a cache of %d, want %d and %d", s.memtable, s.cache.MaxSize(), c.memtable, c.cache)
			}
		})
	}
}
