package manifest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"ravenswood.dev/internal/manifest"
)

// FuzzLoad reads foreign bytes as a resource file: it never panics, every error has a place in the file, and what is
// accepted can be printed and read back.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*", "testdata/bad/*"} {
		files, _ := filepath.Glob(pattern)
		for _, name := range files {
			if data, err := os.ReadFile(name); err == nil {
				f.Add(data)
			}
		}
	}
	f.Add([]byte(topology(`{from: in, bench: {list: &l [a], set: {<<: {a: b}}, any: *l, maybe: 0x10, percent: "1"}}`)))
	f.Add([]byte("a: &x [*x]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 64<<10 {
			return
		}
		set, problems := manifest.Parse("file.yaml", "/dir", data, fakes())
		lines := 1 + bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r"))
		for _, p := range problems {
			if p.Line < 1 || p.Line > lines || p.Message == "" || p.Code == "" {
				t.Errorf("problem without a place or text: %+v", p)
			}
		}
		for _, tp := range set.Topologies {
			tp.Effective()
			tp.Fingerprint()
		}
		if len(problems) > 0 {
			return
		}
		if _, problems := manifest.Parse("effective.yaml", "/dir", set.Effective(), fakes()); len(problems) > 0 {
			t.Errorf("effective config is refused: %+v\n%s", problems, set.Effective())
		}
	})
}
