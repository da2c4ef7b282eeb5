package lifecycle_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ravenswood.dev/internal/lifecycle"
)

// diary collects what happened, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(s string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, s)
}

func (d *diary) part(name string) lifecycle.Part {
	return lifecycle.Part{Name: name, Run: func(ctx context.Context, ready func()) error {
		d.note("start " + name)
		ready()
		<-ctx.Done()
		d.note("stop " + name)
		return ctx.Err()
	}}
}

func TestGroupStartsInOrderAndStopsInReverse(t *testing.T) {
	var d diary
	g := lifecycle.New(slog.New(slog.DiscardHandler))
	for _, name := range []string{"broker", "services", "engine"} {
		if err := g.Start(t.Context(), d.part(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	want := []string{"start broker", "start services", "start engine", "stop engine", "stop services", "stop broker"}
	if !slices.Equal(d.lines, want) {
		t.Errorf("got %q, want %q", d.lines, want)
	}
	if err := g.Stop(); err != nil {
		t.Errorf("second stop: %v", err)
	}
}

func TestStartFailsWithTheCauseOfAPartThatEndsBeforeItIsReady(t *testing.T) {
	g := lifecycle.New(slog.New(slog.DiscardHandler))
	cause := errors.New("port is taken")
	err := g.Start(t.Context(), lifecycle.Part{Name: "admin", Run: func(context.Context, func()) error { return cause }})
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), "start admin") {
		t.Errorf("got %v", err)
	}
}

func TestStartStopsThePartWhenTheWaitIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g := lifecycle.New(slog.New(slog.DiscardHandler))
	stopped := make(chan struct{})
	err := g.Start(ctx, lifecycle.Part{Name: "slow", Run: func(ctx context.Context, _ func()) error {
		cancel()
		<-ctx.Done()
		close(stopped)
		return nil
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-stopped
}

func TestEndedTellsWhichPartEndedByItself(t *testing.T) {
	g := lifecycle.New(slog.New(slog.DiscardHandler))
	fail := make(chan struct{})
	err := g.Start(t.Context(), lifecycle.Part{Name: "engine", Run: func(_ context.Context, ready func()) error {
		ready()
		<-fail
		return errors.New("fenced")
	}})
	if err != nil {
		t.Fatal(err)
	}
	close(fail)
	if err := <-g.Ended(); err.Error() != "run engine: fenced" {
		t.Errorf("got %v", err)
	}
	if err := g.Stop(); err != nil {
		t.Errorf("stop told it again: %v", err)
	}
}

func TestStopLeavesAPartBehindAfterItsBoundAndStopsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		g := lifecycle.New(slog.New(slog.DiscardHandler))
		release := make(chan struct{})
		deaf := lifecycle.Part{Name: "deaf", StopWithin: time.Minute, Run: func(_ context.Context, ready func()) error {
			ready()
			<-release
			return nil
		}}
		_ = g.Start(t.Context(), d.part("first"))
		_ = g.Start(t.Context(), deaf)
		err := g.Stop()
		if err == nil || err.Error() != "stop deaf: not within 1m0s" {
			t.Errorf("got %v", err)
		}
		if !slices.Contains(d.lines, "stop first") {
			t.Errorf("the part before was not stopped: %q", d.lines)
		}
		close(release)
	})
}
