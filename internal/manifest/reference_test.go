package manifest_test

import (
	"bytes"
	"testing"

	"ravenswood.dev/internal/manifest"
)

func TestReferencePagesNameEveryField(t *testing.T) {
	pages := manifest.Reference(fakes())
	golden(t, "components.md", pages["components.md"])
	for _, want := range []string{
		"## Topology", "`spec.limits.recordBytes` | size | `1MB`", "`spec.versions[].env` | map of names to text",
		"`spec.delivery` | `exactly-once`, `at-least-once`", "`spec.bolts` | map of names to bolt", "`metadata.name` | text | *required*",
	} {
		if !bytes.Contains(pages["kinds.md"], []byte(want)) {
			t.Errorf("kinds.md does not say %s", want)
		}
	}
}
