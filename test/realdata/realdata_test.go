package realdata

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFilesAreFoundFromTheRootOfTheRepository(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "events"), 0o700); err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(dir, "events", "a.jsonl")
	if err := os.WriteFile(want, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(root, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, folder, file, fault string }{
		{name: "absolute", folder: dir, file: "a.jsonl"},
		{name: "relative", folder: relative, file: "a.jsonl"},
		{name: "no such file", folder: dir, file: "b.jsonl", fault: "no such file"},
		{name: "no folder named", file: "a.jsonl", fault: "RAVEN_DATA is not set"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := find(c.folder, c.file)
			switch {
			case c.fault == "" && (err != nil || got != want):
				t.Errorf("got %q (%v), want %q", got, err, want)
			case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
				t.Errorf("got %q (%v), want an error with %q", got, err, c.fault)
			}
		})
	}
}

// TestWithoutDataATestIsLeftOutUnlessItIsRequired asks a test of its own.
func TestWithoutDataATestIsLeftOutUnlessItIsRequired(t *testing.T) {
	t.Setenv(folderVariable, "")
	for required, want := range map[string]string{"": "skipped", "1": "failed"} {
		t.Setenv(requireVariable, required)
		f := &fate{TB: t}
		func() {
			defer func() { _ = recover() }()
			Events(f, "a.jsonl", "a file")
		}()
		if f.is != want {
			t.Errorf("with %s=%q the test was %q, want %q", requireVariable, required, f.is, want)
		}
	}
}

// fate is a test that only notes what becomes of it.
type fate struct {
	testing.TB
	is string
}

func (f *fate) Skipf(string, ...any)  { f.end("skipped") }
func (f *fate) Fatalf(string, ...any) { f.end("failed") }

func (f *fate) end(how string) {
	f.is = how
	panic(how)
}

func TestLinesOfPackedAndPlainFiles(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte("one\ntwo")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"a.jsonl": []byte("one\ntwo\n"), "a.jsonl.gz": packed.Bytes()} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := Lines(t, path); len(got) != 2 || string(got[0]) != "one" || string(got[1]) != "two" {
			t.Errorf("%s: got %q", name, got)
		}
	}
	if _, err := read(strings.NewReader("plain"), true); err == nil {
		t.Error("what is not packed was unpacked")
	}
	if _, err := read(strings.NewReader(strings.Repeat("x", lineMax+1)), false); err == nil {
		t.Error("a line without an end was read")
	}
}
