package stream_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/stream"
)

func TestARunBringsUpABrokerAndStops(t *testing.T) {
	lines := stream.Topic("lines", stream.String(), stream.String())
	upper := stream.Topic("upper", stream.String(), stream.String())
	topo := stream.New("upper")
	stream.MapValues(stream.From(topo, lines), strings.ToUpper).To(upper)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ready := false
	err := topo.Run(ctx, stream.Options{Dir: t.TempDir(), Ready: func(r stream.Running) {
		ready = true
		if len(r.Brokers()) != 1 || len(r.Conditions()) != 0 {
			t.Errorf("brokers %v, conditions %v", r.Brokers(), r.Conditions())
		}
		cancel()
	}})
	if err != nil || !ready {
		t.Fatalf("run: %v, ready %v", err, ready)
	}
}
