package kafkatest_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"

	"ravenswood.dev/internal/kafka/kafkatest"
)

// TestMain is also the main function of brokers in processes of their own. It lets more cases run at once than there are processors: nearly all of them wait for the broker.
func TestMain(m *testing.M) {
	if role := os.Getenv(envRole); role != "" {
		if err := serve(role); err != nil {
			fmt.Fprintln(os.Stderr, "broker:", err)
			os.Exit(1)
		}
		return
	}
	if where := os.Getenv(envRaven); where != "" {
		if err := serveRaven(where); err != nil {
			fmt.Fprintln(os.Stderr, "raven:", err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// report prints the summary as one line of JSON, which `go run ./test/kafka conformance` looks for.
func report(t *testing.T, s kafkatest.Summary) {
	t.Helper()
	line, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\n%s%s\n", kafkatest.ReportPrefix, line)
}
