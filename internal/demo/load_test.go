package demo_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ravenswood.dev/internal/demo"
)

func speed(t *testing.T, name string) demo.Speed {
	t.Helper()
	s, err := demo.ParseSpeed(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLoadSendsTheCountWithDistinctIDsAndTheUserAsKey(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]bool{}
	load := demo.Load{Speed: speed(t, "insane"), Count: 500, Users: 5, Send: func(_ context.Context, key, value []byte) error {
		var m demo.Message
		if err := json.Unmarshal(value, &m); err != nil || m.UserID != string(key) {
			t.Errorf("key %q, value %s: %v", key, value, err)
		}
		mu.Lock()
		defer mu.Unlock()
		seen[m.MessageID] = true
		return nil
	}}
	if err := load.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if load.Sent() != 500 || len(seen) != 500 {
		t.Errorf("sent %d, %d distinct", load.Sent(), len(seen))
	}
}

func TestLoadSlowSendsOneEveryTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		load := demo.Load{Speed: speed(t, "slow"), Users: 1, Send: func(context.Context, []byte, []byte) error { return nil }}
		if err := load.Run(ctx); err != nil || load.Sent() != 5 {
			t.Errorf("sent %d in 9 s (%v), want 5", load.Sent(), err)
		}
	})
}

func TestLoadStopsAtTheFirstErrorAndNamesIt(t *testing.T) {
	cause := errors.New("no leader")
	load := demo.Load{Speed: speed(t, "faster"), Users: 1, Send: func(context.Context, []byte, []byte) error { return cause }}
	if err := load.Run(t.Context()); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

func TestParseSpeedListsTheSpeeds(t *testing.T) {
	_, err := demo.ParseSpeed("warp")
	if err == nil || err.Error() != `read speed "warp": want slow, fast, faster, insane` {
		t.Errorf("got %v", err)
	}
}
