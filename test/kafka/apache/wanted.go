package apache

import (
	"os"
	"testing"
)

// Wanted leaves a test out where Apache Kafka is not asked for (RAVEN_KAFKA=1) or cannot run, and says so; what says
// what takes its time. Where it is required (RAVEN_REQUIRE_KAFKA=1) the test fails instead.
func Wanted(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("RAVEN_KAFKA") != "1" && os.Getenv("RAVEN_REQUIRE_KAFKA") != "1" {
		t.Skipf("SKIPPED, NOT TESTED: %s (RAVEN_KAFKA=1; needs Java 17 and Maven)", what)
	}
	Possible(t)
}

// Possible is Wanted for tests that were asked for in another way.
func Possible(t testing.TB) {
	t.Helper()
	err := Missing()
	switch {
	case err == nil:
	case os.Getenv("RAVEN_REQUIRE_KAFKA") == "1":
		t.Fatalf("RAVEN_REQUIRE_KAFKA=1 and there is no Apache Kafka: %v", err)
	default:
		t.Skipf("SKIPPED, NOT TESTED: there is no Apache Kafka: %v", err)
	}
}

// ForTest starts a cluster of its own for a test that wants one, which ends with the test.
func ForTest(t testing.TB, what string, o Options) *Cluster {
	t.Helper()
	Wanted(t, what)
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}
