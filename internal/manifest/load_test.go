package manifest_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/manifest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with a file in testdata, which -update rewrites for review as a diff.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -run %s -update rewrites it); got:\n%s", path, t.Name(), got)
	}
}

func TestLoadReportsEverythingOfAllFilesAtOnce(t *testing.T) {
	_, problems := manifest.Load(filepath.Join("testdata", "bad"), fakes())
	var text, list bytes.Buffer
	if err := manifest.WriteText(&text, problems); err != nil {
		t.Fatal(err)
	}
	golden(t, "problems.txt", text.Bytes())
	if err := manifest.WriteJSON(&list, problems); err != nil {
		t.Fatal(err)
	}
	var back []manifest.Problem
	if err := json.Unmarshal(list.Bytes(), &back); err != nil || !reflect.DeepEqual(back, problems) {
		t.Errorf("problems do not survive JSON: %v\n%s", err, list.Bytes())
	}
}

func TestNoProblemsAreAnEmptyJSONArray(t *testing.T) {
	var b bytes.Buffer
	if err := manifest.WriteJSON(&b, nil); err != nil || b.String() != "[]\n" {
		t.Errorf("got %q %v", b.String(), err)
	}
}

func TestLoadReadsAFolder(t *testing.T) {
	dir := filepath.Join("testdata", "good")
	set, problems := manifest.Load(dir, fakes())
	if len(problems) > 0 {
		t.Fatalf("problems: %+v", problems)
	}
	if len(set.Topics) != 1 || len(set.Services) != 1 || len(set.Routes) != 1 || len(set.Topologies) != 1 {
		t.Fatalf("got %d topics, %d services, %d routes, %d topologies", len(set.Topics), len(set.Services), len(set.Routes), len(set.Topologies))
	}
	s, _ := set.Service("users")
	if s.Dir != dir || s.File != filepath.Join(dir, "b.yml") || s.Line != 1 || s.Broken {
		t.Errorf("source: %+v", s.Source)
	}
	if got := s.Spec.Versions[1].Env; !reflect.DeepEqual(got, map[string]string{"LEVEL": "2", "PASSWORD": "${USERS_PASSWORD}"}) {
		t.Errorf("env: %v", got)
	}
	r, _ := set.Route("users")
	if got := r.Spec.Rules[0].Match[0].Equals; got == nil || *got != "7" {
		t.Errorf("equals: %v", got)
	}
	tp, _ := set.Topic("user-messages")
	if tp.Spec.Partitions != 8 || tp.Spec.Retention.String() != "168h0m0s" || tp.Spec.Cleanup != "delete" {
		t.Errorf("a topic without spec has no defaults: %+v", tp.Spec)
	}
	e, _ := set.Topology("enricher")
	if e.Spec.Delivery != api.ExactlyOnce || e.Spec.Limits.Records != 16384 || !slices.Equal(e.Spec.Bolts["users"].From, []string{"parsed"}) {
		t.Errorf("topology: %+v", e.Spec)
	}
}

func TestLocateFindsPlacesAndTheNearestParent(t *testing.T) {
	set, _ := manifest.Load(filepath.Join("testdata", "good"), fakes())
	cases := []struct {
		kind, name, path string
		line, column     int
	}{
		{"Topology", "enricher", "metadata.name", 5, 18},
		{"Topology", "enricher", "spec.bolts.users", 11, 5},
		{"Topology", "enricher", "spec.bolts.users.call.service", 11, 43},
		{"Topology", "enricher", "spec.sinks.enriched.from[0]", 13, 23},
		{"Topology", "enricher", "spec.sinks.enriched.from.0", 13, 23},
		{"Topology", "enricher", "spec.bolts.users.call.timeout", 11, 27},
		{"Topology", "enricher", "nonsense", 3, 1},
		{"Service", "users", "spec.versions[1].env.LEVEL", 10, 20},
		{"Service", "nobody", "spec", 0, 0},
	}
	for _, c := range cases {
		_, line, column := set.Locate(c.kind, c.name, c.path)
		if line != c.line || column != c.column {
			t.Errorf("%s %s %s is at %d:%d, want %d:%d", c.kind, c.name, c.path, line, column, c.line, c.column)
		}
	}
}

func TestLoadReadsASingleFile(t *testing.T) {
	set, problems := manifest.Load(filepath.Join("testdata", "good", "b.yml"), fakes())
	if len(problems) > 0 || len(set.Topics) != 1 || len(set.Topologies) != 0 {
		t.Errorf("got %+v %v", set, problems)
	}
}

func TestPathsThatCannotBeReadAreProblems(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, size int64) string {
		path := filepath.Join(dir, name)
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		return path
	}
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct{ path, code, message string }{
		"missing":      {filepath.Join(dir, "nowhere"), manifest.CodeFileUnreadable, "no such file or directory"},
		"empty folder": {empty, manifest.CodeNothingFound, "no resources in it"},
		"empty file":   {write("empty.yaml", 0), manifest.CodeNothingFound, "no resources in it"},
		"huge":         {write("huge.yaml", 17<<20), manifest.CodeFileUnreadable, "larger than 16 MB"},
		"a device":     {os.DevNull, manifest.CodeFileUnreadable, "not a regular file"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			set, problems := manifest.Load(c.path, fakes())
			if set == nil || len(problems) != 1 || problems[0].Code != c.code || !strings.Contains(problems[0].Message, c.message) {
				t.Errorf("got %+v", problems)
			}
		})
	}
}

func TestMalformedYAMLHasAPlaceAndAHint(t *testing.T) {
	cases := map[string]struct{ text, place, hint string }{
		"tab":                {"a: 1\n\tb: 2\n", "2:1", "spaces, not tabs"},
		"tab in first line":  {"\ta: 1\n", "1:1", "spaces, not tabs"},
		"colon in value":     {"a: b: c\n", "1:0", "in quotes"},
		"bad character":      {"a:\n  b: @x\n", "2:6", "in quotes"},
		"control character":  {"a: \x00\n", "1:0", "control character"},
		"unknown anchor":     {"a: 1\nb: *nope\n", "2:4", "define the anchor"},
		"open list":          {"a: 1\nb: [1, 2\n", "2:0", ""},
		"wrong list":         {"- a\nb: 1\n", "2:0", ""},
		"missing colon":      {"a: 1\nb\nc: 2\n", "2:0", ""},
		"in second document": {"a: 1\n---\nb: [1 }\n", "3:0", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, problems := parse(t, c.text)
			i := slices.IndexFunc(problems, func(p manifest.Problem) bool { return p.Code == manifest.CodeYAMLInvalid })
			if i < 0 {
				t.Fatalf("not reported: %+v", problems)
			}
			p := problems[i]
			if got := strings.Fields(brief([]manifest.Problem{p})[0])[0]; got != c.place || !strings.Contains(p.Hint, c.hint) {
				t.Errorf("got %s %q %q, want %s %q", got, p.Message, p.Hint, c.place, c.hint)
			}
		})
	}
}

func TestWhatStandsBeforeMalformedYAMLIsRead(t *testing.T) {
	set, problems := parse(t, "apiVersion: ravenswood.dev/v1alpha1\nkind: Topic\nmetadata: {name: a}\n---\n[\n")
	if len(set.Topics) != 1 || len(problems) != 1 || problems[0].Code != manifest.CodeYAMLInvalid {
		t.Errorf("got %+v %+v", set.Topics, problems)
	}
}

func TestExpansionIsBounded(t *testing.T) {
	laughs := "apiVersion: ravenswood.dev/v1alpha1\nkind: Topic\nmetadata: {name: a}\nspec:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 20 {
		n, m := string(rune('0'+i%10))+string(rune('a'+i/10)), string(rune('0'+(i+1)%10))+string(rune('a'+(i+1)/10))
		if i == 0 {
			laughs += "  b: &" + m + " [*a0, *a0, *a0, *a0, *a0, *a0, *a0, *a0, *a0, *a0]\n"
			continue
		}
		laughs += "  c" + n + ": &" + m + " [" + strings.Repeat("*"+n+", ", 9) + "*" + n + "]\n"
	}
	cases := map[string]struct{ text, code string }{
		"billion laughs":     {laughs, manifest.CodeTooLarge},
		"alias in itself":    {"a: &x [*x]\n", manifest.CodeTooDeep},
		"merged into itself": {"a: &x {<<: *x}\n", manifest.CodeTooDeep},
		"many values":        {strings.Repeat("a,", 3_000_000), manifest.CodeTooLarge},
		"deep":               {strings.Repeat("[", 200) + strings.Repeat("]", 200), manifest.CodeTooDeep},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, problems := parse(t, c.text); len(problems) != 1 || problems[0].Code != c.code {
				t.Errorf("got %v", brief(problems))
			}
		})
	}
}

func TestTheNumberOfProblemsIsBounded(t *testing.T) {
	text := "apiVersion: ravenswood.dev/v1alpha1\nkind: Topic\nmetadata: {name: a}\nspec:\n" + strings.Repeat("  x: 1\n", 5000)
	set, problems := parse(t, text)
	if len(problems) > 1000 || !manifest.HasErrors(problems) || !set.Topics[0].Broken {
		t.Errorf("got %d problems", len(problems))
	}
}

func TestResourceNamesAreChecked(t *testing.T) {
	cases := map[string]bool{
		"a": true, "a-b.c9": true, strings.Repeat("a", 100): true,
		"A": false, "a_b": false, "-a": false, "a.": false, "a..b": false, "ä": false, "a b": false, strings.Repeat("a", 101): false,
	}
	for name, ok := range cases {
		_, problems := parse(t, "apiVersion: ravenswood.dev/v1alpha1\nkind: Topic\nmetadata: {name: \""+name+"\"}\n")
		if refused := len(problems) == 1 && problems[0].Code == manifest.CodeNameInvalid; refused == ok {
			t.Errorf("name %q: %v", name, problems)
		}
	}
}

func TestSuggestFindsTheNearest(t *testing.T) {
	allowed := []string{"transform", "filter", "branch", "call", "log"}
	cases := map[string]string{
		"trnasform": `did you mean "transform"?`,
		"Filter":    `did you mean "filter"?`,
		"cal":       `did you mean "call"?`,
		"lgo":       `did you mean "log"?`,
		"kafka":     "allowed are branch, call, filter, log, transform",
		"":          "allowed are branch, call, filter, log, transform",
	}
	for name, want := range cases {
		if got := manifest.Suggest(name, allowed); got != want {
			t.Errorf("Suggest(%q) = %s, want %s", name, got, want)
		}
	}
}
