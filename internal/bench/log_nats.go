package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// LogNATS compares group commit with JetStream's file store that syncs every write: 100 bytes, one publisher, as many streams
// as partitions.
type LogNATS struct {
	Partitions int32   `json:"partitions"`
	PerS       float64 `json:"raven_fsync_per_s"`
	NATSPerS   float64 `json:"jetstream_per_s"`
	Ratio      float64 `json:"ratio"`
	One        float64 `json:"jetstream_one_stream_per_s"`
	OneOurs    float64 `json:"raven_fsync_one_partition_per_s"`
	OneRatio   float64 `json:"ratio_one"`
}

func (b *logBench) jetStream(ctx context.Context) error {
	if b.o.NATS == "" {
		b.o.say("  left out: no --nats")
		return nil
	}
	our, theirs := map[int32]Series{}, map[int32]Series{}
	values := payloads(100)
	for round := range b.o.Rounds + 1 { // the first is to warm up
		for _, n := range []int32{partitions, 1} {
			one, err := b.flow(ctx, oursSync, logShape{bytes: 100, partitions: n, codec: "none"}, values)
			if err != nil {
				return err
			}
			published, err := b.publish(ctx, n)
			if err != nil {
				return err
			}
			if round > 0 {
				our[n], theirs[n] = append(our[n], one.produced), append(theirs[n], published)
			}
		}
	}
	r := &LogNATS{
		Partitions: partitions, PerS: round(our[partitions].Median(), 0), NATSPerS: round(theirs[partitions].Median(), 0),
		Ratio: ratio(our[partitions], theirs[partitions]), OneOurs: round(our[1].Median(), 0), One: round(theirs[1].Median(), 0),
		OneRatio: ratio(our[1], theirs[1]),
	}
	b.result.JetStream = r
	least(&b.result.Least.JetStream, r.Ratio)
	least(&b.result.Least.JetStream, r.OneRatio)
	b.o.say("  8: raven_fsync %.0f/s jetstream %.0f/s ratio %.1f   1: %.0f/s %.0f/s ratio %.1f", r.PerS, r.NATSPerS, r.Ratio, r.OneOurs, r.One, r.OneRatio)
	return nil
}

// publish runs the program that measures JetStream.
func (b *logBench) publish(ctx context.Context, streams int32) (float64, error) {
	dir := filepath.Join(b.dir, "jetstream")
	defer os.RemoveAll(dir) //nolint:errcheck // the whole folder goes at the end
	messages := 60_000
	if b.o.Quick {
		messages = 20_000
	}
	cmd := exec.CommandContext(ctx, b.o.NATS, //nolint:gosec // G204: the user names the program
		"--dir", dir, "--messages", strconv.Itoa(messages), "--streams", strconv.Itoa(int(streams)))
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("run %q: %w", b.o.NATS, err)
	}
	var got struct {
		PerS float64 `json:"messages_per_s"`
	}
	if err := json.Unmarshal(text, &got); err != nil {
		return 0, fmt.Errorf("read what %q says: %w", b.o.NATS, err)
	}
	return got.PerS, nil
}
