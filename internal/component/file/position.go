package file

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"unicode/utf8"
)

// position is where a spout goes on: everything before it has been read, all files that sort before File too.
type position struct {
	File   string `json:"file"`            // as the settings' path would name it
	Offset int64  `json:"offset"`          // bytes read, of the uncompressed stream
	Line   int64  `json:"line"`            // lines read
	End    bool   `json:"end,omitempty"`   // the file ended here when it was read
	Inode  uint64 `json:"inode,omitempty"` // tells a renamed file from a new one
	Gzip   bool   `json:"gzip,omitempty"`  // Offset says nothing about the file's size
	// Head and HeadBytes are a fingerprint of the beginning of the file, as it is on disk.
	Head      string `json:"head,omitempty"`
	HeadBytes int64  `json:"headBytes,omitempty"`
}

// headMax is how much of a file's beginning the fingerprint covers.
const headMax = 1024

// positionMax is how long an encoded position may be; the log stores no longer ones.
const positionMax = 4000

func (p position) encode() ([]byte, error) {
	if !utf8.ValidString(p.File) {
		return nil, fmt.Errorf("store position in %q: the name is not UTF-8", p.File)
	}
	b, err := json.Marshal(p)
	if err == nil && len(b) > positionMax {
		err = fmt.Errorf("store position in %q: the name is too long", p.File)
	}
	return b, err
}

func decodePosition(b []byte) (p position, err error) {
	if b == nil {
		return p, nil
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return p, fmt.Errorf("read position %q: %w", b, err)
	}
	return p, nil
}

// fingerprint hashes the first n bytes of a file.
func fingerprint(f io.ReaderAt, n int64) (string, error) {
	buf := make([]byte, n)
	if _, err := f.ReadAt(buf, 0); err != nil {
		return "", err
	}
	sum := sha256.Sum256(buf)
	return hex.EncodeToString(sum[:8]), nil
}

// matches says whether a file begins like the one the position was taken in.
func (p position) matches(f *os.File) bool {
	if p.HeadBytes == 0 {
		return true
	}
	head, err := fingerprint(f, p.HeadBytes)
	return err == nil && head == p.Head
}
