package store

// Limit says how large an entry of a store may be, key and value together: what its changelog takes. Nothing is refused:
// whoever writes asks TooLarge. It is for a task that begins.
func (s *State) Limit(store string, bytes int) {
	if t := s.byName[store]; t != nil {
		t.limit = bytes
	}
}

// TooLarge finds an entry written since Mark that is above the limit of its store, and still stands.
func (s *State) TooLarge() (store string, bytes int, found bool) {
	if !s.large {
		return "", 0, false
	}
	for _, u := range s.undo {
		for _, t := range s.tables {
			it := t.open.get(u.before.key)
			if t.open != u.layer || t.limit == 0 || it == nil {
				continue
			}
			if n := len(it.user()) + len(it.value); n > t.limit {
				return t.spec.Name, n, true
			}
		}
	}
	return "", 0, false
}
