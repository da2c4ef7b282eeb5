package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"

	"ravenswood.dev/internal/kafka/kafkatest"
)

// tests are the tests that run the list, by target: arguments of go test.
var tests = map[string][]string{
	"kfake":  {"-run=^TestConformanceOfKfake$"},
	"apache": {"-run=^TestConformanceOfApacheKafka$"},
	"raven":  {"-run=^TestConformanceOfRaven$"},
}

// conformance runs the list on each target, one after the other, and prints what came out as the last line: for one target
// its object, for several one object of all of them.
func conformance(ctx context.Context, targets []string) error {
	if len(targets) == 0 {
		targets = []string{"kfake", "apache"}
	}
	var found []kafkatest.Summary
	var problems []error
	for _, target := range targets {
		if tests[target] == nil {
			return fmt.Errorf("no such target %q", target)
		}
		summary, err := runList(ctx, tests[target])
		found = append(found, summary)
		if err != nil {
			problems = append(problems, fmt.Errorf("run the list on %s: %w", target, err))
		}
	}
	if slices.ContainsFunc(found, func(s kafkatest.Summary) bool { return s.Target == "" }) {
		return errors.Join(problems...) // a list that did not come to its end has no numbers
	}
	var last any = map[string]any{"targets": found}
	if len(found) == 1 {
		last = found[0]
	}
	line, err := json.Marshal(last)
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	return errors.Join(problems...)
}

// runList runs one test, shows what it says to people on stderr, and returns its summary.
func runList(ctx context.Context, test []string) (summary kafkatest.Summary, err error) {
	args := append([]string{"test", "-count=1", "-timeout=5m", "-v"}, test...)
	cmd := exec.CommandContext(ctx, "go", append(args, "./internal/kafka/kafkatest")...)
	cmd.Env = append(os.Environ(), "RAVEN_REQUIRE_KAFKA=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return summary, err
	}
	if err := cmd.Start(); err != nil {
		return summary, err
	}
	summary, err = follow(out)
	return summary, errors.Join(err, cmd.Wait())
}

// follow shows the lines worth reading: not the names of what begins, waits or passes.
func follow(out io.Reader) (summary kafkatest.Summary, err error) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		if text, ok := strings.CutPrefix(line, kafkatest.ReportPrefix); ok {
			err = json.Unmarshal([]byte(text), &summary)
			continue
		}
		word := strings.TrimSpace(line)
		if !strings.HasPrefix(word, "===") && !strings.HasPrefix(word, "--- PASS") {
			fmt.Fprintln(os.Stderr, line)
		}
	}
	return summary, err
}
