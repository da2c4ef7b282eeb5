package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

const (
	clientBound = 300 * time.Second // longest time of one client
	stepBound   = 30 * time.Second  // longest time of one step
)

// session is one run of one client. Its rows are added by one goroutine.
type session struct {
	name    string
	version string
	addr    string
	prefix  string // of everything the client makes on the broker
	dir     string // what was fetched for it
	source  string // the folder of this program's source
	rows    []row
}

// runAll runs the clients, so many at a time, and returns their rows in the order of the clients.
func runAll(ctx context.Context, all []prepared, addr string, parallel int) (rows []row) {
	var wait sync.WaitGroup
	slots := make(chan struct{}, parallel)
	found := make([][]row, len(all))
	for i, p := range all {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			found[i] = runOne(ctx, p, addr)
		})
	}
	wait.Wait()
	for _, f := range found {
		rows = append(rows, f...)
	}
	return rows
}

// runOne runs a client. A client that cannot run has one row, which says why.
func runOne(ctx context.Context, p prepared, addr string) []row {
	if p.err != nil {
		return []row{{Client: p.name, Step: "run", Outcome: leftOut, Detail: p.err.Error()}}
	}
	ctx, cancel := context.WithTimeout(ctx, clientBound)
	defer cancel()
	s := &session{name: p.name, addr: addr, dir: p.dir, source: p.source, prefix: newPrefix(p.name)}
	if err := p.run(ctx, s); err != nil {
		s.add(row{Step: "run", Outcome: failed, Detail: err.Error()})
	}
	for i := range s.rows {
		s.rows[i].Client, s.rows[i].Version = s.name, s.version
	}
	return s.rows
}

// newPrefix is different in every run, so that runs on one broker do not meet.
func newPrefix(client string) string {
	return strings.ReplaceAll(client, "-", "") + "-" + strings.ToLower(rand.Text()[:6])
}

func (s *session) add(r row) { s.rows = append(s.rows, r) }

// step runs one step of a client that is driven from here.
func (s *session) step(ctx context.Context, name string, do func(context.Context) (detail string, err error)) {
	s.stepMarked(ctx, name, "", do)
}

// stepMarked is step for what is not required of one node; cluster says why a cluster can do it and one node need not.
func (s *session) stepMarked(ctx context.Context, name, cluster string, do func(context.Context) (string, error)) {
	ctx, cancel := context.WithTimeout(ctx, stepBound)
	defer cancel()
	began := time.Now()
	detail, err := do(ctx)
	if err != nil {
		detail = strings.TrimPrefix(detail+": "+err.Error(), ": ")
	}
	s.add(newRow(said{Step: name, OK: err == nil, Detail: detail, Cluster: cluster, Millis: time.Since(began).Milliseconds()}))
}

// said is one line of a foreign program: its version, a step, or that it came to its end.
type said struct {
	Version string `json:"version"`
	Step    string `json:"step"`
	OK      bool   `json:"ok"`
	Detail  string `json:"detail"`
	Cluster string `json:"cluster"` // why it is not required of one node; empty for a step that must work
	Millis  int64  `json:"millis"`
	End     bool   `json:"end"`
}

// foreign runs a program that reports its steps on stdout, one JSON object per line. A program that ends without saying
// that it came to its end has failed, whatever it reported before.
func (s *session) foreign(ctx context.Context, cmd *exec.Cmd) error {
	bounded := exec.CommandContext(ctx, cmd.Path, append(cmd.Args[1:], s.addr, s.prefix)...)
	bounded.Dir, bounded.Err, bounded.WaitDelay = cmd.Dir, cmd.Err, time.Second
	bounded.Env = append(os.Environ(), cmd.Env...)
	errs := &tail{}
	bounded.Stderr = errs
	stdout, err := bounded.StdoutPipe()
	if err != nil {
		return err
	}
	if err := bounded.Start(); err != nil {
		return fmt.Errorf("start %q: %w", cmd.Path, err)
	}
	ended := s.listen(stdout)
	err = bounded.Wait()
	if ctx.Err() != nil {
		err = fmt.Errorf("gave up waiting: %w", ctx.Err())
	}
	switch {
	case err != nil:
		return fmt.Errorf("run %q: %w: %s", s.name, err, lastLine(errs.String()))
	case !ended:
		return fmt.Errorf("run %q: it ended before its last step: %s", s.name, lastLine(errs.String()))
	}
	return nil
}

// listen takes the reports of a program until its stdout ends.
func (s *session) listen(stdout io.Reader) (ended bool) {
	lines := bufio.NewReader(stdout)
	for {
		text, err := lines.ReadString('\n')
		var line said
		if json.Unmarshal([]byte(text), &line) == nil { // anything else is chatter of a library
			s.take(line)
			ended = ended || line.End
		}
		if err != nil {
			return ended
		}
	}
}

func (s *session) take(line said) {
	if line.Version != "" {
		s.version = line.Version
	}
	if line.Step != "" {
		s.add(newRow(line))
	}
}

// tail keeps the end of what a program wrote. It is used by one goroutine at a time.
type tail struct{ data []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.data = append(t.data, p...)
	if over := len(t.data) - 16<<10; over > 0 {
		t.data = append(t.data[:0], t.data[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.data) }
