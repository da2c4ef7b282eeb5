package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ravenswood.dev/internal/component"
)

// course is what a spout knows about the way from one file to the next.
//
//	         enter                       end of file
//	(none) ────────▶ reading ─────────────────────────▶ finished ──▶ enter the next file, or io.EOF
//	                  │   ▲                                ▲
//	      end, follow │   │ more, or nothing new           │ end of file
//	                  ▼   │                                │
//	                 waiting ── renamed, truncated, ──▶ leaving
//	                            or a later file
type course struct {
	atEnd    bool        // a file that is followed was read to its end for now
	finished bool        // the file of the position is done with
	leaving  bool        // followed to its end: what is there is all there will be
	moved    bool        // the file was seen renamed or succeeded; it is left if that is still so after a pause
	again    bool        // the next file has the name of this one
	instead  string      // path to open for the position's name: the file has been renamed
	expect   uint64      // inode that must be found there, 0 if any will do
	left     os.FileInfo // the file that was finished
}

// enter opens the file to read next. It returns io.EOF if there is none.
func (s *spout) enter(ctx context.Context) error {
	if err := s.choose(); err != nil {
		return err
	}
	path := s.path(s.at.File)
	if s.course.instead != "" {
		path = s.course.instead
	}
	in, err := openInput(path, &s.at, s.config, &s.parse)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.missing(fmt.Errorf("read %q: there is no such file", path))
	case errors.Is(err, errNoHeader):
		return s.pause(ctx)
	case err != nil:
		return err
	case s.course.expect != 0 && s.course.expect != s.at.Inode:
		_ = in.file.Close()
		s.reconsider()
		return nil
	}
	s.in = in
	return nil
}

// reconsider goes back to looking for a file that was renamed again after it was found.
func (s *spout) reconsider() {
	if left := s.course.left; left != nil {
		s.course = course{finished: true, again: true, left: left}
		return
	}
	s.at.Inode, s.resumed = s.course.expect, true
	s.course = course{}
}

// choose makes the position name the file to open.
func (s *spout) choose() error {
	if s.resumed {
		s.resumed = false
		if err := s.locate(); err != nil {
			return err
		}
	}
	if s.course.finished {
		return s.advance()
	}
	if s.started {
		return nil
	}
	names, err := s.files()
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return s.missing(fmt.Errorf("read %q: there is no such file", s.path(s.config.Path)))
	}
	s.begin(names[0])
	return nil
}

func (s *spout) begin(name string) { s.at, s.started = position{File: name}, true }

// advance goes on behind the file that is finished.
func (s *spout) advance() error {
	was := s.course
	switch later, err := s.later(); {
	case was.again:
		s.course = course{left: was.left}
		s.begin(s.at.File)
		s.succeed(was.left)
	case err != nil:
		return err
	case later == "" && s.config.Follow:
		s.course = course{}
		s.begin(s.at.File) // it will come again
	case later == "":
		return io.EOF
	default:
		s.course = course{}
		s.begin(later)
	}
	return nil
}

// missing is an error that ends the topology, except in follow mode, where the file may come.
func (s *spout) missing(err error) error {
	if s.config.Follow {
		return err
	}
	return component.Permanent(err)
}

// path is where the file of a name is. Names are kept as written, so that a folder may move with its files.
func (s *spout) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.env.Dir, name)
}

var patternEscape = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

// files are the names the path stands for, sorted. A file whose name looks like a pattern is taken by its name.
func (s *spout) files() ([]string, error) {
	if _, err := os.Stat(s.path(s.config.Path)); err == nil {
		return []string{s.config.Path}, nil
	}
	pattern, prefix := s.config.Path, ""
	if !filepath.IsAbs(pattern) && s.env.Dir != "" {
		pattern = filepath.Join(patternEscape.Replace(s.env.Dir), pattern)
		prefix = filepath.Clean(s.env.Dir) + string(filepath.Separator)
	}
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil, component.Permanent(fmt.Errorf("read %q: %w", s.config.Path, err))
	}
	var names []string
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			names = append(names, strings.TrimPrefix(path, prefix))
		}
	}
	slices.Sort(names)
	return names, nil
}

// later is the name that follows the current one, empty if there is none.
func (s *spout) later() (string, error) {
	names, err := s.files()
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if name > s.at.File {
			return name, nil
		}
	}
	return "", nil
}

func (s *spout) pause(ctx context.Context) error {
	t := time.NewTimer(s.poll)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// turn sees what has become of a file that is followed before anything more is read from it: what is there now may be
// the middle of a new life of the file.
func (s *spout) turn() error {
	if s.final() {
		return nil
	}
	fate, err := s.look(s.course.atEnd)
	s.course.atEnd = false
	switch {
	case err != nil:
		return err
	case fate == same:
		s.course.moved = false
	case fate == cut:
		s.env.Log.Warn("file was truncated, reading it from the beginning", "spout", s.env.Name, "file", s.at.File, "read", s.at.Offset)
		s.in.window.src = strings.NewReader("") // what is in the file now belongs to its next life
		s.course.leaving, s.course.again = true, true
	case !s.course.moved:
		s.course.moved = true // its writer may have a last line for it
	default:
		s.course.leaving, s.course.again = true, fate == replaced
	}
	return nil
}

// fate is what has become of a file that was read to its end.
type fate uint8

const (
	same      fate = iota // it is where it was, perhaps with more in it
	cut                   // it was truncated, or overwritten from the beginning
	replaced              // its name belongs to another file now
	succeeded             // there is a later file
)

// look asks after the file, and at its end also after its successors.
func (s *spout) look(atEnd bool) (fate, error) {
	opened, err := s.in.file.Stat()
	switch {
	case err != nil:
		return same, fmt.Errorf("read %q: %w", s.at.File, err)
	case opened.Size() < s.at.Offset+int64(len(s.in.window.seen())) || !s.at.matches(s.in.file):
		return cut, nil
	case !atEnd:
		return same, nil
	}
	later, err := s.later()
	if err != nil {
		return same, err
	}
	there, err := os.Stat(s.path(s.at.File))
	switch {
	case later != "":
		return succeeded, nil
	case errors.Is(err, fs.ErrNotExist):
		return same, nil // renamed, and the new file is not there yet
	case err != nil:
		return same, fmt.Errorf("read %q: %w", s.at.File, err)
	case !os.SameFile(opened, there):
		return replaced, nil
	}
	return same, nil
}
