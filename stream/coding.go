package stream

import (
	"fmt"

	"ravenswood.dev/internal/record"
)

// readItem reads a record. Old is read if there is one: only changes of tables have it.
func readItem[K, V any](s *shape, key Codec[K], value Codec[V], r *record.Record) (it item[K, V], err error) {
	it.Headers, it.Time, it.Origin = headersIn(r.Headers), r.Time, Origin(r.Origin)
	it.rawKey, it.rawValue, it.rawOld = r.Key, r.Value, r.Old
	it.keyID, it.valueID = s.keyID, s.valueID
	it.keyless, it.Deleted, it.hasOld = r.Key == nil, r.Value == nil, r.Old != nil
	if !it.keyless {
		if it.Key, err = key.Decode(r.Key); err != nil {
			return it, fmt.Errorf("read key: %w", err)
		}
	}
	if !it.Deleted {
		if it.Value, err = value.Decode(r.Value); err != nil {
			return it, fmt.Errorf("read value: %w", err)
		}
	}
	if it.hasOld {
		if it.old, err = value.Decode(r.Old); err != nil {
			return it, fmt.Errorf("read the value before: %w", err)
		}
	}
	return it, nil
}

// writeItem writes a record. Bytes that still say the same are handed on as they are.
func writeItem[K, V any](s *shape, key Codec[K], value Codec[V], it *item[K, V]) (*record.Record, error) {
	r := &record.Record{Headers: headersOut(it.Headers), Time: it.Time, Origin: record.Origin(it.Origin)}
	var err error
	if !it.keyless {
		if r.Key, err = bytesOf(key, it.Key, it.rawKey, it.keyID == s.keyID); err != nil {
			return nil, fmt.Errorf("write key: %w", err)
		}
	}
	if !it.Deleted {
		if r.Value, err = bytesOf(value, it.Value, it.rawValue, it.valueID == s.valueID); err != nil {
			return nil, fmt.Errorf("write value: %w", err)
		}
	}
	if it.hasOld {
		if r.Old, err = bytesOf(value, it.old, it.rawOld, it.valueID == s.valueID); err != nil {
			return nil, fmt.Errorf("write the value before: %w", err)
		}
	}
	return r, nil
}

func bytesOf[T any](c Codec[T], value T, raw []byte, valid bool) ([]byte, error) {
	if valid && raw != nil {
		return raw, nil
	}
	return encode(c, value)
}

// writer is the step that ends a way through a bolt.
func writer[K, V any](s *shape, port int, key Codec[K], value Codec[V]) step[K, V] {
	return func(x *run, it *item[K, V]) error {
		r, err := writeItem(s, key, value, it)
		if err != nil {
			return err
		}
		x.emit(port, r)
		return nil
	}
}
