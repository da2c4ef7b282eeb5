package server

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/broker/disk"
)

// TestRetentionMovesTheStart: what is past its time goes while producers go on.
func TestRetentionMovesTheStart(t *testing.T) {
	_, addr := start(t, disk.NewMemory(), func(o *Options) {
		o.Settings = map[string]string{"log.retention.check.interval.ms": "20"}
	})
	ctx := timeout(t)
	cl := client(t, addr)
	admin := kadm.NewClient(cl)
	ms, bytes := "1", "1048576"
	if _, err := admin.CreateTopic(ctx, 1, 1, map[string]*string{"retention.ms": &ms, "segment.bytes": &bytes}, "t"); err != nil {
		t.Fatal(err)
	}
	for {
		if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte("v"), Timestamp: time.Now().Add(-time.Hour)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		starts, err := admin.ListStartOffsets(ctx, "t")
		if err != nil {
			t.Fatal(err)
		}
		if o, ok := starts.Lookup("t", 0); ok && o.Offset > 0 {
			return
		}
	}
}
