package sql

import (
	"context"
	"errors"
	"testing"

	"ravenswood.dev/internal/component"
)

// messages are the settings most cases use: rows told apart by id.
func messages() Config {
	return Config{Table: "messages", Key: Names{"id"}, Create: true, Columns: map[string]Column{
		"id": {Field: "id"}, "amount": {Field: "amount", Type: "integer"}, "note": {Field: "note"},
	}}
}

const allMessages = `SELECT id, amount, note FROM messages ORDER BY id`

func TestDeliversRowsAndPositionTogether(t *testing.T) {
	onEach(t, func(t *testing.T, d *database) {
		s := d.open(t, messages())
		if _, ok, err := s.Position(context.Background(), p0); ok || err != nil {
			t.Fatalf("position before the first delivery: %v, %v", ok, err)
		}
		deliver(t, s, 7, `{"id":"a","amount":1,"note":"x"}`, `{"id":"b"}`)
		wantRows(t, d, allMessages, "a|1|x\nb|-|-")
		wantPosition(t, s, 9)
		wantRows(t, d, `SELECT topology, sink, topic, partition, next_offset FROM raven_offsets`, "t|out|in|0|9")
	})
}

func TestTheNewestRecordOfAKeyWins(t *testing.T) {
	onEach(t, func(t *testing.T, d *database) {
		s := d.open(t, messages())
		deliver(t, s, 0, `{"id":"a","amount":1}`, `{"id":"b","amount":2}`, `{"id":"a","amount":3}`)
		deliver(t, s, 3, `{"id":"b","amount":4}`)
		wantRows(t, d, allMessages, "a|3|-\nb|4|-")
	})
}

func TestAnotherPositionThanTheCallersIsErrMoved(t *testing.T) {
	onEach(t, func(t *testing.T, d *database) {
		s := d.open(t, messages())
		deliver(t, s, 0, `{"id":"a"}`)
		for _, from := range []int64{0, 2} {
			if err := tryDeliver(s, from, `{"id":"stale"}`); !errors.Is(err, component.ErrMoved) {
				t.Errorf("from %d: got %v, want ErrMoved", from, err)
			}
		}
		wantRows(t, d, allMessages, "a|-|-")
		deliver(t, s, 1, `{"id":"b"}`)
	})
}

func TestARejectedRecordIsNamedAndNothingOfItsBatchIsWritten(t *testing.T) {
	onEach(t, func(t *testing.T, d *database) {
		d.exec(t, `CREATE TABLE messages (id varchar(10) PRIMARY KEY, amount integer NOT NULL CHECK (amount < 100), note text)`)
		c := messages()
		c.Create = false
		c.Columns = nil
		s := d.open(t, c)
		good := `{"id":"a","amount":1}`
		for _, tc := range []struct {
			name, bad string
			parts     []string
		}{
			{"null where the table wants a value", `{"id":"b"}`, []string{"amount"}},
			{"a check of the table", `{"id":"b","amount":100}`, []string{"messages"}},
			{"text for an integer", `{"id":"b","amount":"1"}`, []string{`"amount"`, "want an integer"}},
			{"a fraction for an integer", `{"id":"b","amount":1.5}`, []string{`"amount"`, "not a whole number"}},
			{"an integer beyond 64 bits", `{"id":"b","amount":9223372036854775808}`, []string{`"amount"`, "range"}},
			{"no key", `{"amount":1}`, []string{`"id"`, "the key is missing"}},
			{"no object", `[1]`, []string{"a list"}},
		} {
			t.Run(tc.name, func(t *testing.T) {
				wantRejected(t, tryDeliver(s, 0, good, `{"id":"c","amount":2}`, tc.bad, good), 2, tc.parts...)
				wantRows(t, d, allMessages, "")
				wantRows(t, d, `SELECT count(*) FROM raven_offsets`, "0")
			})
		}
		deliver(t, s, 0, good)
		wantRows(t, d, allMessages, "a|1|-")
	})
}
