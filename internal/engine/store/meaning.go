package store

import (
	"fmt"
	"time"
)

// Meaning is what a record of a changelog says, in the words of its store's kind.
type Meaning struct {
	Key        []byte
	Start, End time.Time // of a window (whose end is known if the Spec says a length) or session
	Seq        uint64
	Entry      // a nil value: deleted
}

// ReadChange says what a record of the store's changelog means; ok is false if it only cleans up. It is for those who
// follow a changelog without a State. The bytes are shared.
func (s Spec) ReadChange(c Change) (m Meaning, ok bool, err error) {
	m = Meaning{Key: c.Key, Entry: Entry{Value: c.Value, Time: c.Time}}
	switch s.Kind {
	case KindWindow, KindSession:
		err = m.readPlace(s, c.Key)
	case KindVersioned:
		if c.Value == nil {
			return m, false, nil // an old version that is forgotten
		}
		err = m.readVersion(c)
	}
	if err != nil {
		return Meaning{}, false, fmt.Errorf("read a change of store %q: %w", s.Name, err)
	}
	return m, true, nil
}

func (m *Meaning) readPlace(s Spec, key []byte) error {
	_, p, err := readPlace(key)
	if err != nil {
		return err
	}
	m.Key = p.key
	if s.Kind == KindSession {
		m.Start, m.End = timeOf(unsortable(p.second)), timeOf(unsortable(p.first))
		return nil
	}
	m.Start, m.Seq = timeOf(unsortable(p.first)), p.second
	if s.Window > 0 {
		m.End = m.Start.Add(s.Window)
	}
	return nil
}

func (m *Meaning) readVersion(c Change) error {
	key, at, err := readVersion(c.Key)
	if err != nil {
		return err
	}
	m.Key, m.Time = key, timeOf(at)
	m.Value, err = readVersionValue(c.Value)
	return err
}
