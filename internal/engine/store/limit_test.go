package store_test

import (
	"testing"
	"time"

	"ravenswood.dev/internal/engine/store"
)

func TestAnEntryAboveTheLimitIsFoundIfItStands(t *testing.T) {
	at := time.UnixMilli(1)
	for _, c := range []struct {
		name  string
		write func(s *state)
		found bool
	}{
		{"nothing", func(*state) {}, false},
		{"as large as allowed", func(s *state) { s.put("k", 9) }, false},
		{"one byte more", func(s *state) { s.put("k", 10) }, true},
		{"a large key", func(s *state) { s.put("0123456789", 1) }, true},
		{"among others", func(s *state) { s.put("a", 1); s.put("k", 10); s.put("z", 1) }, true},
		{"made smaller", func(s *state) { s.put("k", 10); s.put("k", 9) }, false},
		{"deleted", func(s *state) { s.put("k", 10); s.KeyValue("bounded").Delete([]byte("k"), at) }, false},
		{"in a store without limit", func(s *state) { s.KeyValue("free").Put([]byte("k"), store.Entry{Value: make([]byte, 100), Time: at}) }, false},
		{"rolled back", func(s *state) { s.put("k", 10); s.Rollback() }, false},
		{"before the mark", func(s *state) { s.put("k", 10); s.Mark(); s.put("l", 1) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := store.Open(store.Options{Specs: []store.Spec{{Name: "bounded", Memory: true}, {Name: "free", Memory: true}}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			s.Limit("bounded", 10)
			s.Limit("nobody", 10)
			s.Mark()
			c.write(&state{s})
			name, bytes, found := s.TooLarge()
			if found != c.found || found && (name != "bounded" || bytes != 11) {
				t.Errorf("found %q of %d bytes, %v; want %v", name, bytes, found, c.found)
			}
		})
	}
}

// state is a State whose store has a limit.
type state struct{ *store.State }

func (s *state) put(key string, bytes int) {
	s.KeyValue("bounded").Put([]byte(key), store.Entry{Value: make([]byte, bytes), Time: time.UnixMilli(1)})
}
