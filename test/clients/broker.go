package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// sourceRoot is the folder of the repository that the program is run in.
func sourceRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	file := strings.TrimSpace(string(out))
	if err != nil || file == "" || file == os.DevNull {
		return "", fmt.Errorf("find the repository: run it inside: %w", errors.Join(err, os.ErrNotExist))
	}
	return filepath.Dir(file), nil
}

// ownBroker is `raven broker` of the present source, on a folder that is removed at the end.
type ownBroker struct {
	addr string
	dir  string
	cmd  *exec.Cmd
	errs *bytes.Buffer
}

const (
	startBound = 30 * time.Second
	stopBound  = 20 * time.Second
)

func startBroker(ctx context.Context, root string) (*ownBroker, error) {
	dir, err := os.MkdirTemp("", "raven-clients-*")
	if err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	b := &ownBroker{dir: dir, errs: &bytes.Buffer{}}
	if err := b.start(ctx, root); err != nil {
		return nil, errors.Join(fmt.Errorf("start broker: %w: %s", err, lastLine(b.errs.String())), os.RemoveAll(dir))
	}
	return b, nil
}

func (b *ownBroker) start(ctx context.Context, root string) error {
	program := filepath.Join(b.dir, "raven")
	if out, err := command(ctx, inside(root, "go", "build", "-o", program, "./cmd/raven")); err != nil {
		return fmt.Errorf("build raven: %w: %s", err, out)
	}
	b.cmd = exec.Command(program, "broker", "--data", filepath.Join(b.dir, "data"), "--listen", "127.0.0.1:0", "--output", "json", "--authorize", "--super-user", "User:ANONYMOUS") //nolint:noctx // stop ends it in order
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}                                                                                                                         // Ctrl-C is for the harness, which stops it
	b.cmd.Stderr = b.errs
	stdout, err := b.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := b.cmd.Start(); err != nil {
		return err
	}
	b.addr, err = announced(stdout)
	if err != nil {
		_ = b.cmd.Process.Kill() // the first error tells
		_ = b.cmd.Wait()
	}
	return err
}

// announced waits for the line by which the broker says where it listens.
func announced(stdout io.Reader) (string, error) {
	type answer struct {
		addr string
		err  error
	}
	said := make(chan answer, 1)
	go func() {
		var line struct {
			Address string `json:"address"`
		}
		text, err := bufio.NewReader(stdout).ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(text, &line)
		}
		said <- answer{line.Address, err}
	}()
	select {
	case a := <-said:
		return a.addr, a.err
	case <-time.After(startBound):
		return "", fmt.Errorf("wait for its address: nothing after %s", startBound)
	}
}

// stop ends it in order. That it ended before, or does not end, is a finding.
func (b *ownBroker) stop() error {
	defer func() { _ = os.RemoveAll(b.dir) }() // a folder left in the temporary one hurts nobody
	gone := make(chan error, 1)
	_ = b.cmd.Process.Signal(syscall.SIGTERM) // gone already: Wait says so
	go func() { gone <- b.cmd.Wait() }()
	select {
	case err := <-gone:
		if err != nil {
			return fmt.Errorf("stop broker: %w: %s", err, b.errs.String())
		}
		return nil
	case <-time.After(stopBound):
		_ = b.cmd.Process.Kill()
		return fmt.Errorf("stop broker: still there after %s: %w", stopBound, <-gone)
	}
}
