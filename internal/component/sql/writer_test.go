package sql

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"ravenswood.dev/internal/component"
)

// The test program runs itself as a writer process when writerEnv names the database, as "driver dsn".
const writerEnv = "RAVEN_SQL_TEST_WRITER"

// numbers are the settings of writers: every offset is a row, so that one delivered twice shows.
func numbers() Config {
	return Config{Table: "numbers", Mode: modeAppend, Create: true, Sync: "full", Columns: map[string]Column{"n": {Field: "n", Type: "integer"}}}
}

// writerMain delivers offset after offset, five at a time, and says so after each.
func writerMain() int {
	c := numbers()
	c.Driver, c.DSN, _ = strings.Cut(os.Getenv(writerEnv), " ")
	s, err := open(&c, component.Env{Topology: "t", Name: "out", Log: slog.New(slog.DiscardHandler)})
	for err == nil {
		var next int64
		if next, _, err = s.Position(context.Background(), p0); err != nil {
			break
		}
		for err == nil {
			var values []string
			for i := range int64(5) {
				values = append(values, fmt.Sprintf(`{"n":%d}`, next+i))
			}
			if err = tryDeliver(s, next, values...); err == nil {
				next += 5
				fmt.Println(next)
			}
		}
		if errors.Is(err, component.ErrMoved) {
			err = nil
		}
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// writer is a running writer process.
type writer struct {
	t    *testing.T
	cmd  *exec.Cmd
	says *bufio.Scanner
}

func startWriter(t *testing.T, d *database) *writer {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), writerEnv+"="+d.driver+" "+d.dsn)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w := &writer{t, cmd, bufio.NewScanner(out)}
	t.Cleanup(w.kill)
	return w
}

// await waits for some deliveries and returns the last position said.
func (w *writer) await(deliveries int) int64 {
	w.t.Helper()
	var last int64
	for range deliveries {
		if !w.says.Scan() {
			w.t.Fatal("writer ended by itself")
		}
		last, _ = strconv.ParseInt(w.says.Text(), 10, 64)
	}
	return last
}

func (w *writer) kill() {
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait()
}

// wantNumbers checks that the table holds 0, 1, ... up to the position, each once.
func wantNumbers(t *testing.T, d *database, least int64) {
	t.Helper()
	next, _ := strconv.ParseInt(d.rows(t, `SELECT next_offset FROM raven_offsets`), 10, 64)
	if next < least {
		t.Errorf("position %d, but %d was delivered", next, least)
	}
	// One statement, one snapshot: the server may still be committing what a killed writer had sent.
	wantRows(t, d, `SELECT (SELECT count(*) FROM numbers) - next_offset, (SELECT count(DISTINCT n) FROM numbers) - next_offset,
		(SELECT min(n) FROM numbers), (SELECT max(n) FROM numbers) + 1 - next_offset FROM raven_offsets`, "0|0|0|0")
}

// killedWriters kills a writer at moments of its own and starts the next.
func killedWriters(t *testing.T, d *database) {
	var delivered int64
	for i := range 8 {
		w := startWriter(t, d)
		delivered = w.await(1 + 2*i)
		time.Sleep(time.Duration(i*700) * time.Microsecond) // sleep: waits for nothing, the kill must not keep step with deliveries
		w.kill()
		wantNumbers(t, d, delivered)
	}
}

// writersInTwoProcesses lets two processes race for every offset.
func writersInTwoProcesses(t *testing.T, d *database) {
	a, b := startWriter(t, d), startWriter(t, d)
	least := max(a.await(20), b.await(5))
	a.kill()
	least = max(least, b.await(20))
	b.kill()
	wantNumbers(t, d, least)
}
