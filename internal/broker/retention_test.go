package broker

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestRetentionRemovesWhatIsTooOldWhereItMay(t *testing.T) {
	b, err := Start(t.Context(), Options{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	hour, compact, both, forever := "3600000", "compact", "compact,delete", "-1"
	cases := []struct {
		topic  string
		config map[string]*string
		want   int64 // first offset left
	}{
		{"expires", map[string]*string{"retention.ms": &hour}, 2},
		{"expires-and-compacts", map[string]*string{"retention.ms": &hour, "cleanup.policy": &both}, 2},
		{"only-compacts", map[string]*string{"retention.ms": &hour, "cleanup.policy": &compact}, 0},
		{"for-ever", map[string]*string{"retention.ms": &forever}, 0},
		{"default", nil, 0}, // seven days
	}
	now := time.Now()
	for _, c := range cases {
		if _, err := admin.CreateTopic(t.Context(), 1, 1, c.config, c.topic); err != nil {
			t.Fatal(err)
		}
		for _, age := range []time.Duration{3 * time.Hour, 2 * time.Hour, time.Minute} {
			r := &kgo.Record{Topic: c.topic, Key: []byte("k"), Value: []byte("v"), Timestamp: now.Add(-age)}
			if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := removeExpired(t.Context(), admin, now); err != nil {
		t.Fatal(err)
	}
	starts, err := admin.ListStartOffsets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if got, _ := starts.Lookup(c.topic, 0); got.Offset != c.want {
			t.Errorf("%s begins at %d; want %d", c.topic, got.Offset, c.want)
		}
	}
}
