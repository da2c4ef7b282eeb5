package kafkatest_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"testing"

	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/broker/acl"
	"ravenswood.dev/internal/broker/server"
	"ravenswood.dev/internal/kafka/kafkatest"
)

// TestConformanceOfRaven holds the embedded broker to the list. It runs in a process of its own, which can be killed.
func TestConformanceOfRaven(t *testing.T) {
	child := &ravenProcess{dir: t.TempDir(), port: freePort(t), sasl: freePort(t)}
	child.start(t)
	t.Cleanup(child.kill)
	report(t, kafkatest.Run(t, kafkatest.Target{
		Name: "raven",
		Seed: fmt.Sprintf("127.0.0.1:%d", child.port),
		SASL: &kafkatest.SASL{Seed: fmt.Sprintf("127.0.0.1:%d", child.sasl), User: ravenAdmin, Password: ravenPassword},
		Restart: func(t testing.TB) {
			child.kill()
			child.start(t)
		},
	}))
}

// The variable that makes this test binary an embedded broker: its two ports and its folder.
const envRaven = "RAVEN_EMBEDDED"

const (
	ravenAdmin    = "admin"
	ravenPassword = "admin-password"
)

type ravenProcess struct {
	dir        string
	port, sasl int
	cmd        *exec.Cmd
}

// start returns when the broker listens.
func (p *ravenProcess) start(t testing.TB) {
	t.Helper()
	p.cmd = startSelf(t, fmt.Sprintf("%s=%d,%d,%s", envRaven, p.port, p.sasl, p.dir))
}

func (p *ravenProcess) kill() {
	_ = p.cmd.Process.Kill() // Wait tells
	_ = p.cmd.Wait()
}

// serveRaven is the other process.
func serveRaven(spec string) error {
	var port, sasl int
	var dir string
	if _, err := fmt.Sscanf(spec, "%d,%d,%s", &port, &sasl, &dir); err != nil {
		return err
	}
	b, err := broker.Start(context.Background(), broker.Options{
		Dir:      dir,
		Listener: broker.Listener{Addr: fmt.Sprintf("127.0.0.1:%d", port)},
		More: []broker.Listener{{
			Addr:     fmt.Sprintf("127.0.0.1:%d", sasl),
			Listener: server.Listener{Mechanisms: []acl.Mechanism{acl.ScramSHA256, acl.ScramSHA512}},
		}},
		Security: server.Security{
			Authorize:  true,
			SuperUsers: []acl.Principal{acl.Anonymous, acl.UserPrincipal(ravenAdmin)},
			Users:      map[string]string{ravenAdmin: ravenPassword},
		},
		Settings: map[string]string{
			"log.retention.check.interval.ms": "300", "log.cleaner.backoff.ms": "300", "group.initial.rebalance.delay.ms": "0",
			"group.min.session.timeout.ms": "500",
		},
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	fmt.Println(b.Addr())
	_, _ = os.Stdin.Read(make([]byte, 1)) // until whoever started us is gone
	return b.Close()
}
