package journal

import (
	"encoding/binary"
	"hash/crc32"
)

// The file, as docs/internals/broker-disk.md draws it.
const (
	magic      = "RAVJRNL1"
	entryBytes = 12 // before the payload

	sealKind    = 0
	sealVersion = 1
	sealPayload = 24
	sealBytes   = entryBytes + sealPayload
)

// A seal is an entry of the journal's own: whoever wrote it had seen everything before `synced` become durable. If
// something before that does not match now, it is not the tear of a crash but damage.
type seal struct {
	number int64 // of the file, against remains of others
	at     int64 // its own position, for the same reason
	synced int64 // at most its own position
}

// header is what comes before a payload.
type header struct {
	crc     uint32
	length  uint32
	kind    uint16
	version uint16
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func appendEntry(b []byte, kind, version uint16, payload []byte) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload))) //nolint:gosec // G115: at most MaxPayload
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint16(b, version)
	b = append(b, payload...)
	binary.BigEndian.PutUint32(b[start:], crc32.Checksum(b[start+4:], castagnoli()))
	return b
}

func appendSeal(b []byte, s seal) []byte {
	var payload [sealPayload]byte
	for i, v := range []int64{s.number, s.at, s.synced} {
		binary.BigEndian.PutUint64(payload[8*i:], uint64(v)) //nolint:gosec // G115: none is negative
	}
	return appendEntry(b, sealKind, sealVersion, payload[:])
}

// parseHeader needs entryBytes of b.
func parseHeader(b []byte) header {
	return header{
		crc:     binary.BigEndian.Uint32(b),
		length:  binary.BigEndian.Uint32(b[4:]),
		kind:    binary.BigEndian.Uint16(b[8:]),
		version: binary.BigEndian.Uint16(b[10:]),
	}
}

// matches tells whether b, an entry with its payload, has the checksum that it says.
func (h header) matches(b []byte) bool { return crc32.Checksum(b[4:], castagnoli()) == h.crc }

// parseSeal reads a seal from b, which begins with it and lies at a position of the file of a number. It is false for
// everything else, seals of other places as well.
func parseSeal(b []byte, number, at int64) (seal, bool) {
	if len(b) < sealBytes {
		return seal{}, false
	}
	b = b[:sealBytes]
	h := parseHeader(b)
	if h.kind != sealKind || h.version != sealVersion || h.length != sealPayload || !h.matches(b) {
		return seal{}, false
	}
	field := func(i int) int64 {
		return int64(binary.BigEndian.Uint64(b[entryBytes+8*i:])) //nolint:gosec // G115: compared below
	}
	s := seal{number: field(0), at: field(1), synced: field(2)}
	return s, s.number == number && s.at == at && s.synced >= 0 && s.synced <= at
}

// sealStart is how every seal begins, after its checksum.
func sealStart() []byte {
	return []byte{0, 0, 0, sealPayload, 0, sealKind, 0, sealVersion}
}
