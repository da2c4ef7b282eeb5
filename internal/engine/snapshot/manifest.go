package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"time"
)

// format is the version of the manifest and of where things are. Another one is not read.
const format = 1

// The bounds of a manifest that is read.
const (
	maxManifest = 16 << 20 // bytes
	maxFiles    = 50_000
)

// Manifest says what a snapshot consists of. It is written last: what has none does not count.
type Manifest struct {
	Format   int       `json:"format"`
	Identity string    `json:"identity"`
	Stores   []Store   `json:"stores"`
	Taken    time.Time `json:"taken"`
	Files    []File    `json:"files"`
}

// Store is a store of a snapshot.
type Store struct {
	Name   string `json:"name"`
	Origin string `json:"origin"`
	// Checkpoint is from where the changelog must be read at the latest; the files may hold a little more, and know.
	Checkpoint int64 `json:"checkpoint"`
	// Current is a time at which the store had everything that its changelog held; zero if none is known.
	Current time.Time `json:"current,omitzero"`
}

// File is a file of a snapshot.
type File struct {
	Name string `json:"name"` // in the folder of the State
	Size int64  `json:"size"`
	Hash string `json:"sha256"`
	Blob string `json:"blob"` // in the files of the task: the hash, and the number of the upload
}

var (
	fileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,200}$`)
	hashText = regexp.MustCompile(`^[0-9a-f]{64}$`)
	blobName = regexp.MustCompile(`^[0-9a-f]{64}\.[0-9a-f]{16}$`)
)

// decode reads a manifest and refuses one that could write anywhere but into its folder, or more than the bound.
func decode(text []byte, maxBytes int64) (*Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	if m.Format != format {
		return nil, fmt.Errorf("read manifest: it has the format %d, not %d", m.Format, format)
	}
	if err := m.check(maxBytes); err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	return &m, nil
}

func (m *Manifest) check(maxBytes int64) error {
	if len(m.Files) == 0 || len(m.Files) > maxFiles {
		return fmt.Errorf("it names %d files", len(m.Files))
	}
	sum, names := int64(0), make(map[string]bool)
	for _, f := range m.Files {
		switch {
		case !fileName.MatchString(f.Name) || names[f.Name]:
			return fmt.Errorf("it names a file %q, or names it twice", f.Name)
		case !hashText.MatchString(f.Hash) || !blobName.MatchString(f.Blob) || f.Blob[:len(f.Hash)] != f.Hash:
			return fmt.Errorf("the hash of file %q is none, or another than that of its blob", f.Name)
		case f.Size < 0 || f.Size > math.MaxInt64-sum:
			return fmt.Errorf("the file %q has %d bytes", f.Name, f.Size)
		}
		names[f.Name], sum = true, sum+f.Size
	}
	if sum > maxBytes {
		return fmt.Errorf("it holds %d bytes, more than the %d that are fetched", sum, maxBytes)
	}
	return nil
}

// bytes is the size of all files.
func (m *Manifest) bytes() (sum int64) {
	for _, f := range m.Files {
		sum += f.Size
	}
	return sum
}

// fits says why a snapshot is of no use to a task; nil if it is.
func (m *Manifest) fits(t Task) error {
	if m.Identity != t.Identity {
		return fmt.Errorf("it is of %q, not of %q", m.Identity, t.Identity)
	}
	var own []Store
	for _, s := range m.Stores {
		if origin, ok := t.Origins[s.Name]; ok && origin == s.Origin && s.Checkpoint >= 0 {
			own = append(own, s)
		}
	}
	switch {
	case len(own) == 0:
		return errors.New("all of its stores are made from other topics")
	case t.Usable != nil && !t.Usable(own):
		return errors.New("its stores are too old")
	}
	return nil
}

// fingerprint groups the snapshots that replace each other: those of the same stores, made from the same topics.
func (t Task) fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q", t.Identity)
	for _, name := range slices.Sorted(maps.Keys(t.Origins)) {
		fmt.Fprintf(h, " %q=%q", name, t.Origins[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
