package broker

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ravenswood.dev/internal/broker/disk"
)

// What is in a data directory:
//
//	raven-broker.json   the marker: this directory is ours, and its format
//	owner.json          locked by the process that has the directory open, and who that is; empty once it is closed
//	journal/ topics/    the log
//	reserve             space that is held back for when the disk is full
const (
	markerFile = "raven-broker.json"
	ownerFile  = "owner.json"
	format     = 2
)

// reserveMax bounds the space that is held back.
const reserveMax = 16 << 20

type marker struct {
	Format  int       `json:"format"`
	Cluster string    `json:"cluster"` // what clients are told; it stays with the data
	Created time.Time `json:"created"`
}

// HeldError says that another process has the data directory open.
type HeldError struct {
	Dir     string    `json:"-"`
	PID     int       `json:"pid"`
	Command string    `json:"command"`
	Addr    string    `json:"addr"`
	Since   time.Time `json:"since"`
}

func (e *HeldError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("open data directory %q: another process has it open", e.Dir)
	}
	return fmt.Sprintf("open data directory %q: %q (pid %d) has it open and listens at %s", e.Dir, e.Command, e.PID, e.Addr)
}

// ForeignError says that a directory holds somebody else's files. It was not touched.
type ForeignError struct {
	Dir   string
	Found string // one of the files
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("open data directory %q: it is not empty and not ours (it holds %q and no %s)", e.Dir, e.Found, markerFile)
}

// FormatError says that another version wrote the directory, in a format that this one does not read. It was not touched.
type FormatError struct {
	Dir    string
	Format int
}

func (e *FormatError) Error() string {
	age := "a newer"
	if e.Format < format {
		age = "an early"
	}
	return fmt.Sprintf("open data directory %q: %s version of raven wrote it (format %d, this one reads %d)", e.Dir, age, e.Format, format)
}

// directory is a data directory this process owns until release.
type directory struct {
	path    string
	lock    *os.File
	self    HeldError
	cluster string
}

// openDirectory makes the directory ours: created if missing, refused if it is somebody else's or in use.
func openDirectory(path, addr string) (*directory, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open data directory %q: %w", path, err)
	}
	if err := inspect(path); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o750); err != nil {
		return nil, directoryError(path, err)
	}
	d := &directory{path: path, self: newOwner(path, addr)}
	if err := d.take(); err != nil {
		return nil, err
	}
	if err := d.mark(); err != nil {
		return nil, errors.Join(err, d.release())
	}
	return d, nil
}

func newOwner(path, addr string) HeldError {
	return HeldError{Dir: path, PID: os.Getpid(), Command: commandLine(), Addr: addr, Since: time.Now().UTC().Truncate(time.Second)}
}

// commandLine is the program and its subcommand: flags may carry what should not be shown to others.
func commandLine() string {
	words := []string{filepath.Base(os.Args[0])}
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		words = append(words, os.Args[1])
	}
	return strings.Join(words, " ")
}

func directoryError(path string, err error) error {
	if cause, ok := errors.AsType[*fs.PathError](err); ok {
		err = cause.Err
	}
	return fmt.Errorf("open data directory %q: %w", path, err)
}

// inspect looks without touching: it returns an error unless the directory is missing, empty or ours.
func inspect(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return directoryError(path, err)
	}
	raw, err := os.ReadFile(filepath.Join(path, markerFile))
	if errors.Is(err, fs.ErrNotExist) {
		return foreign(path, entries)
	}
	if err != nil {
		return directoryError(path, err)
	}
	return checkMarker(path, raw)
}

// foreign allows for what a start leaves behind that died before it wrote the marker.
func foreign(path string, entries []fs.DirEntry) error {
	for _, e := range entries {
		if e.Name() != ownerFile && e.Name() != markerFile+".new" {
			return &ForeignError{Dir: path, Found: e.Name()}
		}
	}
	return nil
}

func checkMarker(path string, raw []byte) error {
	var m marker
	if err := json.Unmarshal(raw, &m); err != nil || m.Format < 1 {
		return fmt.Errorf("open data directory %q: its marker %s is damaged", path, markerFile)
	}
	if m.Format != format {
		return &FormatError{Dir: path, Format: m.Format}
	}
	return nil
}

// take locks the owner file. The lock goes with the process, however it dies.
func (d *directory) take() error {
	f, err := os.OpenFile(filepath.Join(d.path, ownerFile), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return directoryError(d.path, err)
	}
	held, err := disk.TryLock(f)
	if err == nil && !held {
		d.lock = f
		return nil
	}
	defer f.Close()
	if err != nil {
		return directoryError(d.path, fmt.Errorf("lock %s: %w", ownerFile, err))
	}
	return readOwner(d.path)
}

// readOwner reads who holds the lock. The holder may be writing it this moment, so a broken text is read again.
func readOwner(path string) error {
	held := &HeldError{Dir: path}
	for range 20 {
		raw, err := os.ReadFile(filepath.Join(path, ownerFile))
		if err == nil && json.Unmarshal(raw, held) == nil {
			return held
		}
		time.Sleep(10 * time.Millisecond)
	}
	return held
}

// announce tells others who has the directory and where it listens.
func (d *directory) announce(addr string) error {
	d.self.Addr = addr
	raw, err := json.MarshalIndent(d.self, "", "  ")
	if err != nil {
		return directoryError(d.path, err)
	}
	if err := d.lock.Truncate(0); err != nil {
		return directoryError(d.path, err)
	}
	_, err = d.lock.WriteAt(append(raw, '\n'), 0)
	if err != nil {
		return directoryError(d.path, err)
	}
	return nil
}

// mark writes the marker if there is none, now that nobody else can.
func (d *directory) mark() error {
	if err := inspect(d.path); err != nil {
		return err
	}
	if err := d.announce(d.self.Addr); err != nil {
		return err
	}
	name := filepath.Join(d.path, markerFile)
	if raw, err := os.ReadFile(name); err == nil {
		var m marker
		if err := json.Unmarshal(raw, &m); err != nil {
			return directoryError(d.path, err)
		}
		d.cluster = m.Cluster
		return nil
	}
	return d.writeMarker()
}

// writeMarker makes the marker, so that it survives a loss of power before anything that depends on it.
func (d *directory) writeMarker() error {
	d.cluster = newClusterID()
	raw, err := json.Marshal(marker{Format: format, Cluster: d.cluster, Created: time.Now().UTC()})
	if err != nil {
		return directoryError(d.path, err)
	}
	root := disk.OS(d.path)
	f, err := root.Open(markerFile+".new", disk.Create)
	if err != nil {
		return directoryError(d.path, err)
	}
	_, err = f.WriteAt(append(raw, '\n'), 0)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return directoryError(d.path, err)
	}
	if err := root.Rename(markerFile+".new", markerFile); err != nil {
		return directoryError(d.path, err)
	}
	return root.SyncDir(".")
}

// newClusterID is a random id of the form that Kafka's have: 22 characters of base64.
func newClusterID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// release gives the directory back. An empty owner file says that it was left in order. The file stays: removing it
// would let two processes lock two files of one name.
func (d *directory) release() error {
	if err := errors.Join(d.lock.Truncate(0), d.lock.Close()); err != nil {
		return fmt.Errorf("close data directory %q: %w", d.path, err)
	}
	return nil
}
