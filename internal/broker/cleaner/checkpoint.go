package cleaner

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path"

	"ravenswood.dev/internal/broker/disk"
)

// checkpointFile is in the directory of a partition: the checksum of the second line in hexadecimal, and the checkpoint as JSON.
// Losing it costs a pass over everything and nothing else.
const (
	checkpointFile     = "compacted"
	checkpointBytesMax = 1 << 16
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// loadCheckpoint reads how far a partition was compacted. Missing or damaged, it says that it never was.
func loadCheckpoint(files disk.FS, dir string) (checkpoint, error) {
	never := checkpoint{Waiting: -1}
	raw, err := read(files, path.Join(dir, checkpointFile))
	if errors.Is(err, fs.ErrNotExist) {
		return never, nil
	}
	if err != nil {
		return never, fmt.Errorf("read %s: %w", path.Join(dir, checkpointFile), err)
	}
	if c, ok := decodeCheckpoint(raw); ok {
		return c, nil
	}
	return never, nil
}

func decodeCheckpoint(raw []byte) (c checkpoint, ok bool) {
	const sum = len("00000000\n")
	if len(raw) < sum || fmt.Sprintf("%08x\n", crc32.Checksum(raw[sum:], castagnoli)) != string(raw[:sum]) {
		return checkpoint{}, false
	}
	err := json.Unmarshal(raw[sum:], &c)
	return c, err == nil && c.Clean >= 0 && c.Waiting >= -1
}

func (c checkpoint) encode() ([]byte, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	raw = append(raw, '\n')
	return append(fmt.Appendf(nil, "%08x\n", crc32.Checksum(raw, castagnoli)), raw...), nil
}

// save writes the checkpoint in the place of the one before, at once or not at all.
func (c checkpoint) save(files disk.FS, dir string) error {
	name := path.Join(dir, checkpointFile)
	raw, err := c.encode()
	if err == nil {
		err = write(files, name+".tmp", raw)
	}
	if err == nil {
		err = files.Rename(name+".tmp", name)
	}
	if err == nil {
		err = files.SyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func read(files disk.FS, name string) ([]byte, error) {
	f, err := files.Open(name, disk.Read)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	raw := make([]byte, min(size, checkpointBytesMax))
	_, err = f.ReadAt(raw, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return raw, err
}

func write(files disk.FS, name string, raw []byte) error {
	f, err := files.Open(name, disk.Create)
	if err != nil {
		return err
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt(raw, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
