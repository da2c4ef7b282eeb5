// Package enrich_test runs the example as its README says, in this process, and looks at what came out.
package enrich_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver the example's database is read with

	"ravenswood.dev/internal/cli"
)

// TestMain lets the test program be the services: the word raven in their exec means the program that runs them.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "example-service" {
		os.Exit(cli.Run(context.Background(), os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	os.Exit(m.Run())
}

// numbers is what `raven up --for` promises to scripts.
type numbers struct {
	Sent            int64  `json:"sent"`
	Enriched        int64  `json:"enriched"`
	Stored          int64  `json:"stored"`
	Lost            int64  `json:"lost"`
	Duplicated      int64  `json:"duplicated"`
	FirstEnrichedMS *int64 `json:"first_enriched_ms"`
}

func up(t *testing.T, data, span string) numbers {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, said bytes.Buffer
	args := []string{"up", ".", "--data", data, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--for", span, "--output", "json"}
	if code := cli.Run(ctx, args, cli.Streams{In: &bytes.Buffer{}, Out: &out, Err: &said}); code != cli.ExitOK {
		t.Fatalf("raven up ended with %d\n%s%s", code, &out, &said)
	}
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	var n numbers
	if err := json.Unmarshal(lines[len(lines)-1], &n); err != nil {
		t.Fatalf("read the last line %q: %v", lines[len(lines)-1], err)
	}
	return n
}

func (n numbers) check(t *testing.T) {
	t.Helper()
	if n.Sent == 0 || n.Enriched != n.Sent || n.Stored != n.Sent || n.Lost != 0 || n.Duplicated != 0 || n.FirstEnrichedMS == nil {
		t.Errorf("got %+v: sent, enriched and stored must be equal and not zero, nothing lost or duplicated", n)
	}
}

// TestEveryMessageIsEnrichedAndStoredOnceAlsoOverARestart is the example's story; the second start goes on where the
// first one ended.
func TestEveryMessageIsEnrichedAndStoredOnceAlsoOverARestart(t *testing.T) {
	data := t.TempDir()
	first := up(t, data, "4s")
	first.check(t)
	second := up(t, data, "3s")
	second.check(t)
	if second.Sent <= first.Sent {
		t.Errorf("the second start sent nothing: %d after %d", second.Sent, first.Sent)
	}
	checkTable(t, data, second.Sent)
}

// checkTable looks into the database with nothing of ours in between: the count, and that the routes did what they say.
func checkTable(t *testing.T, data string, rows int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "state", "enricher", "stored", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("find the database: %v, %v", files, err)
	}
	db, err := sql.Open("sqlite", files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, c := range []struct {
		story, query string
		want         int64
	}{
		{"every message has one row", "SELECT count(DISTINCT messageId) FROM enriched", rows},
		{"svc1 is v1 for everyone", "SELECT count(*) FROM enriched WHERE svc1 <> 'v1'", 0},
		{"svc2 is v2 for gold users and nobody else", "SELECT count(*) FROM enriched WHERE (svc2 = 'v2') <> (segment = 'gold')", 0},
		{"a user stays with one version of svc3", "SELECT count(*) FROM (SELECT userId FROM enriched GROUP BY userId HAVING count(DISTINCT svc3) > 1)", 0},
		{"both versions of svc3 answer", "SELECT count(DISTINCT svc3) FROM enriched", 2},
		{"every user has a name", "SELECT count(*) FROM enriched WHERE name IS NULL OR name = ''", 0},
	} {
		var got int64
		if err := db.QueryRowContext(t.Context(), c.query).Scan(&got); err != nil || got != c.want {
			t.Errorf("%s: got %d, want %d (%v)", c.story, got, c.want, err)
		}
	}
}
