package tables_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/engine/store"
	"ravenswood.dev/internal/tables"
	client "ravenswood.dev/stream/tables"
)

// watched collects what a watch tells.
type watched struct {
	t    *testing.T
	next chan client.Change
	err  chan error
	stop context.CancelFunc
}

func watch(t *testing.T, p *process, table string, w client.Watch) *watched {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	seen := &watched{t: t, next: make(chan client.Change), err: make(chan error, 1), stop: cancel}
	t.Cleanup(cancel)
	go func() {
		defer close(seen.err)
		for c, err := range p.client.Table("shop", table).Watch(ctx, w) {
			if err != nil {
				seen.err <- err
				return
			}
			select {
			case seen.next <- c:
			case <-ctx.Done():
				return
			}
		}
	}()
	return seen
}

// tells waits for the next change.
func (w *watched) tells(want string) client.Change {
	w.t.Helper()
	select {
	case c := <-w.next:
		got := fmt.Sprintf("%s=%s", c.Key, c.Value)
		if c.Value == nil {
			got = fmt.Sprintf("%s deleted", c.Key)
		}
		if c.Current {
			got += " (current)"
		}
		if got != want {
			w.t.Fatalf("was told %s, want %s", got, want)
		}
		return c
	case err := <-w.err:
		w.t.Fatalf("the watch ended: %v", err)
	case <-time.After(long):
		w.t.Fatalf("waited in vain for %s", want)
	}
	return client.Change{}
}

// logged writes a change to a changelog.
func (c *cluster) logged(t *testing.T, topic, key, value string) {
	t.Helper()
	r := &kgo.Record{Topic: topic, Key: []byte(key), Timestamp: at(1)}
	if value != "" {
		r.Value = []byte(value)
	}
	if err := c.log.Write(t.Context(), []*kgo.Record{r}); err != nil {
		t.Fatal(err)
	}
}

func TestAWatchTellsChangesOfAKeyAndOfAPrefix(t *testing.T) {
	c := newCluster(t, 2, 3)
	states := c.spread(t)
	const log = "shop.users.changelog"
	c.log.create(log, 3)
	c.logged(t, log, "ab", "before")
	c.fill(t, states, map[string]string{"ab": "before", "x": "other"})
	one := watch(t, c.processes[0], "users", client.Watch{Key: []byte("ab"), Current: true})
	some := watch(t, c.processes[1], "users", client.Watch{Prefix: []byte("a"), Current: true})
	one.tells("ab=before (current)")
	some.tells("ab=before (current)")
	c.logged(t, log, "ab", "1")
	one.tells("ab=1")
	some.tells("ab=1")
	c.logged(t, log, "b", "2")
	c.logged(t, log, "ac", "3")
	last := some.tells("ac=3")
	c.logged(t, log, "ab", "")
	one.tells("ab deleted")
	some.tells("ab deleted")
	some.stop()
	again := watch(t, c.processes[0], "users", client.Watch{Prefix: []byte("a"), Current: true, After: last.ID})
	again.tells("ab deleted") // and not what is there, which it was told before
}

// TestAWatchGoesOnWithAnotherProcess loses the process that tells changes.
func TestAWatchGoesOnWithAnotherProcess(t *testing.T) {
	c := newCluster(t, 2, 1)
	const log = "shop.users.changelog"
	c.log.create(log, 1)
	both := client.NewClient(client.Options{}, c.processes[0].address(), c.processes[1].address())
	c.processes[0].client = both
	w := watch(t, c.processes[0], "users", client.Watch{After: log + "/0@0"})
	c.logged(t, log, "k", "1")
	w.tells("k=1")
	_ = c.processes[0].service.Close() // ends its watches, as a process does that stops
	c.processes[0].server.Close()
	c.logged(t, log, "k", "2")
	w.tells("k=2")
}

// TestAWatchMissesNothingBeforeItsFirstChange loses the process before there was anything to tell, and writes a change while
// nobody watches.
func TestAWatchMissesNothingBeforeItsFirstChange(t *testing.T) {
	for name, w := range map[string]client.Watch{"all": {}, "one key": {Key: []byte("k")}, "with what is there": {Current: true}} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 2, 1)
			c.own(t, c.processes[1], 0)
			const log = "shop.users.changelog"
			c.log.create(log, 1)
			c.logged(t, log, "before", "0")
			c.processes[0].client = client.NewClient(client.Options{}, c.processes[0].address(), c.processes[1].address())
			seen := watch(t, c.processes[0], "users", w)
			for deadline := time.Now().Add(long); c.log.followers() == 0 && time.Now().Before(deadline); {
				runtime.Gosched()
			}
			_ = c.processes[0].service.Close()
			c.processes[0].server.Close()
			c.logged(t, log, "k", "1")
			seen.tells("k=1")
		})
	}
}

// TestAWatchThatIsNotToldMuchKnowsWhereItIs passes over changes that nobody wants to know.
func TestAWatchThatIsNotToldMuchKnowsWhereItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, told := newMemoryLog(), make(chan string)
		c.create("shop.users.changelog", 1)
		p := &process{t: t, id: "p0", plan: shop(1), changed: make(chan struct{})}
		s := tables.New(tables.Options{ID: "p0", Engines: func() []tables.Engine { return []tables.Engine{p} }, Log: c})
		ctx, stop := context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/topologies/shop/tables/users/k?watch=true", nil)
		go s.Handler().ServeHTTP(&lines{header: http.Header{}, told: told}, r)
		expect := func(want string) {
			t.Helper()
			if got := <-told; got != want {
				t.Errorf("told %q, want %q", got, want)
			}
		}
		expect(": watching users\n\n")
		expect("id: shop.users.changelog/0@0\n\n")
		for range 3 {
			if err := c.Write(ctx, []*kgo.Record{{Topic: "shop.users.changelog", Key: []byte("other")}}); err != nil {
				t.Fatal(err)
			}
		}
		expect("id: shop.users.changelog/0@3\n\n") // instead of a line that says nothing
		stop()
		synctest.Wait()
	})
}

// lines is what a client is told, line by line.
type lines struct {
	header http.Header
	told   chan<- string
}

func (l *lines) Header() http.Header { return l.header }
func (l *lines) WriteHeader(int)     {}
func (l *lines) Flush()              {}
func (l *lines) Write(p []byte) (int, error) {
	l.told <- string(p)
	return len(p), nil
}

func TestAWatchOfWindowsTellsTheirTimes(t *testing.T) {
	c := newCluster(t, 1, 1)
	c.own(t, c.processes[0], 0)
	const log = "shop.hours.changelog"
	c.log.create(log, 1)
	w := watch(t, c.processes[0], "hours", client.Watch{After: log + "/0@0"})
	s := newState(t)
	s.Windows("hours").Put([]byte("k"), at(120), 0, store.Entry{Value: []byte("7"), Time: at(130)})
	s.Windows("hours").Put([]byte("l"), at(60), 0, store.Entry{Value: []byte("8"), Time: at(130)})
	c.logged(t, log, "not of a window", "x")
	err := s.Changes(func(change store.Change) error {
		c.logged(t, log, string(change.Key), string(change.Value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.tells("k=7"); !got.Start.Equal(at(120)) || !got.End.Equal(at(180)) {
		t.Errorf("got %v to %v", got.Start, got.End)
	}
	w.tells("l=8")
}

func TestWatchesThatAreRefused(t *testing.T) {
	c := newCluster(t, 1, 1)
	for i := range c.processes[0].plan.Stages[1].Stores {
		c.processes[0].plan.Stages[1].Stores[i].Changelog = ""
	}
	for _, w := range []client.Watch{{}, {After: "x"}, {After: "other/0@1"}} {
		for _, err := range c.processes[0].client.Table("shop", "users").Watch(t.Context(), w) {
			if code(err) != client.BadRequest {
				t.Errorf("got %v", err)
			}
		}
	}
}
