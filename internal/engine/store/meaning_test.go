package store_test

import (
	"bytes"
	"testing"
	"time"

	"ravenswood.dev/internal/engine/store"
)

// TestReadChangeSaysWhatWasWritten writes to a store of each kind and reads the changes back in their own words.
func TestReadChangeSaysWhatWasWritten(t *testing.T) {
	start, end, at := time.UnixMilli(60_000).UTC(), time.UnixMilli(95_000).UTC(), time.UnixMilli(90_000).UTC()
	key, value := []byte("a\x00b"), []byte("v")
	entry := store.Entry{Value: value, Time: at}
	cases := []struct {
		name  string
		spec  store.Spec
		write func(*store.State)
		want  store.Meaning
	}{
		{"a key", store.Spec{Kind: store.KindKeyValue}, func(s *store.State) { s.KeyValue("x").Put(key, entry) }, store.Meaning{Key: key, Entry: entry}},
		{"a window", store.Spec{Kind: store.KindWindow, Retention: time.Hour, Window: time.Minute}, func(s *store.State) { s.Windows("x").Put(key, start, 7, entry) },
			store.Meaning{Key: key, Start: start, End: start.Add(time.Minute), Seq: 7, Entry: entry}},
		{"a record in a buffer", store.Spec{Kind: store.KindWindow, Retention: time.Hour}, func(s *store.State) { s.Windows("x").Put(key, start, 7, entry) },
			store.Meaning{Key: key, Start: start, Seq: 7, Entry: entry}},
		{"a session", store.Spec{Kind: store.KindSession, Retention: time.Hour}, func(s *store.State) { s.Sessions("x").Put(key, start, end, entry) },
			store.Meaning{Key: key, Start: start, End: end, Entry: entry}},
		{"a version", store.Spec{Kind: store.KindVersioned, Retention: time.Hour}, func(s *store.State) { s.Versions("x").Put(key, entry) }, store.Meaning{Key: key, Entry: entry}},
		{"a deleted version", store.Spec{Kind: store.KindVersioned, Retention: time.Hour}, func(s *store.State) { s.Versions("x").Put(key, store.Entry{Time: at}) },
			store.Meaning{Key: key, Entry: store.Entry{Time: at}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.spec.Name = "x"
			s, err := store.Open(store.Options{Specs: []store.Spec{c.spec}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			c.write(s)
			seen := 0
			err = s.Changes(func(change store.Change) error {
				seen++
				m, ok, err := c.spec.ReadChange(change)
				if err != nil || !ok || !bytes.Equal(m.Key, c.want.Key) || !m.Start.Equal(c.want.Start) || !m.End.Equal(c.want.End) || m.Seq != c.want.Seq ||
					!bytes.Equal(m.Value, c.want.Value) || (m.Value == nil) != (c.want.Value == nil) || !m.Time.Equal(c.want.Time) {
					t.Errorf("got %+v, %v, %v; want %+v", m, ok, err, c.want)
				}
				return nil
			})
			if err != nil || seen != 1 {
				t.Errorf("%d changes, %v", seen, err)
			}
		})
	}
}

func FuzzReadChange(f *testing.F) {
	f.Add(uint8(1), []byte("12345678k\x00\x01abcdefgh12345678"), []byte("v"))
	f.Add(uint8(3), []byte("k\x00\x0112345678"), []byte{0})
	f.Fuzz(func(t *testing.T, kind uint8, key, value []byte) {
		spec := store.Spec{Name: "x", Kind: store.Kind(kind % 4), Retention: time.Hour}
		if _, ok, err := spec.ReadChange(store.Change{Key: key, Value: value}); ok && err != nil {
			t.Error("a change that is in order cannot be read")
		}
	})
}
