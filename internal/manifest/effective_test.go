package manifest_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"ravenswood.dev/internal/manifest"
)

func TestEffectiveShowsDefaultsAndHidesSecrets(t *testing.T) {
	set, problems := manifest.Load(filepath.Join("testdata", "good"), fakes())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	got := set.Effective()
	golden(t, "effective.yaml", got)
	if bytes.Contains(got, []byte("hunter2")) || bytes.Contains(got, []byte("USERS_PASSWORD")) {
		t.Error("a secret is shown")
	}
}

// TestEffectiveReadsBackAsItself covers the printer against the decoder: what was printed means what was read.
func TestEffectiveReadsBackAsItself(t *testing.T) {
	set, _ := manifest.Load(filepath.Join("testdata", "good"), fakes())
	settings := `{from: in, bench: {maybe: 0, equals: "7", list: ["true", a], waits: [1500ms], set: {"a.b": "null"}, option: {}, rules: [{when: "#"}],
      named: {r: {when: "- x"}}, any: {a: [1, x, true]}, text: "", max: 3000, percent: 0.01, names: a, columns: {c: x, d: {field: y, type: text}}}}`
	all, problems := parse(t, topology(settings))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, s := range []*manifest.Set{set, all} {
		again, problems := parse(t, string(s.Effective()))
		if len(problems) > 0 {
			t.Fatalf("cannot be read back: %v\n%s", problems, s.Effective())
		}
		if got := again.Effective(); !bytes.Equal(got, s.Effective()) {
			t.Errorf("changed on the way:\n%s\nwas\n%s", got, s.Effective())
		}
	}
}

func TestFingerprintDependsOnWhatIsMeantOnly(t *testing.T) {
	of := func(bolt string) string {
		set, problems := parse(t, topology(bolt))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return set.Topologies[0].Fingerprint()
	}
	base := of("{from: in, bench: {token: a, whole: 7}}")
	if len(base) != 64 || strings.Trim(base, "0123456789abcdef") != "" {
		t.Errorf("fingerprint %q is not a SHA-256 in hex", base)
	}
	if of("{bench: {token: a}, from: [in]} # the same") != base {
		t.Error("order, comments and a written default change the fingerprint")
	}
	if of("{from: in, bench: {token: a, whole: 8}}") == base || of("{from: in, bench: {token: b}}") == base {
		t.Error("a changed setting or secret does not show")
	}
}
