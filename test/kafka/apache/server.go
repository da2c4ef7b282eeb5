package apache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// server is one broker: a folder, ports, and a process while it runs.
type server struct {
	ID             int    `json:"id"`
	Dir            string `json:"dir"`
	Port           int    `json:"port"`
	SASLPort       int    `json:"sasl_port"`
	ControllerPort int    `json:"controller_port"`
	PID            int    `json:"pid"`

	ended chan struct{} // closed when the process is gone
}

func (s *server) settings() string { return filepath.Join(s.Dir, "server.properties") }
func (s *server) log() string      { return filepath.Join(s.Dir, "kafka.log") }

// start starts the process; what it logs is added to its file.
func (s *server) start(libs string, o Options) error {
	out, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close() // the process has its own
	memory := "-Xmx700m"
	if o.Brokers > 1 {
		memory = "-Xmx512m"
	}
	// One compiler and one collector thread: two cores are shared with the test.
	cmd := exec.Command("java", memory, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.showDateTime=true", //nolint:noctx // lives until Close
		"-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS", "-cp", filepath.Join(libs, "*"), "kafka.Kafka", s.settings())
	cmd.Stdout, cmd.Stderr = out, out
	detach(cmd, o.Stay)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start broker %d: %w", s.ID, err)
	}
	s.PID, s.ended = cmd.Process.Pid, make(chan struct{})
	go func(ended chan struct{}) {
		defer close(ended)
		_ = cmd.Wait() // how it ended is in its log
	}(s.ended)
	return nil
}

func (s *server) running() bool {
	select {
	case <-s.ended:
		return false
	default:
		return s.ended != nil
	}
}

// ready waits until the broker answers and knows all brokers of its cluster.
func (c *Cluster) ready(ctx context.Context, s *server) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(fmt.Sprintf("127.0.0.1:%d", s.Port)), kgo.RetryTimeout(time.Second))
	if err != nil {
		return err
	}
	defer client.Close()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		answer, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, client)
		if err == nil && len(answer.Brokers) == len(c.running()) {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("broker %d ended; see %s", s.ID, s.log())
		case <-ctx.Done():
			return fmt.Errorf("broker %d does not answer (%w); see %s", s.ID, errors.Join(ctx.Err(), err), s.log())
		case <-tick.C:
		}
	}
}

func (c *Cluster) running() (all []*server) {
	for _, s := range c.brokers {
		if s.running() {
			all = append(all, s)
		}
	}
	return all
}
