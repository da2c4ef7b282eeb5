package lint

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestRepository runs every rule over the repository.
func TestRepository(t *testing.T) {
	tree, err := Load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			found := rule.Check(tree)
			for _, f := range found {
				t.Error(f)
			}
			if len(found) > 0 {
				t.Log("why:", rule.Why)
			}
		})
	}
}

// TestRulesFindWhatTheyForbid is the negative control: every rule has a bad sample, and must find exactly what the
// sample's file "want" lists. The samples also hold what looks similar and is allowed.
func TestRulesFindWhatTheyForbid(t *testing.T) {
	for _, rule := range Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			tree, want := sample(t, filepath.Join("testdata", rule.Name+".txtar"))
			var got strings.Builder
			for _, f := range rule.Check(tree) {
				got.WriteString(f.String() + "\n")
			}
			if strings.TrimSpace(want) == "" {
				t.Fatal("the sample breaks nothing: a rule that cannot fail is no rule")
			}
			if got.String() != want {
				t.Errorf("found:\n%s\nwant:\n%s", got.String(), want)
			}
		})
	}
}

func sample(t *testing.T, file string) (tree *Tree, want string) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, f := range archive.Files {
		if f.Name == "want" {
			want = string(f.Data)
			continue
		}
		write(t, filepath.Join(root, filepath.FromSlash(f.Name)), f.Data)
	}
	tree, err = Load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	return tree, want
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestLoadSkipsWhatIsNotOurs: hidden folders and testdata hold other people's text and bad samples.
func TestLoadSkipsWhatIsNotOurs(t *testing.T) {
	tree, err := Load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for p := range tree.paths {
		if strings.Contains(p, "testdata/") || strings.HasPrefix(p, ".git/") {
			t.Errorf("read %q", p)
		}
	}
	if _, err := fs.Stat(os.DirFS("../.."), "go.mod"); err != nil || len(tree.goes) < 10 {
		t.Errorf("read %d Go files, that cannot be the repository: %v", len(tree.goes), err)
	}
}
