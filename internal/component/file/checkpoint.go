package file

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// checkpoint is what a partition's files hold: everything up to Length of File, and all files before it.
type checkpoint struct {
	Next   int64     `json:"next"`          // offset to go on from
	Log    string    `json:"log,omitempty"` // the topic's id; offsets of another log mean nothing here
	File   string    `json:"file"`
	Number int64     `json:"number"` // of the file
	Length int64     `json:"length"`
	Began  time.Time `json:"began"` // when the file was made
}

func checkpointPath(stem string) string {
	return filepath.Join(filepath.Dir(stem), "."+filepath.Base(stem)+".checkpoint")
}

// readCheckpoint reads a partition's checkpoint; ok is false if there is none.
func readCheckpoint(stem string) (c checkpoint, ok bool, err error) {
	b, err := os.ReadFile(checkpointPath(stem))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, false, nil
	case err != nil:
		return c, false, err
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, false, fmt.Errorf("read checkpoint %q: %w", checkpointPath(stem), err)
	}
	return c, true, nil
}

// write replaces the checkpoint: the old or the new one is there after a crash, never a part of one.
func (c checkpoint) write(stem string) error {
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	path := checkpointPath(stem)
	if err := writeSynced(path+".new", b); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncDir makes the names in a folder safe.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
