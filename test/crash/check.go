package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
	_ "modernc.org/sqlite" // the driver by which the checker reads what the workers stored

	"ravenswood.dev/internal/kafka"
)

// history is what one output holds, in its order. It judges by what was sent alone.
type history struct {
	name       string
	seen       []uint8 // how often each id is there
	acked      []bool  // by id: whether it must be there; nil is all
	last       map[string]int64
	rows       int64
	duplicated int64
	disordered int64
	foreign    int64 // ids nobody sent
	firsts     []string
}

func newHistory(name string, sent int64) *history {
	return &history{name: name, seen: make([]uint8, sent), last: make(map[string]int64)}
}

// add takes the next event of the output. Events of a key must come as they were sent, each once.
func (h *history) add(e event, where string) {
	h.rows++
	if e.ID < 0 || e.ID >= int64(len(h.seen)) {
		h.foreign++
		h.note("%s: id %d was never sent", where, e.ID)
		return
	}
	if h.seen[e.ID]++; h.seen[e.ID] > 1 {
		h.duplicated++
		h.note("%s: id %d (key %s, n %d) is there again", where, e.ID, e.Key, e.N)
		return // a repetition is out of order by its nature; it is counted once
	}
	if last, ok := h.last[e.Key]; ok && e.N <= last {
		h.disordered++
		h.note("%s: key %s has n %d after %d", where, e.Key, e.N, last)
		return
	}
	h.last[e.Key] = e.N
}

// note keeps the first few findings, for whoever has to explain them.
func (h *history) note(format string, args ...any) {
	if len(h.firsts) < 5 {
		h.firsts = append(h.firsts, h.name+" "+fmt.Sprintf(format, args...))
	}
}

func (h *history) lost() (n int64) {
	for id, times := range h.seen {
		if times == 0 && (h.acked == nil || h.acked[id]) {
			n++
			h.note("misses id %d", id)
		}
	}
	return n
}

// readTopic reads the output topic as any committed reader sees it.
func readTopic(ctx context.Context, cfg kafka.Config, sent int64) (*history, error) {
	h := newHistory("topic", sent)
	return h, kafka.ReadToEnd(ctx, cfg, topicOut, nil, h.visit)
}

// visit takes the next record of a topic.
func (h *history) visit(r *kgo.Record) error {
	var e event
	if err := json.Unmarshal(r.Value, &e); err != nil {
		return fmt.Errorf("read output %s/%d: %w", r.Topic, r.Offset, err)
	}
	h.add(e, fmt.Sprintf("partition %d offset %d", r.Partition, r.Offset))
	return nil
}

// readDatabase reads the table in the order in which rows were written.
func readDatabase(ctx context.Context, path string, sent int64) (*history, error) {
	h := newHistory("sqlite", sent)
	return h, h.visitRows(ctx, path)
}

func (h *history) visitRows(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return fmt.Errorf("read database: %w", err)
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, `SELECT rowid, id, key, n FROM `+tableName+` ORDER BY rowid`)
	if err != nil {
		return fmt.Errorf("read database: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var e event
		var row int64
		if err := rows.Scan(&row, &e.ID, &e.Key, &e.N); err != nil {
			return fmt.Errorf("read database: %w", err)
		}
		h.add(e, fmt.Sprintf("row %d", row))
	}
	return rows.Err()
}

// countEvents says how many different events there are so far; none before the table is made.
func countEvents(ctx context.Context, path string) (n int64) {
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return 0
	}
	defer db.Close()
	if db.QueryRowContext(ctx, `SELECT count(DISTINCT id) FROM `+tableName).Scan(&n) != nil {
		return 0
	}
	return n
}

// same says whether both outputs hold the same events equally often.
func same(a, b *history) bool { return string(a.seen) == string(b.seen) && a.foreign == b.foreign }
