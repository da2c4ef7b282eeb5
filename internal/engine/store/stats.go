package store

// Stats says how large a State is.
type Stats struct {
	Stores      []StoreStats // by name
	SealedBytes int64        // about what the sealed transaction takes in memory; of the open one, ask Pending
	DiskBytes   int64        // of the directory
	CacheBytes  int64        // of the block cache, shared by all States opened with the same Caches
}

// StoreStats says how large a store is.
type StoreStats struct {
	Name       string
	Entries    int64 // -1: not known, which is so on disk
	Bytes      int64 // about what is committed of it takes; -1: not known
	Checkpoint int64 // as State.Checkpoint
}

// Stats may be called by any goroutine. After Close it says nothing.
func (s *State) Stats() Stats {
	var all Stats
	if !s.enter() {
		return all
	}
	defer s.leave()
	for _, t := range s.tables {
		one := StoreStats{Name: t.spec.Name, Checkpoint: s.Checkpoint(t.spec.Name)}
		one.Entries, one.Bytes = t.ground.size()
		all.Stores = append(all.Stores, one)
	}
	all.SealedBytes = s.sealedBytes()
	if s.disk != nil {
		m := s.disk.db.Metrics()
		all.DiskBytes, all.CacheBytes = int64(m.DiskSpaceUsage()), m.BlockCache.Size
	}
	return all
}

func (s *State) sealedBytes() (sum int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed == nil {
		return 0
	}
	for _, l := range s.sealed.layers {
		_, bytes := l.size()
		sum += bytes
	}
	return sum
}

// Specs lists the stores, by name.
func (s *State) Specs() []Spec {
	specs := make([]Spec, len(s.tables))
	for i, t := range s.tables {
		specs[i] = t.spec
	}
	return specs
}
