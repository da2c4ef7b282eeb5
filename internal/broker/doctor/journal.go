package doctor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"

	"ravenswood.dev/internal/broker/disk"
)

const (
	journalDir      = "journal"
	journalMagic    = "RAVJRNL1"
	entryHead       = 12
	entryPayloadMax = 16 << 20
)

// journal examines the newest journal; an older one is left over from a checkpoint that was interrupted.
func (e *examiner) journal() error {
	entries, err := list(e.o.Files, journalDir)
	if err != nil {
		return err
	}
	var newest disk.Entry
	for _, f := range entries {
		if _, ok := parseName(f.Name, ".journal"); ok {
			newest = f
		}
	}
	if newest.Name == "" {
		return nil
	}
	name := path.Join(journalDir, newest.Name)
	f, err := e.o.Files.Open(name, disk.Read)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	size, err := f.Size()
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	good, cause, err := e.entries(f, size)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if cause != "" {
		e.found(journalFinding(name, good, size, cause))
	}
	return nil
}

// entries walks the entries; good is where the last sound one ends, cause why it went no further.
func (e *examiner) entries(f disk.File, size int64) (good int64, cause string, err error) {
	magic := make([]byte, len(journalMagic))
	if n, err := f.ReadAt(magic, 0); n < len(magic) && !errors.Is(err, io.EOF) {
		return 0, "", err
	}
	if string(magic) != journalMagic {
		return 0, "the first bytes are not those of a journal", nil
	}
	for good = int64(len(magic)); good < size; {
		n, cause, err := e.entry(f, good, size)
		if err != nil || cause != "" {
			return good, cause, err
		}
		good += n
		if e.ctx.Err() != nil {
			return good, "", e.ctx.Err()
		}
	}
	return good, "", nil
}

func (e *examiner) entry(f disk.File, at, size int64) (bytes int64, cause string, err error) {
	var head [entryHead]byte
	if n, err := f.ReadAt(head[:], at); n < len(head) {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return 0, "the file ends inside an entry", err
	}
	n := int64(binary.BigEndian.Uint32(head[4:]))
	if n > entryPayloadMax {
		return 0, fmt.Sprintf("an entry of %d bytes, which is more than there can be", n), nil
	}
	if at+entryHead+n > size {
		return 0, "the file ends inside an entry", nil
	}
	sum := crc32.New(castagnoli)
	if _, err := io.Copy(sum, io.NewSectionReader(f, at+4, entryHead-4+n)); err != nil {
		return 0, "", err
	}
	if sum.Sum32() != binary.BigEndian.Uint32(head[:]) {
		return 0, "an entry does not match its checksum", nil
	}
	return entryHead + n, "", nil
}

func journalFinding(name string, good, size int64, cause string) Finding {
	f := Finding{
		Severity: Warning, Partition: -1, File: name, Position: good, Bytes: size - good, Offset: -1, What: cause,
		Meaning: "After a crash the end of the journal may be torn, and nobody was told that it is stored. After a clean stop it means that changes of topics, users, groups and transactions behind this place are lost.",
		Advice:  "After a crash: nothing, the broker cuts it off. Else look for a copy of the file before the broker is started.",
	}
	if good == 0 && size > 0 {
		f.Severity, f.Advice = Damage, "Look for a copy of the file. The topics' records are not in it and are not affected."
	}
	return f
}
