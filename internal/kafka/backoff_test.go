package kafka_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/internal/kafka"
)

// An outage must not be felt for much longer than it lasts, and whoever waits must not ask without a pause.
func TestPausesBetweenAttemptsStayShort(t *testing.T) {
	client, err := kgo.NewClient(kafka.Config{Brokers: []string{"127.0.0.1:1"}}.Options()...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	pause, ok := client.OptValue(kgo.RetryBackoffFn).(func(int) time.Duration)
	if !ok {
		t.Fatal("the client has pauses of its own")
	}
	for fails := range 200 {
		if d := pause(fails); d < 200*time.Millisecond || d > 1200*time.Millisecond {
			t.Errorf("after %d failures it waits %s", fails, d)
		}
	}
	if a, b := pause(1), pause(5); a > 300*time.Millisecond || b < 800*time.Millisecond {
		t.Errorf("the first pause is %s, a later one %s", a, b)
	}
}
