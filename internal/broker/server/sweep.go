package server

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"ravenswood.dev/internal/broker/disk"
)

// sweep removes what a crash left of topics that were being deleted or made. Files that nobody can explain are left alone:
// a journal that was lost must not take the logs with it.
func (r *replay) sweep() error {
	names, err := entriesIn(r.s.fs, topicsDir)
	if err != nil {
		return err
	}
	for _, name := range names {
		ids, err := entriesIn(r.s.fs, path.Join(topicsDir, name.Name))
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := r.sweepTopic(name.Name, id.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// entriesIn is what a directory holds, nothing if there is none.
func entriesIn(files disk.FS, dir string) ([]disk.Entry, error) {
	entries, err := files.List(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	return entries, nil
}

// sweepTopic removes one life of a topic if the journal tells its end, or if nothing was ever written to it.
func (r *replay) sweepTopic(name, text string) error {
	var id topicID
	if id.UnmarshalText([]byte(text)) != nil || r.s.topics.withID(id) != nil {
		return nil
	}
	root := path.Join(topicsDir, name, text)
	files, bytes, err := r.content(root)
	switch {
	case err != nil:
		return err
	case r.first && bytes > 0:
		return fmt.Errorf("read the journal: it is empty, but %s holds %d bytes of records: put the journal back, or move the folder away", root, bytes)
	case bytes > 0 && !r.gone[id]:
		r.s.log.Warn("files of an unknown topic left alone", "folder", root, "bytes", bytes)
		return nil
	}
	for _, f := range files {
		_ = r.s.fs.Remove(f) // what stays is found again at the next start
	}
	r.s.removeDirs(name, text)
	return nil
}

// content lists the files of a topic's partitions, and how many bytes of records they hold.
func (r *replay) content(root string) (files []string, bytes int64, err error) {
	partitions, err := entriesIn(r.s.fs, root)
	if err != nil {
		return nil, 0, err
	}
	for _, p := range partitions {
		inside, err := entriesIn(r.s.fs, path.Join(root, p.Name))
		if err != nil {
			return nil, 0, err
		}
		for _, f := range inside {
			files = append(files, path.Join(root, p.Name, f.Name))
			if path.Ext(f.Name) == ".log" {
				bytes += f.Size
			}
		}
	}
	return files, bytes, nil
}
