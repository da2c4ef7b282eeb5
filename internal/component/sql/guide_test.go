package sql_test

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"ravenswood.dev/internal/component/all"
	"ravenswood.dev/internal/manifest"
	"ravenswood.dev/internal/topology"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestTheGuidesExamplesArePlanned reads every YAML block of the guides to the edges as a user's file.
func TestTheGuidesExamplesArePlanned(t *testing.T) {
	for _, guide := range []string{"sql.md", "files.md"} {
		text, err := os.ReadFile("../../../docs/guides/" + guide)
		if err != nil {
			t.Fatal(err)
		}
		blocks := yamlBlock.FindAllSubmatch(text, -1)
		if len(blocks) == 0 {
			t.Errorf("%s: no examples", guide)
		}
		for i, block := range blocks {
			t.Run(fmt.Sprintf("%s example %d", guide, i+1), func(t *testing.T) {
				set, problems := manifest.Parse(guide, ".", block[1], all.Components())
				_, more := topology.Build(set, all.Components())
				for _, p := range append(problems, more...) {
					t.Error(p)
				}
			})
		}
	}
}
