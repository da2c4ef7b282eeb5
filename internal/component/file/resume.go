package file

import (
	"fmt"
	"os"
	"path/filepath"
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

// findRenamed looks in the folder for the file under another name.
func (s *spout) findRenamed(path string) bool {
	for _, other := range siblings(path) {
		if inode(other.info) != s.at.Inode {
			continue
		}
		if holds, _ := s.holds(other.path); holds {
			s.course.instead, s.course.expect = other.path, s.at.Inode
			return true
		}
	}
	return false
}

// succeed makes the file after the one that was left the next to open. It need not be the one in place: with app.log.2
// left, app.log.1 comes before app.log if there was a rotation in between. It is the oldest that was written after it.
func (s *spout) succeed(left os.FileInfo) {
	path := s.path(s.at.File)
	if left == nil || !s.config.Follow {
		return
	}
	var oldest *sibling
	for _, other := range siblings(path) {
		ofName := strings.HasPrefix(filepath.Base(other.path), filepath.Base(path))
		switch {
		case !ofName || !other.info.ModTime().After(left.ModTime()) || os.SameFile(other.info, left):
		case strings.HasSuffix(other.path, ".gz"):
			s.env.Log.Error("file was compressed before it was read, what is in it is lost to us", "spout", s.env.Name, "file", other.path)
		case oldest == nil || other.info.ModTime().Before(oldest.info.ModTime()):
			oldest = &other
		}
	}
	if there, err := os.Stat(path); oldest != nil && (err != nil || oldest.info.ModTime().Before(there.ModTime())) {
		s.course.instead, s.course.expect = oldest.path, inode(oldest.info)
	}
}

// sibling is another file in a file's folder.
type sibling struct {
	path string
	info os.FileInfo
}

func siblings(path string) []sibling {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil
	}
	var all []sibling
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() && e.Name() != filepath.Base(path) {
			all = append(all, sibling{filepath.Join(filepath.Dir(path), e.Name()), info})
		}
	}
	return all
}
