package kafka_test

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/broker"
	"ravenswood.dev/internal/kafka"
)

func openTable(t *testing.T, cfg kafka.Config, topic string) *kafka.Table {
	t.Helper()
	table, err := kafka.OpenTable(within(t, 10*time.Second), cfg, topic)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(table.Close)
	return table
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(5 * time.Millisecond) // sleep: between two looks at the condition
	}
}

func TestTableIsReadWholeWhenOpened(t *testing.T) {
	cfg := start(t)
	first := openTable(t, cfg, "rows")
	ctx := within(t, 10*time.Second)
	for i := range 100 {
		if err := first.Put(ctx, fmt.Sprint("key", i%10), []byte(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Delete(ctx, "key3"); err != nil {
		t.Fatal(err)
	}
	if err := first.Put(ctx, "empty", nil); err != nil {
		t.Fatal(err)
	}
	second := openTable(t, cfg, "rows")
	all := second.All()
	if len(all) != 10 || string(all["key9"]) != "99" || all["empty"] == nil {
		t.Fatalf("opened with %q", all)
	}
	if _, ok := second.Get("key3"); ok {
		t.Fatal("a deleted key is there")
	}
}

func TestTableOpensBehindAnAbortedTail(t *testing.T) {
	cfg := start(t)
	if err := openTable(t, cfg, "rows").PutSync(within(t, 10*time.Second), "k", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	txn := connect(t, cfg, kgo.TransactionalID("x"))
	begin(t, txn)
	produce(t, txn, "rows", 0, "aborted")
	end(t, txn, kgo.TryAbort)
	if v, _ := openTable(t, cfg, "rows").Get("k"); string(v) != "kept" {
		t.Fatalf("read %q", v)
	}
}

func TestTablePutSyncIsSeenHereAtOnceAndElsewhereSoon(t *testing.T) {
	cfg := start(t)
	here, there := openTable(t, cfg, "rows"), openTable(t, cfg, "rows")
	var mu sync.Mutex
	var told []string
	stop := here.Watch(func(key string, value []byte) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, fmt.Sprintf("%s=%s", key, value))
	})
	ctx := within(t, 10*time.Second)
	var want []string
	for i := range 20 {
		value := fmt.Sprint(i)
		if err := here.PutSync(ctx, "k", []byte(value)); err != nil {
			t.Fatal(err)
		}
		want = append(want, "k="+value)
		mu.Lock()
		if v, _ := here.Get("k"); string(v) != value || !slices.Equal(told, want) {
			t.Fatalf("after PutSync %s: row %q, told %q", value, v, told)
		}
		mu.Unlock()
	}
	eventually(t, "the other table follows", func() bool { v, _ := there.Get("k"); return string(v) == "19" })
	stop()
	if err := here.Delete(ctx, "k"); err != nil {
		t.Fatal(err)
	}
	if _, ok := here.Get("k"); ok || len(told) != 20 {
		t.Fatalf("after Delete: still there %v, told %d", ok, len(told))
	}
}

func TestTableFollowsAgainAfterTheBrokerWasAway(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	o := broker.Options{Dir: t.TempDir(), Listener: broker.Listener{Addr: "127.0.0.1:0"}, Log: quiet}
	b, err := broker.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	o.Addr = b.Addr()
	cfg := kafka.Config{Brokers: []string{o.Addr}, Log: quiet}
	table := openTable(t, cfg, "rows")
	ctx := within(t, 20*time.Second)
	if err := table.PutSync(ctx, "k", []byte("before")); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	put := make(chan error)
	go func() { put <- table.PutSync(ctx, "k", []byte("after")) }()
	if v, _ := table.Get("k"); string(v) != "before" {
		t.Fatalf("without a broker the row is %q", v)
	}
	if b, err = broker.Start(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := <-put; err != nil {
		t.Fatal(err)
	}
	if v, _ := table.Get("k"); string(v) != "after" {
		t.Fatalf("with the broker back the row is %q", v)
	}
}
