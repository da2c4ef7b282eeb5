package lint

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"ravenswood.dev/internal/cli"
)

const referencePages = "../../docs/reference"

// TestReferenceIsFresh: what is in docs/reference is what the program would write now.
func TestReferenceIsFresh(t *testing.T) {
	fresh := generate(t)
	for _, name := range stale(t, fresh, referencePages) {
		t.Errorf("docs/reference/%s is not what `raven docs` writes now: make generate", name)
	}
}

// TestStaleReferenceIsNoticed is the negative control.
func TestStaleReferenceIsNoticed(t *testing.T) {
	fresh, old := generate(t), generate(t)
	write(t, filepath.Join(old, "components.md"), []byte("yesterday's"))
	if err := os.Remove(filepath.Join(old, "commands.md")); err != nil {
		t.Fatal(err)
	}
	if found := stale(t, fresh, old); len(found) != 2 {
		t.Errorf("found %q, want the changed and the missing page", found)
	}
}

// generate runs the real command in this process.
func generate(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	var errs bytes.Buffer
	if code := cli.Run(t.Context(), []string{"docs", dir}, cli.Streams{In: &bytes.Buffer{}, Out: &errs, Err: &errs}); code != cli.ExitOK {
		t.Fatalf("raven docs: exit code %d\n%s", code, errs.String())
	}
	return dir
}

// stale lists the pages of fresh that differ in dir or are not there.
func stale(t *testing.T, fresh, dir string) (names []string) {
	t.Helper()
	pages, err := os.ReadDir(fresh)
	if err != nil || len(pages) == 0 {
		t.Fatalf("nothing was generated: %v", err)
	}
	for _, p := range pages {
		want, err := os.ReadFile(filepath.Join(fresh, p.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, p.Name())); err != nil || !bytes.Equal(got, want) {
			names = append(names, p.Name())
		}
	}
	return names
}
