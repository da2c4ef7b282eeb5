package tables_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/tables"
	client "ravenswood.dev/stream/tables"
)

// Records that a topic takes each must not be refused because they were put into one batch.
func TestBatchesAreAsLargeAsTheTopicTakes(t *testing.T) {
	cluster, cfg := openCluster(t)
	admin := kadm.NewClient(connect(t, cfg))
	large := "20000000"
	for topic, config := range map[string]map[string]*string{"usual": nil, "large": {"max.message.bytes": &large}} {
		if _, err := admin.CreateTopic(t.Context(), 1, 1, config, topic); err != nil {
			t.Fatal(err)
		}
	}
	noise := make([]byte, 900_000)
	for i := range noise { // what cannot be compressed
		noise[i] = byte(i * i >> 7 * (i >> 3))
	}
	for _, c := range []struct {
		name, topic string
		bytes, n    int
		refused     error
	}{
		{"many of 900 kB", "usual", 900_000, 30, nil},
		{"one of 2 MB where that is allowed", "large", 2_000_000, 3, nil},
		{"one of 2 MB where it is not", "usual", 2_000_000, 1, tables.ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			records := make([]client.Record, c.n)
			for i := range records {
				records[i].Value = bytes.Repeat(noise, 1+c.bytes/len(noise))[:c.bytes]
			}
			_, written, err := tables.Write(t.Context(), cluster, c.topic, records)
			if !errors.Is(err, c.refused) || c.refused == nil && len(written) != c.n {
				t.Errorf("wrote %d: %v, want %v", len(written), err, c.refused)
			}
		})
	}
}

func TestALimitThatIsRaisedIsNoticed(t *testing.T) {
	cluster, cfg := openCluster(t)
	createTopic(t, cfg, "in", 1)
	two := []client.Record{{Value: make([]byte, 2_000_000)}}
	if _, _, err := tables.Write(t.Context(), cluster, "in", two); !errors.Is(err, tables.ErrTooLarge) {
		t.Fatalf("2 MB: %v", err)
	}
	limit := "3000000"
	if _, err := kadm.NewClient(connect(t, cfg)).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &limit}}, "in"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := tables.Write(t.Context(), cluster, "in", two); err != nil {
		t.Errorf("2 MB when 3 are allowed: %v", err)
	}
}

func TestATimeThatTheLogCannotKeepIsNotWritten(t *testing.T) {
	cluster, cfg := openCluster(t)
	createTopic(t, cfg, "in", 1)
	for _, c := range []struct {
		name, says string
		at         time.Time
	}{
		{"none", "", time.Time{}},
		{"long ago", "", time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"before 1970", "not between 1970 and 2262", time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC)},
		{"the end of four digits", "not between 1970 and 2262", time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)},
		{"tomorrow", "message.timestamp.after.max.ms", time.Now().AddDate(0, 0, 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := tables.Write(t.Context(), cluster, "in", []client.Record{{Value: []byte("v"), Time: c.at}})
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
	reader := connect(t, cfg, kgo.ConsumeTopics("in"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	records := reader.PollRecords(t.Context(), 10).Records()
	if len(records) == 0 || time.Since(records[0].Timestamp) > time.Minute {
		t.Errorf("a record without a time became %v", records)
	}
}
