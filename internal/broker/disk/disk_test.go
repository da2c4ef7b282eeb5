package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"testing"
)

// everyFS are the file systems that must not differ.
func everyFS(t *testing.T) map[string]FS {
	return map[string]FS{
		"os":            OS(t.TempDir()),
		"memory":        NewMemory(),
		"faulty memory": NewFaulty(NewMemory()),
		"faulty os":     NewFaulty(OS(t.TempDir())),
	}
}

// conformance is what every FS does. Each case begins with an empty one.
var conformance = map[string]func(*testing.T, FS){
	"a written file is read": func(t *testing.T, f FS) {
		put(t, f, "a", "hello")
		is(t, f, "a", "hello")
	},
	"a write beyond the end leaves zeros": func(t *testing.T, f FS) {
		file := open(t, f, "a", Create)
		write(t, file, "x", 3)
		is(t, f, "a", "\x00\x00\x00x")
	},
	"a write over the end extends": func(t *testing.T, f FS) {
		put(t, f, "a", "hello")
		write(t, open(t, f, "a", Write), "LO there", 3)
		is(t, f, "a", "helLO there")
	},
	"an empty write does nothing": func(t *testing.T, f FS) {
		write(t, open(t, f, "a", Create), "", 5)
		is(t, f, "a", "")
	},
	"truncate cuts, and extends with zeros": func(t *testing.T, f FS) {
		put(t, f, "a", "hello")
		file := open(t, f, "a", Write)
		ok(t, file.Truncate(2))
		is(t, f, "a", "he")
		ok(t, file.Truncate(4))
		is(t, f, "a", "he\x00\x00")
		size, err := file.Size()
		ok(t, err)
		if size != 4 {
			t.Errorf("size %d", size)
		}
	},
	"a read at the end is io.EOF": func(t *testing.T, f FS) {
		put(t, f, "a", "hello")
		file, b := open(t, f, "a", Read), make([]byte, 4)
		for off, want := range map[int64]int{1: 4, 3: 2, 5: 0, 9: 0} {
			n, err := file.ReadAt(b, off)
			if n != want || (err == nil) != (n == 4) || (err != nil && !errors.Is(err, io.EOF)) {
				t.Errorf("at %d: %d bytes, %v", off, n, err)
			}
		}
		if n, err := file.ReadAt(nil, 9); n != 0 || err != nil {
			t.Errorf("nothing at 9: %d, %v", n, err)
		}
	},
	"negative positions are refused": func(t *testing.T, f FS) {
		file := open(t, f, "a", Create)
		_, err := file.ReadAt(make([]byte, 1), -1)
		fails(t, err, nil)
		_, err = file.WriteAt([]byte("x"), -1)
		fails(t, err, nil)
		fails(t, file.Truncate(-1), nil)
	},
	"create keeps what is there": func(t *testing.T, f FS) {
		put(t, f, "a", "hello")
		open(t, f, "a", Create)
		is(t, f, "a", "hello")
	},
	"a file opened for reading is not changed": func(t *testing.T, f FS) {
		put(t, f, "a", "hello")
		file := open(t, f, "a", Read)
		_, err := file.WriteAt([]byte("x"), 0)
		fails(t, err, nil)
		fails(t, file.Truncate(0), nil)
		is(t, f, "a", "hello")
	},
	"what is not there is fs.ErrNotExist": func(t *testing.T, f FS) {
		for _, mode := range []Mode{Read, Write} {
			_, err := f.Open("a", mode)
			fails(t, err, fs.ErrNotExist)
		}
		_, err := f.Open("no/a", Create)
		fails(t, err, fs.ErrNotExist)
		_, err = f.List("no")
		fails(t, err, fs.ErrNotExist)
		fails(t, f.Rename("a", "b"), fs.ErrNotExist)
		fails(t, f.Remove("a"), fs.ErrNotExist)
		fails(t, f.SyncDir("no"), fs.ErrNotExist)
	},
	"a closed file is fs.ErrClosed": func(t *testing.T, f FS) {
		file := open(t, f, "a", Create)
		ok(t, file.Close())
		_, err := file.WriteAt([]byte("x"), 0)
		fails(t, err, fs.ErrClosed)
		_, err = file.ReadAt(make([]byte, 1), 0)
		fails(t, err, fs.ErrClosed)
		_, err = file.Size()
		fails(t, err, fs.ErrClosed)
		fails(t, file.Sync(), fs.ErrClosed)
		fails(t, file.Truncate(0), fs.ErrClosed)
		fails(t, file.Close(), fs.ErrClosed)
	},
	"rename replaces": func(t *testing.T, f FS) {
		put(t, f, "a", "new")
		put(t, f, "b", "old")
		ok(t, f.Rename("a", "b"))
		is(t, f, "b", "new")
		list(t, f, ".", "b 3")
		ok(t, f.Rename("b", "b"))
		is(t, f, "b", "new")
	},
	"rename stays in its directory": func(t *testing.T, f FS) {
		ok(t, f.MkdirAll("d"))
		put(t, f, "a", "hello")
		fails(t, f.Rename("a", "d/a"), fs.ErrInvalid)
		fails(t, f.Rename("d", "."), fs.ErrInvalid)
		is(t, f, "a", "hello")
	},
	"an open file outlives its name": func(t *testing.T, f FS) {
		file := open(t, f, "a", Create)
		ok(t, f.Rename("a", "b"))
		write(t, file, "hello", 0)
		is(t, f, "b", "hello")
		ok(t, f.Remove("b"))
		write(t, file, "H", 0)
		b := make([]byte, 5)
		if _, err := file.ReadAt(b, 0); err != nil || string(b) != "Hello" {
			t.Errorf("%q, %v", b, err)
		}
		ok(t, file.Sync())
		list(t, f, ".")
	},
	"directories are made, listed in order, removed when empty": func(t *testing.T, f FS) {
		ok(t, f.MkdirAll("d/e"))
		ok(t, f.MkdirAll("d/e"))
		ok(t, f.MkdirAll("."))
		put(t, f, "d/b", "12")
		put(t, f, "d/a", "1")
		list(t, f, "d", "a 1", "b 2", "e/")
		list(t, f, ".", "d/")
		fails(t, f.Remove("d"), nil)
		ok(t, f.Remove("d/e"))
		ok(t, f.Remove("d/a"))
		ok(t, f.Remove("d/b"))
		ok(t, f.SyncDir("d"))
		ok(t, f.Remove("d"))
		list(t, f, ".")
	},
	"a directory is renamed with what is in it": func(t *testing.T, f FS) {
		ok(t, f.MkdirAll("d"))
		put(t, f, "d/a", "1")
		ok(t, f.Rename("d", "e"))
		is(t, f, "e/a", "1")
		list(t, f, ".", "e/")
	},
	"a file is no directory, and a directory no file": func(t *testing.T, f FS) {
		put(t, f, "a", "1")
		ok(t, f.MkdirAll("d"))
		for _, mode := range []Mode{Read, Write, Create} {
			_, err := f.Open("d", mode)
			fails(t, err, nil)
		}
		_, err := f.Open("a/b", Create)
		fails(t, err, nil)
		_, err = f.List("a")
		fails(t, err, nil)
		fails(t, f.MkdirAll("a"), nil)
		fails(t, f.MkdirAll("a/b"), nil)
		fails(t, f.SyncDir("a"), nil)
		fails(t, f.Rename("a", "d"), nil)
		fails(t, f.Rename("d", "a"), nil)
		list(t, f, ".", "a 1", "d/")
	},
	"names do not leave the root": func(t *testing.T, f FS) {
		for _, name := range []string{"", "/", "/etc/hostname", "..", "../a", "a/../../b", "a//b", "a/", "./a"} {
			_, err := f.Open(name, Create)
			fails(t, err, fs.ErrInvalid)
			_, err = f.List(name)
			fails(t, err, fs.ErrInvalid)
			fails(t, f.Rename(name, "a"), fs.ErrInvalid)
			fails(t, f.Rename("a", name), fs.ErrInvalid)
			fails(t, f.Remove(name), fs.ErrInvalid)
			fails(t, f.MkdirAll(name), fs.ErrInvalid)
			fails(t, f.SyncDir(name), fs.ErrInvalid)
		}
		fails(t, f.Remove("."), fs.ErrInvalid)
	},
	"syncs succeed": func(t *testing.T, f FS) {
		file := open(t, f, "a", Create)
		write(t, file, "hello", 0)
		ok(t, file.Sync())
		ok(t, f.SyncDir("."))
		is(t, f, "a", "hello")
	},
}

func TestEveryFSKeepsTheContract(t *testing.T) {
	for what, check := range conformance {
		for name, f := range everyFS(t) {
			t.Run(what+"/"+name, func(t *testing.T) { check(t, f) })
		}
	}
}

func open(t *testing.T, f FS, name string, mode Mode) File {
	t.Helper()
	file, err := f.Open(name, mode)
	ok(t, err)
	t.Cleanup(func() {
		if err := file.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
			t.Error(err)
		}
	})
	return file
}

func write(t *testing.T, file File, text string, at int64) {
	t.Helper()
	n, err := file.WriteAt([]byte(text), at)
	ok(t, err)
	if n != len(text) {
		t.Fatalf("%d of %d bytes written", n, len(text))
	}
}

// put makes a file, unsynced.
func put(t *testing.T, f FS, name, text string) {
	t.Helper()
	file := open(t, f, name, Create)
	ok(t, file.Truncate(0))
	write(t, file, text, 0)
}

func is(t *testing.T, f FS, name, want string) {
	t.Helper()
	got, err := content(f, name)
	ok(t, err)
	if string(got) != want {
		t.Errorf("%s has %q, want %q", name, got, want)
	}
}

func content(f FS, name string) ([]byte, error) {
	file, err := f.Open(name, Read)
	if err != nil {
		return nil, err
	}
	size, err := file.Size()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	b, err := io.ReadAll(io.NewSectionReader(file, 0, size))
	return bytes.Clone(b), errors.Join(err, file.Close())
}

// names lists a directory: "name size" for a file, "name/" for a directory.
func names(f FS, dir string) ([]string, error) {
	entries, err := f.List(dir)
	texts := []string{}
	for _, e := range entries {
		if e.Dir {
			texts = append(texts, e.Name+"/")
			continue
		}
		texts = append(texts, fmt.Sprintf("%s %d", e.Name, e.Size))
	}
	return texts, err
}

func list(t *testing.T, f FS, dir string, want ...string) {
	t.Helper()
	got, err := names(f, dir)
	ok(t, err)
	if !slices.Equal(got, want) {
		t.Errorf("%s has %q, want %q", dir, got, want)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fails wants an error; nil: any.
func fails(t *testing.T, err, want error) {
	t.Helper()
	if err == nil || (want != nil && !errors.Is(err, want)) {
		t.Errorf("got %v, want %v", err, want)
	}
}
