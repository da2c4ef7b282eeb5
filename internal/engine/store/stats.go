package store

// Stats says how large a State is.
type Stats struct {
	Stores     []StoreStats
	OpenBytes  int64 // memory of the open transaction
	DiskBytes  int64 // of the directory
	CacheBytes int64 // of the block cache, shared by all States of the process
}

// StoreStats says how large a store is.
type StoreStats struct {
	Name       string
	Entries    int64 // -1: not known
	Bytes      int64 // about what is committed of it takes
	Checkpoint int64
}

// Specs lists the stores, by name.
func (s *State) Specs() []Spec {
	specs := make([]Spec, len(s.tables))
	for i, t := range s.tables {
		specs[i] = t.spec
	}
	return specs
}

// Stats may be called by any goroutine.
func (s *State) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all Stats
	for _, t := range s.tables {
		one := StoreStats{Name: t.spec.Name, Checkpoint: t.checkpoint}
		one.Entries, one.Bytes = t.base.size()
		all.Stores = append(all.Stores, one)
	}
	return all
}
