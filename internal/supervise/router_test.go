package supervise

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ravenswood.dev/api"
	"ravenswood.dev/internal/component"
	"ravenswood.dev/internal/router"
)

// A version that is killed again and again is at worst an outage: no call is told that it can never succeed, and all
// are answered in the end.
func TestCallsOutliveTheProcessThatAnswersThem(t *testing.T) {
	resource := &api.Service{Metadata: api.Metadata{Name: "svc"}, Spec: api.ServiceSpec{Versions: []api.ServiceVersion{{
		Name: "v1", Exec: []string{"raven"}, Env: map[string]string{"HELPER": "answer"}}}}}
	r, err := router.New([]*api.Service{resource}, nil, router.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s, err := New(Options{
		Processes:  ProcessesOf(resource, ""),
		OnEndpoint: func(service, version, url string) { _ = r.SetEndpoints(service, version, []string{url}) },
		OnDown:     func(service, version string) { _ = r.SetEndpoints(service, version, nil) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	defer running.Wait()
	defer stop()
	awaitReady(t, s)

	var answered, never atomic.Int64
	done := make(chan struct{})
	var callers sync.WaitGroup
	for caller := range 4 {
		callers.Go(func() {
			for i := 0; ; i++ {
				c := component.Call{Service: "svc", Event: []byte(`{}`), IdempotencyKey: fmt.Sprint(caller, "/", i)}
				for {
					_, err := r.Call(ctx, c)
					if err == nil {
						answered.Add(1)
						break
					}
					if component.ClassOf(err) == component.Never {
						t.Error(err)
						never.Add(1)
						return
					}
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for range 3 {
		before := answered.Load()
		eventually(t, "calls to be answered", func() bool { return answered.Load() > before+50 })
		was := s.Status()[0]
		if err := syscall.Kill(was.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, "another process to be ready", func() bool {
			now := s.Status()[0]
			return now.State == string(Ready) && now.PID != was.PID
		})
	}
	before := answered.Load()
	eventually(t, "calls to be answered", func() bool { return answered.Load() > before+50 })
	close(done)
	finished := make(chan struct{})
	go func() { callers.Wait(); close(finished) }()
	select {
	case <-finished:
	case <-time.After(10 * time.Second):
		t.Fatal("callers are stuck")
	}
	t.Logf("%d calls answered across 3 kills", answered.Load())
}
