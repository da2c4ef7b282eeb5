package chaos_test

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

// outcome is the line a story leaves in the report.
type outcome struct {
	Target   string         `json:"target"`
	Story    string         `json:"story"`
	Delivery string         `json:"delivery"`
	Happened map[string]int `json:"happened,omitempty"`
	verdict
	CallsAgain int64   `json:"calls_repeated"` // with an idempotency key seen before: allowed
	Flows      float64 `json:"slowest_recovery_s"`
	Seconds    float64 `json:"seconds"`
	EndTxn     int32   `json:"end_txn_version,omitempty"`
}

func tenths(d time.Duration) float64 { return d.Round(100 * time.Millisecond).Seconds() }

// outcomes are all of this run, in order.
var outcomes collected

type collected struct {
	mu   sync.Mutex
	list []outcome // GUARDED_BY(mu)
}

func (c *collected) add(o outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, o)
	line, _ := json.Marshal(o) // plain numbers and text
	fmt.Fprintln(os.Stderr, string(line))
}

// report prints what all stories came to, as the last line of the run, and returns its exit code.
func report(code int) int {
	outcomes.mu.Lock()
	defer outcomes.mu.Unlock()
	if len(outcomes.list) == 0 {
		return code
	}
	sum := struct {
		Stories    map[string]int `json:"stories"` // by target
		Sent       int64          `json:"sent"`
		Lost       int64          `json:"lost"`
		Duplicated int64          `json:"duplicated"`
		Order      int64          `json:"order_violations"`
		Foreign    int64          `json:"foreign"`
		Unequal    int            `json:"sqlite_differs"`
		Controls   map[string]int `json:"negative_controls"` // by target: what they found repeated
		OK         bool           `json:"ok"`
	}{Stories: map[string]int{}, Controls: map[string]int{}, OK: code == 0}
	for _, o := range outcomes.list {
		if o.Delivery == atLeastOnce {
			sum.Controls[o.Target] += int(o.Duplicated)
			continue
		}
		sum.Stories[o.Target]++
		sum.Sent, sum.Lost, sum.Duplicated, sum.Order = sum.Sent+o.Sent, sum.Lost+o.Lost, sum.Duplicated+o.Duplicated, sum.Order+o.Order
		sum.Foreign += o.Foreign
		if !o.Same {
			sum.Unequal++
		}
	}
	line, _ := json.Marshal(sum) // plain numbers and text
	if file := os.Getenv("RAVEN_CHAOS_REPORT"); file != "" {
		if err := os.WriteFile(file, append(line, '\n'), 0o600); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	fmt.Println(string(line))
	return code
}
