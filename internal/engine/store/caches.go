package store

import (
	"github.com/cockroachdb/pebble/v2"
)

// CacheOptions bound the memory of all States of a process together, but for their open transactions.
type CacheOptions struct {
	CacheBytes    int64 // of blocks read from disk, while memtables are full; what these leave is used for blocks, too; 0: 64 MB
	MemtableBytes int64 // of writes on their way to disk; 0: 64 MB
	States        int   // how many States are open at once, at most: each gets its part of MemtableBytes; 0: 4
	Files         int   // how many tables are held open; 0: 1000
}

const (
	memtableMin = 1 << 20
	memtableMax = 16 << 20
)

// Caches is what the States of a process have in common.
type Caches struct {
	cache    *pebble.Cache
	files    *pebble.FileCache
	memtable int64 // of one State; two of that size may be in use
}

// NewCaches returns what States are opened with. It may be closed before they are.
func NewCaches(opt CacheOptions) *Caches {
	states := orElse(int64(opt.States), 4)
	memtable := min(max(orElse(opt.MemtableBytes, 64<<20)/(2*states), memtableMin), memtableMax)
	return &Caches{
		// Pebble takes memtables off the cache. One that is no larger than they are holds nothing, and then each read of a key
		// unpacks a table's index anew.
		cache:    pebble.NewCache(orElse(opt.CacheBytes, 64<<20) + 2*memtable*states),
		files:    pebble.NewFileCache(4, int(orElse(int64(opt.Files), 1000))),
		memtable: memtable,
	}
}

func orElse(n, otherwise int64) int64 {
	if n > 0 {
		return n
	}
	return otherwise
}

// Close gives back the caches when the last State is closed.
func (s *Caches) Close() {
	s.cache.Unref()
	s.files.Unref()
}
