package proof_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/test/proof"
)

const envStep, envLog = "RAVEN_PROOF_TEST_AT", "RAVEN_PROOF_TEST_LOG"

// TestMain is also the main function of the children.
func TestMain(m *testing.M) {
	roles := proof.Roles{
		"listener": func(ctx context.Context, log *slog.Logger) error {
			fmt.Println("up")
			<-ctx.Done()
			log.Info("it ends")
			return nil
		},
		"stepper": func(context.Context, *slog.Logger) error {
			at, err := proof.AtStep(os.Getenv(envStep))
			if err != nil {
				return err
			}
			for range 2 {
				fmt.Println("steps")
				at("step")
			}
			fmt.Println("went on")
			return errors.New("it ends with an error")
		},
		"harness": func(ctx context.Context, _ *slog.Logger) error {
			p, err := proof.Start("listener", os.Getenv(envLog))
			if err != nil {
				return err
			}
			line, err := p.FirstLine(ctx)
			fmt.Println(line)
			<-ctx.Done()
			return err
		},
	}
	os.Exit(proof.Main(func(context.Context, []string) int { return m.Run() }, roles, func(line string) { fmt.Println("told", line) }))
}

// child starts a role, for as long as the test lasts.
func child(t *testing.T, role string, env ...string) (p *proof.Process, log string) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "log")
	p, err := proof.Start(role, log, env...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p, log
}

func hears(t *testing.T, p *proof.Process, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := p.Hear(ctx, want); err != nil {
		t.Fatal(err)
	}
}

func TestAChildIsToldAndStopped(t *testing.T) {
	p, log := child(t, "listener")
	if line, err := p.FirstLine(t.Context()); line != "up" || err != nil || p.UpAfter() <= 0 || p.Err() != nil || p.Signalled() {
		t.Fatalf("it said %q after %v, %v", line, p.UpAfter(), err)
	}
	if err := p.Tell("this"); err != nil {
		t.Fatal(err)
	}
	hears(t, p, "told this")
	if err := p.Stop(20 * time.Second); err != nil || p.Signalled() || !strings.Contains(read(t, log), "it ends") {
		t.Errorf("it ended with %v: %s", err, read(t, log))
	}
}

func TestAChildIsKilled(t *testing.T) {
	p, log := child(t, "listener")
	hears(t, p, "up")
	p.Kill()
	if !p.Signalled() || p.Err() == nil || strings.Contains(read(t, log), "it ends") {
		t.Errorf("it ended with %v: %s", p.Err(), read(t, log))
	}
	if err := p.Hear(t.Context(), "more"); err == nil {
		t.Error("the dead speak")
	}
}

func TestAChildThatSleepsIsKilledWhenItDoesNotStop(t *testing.T) {
	p, _ := child(t, "listener")
	hears(t, p, "up")
	p.Suspend()
	if err := p.Stop(50 * time.Millisecond); err == nil || !p.Signalled() {
		t.Errorf("it stopped: %v", err)
	}
}

func TestAChildStopsOrKillsItselfAtAStep(t *testing.T) {
	p, _ := child(t, "stepper", envStep+"="+proof.Order(proof.StopAt, "step", 2))
	for _, want := range []string{"steps", "steps", proof.Stops} {
		hears(t, p, want)
	}
	for gone := false; !gone; { // it may say so a moment before it stops, and then not notice the first
		p.Resume()
		select {
		case <-p.Dead():
			gone = true
		case <-time.After(20 * time.Millisecond):
		}
	}
	hears(t, p, "went on")
	if p.Err() == nil || p.Signalled() {
		t.Errorf("it ended with %v", p.Err())
	}
	p, _ = child(t, "stepper", envStep+"="+proof.Order(proof.KillAt, "step", 2))
	if <-p.Dead(); !p.Signalled() {
		t.Errorf("it ended with %v", p.Err())
	}
}

func TestARoleThatIsNotThereEndsAtOnce(t *testing.T) {
	p, log := child(t, "nobody")
	if _, err := p.FirstLine(t.Context()); err == nil {
		t.Error("it came up")
	}
	if <-p.Dead(); !strings.Contains(read(t, log), "play nobody: unknown role") {
		t.Errorf("it said %q", read(t, log))
	}
}

func TestChildrenEndWithTheirHarness(t *testing.T) {
	inner := filepath.Join(t.TempDir(), "inner")
	p, _ := child(t, "harness", envLog+"="+inner)
	hears(t, p, "up")
	p.Kill()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(read(t, inner), "it ends"); proof.Sleep(t.Context(), 5*time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the child is still there")
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
