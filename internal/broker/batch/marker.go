package batch

import (
	"encoding/binary"
	"fmt"
	"time"
)

// A marker is a control batch with one record. Its key is a version and a type, 2 bytes each; its value a version of 2
// bytes and the epoch of the coordinator, 4 bytes.
const (
	markerKey    = 4
	markerValue  = 6
	markerCommit = 1
)

// EncodeMarker makes the batch that ends a transaction in a partition, at offset 0; SetBase gives it its place.
func EncodeMarker(m Marker) []byte {
	body := []byte{0, 0, 0} // attributes, timestamp delta, offset delta
	body = binary.AppendVarint(body, markerKey)
	body = binary.BigEndian.AppendUint16(body, 0)
	body = binary.BigEndian.AppendUint16(body, markerType(m.Commit))
	body = binary.AppendVarint(body, markerValue)
	body = binary.BigEndian.AppendUint16(body, 0)
	body = binary.BigEndian.AppendUint32(body, uint32(m.CoordinatorEpoch))
	body = binary.AppendVarint(body, 0) // headers
	raw := make([]byte, HeaderBytes, HeaderBytes+len(body)+1)
	raw = binary.AppendVarint(raw, int64(len(body)))
	raw = append(raw, body...)
	Header{
		Attributes:     transactional | control,
		FirstTimestamp: m.Time.UnixMilli(),
		MaxTimestamp:   m.Time.UnixMilli(),
		ProducerID:     m.ProducerID,
		ProducerEpoch:  m.ProducerEpoch,
		BaseSequence:   -1,
		Records:        1,
	}.put(raw)
	return raw
}

func markerType(commit bool) uint16 {
	if commit {
		return markerCommit
	}
	return 0
}

// ParseMarker reads a control batch that ends a transaction. Others, which a log may have from elsewhere, are ErrInvalid.
func ParseMarker(raw []byte) (Marker, error) {
	h, body, err := open(raw, InflatedBytesMax)
	if err != nil {
		return Marker{}, err
	}
	if !h.Control() || h.Records != 1 {
		return Marker{}, fmt.Errorf("%w: not a marker", ErrInvalid)
	}
	c, _, err := cutRecord(body)
	if err != nil {
		return Marker{}, err
	}
	if len(c.key) < markerKey || len(c.value) < markerValue || binary.BigEndian.Uint16(c.key[2:]) > markerCommit {
		return Marker{}, fmt.Errorf("%w: a marker that does not end a transaction", ErrInvalid)
	}
	return Marker{
		ProducerID:       h.ProducerID,
		ProducerEpoch:    h.ProducerEpoch,
		CoordinatorEpoch: int32(binary.BigEndian.Uint32(c.value[2:])),
		Commit:           binary.BigEndian.Uint16(c.key[2:]) == markerCommit,
		Time:             time.UnixMilli(h.timestamp(c)),
	}, nil
}
