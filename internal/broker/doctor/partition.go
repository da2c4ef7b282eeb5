package doctor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"ravenswood.dev/internal/broker/disk"
)

// partition examines one partition.
func (e *examiner) partition(p partition) error {
	e.report.Partitions++
	if p.pending() {
		// Until it is finished, segments may lie over each other.
		e.found(p.finding(Warning, path.Join(p.dir, swapName), Finding{
			Offset: -1, What: "a change of segments is half done, so this partition was not examined",
			Meaning: "A compaction or a repair was interrupted. It is finished as a whole.",
			Advice:  "Start the broker once, which finishes it, stop it, and run the doctor again.",
		}))
		return nil
	}
	for _, s := range p.segments() {
		if err := e.segment(p, s); err != nil {
			return err
		}
	}
	e.leftovers(p)
	return nil
}

// pending says whether a change of segments was decided and not finished.
func (p partition) pending() bool {
	return slices.ContainsFunc(p.files, func(f disk.Entry) bool { return f.Name == swapName })
}

func (e *examiner) segment(p partition, s segment) error {
	seal, trouble, err := e.sidecar(s)
	if err != nil {
		return err
	}
	s.seal = seal
	r, err := e.scan(s, seal.bytes)
	if err != nil {
		return err
	}
	e.report.Segments++
	e.report.Batches += r.batches
	e.report.Records += r.records
	e.report.Bytes += s.size
	for _, h := range r.holes {
		e.found(p.hole(s, h))
	}
	if trouble == "" && len(r.holes) == 0 {
		trouble = seal.contradicts(s, r)
	}
	if trouble != "" && (!s.last() || trouble != noSidecar) {
		e.found(p.finding(Note, s.name[:len(s.name)-len(".log")]+".seal", Finding{
			Offset: s.base, What: "the sidecar " + trouble,
			Meaning: "A sidecar saves reading the segment; it holds nothing that the segment does not.",
			Advice:  "Nothing. The broker makes it anew.",
		}))
	}
	return nil
}

func (p partition) finding(severity Severity, file string, f Finding) Finding {
	f.Severity, f.Topic, f.Partition, f.File = severity, p.topic, p.index, file
	return f
}

// hole says what a hole means. Where the sidecar covers it, it was complete once.
func (p partition) hole(s segment, h hole) Finding {
	covered := s.seal.bytes > h.from
	f := Finding{Position: h.from, Bytes: h.to - h.from, Offset: h.expected, What: fmt.Sprintf("%d bytes are no batch: %v", h.to-h.from, h.cause)}
	if s.last() && h.resumes < 0 && !covered {
		f.Meaning = "The broker was killed, or power was lost, while it wrote. Nobody was told that these records are stored."
		f.Advice = "Nothing. The broker cuts them off when it starts."
		return p.finding(Note, s.name, f)
	}
	f.Lost = h.lost(s)
	f.Meaning = "Stored bytes have changed. " + losing(f.Lost) + " The broker serves nobody from a partition where it meets them."
	f.Advice = fmt.Sprintf("Look for a copy of the file. If there is none, `raven doctor --repair %s/%d` moves these bytes aside, and the rest can be read.", p.topic, p.index)
	if s.last() && h.resumes >= 0 && !covered {
		f.Meaning += " Started like this it takes everything from here on for what a crash left half-written, and cuts it off."
	}
	return p.finding(Damage, s.name, f)
}

func losing(lost *Range) string {
	if lost == nil {
		return "No offset is missing: they are between two batches that follow each other."
	}
	return fmt.Sprintf("What was at %s is lost: records, or the end of a transaction.", lost)
}

// lost are the offsets that a hole took, nil for none.
func (h hole) lost(s segment) *Range {
	switch {
	case h.resumes >= 0 && h.resumes == h.expected:
		return nil
	case h.resumes >= 0:
		return &Range{From: h.expected, To: h.resumes - 1}
	case !s.last() && s.next == h.expected:
		return nil
	case !s.last():
		return &Range{From: h.expected, To: s.next - 1}
	}
	return &Range{From: h.expected, To: -1}
}

// leftovers tells of files that are not part of the log.
func (e *examiner) leftovers(p partition) {
	for _, f := range p.files {
		name := path.Join(p.dir, f.Name)
		switch {
		case strings.Contains(f.Name, ".damaged-"):
			e.found(p.finding(Note, name, Finding{
				Offset: -1, Bytes: f.Size, What: "bytes that a repair moved aside",
				Meaning: "The broker does not read this file.", Advice: "Keep it as long as somebody may want to look into it, then delete it.",
			}))
		case strings.HasSuffix(f.Name, ".clean"):
			e.found(p.finding(Note, name, Finding{
				Offset: -1, Bytes: f.Size, What: "a compaction that was interrupted",
				Meaning: "It had not been decided, and the segments that it was to replace are there.", Advice: "Nothing. The broker removes the file when it starts.",
			}))
		}
	}
}

// The fields of a sidecar that can be checked against its segment.
type sidecar struct{ base, bytes, next int64 }

const (
	sealMagic = "RAVSEAL1"
	sealHead  = 72
	noSidecar = "is missing"
)

// sidecar reads what a sidecar says; trouble is why it cannot be used, empty if it can.
func (e *examiner) sidecar(s segment) (c sidecar, trouble string, err error) {
	none := sidecar{bytes: -1}
	f, err := e.o.Files.Open(strings.TrimSuffix(s.name, ".log")+".seal", disk.Read)
	if errors.Is(err, fs.ErrNotExist) {
		return none, noSidecar, nil
	}
	if err != nil {
		return none, "", err
	}
	defer f.Close() //nolint:errcheck // it was only read
	size, err := f.Size()
	if err != nil {
		return none, "", err
	}
	var head [sealHead]byte
	if n, err := f.ReadAt(head[:], 0); n < len(head) {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return none, "is cut off", err
	}
	sum := crc32.New(castagnoli)
	if _, err := io.Copy(sum, io.NewSectionReader(f, 12, size-12)); err != nil {
		return none, "", err
	}
	if string(head[:8]) != sealMagic || int64(binary.BigEndian.Uint32(head[12:])) != size-16 || binary.BigEndian.Uint32(head[8:]) != sum.Sum32() {
		return none, "is damaged", nil
	}
	field := func(at int) int64 { return int64(binary.BigEndian.Uint64(head[at:])) }
	return sidecar{base: field(16), bytes: field(24), next: field(32)}, "", nil
}

// contradicts says how a sound sidecar does not fit its sound segment.
func (c sidecar) contradicts(s segment, r reading) string {
	switch {
	case c.base != s.base:
		return fmt.Sprintf("is that of segment %d", c.base)
	case c.bytes > s.size:
		return fmt.Sprintf("covers %d bytes, the segment has %d", c.bytes, s.size)
	case r.at[c.bytes] < 0:
		return fmt.Sprintf("covers %d bytes, where no batch ends", c.bytes)
	case r.at[c.bytes] != c.next:
		return fmt.Sprintf("ends at offset %d, the segment there at %d", c.next, r.at[c.bytes])
	case !s.last() && c.bytes < s.size:
		return fmt.Sprintf("covers %d bytes of %d of a full segment", c.bytes, s.size)
	}
	return ""
}
