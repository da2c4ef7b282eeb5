package cli_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"ravenswood.dev/test/kafka/apache"
)

// TestStoriesOnTheEmbeddedBroker is the control of those on Apache Kafka.
func TestStoriesOnTheEmbeddedBroker(t *testing.T) { storiesOn(t) }

// TestStoriesOnApacheKafka runs the stories whose end depends on the broker: deletions that take their time, offsets of groups
// that must be empty.
func TestStoriesOnApacheKafka(t *testing.T) {
	kafka := apache.ForTest(t, "Apache Kafka takes some seconds to start", apache.Options{})
	storiesOn(t, kafka.Addrs()...)
}

func storiesOn(t *testing.T, brokers ...string) {
	t.Helper()
	testscript.Run(t, testscript.Params{
		Dir:      "testdata/brokers",
		Deadline: time.Now().Add(2 * time.Minute),
		Setup: func(env *testscript.Env) error {
			env.Setenv("NO_COLOR", "1")
			env.Setenv("RAVEN_BROKERS", strings.Join(brokers, ","))
			return nil
		},
		Condition: func(name string) (bool, error) { return name == "apache" && len(brokers) > 0, nil },
		Cmds:      map[string]func(*testscript.TestScript, bool, []string){"eventually": eventually},
	})
}
