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
	"path/filepath"
	"strings"
	"time"
)

// franz-go brings the tests that its author runs against Kafka: produce and consume chains with groups, rebalances and
// transactions, each with counts at the end. They are run as they are, from the module that this repository uses.

const (
	franzModule  = "github.com/twmb/franz-go"
	franzRecords = "20000" // for each chain; its author runs half a million
	franzBound   = "280s"
)

// franzNeedsCluster are its tests that one node cannot pass, with the reason.
func franzNeedsCluster() map[string]string {
	return map[string]string{"TestConsumeRegex": "looks for Kafka's internal topic __consumer_offsets"}
}

func runFranz(ctx context.Context, s *session) error {
	version, dir, err := franzSource(ctx)
	if err != nil {
		return err
	}
	s.version = version
	copied, err := os.MkdirTemp("", "raven-clients-franz-*")
	if err != nil {
		return fmt.Errorf("copy %s: %w", franzModule, err)
	}
	defer func() { _ = os.RemoveAll(copied) }()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		return fmt.Errorf("copy %s: %w", franzModule, err)
	}
	var skip []string
	for name, why := range franzNeedsCluster() {
		skip = append(skip, "^"+name+"$")
		s.add(newRow(said{Step: name, Detail: "not run", Cluster: why}))
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-mod=mod", "-json", "-timeout", franzBound, "-skip", strings.Join(skip, "|"), "./pkg/kgo")
	cmd.Dir = copied
	cmd.Env = append(os.Environ(), "KGO_SEEDS="+s.addr, "KGO_TEST_RF=1", "KGO_TEST_RECORDS="+franzRecords)
	return s.goTests(cmd)
}

// franzSource is where the module cache has the version that is in go.mod.
func franzSource(ctx context.Context) (version, dir string, err error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}} {{.Dir}}", franzModule).Output()
	version, dir, ok := strings.Cut(strings.TrimSpace(string(out)), " ")
	if err != nil || !ok {
		return "", "", fmt.Errorf("find %s: %w", franzModule, errors.Join(err, os.ErrNotExist))
	}
	return version, filepath.Clean(dir), nil
}

// goTests runs a go test with -json. Every test at the top is a step.
func (s *session) goTests(cmd *exec.Cmd) error {
	errs := &tail{}
	cmd.Stderr, cmd.WaitDelay = errs, time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start go test: %w", err)
	}
	steps := s.goEvents(out)
	err = cmd.Wait()
	if steps == 0 {
		return fmt.Errorf("no test ran: %w: %s", errors.Join(err, io.ErrUnexpectedEOF), clip(errs.String()))
	}
	return nil // a failed test is a failed step
}

// goEvents adds a row for each test at the top that ended.
func (s *session) goEvents(r io.Reader) (steps int) {
	lastWords := map[string]string{} // the last line that a test said
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct {
			Action, Test, Output string
			Elapsed              float64
		}
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Test == "" {
			continue
		}
		top, _, _ := strings.Cut(e.Test, "/")
		if text := strings.TrimSpace(e.Output); strings.Contains(text, "_test.go:") {
			lastWords[top] = text
		}
		if e.Test != top || e.Action != "pass" && e.Action != "fail" {
			continue
		}
		steps++
		one := said{Step: e.Test, OK: e.Action == "pass", Millis: int64(e.Elapsed * 1000)}
		if !one.OK {
			one.Detail = lastWords[top]
		}
		s.add(newRow(one))
	}
	return steps
}
