package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAStepIsJudged(t *testing.T) {
	for _, c := range []struct {
		name string
		said said
		want outcome
	}{
		{"it works", said{Step: "s", OK: true}, worked},
		{"it does not", said{Step: "s"}, failed},
		{"not required of one node", said{Step: "s", Cluster: "one node"}, absent},
		{"not required of one node, and it works", said{Step: "s", OK: true, Cluster: "one node"}, worked},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := newRow(c.said).Outcome; got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatMakesARunGood(t *testing.T) {
	good, bad := row{Client: "c", Step: "good", Outcome: worked}, row{Client: "c", Step: "bad", Outcome: failed}
	gone, without := row{Client: "c", Step: "gone", Outcome: absent}, row{Client: "d", Outcome: leftOut}
	for _, c := range []struct {
		name string
		rows []row
		o    options
		want bool
	}{
		{"all work", []row{good}, options{}, true},
		{"one fails", []row{good, bad}, options{}, false},
		{"nothing was run", nil, options{}, false},
		{"all clients left out", []row{without}, options{}, false},
		{"one left out", []row{good, without}, options{}, true},
		{"one left out that is required", []row{good, without}, options{required: true}, false},
		{"one that is not required", []row{good, gone}, options{}, true},
		{"one that is not required, in a strict run", []row{good, gone}, options{strict: true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if s := summarise(c.rows, c.o, time.Second); s.OK != c.want {
				t.Errorf("ok is %t: %+v", s.OK, s)
			}
		})
	}
}

func TestTheLastLineIsOneObject(t *testing.T) {
	var out bytes.Buffer
	rows := []row{{Client: "c", Version: "1", Step: "s", Outcome: worked, Millis: 3}, {Client: "d", Outcome: leftOut, Detail: "no java"}}
	printTable(&out, rows)
	if err := printSummary(&out, summarise(rows, options{}, time.Second)); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var s summary
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &s); err != nil || s.Passed != 1 || s.Clients["c"].Version != "1" || !slices.Equal(s.LeftOut, []string{"d"}) {
		t.Errorf("%+v, %v", s, err)
	}
	if len(lines) != 4 || !strings.Contains(lines[2], "no java") {
		t.Errorf("table %q", lines)
	}
}

// script is a foreign program for a test.
func script(t *testing.T, text string) *exec.Cmd {
	t.Helper()
	return inside(t.TempDir(), "sh", "-c", text, "name")
}

func TestAForeignProgramMustComeToItsEnd(t *testing.T) {
	const step = `echo '{"step":"s","ok":true,"millis":4}'; `
	for _, c := range []struct {
		name, script, want string // want is in the error; empty for none
	}{
		{"to its end", `echo '{"version":"9"}'; echo chatter; ` + step + `echo '{"end":true}'`, ""},
		{"no last line", step, "ended before its last step"},
		{"an exit code", step + `echo '{"end":true}'; echo because >&2; exit 3`, "because"},
		{"it hangs", step + `exec sleep 60`, "gave up waiting"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			s := &session{name: "test"}
			err := s.foreign(ctx, script(t, c.script))
			if c.want == "" && (err != nil || s.version != "9") {
				t.Errorf("version %q, %v", s.version, err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if len(s.rows) != 1 || s.rows[0].Step != "s" || s.rows[0].Millis != 4 {
				t.Errorf("rows %+v", s.rows)
			}
		})
	}
}

func TestAForeignProgramGetsTheBrokerAndThePrefix(t *testing.T) {
	s := &session{name: "test", addr: "127.0.0.1:1", prefix: "p"}
	if err := s.foreign(t.Context(), script(t, `echo "{\"step\":\"$1 $2\",\"ok\":true}"; echo '{"end":true}'`)); err != nil || s.rows[0].Step != "127.0.0.1:1 p" {
		t.Errorf("%+v, %v", s.rows, err)
	}
}

func TestAClientThatCannotRunSaysWhy(t *testing.T) {
	c := client{name: "none", tools: []tool{{"no-such-program-here", "some-package"}}}
	var log bytes.Buffer
	ready := prepare(t.Context(), []client{c}, store{dir: t.TempDir()}, &log)
	rows := runAll(t.Context(), ready, "127.0.0.1:1", 1)
	if len(rows) != 1 || rows[0].Outcome != leftOut || !strings.Contains(rows[0].Detail, "some-package") || !strings.Contains(log.String(), "left out: none") {
		t.Errorf("%+v, %q", rows, log.String())
	}
	if installed(ready, true) || !installed(ready, false) {
		t.Error("a missing client is a failure exactly when clients are required")
	}
}

func TestPackagesAreFetchedOnceUntilTheirPinsChange(t *testing.T) {
	source, pins, runs := t.TempDir(), "pins", 0
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(source, pins), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := "cp pins brought"
	f := &fetch{name: "test", files: []string{pins}, into: func(dir, _ string) *exec.Cmd {
		runs++
		return inside(dir, "sh", "-c", command)
	}}
	s := store{dir: filepath.Join(t.TempDir(), "made", "on", "demand"), source: source}
	bring := func(wantRuns int) string {
		t.Helper()
		dir, err := s.bring(t.Context(), f)
		if err != nil || runs != wantRuns {
			t.Fatalf("%d runs, want %d; %v", runs, wantRuns, err)
		}
		return dir
	}
	write("one")
	first := bring(1)
	if again := bring(1); again != first {
		t.Errorf("went to %q and %q", first, again)
	}
	write("two")
	if second, err := os.ReadFile(filepath.Join(bring(2), "brought")); err != nil || string(second) != "two" {
		t.Errorf("brought %q, %v", second, err)
	}
	write("three")
	command = "echo no network >&2; exit 1"
	if _, err := s.bring(t.Context(), f); err == nil || !strings.Contains(err.Error(), "no network") {
		t.Errorf("error %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, "*.part")); len(left) > 0 {
		t.Errorf("left behind %q", left)
	}
}

func TestThePageKeepsWhatWasWrittenByHand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.md")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rows := []row{{Client: "kcat", Version: "1", Step: "list", Outcome: worked}, {Client: "kcat", Version: "1", Step: "fly", Outcome: absent, Cluster: "no wings"}}
	write("before\n" + pageBegin + "old\n" + pageEnd + "after\n")
	if err := writePage(file, rows); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(file)
	for _, want := range []string{"before\n", "after\n", "| kcat | 1 | 2 | 1 | fly (no wings) |", "**kcat**: list."} {
		if !strings.Contains(string(got), want) {
			t.Errorf("page without %q:\n%s", want, got)
		}
	}
	if strings.Contains(string(got), "old") {
		t.Errorf("page with the old part:\n%s", got)
	}
	write("nothing to fill in")
	if err := writePage(file, rows); err == nil {
		t.Error("a page without the lines was written")
	}
}

// TestTheListOfToolsIsSound compiles every expression, which otherwise only a run with Java does.
func TestTheListOfToolsIsSound(t *testing.T) {
	seen := map[string]bool{}
	for _, step := range toolSteps() {
		if seen[step.name] || step.class == "" {
			t.Errorf("step %q: twice, or without a class", step.name)
		}
		seen[step.name] = true
		for _, e := range append(step.want, step.never) {
			if _, err := regexp.Compile(strings.NewReplacer("{", "", "}", "").Replace(e)); err != nil {
				t.Errorf("step %q: %v", step.name, err)
			}
		}
	}
}

func TestTheCommandLine(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		ok   bool
	}{
		{"nothing", nil, true},
		{"some clients", []string{"--only", "kcat,java"}, true},
		{"a client nobody knows", []string{"--only", "kcat,cobol"}, false},
		{"a page of some", []string{"--only", "kcat", "--page", "x.md"}, false},
		{"none at a time", []string{"--parallel", "0"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := parse(c.args); (err == nil) != c.ok {
				t.Errorf("error %v", err)
			}
		})
	}
}
