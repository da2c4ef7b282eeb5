package broker

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The state logs (pids.log, groups.log) are rows of entries, little-endian: four bytes of length of what follows the
// checksum, four of checksum of the same, two of version, then JSON.
const entryHead = 10

// eachEntry visits the whole entries of a state log and returns how many bytes they are.
func eachEntry(raw []byte, visit func(data []byte)) (valid int) {
	for len(raw)-valid >= entryHead {
		at := raw[valid:]
		length := uint64(binary.LittleEndian.Uint32(at))
		if length < 2 || 8+length > uint64(len(at)) {
			break
		}
		body := at[8 : 8+length]
		if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(at[4:]) {
			break
		}
		visit(body[2:])
		valid += 8 + int(length)
	}
	return valid
}

func encodeEntry(data []byte) []byte {
	e := binary.LittleEndian.AppendUint32(nil, uint32(2+len(data)))
	e = append(e, 0, 0, 0, 0, 1, 0)
	e = append(e, data...)
	binary.LittleEndian.PutUint32(e[4:], crc32.Checksum(e[8:], castagnoli))
	return e
}

// cutTornEntries cuts a state log behind its last whole entry: what is appended behind a torn one is never read.
func cutTornEntries(path string) error {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = truncate(path, int64(eachEntry(raw, func([]byte) {})))
	return err
}

type producerEntry struct {
	Type  string `json:"type"`
	PID   int64  `json:"pid"`
	Epoch int16  `json:"epoch"`
}

// raiseEpochs fences producers: the next epoch is one above the highest that the log or a batch has seen.
func raiseEpochs(path string, producers map[int64]int16) error {
	if len(producers) == 0 {
		return nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	eachEntry(raw, func(data []byte) {
		var e producerEntry
		if epoch, open := producers[e.PID]; json.Unmarshal(data, &e) == nil && open {
			producers[e.PID] = max(epoch, e.Epoch)
		}
	})
	var raised []byte
	for _, pid := range slices.Sorted(maps.Keys(producers)) {
		data, err := json.Marshal(producerEntry{Type: "timeout", PID: pid, Epoch: min(producers[pid], math.MaxInt16-1) + 1})
		if err != nil {
			return err
		}
		raised = append(raised, encodeEntry(data)...)
	}
	return appendFile(path, raised)
}

// sequenceKey is where a producer's sequence runs.
type sequenceKey struct {
	producer  int64
	topic     string
	partition int32
}

// windowSize is how many batches a producer may have on the way, and so how far back a repetition is recognised.
const windowSize = 5

// sequenceWindow is the last batches of a producer on a partition, as a ring.
type sequenceWindow struct {
	epoch   int16
	next    int32
	entries [windowSize]sequenceEntry
	at      uint8
	count   uint8
}

type sequenceEntry struct {
	First  int32 `json:"first_seq"`
	Next   int32 `json:"next_seq"`
	Offset int64 `json:"offset"`
}

func (w *sequenceWindow) push(b batch) {
	if w.count > 0 && w.epoch != b.epoch {
		*w = sequenceWindow{}
	}
	w.epoch = b.epoch
	w.next = int32((int64(b.sequence) + int64(b.records)) % math.MaxInt32)
	w.entries[w.at] = sequenceEntry{First: b.sequence, Next: w.next, Offset: b.offset}
	w.at = (w.at + 1) % windowSize
	w.count = min(w.count+1, windowSize)
}

type savedWindow struct {
	PID     int64                     `json:"pid"`
	Topic   string                    `json:"topic"`
	Part    int32                     `json:"partition"`
	Entries [windowSize]sequenceEntry `json:"entries"`
	Count   uint8                     `json:"count"`
	At      uint8                     `json:"at"`
	Epoch   int16                     `json:"epoch"`
	Seen    bool                      `json:"seen"`
	NextSeq int32                     `json:"next_seq"`
}

// saveSequences writes the windows where the cluster looks for them.
func (s *logState) saveSequences(data string) error {
	saved := struct {
		Version int           `json:"version"`
		Windows []savedWindow `json:"windows"`
	}{Version: 1}
	for key, w := range s.sequences {
		saved.Windows = append(saved.Windows, savedWindow{
			PID: key.producer, Topic: key.topic, Part: key.partition, Entries: w.entries,
			Count: w.count, At: w.at, Epoch: w.epoch, Seen: true, NextSeq: w.next,
		})
	}
	slices.SortFunc(saved.Windows, func(a, b savedWindow) int {
		return cmp.Or(cmp.Compare(a.PID, b.PID), strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Part, b.Part))
	})
	raw, err := json.Marshal(saved)
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(data, "seq_windows.json"), raw)
}
