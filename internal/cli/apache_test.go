package cli_test

import (
	"os"
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
	required := os.Getenv("RAVEN_REQUIRE_KAFKA") == "1"
	if os.Getenv("RAVEN_KAFKA") != "1" && !required {
		t.Skip("SKIPPED, NOT TESTED: Apache Kafka takes some seconds to start (RAVEN_KAFKA=1; needs Java 17 and Maven)")
	}
	if err := apache.Missing(); err != nil && required {
		t.Fatalf("RAVEN_REQUIRE_KAFKA=1 and there is no Apache Kafka: %v", err)
	} else if err != nil {
		t.Skipf("SKIPPED, NOT TESTED: there is no Apache Kafka: %v", err)
	}
	kafka, err := apache.Start(t.Context(), apache.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	// The stories are subtests that run when this function has returned.
	t.Cleanup(func() { _ = kafka.Close() }) // it ends with the test anyway
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
