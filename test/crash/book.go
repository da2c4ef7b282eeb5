package main

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"ravenswood.dev/test/proof"
)

// outcome is what the client of a transaction was told.
type outcome int

const (
	open      outcome = iota // nobody has asked for an end: it must never be readable
	unknown                  // a commit was asked for and not answered, or refused: all of it is readable, or nothing
	committed                // the broker said so: all of it is readable
	aborted                  // no commit was asked for: nothing is readable
)

// part is the value of a record of a transaction.
type part struct {
	Producer int `json:"p"`
	Txn      int `json:"t"` // counts the transactions of a producer
	Index    int `json:"i"` // of the record in its transaction
}

func (p part) record(topic string, partition int32) *kgo.Record {
	value, _ := json.Marshal(p) // plain numbers
	return &kgo.Record{Topic: topic, Partition: partition, Value: value}
}

// book is what one producer knows of its transactions. It is safe for concurrent use.
type book struct {
	producer int

	mu   sync.Mutex
	txns []account // GUARDED_BY(mu)
}

type account struct {
	records int
	end     outcome
}

// begin opens a transaction of so many records.
func (b *book) begin(records int) (number int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.txns = append(b.txns, account{records: records})
	return len(b.txns) - 1
}

func (b *book) end(number int, how outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.txns[number].end = how
}

// tally counts by outcome.
func (b *book) tally(into *txnCounts) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.txns {
		switch a.end {
		case committed:
			into.Committed++
		case unknown:
			into.Unknown++
		case aborted:
			into.Aborted++
		case open:
			into.Abandoned++
		}
	}
}

// txnCounts are transactions by what their clients were told.
type txnCounts struct {
	Committed int `json:"committed"`
	Aborted   int `json:"aborted"`
	Abandoned int `json:"left_open"`
	Unknown   int `json:"unknown"`
}

// audit compares what is readable with the books.
type audit struct {
	books    []*book
	seen     []map[int]*[]uint8 // by producer and transaction: how often each record is there
	last     map[[3]int]int     // by producer and partition: the last transaction and record, as one number
	findings *proof.Findings
	auditCounts
}

// auditCounts are records, but torn, which are transactions.
type auditCounts struct {
	rows       int64
	lost       int64
	duplicated int64
	disordered int64
	foreign    int64
	torn       int64
	abortedIn  int64 // readable, though nobody committed them
}

func newAudit(books []*book, f *proof.Findings) *audit {
	a := &audit{books: books, findings: f, last: map[[3]int]int{}}
	for range books {
		a.seen = append(a.seen, map[int]*[]uint8{})
	}
	return a
}

// recordsMax is more than any transaction has.
const recordsMax = 1 << 10

// visit takes the next record of a topic, of which there are several, by number.
func (a *audit) visit(topic int, r *kgo.Record) error {
	var p part
	if err := json.Unmarshal(r.Value, &p); err != nil {
		return fmt.Errorf("read %s/%d/%d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	where := fmt.Sprintf("%s/%d/%d", r.Topic, r.Partition, r.Offset)
	a.rows++
	if p.Producer < 0 || p.Producer >= len(a.books) || !a.books[p.Producer].has(p) {
		a.foreign++
		a.findings.Note("%s: %+v was never sent", where, p)
		return nil
	}
	times := a.timesOf(p)
	if (*times)[p.Index]++; (*times)[p.Index] > 1 {
		a.duplicated++
		a.findings.Note("%s: %+v is there again", where, p)
		return nil
	}
	at, number := [3]int{p.Producer, topic, int(r.Partition)}, p.Txn*recordsMax+p.Index
	if last, ok := a.last[at]; ok && number <= last {
		a.disordered++
		a.findings.Note("%s: %+v after transaction %d, record %d", where, p, last/recordsMax, last%recordsMax)
		return nil
	}
	a.last[at] = number
	return nil
}

func (b *book) has(p part) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return p.Txn >= 0 && p.Txn < len(b.txns) && p.Index >= 0 && p.Index < b.txns[p.Txn].records
}

func (a *audit) timesOf(p part) *[]uint8 {
	times := a.seen[p.Producer][p.Txn]
	if times == nil {
		b := a.books[p.Producer]
		b.mu.Lock()
		made := make([]uint8, b.txns[p.Txn].records)
		b.mu.Unlock()
		times = &made
		a.seen[p.Producer][p.Txn] = times
	}
	return times
}

// close judges every transaction when all has been visited.
func (a *audit) close() {
	for i, b := range a.books {
		b.mu.Lock()
		for number, account := range b.txns {
			a.judge(fmt.Sprintf("transaction %d of producer %d", number, i), account, a.there(i, number))
		}
		b.mu.Unlock()
	}
}

// there is how many records of a transaction are readable.
func (a *audit) there(producer, number int) (n int) {
	times := a.seen[producer][number]
	if times == nil {
		return 0
	}
	for _, t := range *times {
		if t > 0 {
			n++
		}
	}
	return n
}

func (a *audit) judge(name string, t account, there int) {
	partly := there > 0 && there < t.records
	switch t.end {
	case committed:
		if a.lost += int64(t.records - there); there < t.records {
			a.findings.Note("%s was committed; %d of %d records are readable", name, there, t.records)
		}
	case unknown:
		if partly {
			a.findings.Note("%s is torn: %d of %d records are readable", name, there, t.records)
		}
	case open, aborted:
		if a.abortedIn += int64(there); there > 0 {
			a.findings.Note("%s was never committed; %d of %d records are readable", name, there, t.records)
		}
	}
	if partly {
		a.torn++
	}
}
