package manifest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"ravenswood.dev/internal/manifest"
)

// FuzzLoad reads foreign bytes as a resource file, and as the settings of a bolt within one: it never panics, every error
// has a place in the file, and what is accepted can be printed and read back.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.y*ml", "testdata/bad/*"} {
		files, _ := filepath.Glob(pattern)
		for _, name := range files {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	for _, text := range []string{
		"a: &x [*x]", `{list: &l [a], set: {<<: {a: b}}, any: *l, maybe: 0x10, percent: "1"}`, "{whole: 1.5, small: 128, share: .inf}",
		"{key: 'a ^', rules: [{when: |\n a ^}]}", "!!binary aGk=", "{wait: 1d, max: 1GB, on: yes, text: !!str 7}", "{<<: [{text: a}, {text: b}]}",
		"\n        text: >\n          a\n          b ^\n", "? {a: b}\n: c", "{text: 2026-01-02, equals: ~, named: {a: {when: 1}}}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 16<<10 {
			return
		}
		tryLoad(t, data)
		tryLoad(t, []byte(topology("{from: in, bench: "+string(data)+"}")))
	})
}

func tryLoad(t *testing.T, data []byte) {
	t.Helper()
	set, problems := manifest.Parse("file.yaml", "/dir", data, fakes())
	lines := 1 + bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) + bytes.Count(data, []byte("\u0085")) +
		bytes.Count(data, []byte("\u2028")) + bytes.Count(data, []byte("\u2029"))
	for _, p := range problems {
		if p.Line < 1 || p.Line > lines || p.Message == "" || p.Code == "" {
			t.Errorf("problem without a place or text: %+v", p)
		}
	}
	set.Effective()
	for _, tp := range set.Topologies {
		tp.Fingerprint()
	}
	if len(problems) > 0 {
		return
	}
	if _, problems := manifest.Parse("effective.yaml", "/dir", set.Effective(), fakes()); len(problems) > 0 {
		t.Errorf("effective config is refused: %+v\n%s", problems, set.Effective())
	}
}
