package chaos_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	_ "modernc.org/sqlite" // the driver by which the audit reads what the workers stored

	"ravenswood.dev/internal/kafka"
)

// event is what is sent: the nth record of its key, and a number of its own.
type event struct {
	Key string `json:"key"`
	N   int64  `json:"n"`
	ID  int64  `json:"id"`
}

// history is what one output holds, in its order. It judges by what was sent alone and knows nothing of the engine.
type history struct {
	name       string
	times      []uint8 // how often each id is there
	last       map[string]int64
	rows       int64
	duplicated int64
	disordered int64
	foreign    int64 // ids that nobody sent, or nobody committed
	findings   []string
}

func newHistory(name string, sent int64) *history {
	return &history{name: name, times: make([]uint8, sent), last: make(map[string]int64)}
}

// add takes the next event. Those of a key must come as they were sent, each once; a repetition counts as that alone.
func (h *history) add(e event, where string) {
	h.rows++
	if e.ID < 0 || e.ID >= int64(len(h.times)) {
		h.foreign++
		h.note("%s: id %d was never committed", where, e.ID)
		return
	}
	if h.times[e.ID]++; h.times[e.ID] > 1 {
		h.duplicated++
		h.note("%s: id %d (key %s, n %d) is there again", where, e.ID, e.Key, e.N)
		return
	}
	if last, ok := h.last[e.Key]; ok && e.N <= last {
		h.disordered++
		h.note("%s: key %s has n %d after %d", where, e.Key, e.N, last)
		return
	}
	h.last[e.Key] = e.N
}

func (h *history) lost() (n int64) {
	for id, times := range h.times {
		if times == 0 {
			n++
			h.note("misses id %d", id)
		}
	}
	return n
}

// note keeps the first few findings, for whoever has to explain them.
func (h *history) note(format string, args ...any) {
	if len(h.findings) < 5 {
		h.findings = append(h.findings, h.name+" "+fmt.Sprintf(format, args...))
	}
}

// readTopic reads a topic as any committed reader sees it.
func readTopic(ctx context.Context, cfg kafka.Config, topic string, sent int64) (*history, error) {
	h := newHistory("topic", sent)
	err := kafka.ReadToEnd(ctx, cfg, topic, nil, func(r *kgo.Record) error {
		var e event
		if err := json.Unmarshal(r.Value, &e); err != nil {
			return fmt.Errorf("read output %s/%d: %w", r.Topic, r.Offset, err)
		}
		h.add(e, fmt.Sprintf("partition %d offset %d", r.Partition, r.Offset))
		return nil
	})
	return h, err
}

func openDatabase(path string) (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+path+"?mode=ro&_pragma=busy_timeout(10000)")
}

// readDatabase reads the table in the order in which rows were written.
func readDatabase(ctx context.Context, path string, sent int64) (h *history, err error) {
	h = newHistory("sqlite", sent)
	db, err := openDatabase(path)
	if err != nil {
		return nil, fmt.Errorf("read database: %w", err)
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, `SELECT rowid, id, key, n FROM results ORDER BY rowid`)
	if err != nil {
		return nil, fmt.Errorf("read database: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var e event
		var row int64
		if err := rows.Scan(&row, &e.ID, &e.Key, &e.N); err != nil {
			return nil, fmt.Errorf("read database: %w", err)
		}
		h.add(e, fmt.Sprintf("row %d", row))
	}
	return h, rows.Err()
}

// stored counts the events below an id that are in the database so far; none before the table is made.
func stored(ctx context.Context, path string, below int64) (n int64) {
	db, err := openDatabase(path)
	if err != nil {
		return 0
	}
	defer db.Close()
	if db.QueryRowContext(ctx, `SELECT count(DISTINCT id) FROM results WHERE id >= 0 AND id < ?`, below).Scan(&n) != nil {
		return 0
	}
	return n
}

// verdict is what the audit of one story found.
type verdict struct {
	Sent       int64    `json:"sent"`
	Lost       int64    `json:"lost"`
	Duplicated int64    `json:"duplicated"`
	Order      int64    `json:"order_violations"`
	Foreign    int64    `json:"foreign"` // results of events that were never committed
	InTopic    int64    `json:"in_topic"`
	InSQLite   int64    `json:"in_sqlite"`
	Same       bool     `json:"sqlite_equals_topic"`
	Findings   []string `json:"findings,omitempty"`
}

func judge(topic, table *history) verdict {
	return verdict{
		Sent: int64(len(topic.times)), InTopic: topic.rows, InSQLite: table.rows,
		Lost: topic.lost() + table.lost(), Duplicated: topic.duplicated + table.duplicated,
		Order: topic.disordered + table.disordered, Foreign: topic.foreign + table.foreign,
		Same:     string(topic.times) == string(table.times) && topic.foreign == table.foreign,
		Findings: append(topic.findings, table.findings...),
	}
}

// exactlyOnce says whether the guarantee held; nothing sent would prove nothing.
func (v verdict) exactlyOnce() bool {
	return v.Sent > 0 && v.Lost == 0 && v.Duplicated == 0 && v.Order == 0 && v.Foreign == 0 && v.Same && v.InTopic == v.Sent
}

// repeatedOnly says whether a negative control did its job: repetitions were found, and still nothing was lost.
func (v verdict) repeatedOnly() bool { return v.Duplicated > 0 && v.Lost == 0 && v.Foreign == 0 }

func TestTheAuditFindsWhatIsWrong(t *testing.T) {
	a0, b0, a1, b1 := event{"a", 0, 0}, event{"b", 0, 1}, event{"a", 1, 2}, event{"b", 1, 3}
	right := []event{a0, b0, a1, b1}
	for _, c := range []struct {
		name           string
		topic, table   []event
		once, repeated bool
	}{
		{"all as sent", right, right, true, false},
		{"keys may overtake each other", []event{b0, b1, a0, a1}, right, true, false},
		{"lost in the topic", []event{a0, b0, b1}, right, false, false},
		{"lost in the table", right, []event{a0, b0, b1}, false, false},
		{"lost in both", []event{a0}, []event{a0}, false, false},
		{"repeated in the topic", []event{a0, a0, b0, a1, b1}, right, false, true},
		{"repeated in the table", right, []event{a0, b0, a1, b1, a0}, false, true},
		{"repeated in both", []event{a0, b0, a1, b1, a0}, []event{a0, b0, a1, b1, a0}, false, true},
		{"order within a key", []event{a1, a0, b0, b1}, right, false, false},
		{"what was aborted", []event{a0, b0, a1, b1, {"a", -1, -1}}, right, false, false},
		{"what nobody sent", right, []event{a0, b0, a1, b1, {"c", 0, 4}}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			read := func(events []event) *history {
				h := newHistory("test", 4)
				for _, e := range events {
					h.add(e, "somewhere")
				}
				return h
			}
			v := judge(read(c.topic), read(c.table))
			if v.exactlyOnce() != c.once || v.repeatedOnly() != c.repeated || (len(v.Findings) == 0) != c.once {
				t.Errorf("exactly-once %v, repeated only %v: %+v", v.exactlyOnce(), v.repeatedOnly(), v)
			}
		})
	}
}
