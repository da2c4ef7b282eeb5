package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"ravenswood.dev/internal/kafka"
)

// A process is a broker that runs for itself. It prints one line of JSON with its address, and ends when its input does.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	address string
	took    time.Duration // from the start of the process to its first line
}

// stopWithin is how long a broker may take to end by itself.
const stopWithin = time.Minute

func startProcess(ctx context.Context, command []string, dir string) (*process, error) {
	args := append(command[1:len(command):len(command)], "--dir", dir)
	p := &process{cmd: exec.CommandContext(ctx, command[0], args...)} //nolint:gosec // G204: the user names the programs
	p.cmd.Stderr = os.Stderr
	p.cmd.WaitDelay = stopWithin
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %q: %w", command[0], err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %q: %w", command[0], err)
	}
	p.in, p.out = in, bufio.NewReader(out)
	begin := time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %q: %w", command[0], err)
	}
	var hello struct {
		Address string `json:"address"`
	}
	if err := p.line(&hello); err != nil {
		p.kill()
		return nil, fmt.Errorf("start %q: wait for its address: %w", command[0], err)
	}
	p.address, p.took = hello.Address, time.Since(begin)
	return p, nil
}

// line reads what the broker says next.
func (p *process) line(v any) error {
	text, err := p.out.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// heap is what our own broker says about its heap.
func (p *process) heap() (h processHeap, err error) {
	if _, err = io.WriteString(p.in, askHeap+"\n"); err == nil {
		err = p.line(&h)
	}
	return h, err
}

// stop lets the broker end in order.
func (p *process) stop() error {
	if err := p.in.Close(); err != nil {
		return fmt.Errorf("stop broker: %w", err)
	}
	ended := time.AfterFunc(stopWithin, func() { _ = p.cmd.Process.Kill() })
	defer ended.Stop()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("stop broker: %w", err)
	}
	return nil
}

// kill ends the broker as a crash does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	_ = p.cmd.Wait()
}

// resident is the memory of the process that is in RAM, now and at most so far, in MB; zero where the system does not say.
func (p *process) resident() (now, peak float64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kilobytes, _ := strconv.ParseFloat(fields[1], 64)
		switch fields[0] {
		case "VmRSS:":
			now = kilobytes / 1024
		case "VmHWM:":
			peak = kilobytes / 1024
		}
	}
	return now, peak
}

// clockTick is the unit of Linux for the time that a process computes.
const clockTick = 10 * time.Millisecond

// computed is how long the process used processors so far; zero where the system does not say.
func (p *process) computed() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ") // behind the name, which may hold anything
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * clockTick
}

// cluster is a client's view of the broker.
func (p *process) cluster(o Options) (*cluster, error) {
	cfg := kafka.Config{Brokers: []string{p.address}, ClientID: "raven-bench", Log: o.Log}
	admin, err := kafka.NewAdmin(cfg)
	if err != nil {
		return nil, err
	}
	client, err := newLogClient(p.address)
	if err != nil {
		admin.Close()
		return nil, err
	}
	return &cluster{cfg: cfg, admin: admin, client: client, stop: func() error { return nil }}, nil
}

// errSilent is a broker whose answer does not come.
var errSilent = errors.New("the broker does not answer")
