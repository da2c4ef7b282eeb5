package file

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ravenswood.dev/internal/component"
)

// locate finds the file that a stored position was taken in. Where the file is gone or another one, a spout that does
// not follow stops, for it cannot know what it would miss; one that follows looks for the file under the names that
// rotation gives.
func (s *spout) locate() error {
	path := s.path(s.at.File)
	inPlace, sameInode := s.holds(path)
	switch {
	case inPlace && (sameInode || !s.config.Follow):
		return nil
	case s.config.Follow && s.findRenamed(path):
		return nil
	case inPlace:
		return nil // a copy that begins the same
	case s.at.End && !exists(path):
		s.course.finished = true
		return nil
	case !s.config.Follow:
		return component.Permanent(fmt.Errorf("go on in %q at byte %d: it is gone, or not the file that was read before", path, s.at.Offset))
	}
	s.env.Log.Error("file was replaced while nobody read it, what followed in it is lost to us; reading the new one from the beginning",
		"spout", s.env.Name, "file", path, "read", s.at.Offset)
	s.begin(s.at.File)
	if later, err := s.later(); err == nil && later != "" && !exists(path) {
		s.begin(later)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// holds says whether the file at a path can be the one of the position, and whether its inode is too.
func (s *spout) holds(path string) (holds, sameInode bool) {
	f, err := os.Open(path)
	if err != nil {
		return false, false
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false, false
	}
	long := s.at.Gzip || info.Size() >= s.at.Offset
	return long && s.at.matches(f), inode(info) == s.at.Inode
}

// findRenamed looks in the folder for the file under another name, and for those that were renamed after it: with
// app.log.2 found, app.log.1 comes between it and app.log.
func (s *spout) findRenamed(path string) bool {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return false
	}
	var found os.FileInfo
	var others []os.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || e.Name() == filepath.Base(path) {
			continue
		}
		full := filepath.Join(filepath.Dir(path), e.Name())
		if inode(info) == s.at.Inode {
			if holds, _ := s.holds(full); holds {
				found, s.course.instead = info, full
				continue
			}
		}
		if strings.HasPrefix(e.Name(), filepath.Base(path)) && !strings.HasSuffix(e.Name(), ".gz") {
			others = append(others, info)
		}
	}
	if found == nil {
		return false
	}
	others = slices.DeleteFunc(others, func(o os.FileInfo) bool { return !o.ModTime().After(found.ModTime()) })
	slices.SortFunc(others, func(a, b os.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), cmp.Compare(b.Name(), a.Name()))
	})
	for _, o := range others {
		s.course.backlog = append(s.course.backlog, filepath.Join(filepath.Dir(path), o.Name()))
	}
	return true
}
