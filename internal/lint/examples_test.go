package lint

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ravenswood.dev/internal/cli"
)

// The pages whose resources are whole, so that they can be checked by themselves.
var wholeExamples = []string{"docs/guides/state.md", "docs/concepts/state.md", "README.md"}

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(apiVersion:.*?)^```")

// TestExamplesOfPagesAreRight: what a page tells people to write passes `raven lint`.
func TestExamplesOfPagesAreRight(t *testing.T) {
	for _, page := range wholeExamples {
		text, err := os.ReadFile(filepath.Join("../..", page))
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
			t.Run(fmt.Sprintf("%s example %d", page, i+1), func(t *testing.T) {
				if problems := lintExample(t, m[1]); problems != "" {
					t.Errorf("it is not right:\n%s", problems)
				}
			})
		}
	}
}

// TestAWrongExampleIsNoticed is the negative control.
func TestAWrongExampleIsNoticed(t *testing.T) {
	text := "apiVersion: ravenswood.dev/v1alpha1\nkind: Topology\nmetadata: {name: x}\nspec:\n  bolts: {a: {from: nobody, rekey: {key: event.}}}\n"
	if problems := lintExample(t, text); !strings.Contains(problems, "nobody") {
		t.Errorf("found %q, want the source that is not there", problems)
	}
}

// lintExample runs the real command in this process; empty if all is well.
func lintExample(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "example.yaml"), []byte(text))
	var out bytes.Buffer
	if code := cli.Run(t.Context(), []string{"lint", dir}, cli.Streams{In: &bytes.Buffer{}, Out: &out, Err: &out}); code != cli.ExitOK {
		return out.String()
	}
	return ""
}
